"""`make accuracy`: how well the shipped autoencoder finds anomalies, arithmetic by arithmetic, and
how both tasks do by the defaults against their targets.

    python bench/accuracy/evaluate.py                   all; measured.json, docs/accuracy.*
    python bench/accuracy/evaluate.py --windows 200     a quick look: printed, nothing written
    python bench/accuracy/evaluate.py --only "w8 a8"    these rows again
    python bench/accuracy/evaluate.py --render          only write docs/accuracy.* again

A run that was stopped goes on where it stopped: measured.json has a hash of the code with each
figure, and a figure of the code as it is now is not measured again.

The rows: arithmetics.py. Each is scored with a threshold from its own scores of training windows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

# Before NumPy is imported: BLAS threads wait for one another longer than they work on products so
# small, many times longer where cores are busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from accuracy_page import figures, markdown, table_row
from arithmetics import ROWS, Row, Shipped, formats
from defaults import elsewhere
from detection import QUANTILE, HeldOut, evaluate
from targets import TARGETS, measure_target, target_line

from gatefold.gen.measure.inside import inside

__all__ = ["INSIDE", "MEASURED", "code", "main", "measure", "render", "store", "stored"]

ROOT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).resolve().parent / "measured.json"
INSIDE = ("w8 a8 8 bits, the defaults", "w8 a8")  #: Rows whose every tensor is looked at, ...
_SOURCES = ("gen/network/*.py", "gen/numbers/*.py", "gen/measure/*.py", "sim/golden.py",
            "sim/layers.py", "sim/scalars.py", "models/mgab-autoencoder/*.npz",
            "models/*/*.safetensors", "models/*/*.onnx", *(f"bench/accuracy/{name}" for name in (
                "arithmetics.py", "cut.py", "defaults.py", "detection.py", "forecast.py",
                "forecast.safetensors", "mgab.py", "targets.py")))
_LOOKED_AT = 100  # ... on so many of the threshold's windows.


def measure(row: Row, shipped: Shipped, data: HeldOut) -> dict:
    """The scores of a row, its time and its formats; ready for JSON."""
    started, computing = time.monotonic(), time.process_time()
    made = row.make(shipped)
    found: dict = asdict(evaluate(made, data))
    found |= {"seconds": round(time.monotonic() - started, 1),
              "cpu_seconds": round(time.process_time() - computing, 1)}
    if made.qnet is not None:
        found["formats"] = formats(made.qnet)
        if row.key in INSIDE:
            found["inside"] = inside(shipped.network, made.qnet, data.train[:_LOOKED_AT])
    return found | ({"settings": dict(made.settings)} if made.settings else {})


def code(*weights: Path) -> str:
    """A hash of all that a figure depends on: code, models, and files of ``weights``."""
    files = sorted(path for pattern in _SOURCES for path in ROOT.glob(pattern)) + [
        path for path in weights if path.exists()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def stored() -> dict:
    """The contents of measured.json, without rows that no longer exist."""
    known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {"rows": {}}
    return known | {"rows": {row.key: known["rows"][row.key] for row in ROWS
                             if row.key in known["rows"]}}


def store(known: dict) -> None:
    """Write measured.json: after every row, so that a run that is stopped keeps its results."""
    MEASURED.write_text(json.dumps(known, indent=1) + "\n")


def render(known: dict, out: Path) -> None:
    """Write ``out``/accuracy.md, and accuracy.svg where .venv-bench exists."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "accuracy.md").write_text(markdown(known))
    python = ROOT / ".venv-bench/bin/python"
    if python.exists():
        with tempfile.TemporaryDirectory() as place:
            data = Path(place) / "figures.json"
            data.write_text(json.dumps(figures(known)))
            subprocess.run([python, Path(__file__).with_name("chart.py"), data,
                            out / "accuracy.svg"], check=True)


def _matplotlib() -> None:
    sys.path.append(str(ROOT / "bench"))
    from run import runtimes

    runtimes()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Detection accuracy of mgab-autoencoder.")
    parser.add_argument("--windows", type=int, help="only about so many windows; write nothing")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="only these rows")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--again", action="store_true",
                        help="measure again what the code as it is now has measured")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs")
    args = parser.parse_args()
    if args.windows is not None and args.windows < 10:
        parser.error(f"--windows must be at least 10, not {args.windows}")
    if args.windows is not None and args.render:
        parser.error("--render measures nothing: leave out --windows")
    keys = [row.key for row in ROWS]
    if unknown := [key for key in args.only or () if key not in keys]:
        parser.error(f"--only {ascii(unknown[0])} is no row: the rows are {', '.join(keys)}")
    known = stored()
    if not args.render:
        shipped = Shipped()
        data = shipped.held_out if args.windows is None else shipped.held_out.part(args.windows)
        known |= {"windows": len(data.x), "anomalous": int(data.anomalous.sum()),
                  "train": len(data.train), "quantile": QUANTILE, "cores": os.cpu_count(),
                  "load": round(os.getloadavg()[0], 1)}
        now, of = code(), known.setdefault("code", {})

        def again(key: str, version: str = now) -> bool:
            """Whether a figure is to be measured: the code was another when it was, if it was."""
            return args.again or args.windows is not None or of.get(key) != version

        def keep(key: str, version: str = now) -> None:
            of[key] = version
            if args.windows is None:
                store(known)

        for row in ROWS:
            if row.key in args.only if args.only else again(row.key):
                known["rows"][row.key] = found = measure(row, shipped, data)
                print(table_row(row, found), flush=True)
                keep(row.key)
        if not args.only:
            before = known.get("targets", {})
            known["targets"] = {target.key: before.get(target.key) for target in TARGETS}
            for target in TARGETS:
                version = code(target.weights)
                if again(target.key, version):
                    known["targets"][target.key] = found = measure_target(target, shipped, data)
                    print(target_line(target.key, found), flush=True)
                    keep(target.key, version)
            if args.windows is None and again("elsewhere"):
                known["elsewhere"] = elsewhere()
                keep("elsewhere")
    if args.windows is not None:
        return
    known = stored()
    if missing := [key for key in keys if key not in known["rows"]]:
        parser.error(f"no figures yet of {', '.join(missing)}: measure these too")
    _matplotlib()
    render(known, args.output)
    print(f"accuracy: {args.output / 'accuracy.md'}")


if __name__ == "__main__":
    main()
