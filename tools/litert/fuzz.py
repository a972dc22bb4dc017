"""Random full-integer models against LiteRT: ``make litert-fuzz``.

``models.py`` makes the files and what LiteRT answers. Golden must give every byte, each sample
after a reset and with the state kept, and the simulated Verilog must equal golden in every output,
value and cycle, on an array that changes from model to model. Exit code 1 where a byte differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.files.names import CORE
from gatefold.gen.frontends import load
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import write_rtl, write_weights
from gatefold.gen.store.folder import core_json
from gatefold.sim.expected import expectation
from gatefold.sim.golden import golden
from gatefold.sim.results import CheckFailed
from gatefold.sim.verify import verify

__all__ = ["ARRAYS"]

#: Arrays of the simulated cores, in turn; ``state`` keeps the state from frame to frame.
ARRAYS: tuple[dict, ...] = (
    {"pe": 8, "simd": 3}, {"pe": 16, "simd": 5, "packed": True},
    {"pe": 12, "simd": 4, "pipeline": "short"}, {"pe": 16, "simd": 8, "packed": True, "parts": 4},
    {"pe": 16, "simd": 4, "state": True}, {"pe": 8, "simd": 7, "contexts": 2},
    {"pe": 24, "simd": 2, "dies": 2, "cross": 2}, {"pe": 4, "simd": 1},
    {"pe": 20, "simd": 6, "packed": True, "pipeline": "short", "parts": 2, "state": True},
    {"pe": 36, "simd": 3, "reach": 1, "gather": 1}, {"pe": 32, "simd": 16, "packed": True},
    {"pe": 16, "simd": 6, "parts": 2, "contexts": 3}, {"pe": 8, "simd": 11, "cascade": True},
    {"pe": 16, "simd": 4, "packed": True, "loadable": True},
)


def answers(given: dict[str, np.ndarray], what: str) -> np.ndarray:
    """All arrays ``what``0, ``what``1 ... of a file, side by side (samples, elements)."""
    found = [given[name] for name in sorted(given) if name.rstrip("0123456789") == what]
    return np.concatenate([one.reshape(len(one), -1) for one in found], axis=1)


def differences(file: Path, keep_state: bool) -> tuple[int, int]:
    """How many of golden's bytes are not LiteRT's, of how many."""
    with np.load(file.with_suffix(".npz")) as given:
        given = dict(given)
    qnet = quantize(load(file, keep_state=keep_state))
    x = answers(given, "x").astype(np.int64)
    wanted = answers(given, "kept" if keep_state else "y")
    fresh = np.arange(len(x)) % (len(x) // 2) == 0 if keep_state else np.ones(len(x), bool)
    found = golden(qnet, x.reshape(len(x), *qnet.input_shape), fresh=fresh).reshape(len(x), -1)
    return int((found != wanted).sum()), wanted.size


def simulated(file: Path, array: dict, sim: str) -> str:
    """The Verilog of a core played and compared with golden; in words what it was."""
    more = dict(array)
    qnet = quantize(load(file, keep_state=more.pop("state", False)))
    if not qnet.packs:
        more.pop("packed", None)
    loadable, contexts = more.pop("loadable", False), more.get("contexts", 1)
    plan = make_plan(qnet, Array(stream_bits=32, **more), loadable=loadable)
    with np.load(file.with_suffix(".npz")) as given:
        x = answers(dict(given), "x").astype(np.int64)
    x = np.concatenate([x[:4], x[len(x) // 2:]])
    x = x[:len(x) // contexts * contexts]
    frames = x.reshape(len(x) // contexts, -1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rtl(folder / "rtl", plan)
        write_weights(folder / "weights", plan)
        (folder / CORE).write_text(json.dumps(core_json(plan)))
        seen = verify(folder, x=frames, sim=sim, expect=expectation(
            qnet, x.reshape(len(x), *qnet.input_shape), contexts))
    return f"{array}: {seen.outputs} outputs, {seen.states} values, {seen.latency} cycles"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=14, help="how many are simulated too")
    parser.add_argument("--first", type=int, default=0, help="the first that is simulated")
    parser.add_argument("--sim", default="verilator")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.tflite"))
    wrong = refused = 0
    for number, file in enumerate(files):
        begun, said = time.monotonic(), []
        try:
            for keep_state in (False, True):
                off, of = differences(file, keep_state)
                wrong += bool(off)
                said.append(f"{off} of {of} bytes differ" if off else f"{of} bytes equal")
            if options.first <= number < options.first + options.cores:
                said.append(simulated(file, ARRAYS[number % len(ARRAYS)], options.sim))
        except CheckFailed as error:
            wrong += 1
            said.append(f"the core differs: {error}")
        except UserError as error:
            refused += 1
            said.append(f"refused: {error}")
        print(f"{file.stem}: {'; '.join(said)} ({time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{len(files)} models, {wrong} comparisons failed, {refused} refused")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
