"""`make accuracy`: how well the shipped autoencoder finds anomalies, arithmetic by arithmetic, and
how both tasks do by the defaults against their targets.

    python bench/accuracy/evaluate.py                   all rows; measured.json, docs/accuracy.*
    python bench/accuracy/evaluate.py --windows 200     a quick look: printed, nothing written
    python bench/accuracy/evaluate.py --only "w8 a8"    these rows again
    python bench/accuracy/evaluate.py --render          only write docs/accuracy.* again

The rows: arithmetics.py. Each is scored with a threshold from its own scores of training windows.
"""

from __future__ import annotations

import argparse
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
from targets import measure_targets, target_line

from gatefold.gen.measure.inside import inside

__all__ = ["INSIDE", "MEASURED", "main", "measure", "render", "store", "stored"]

ROOT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).resolve().parent / "measured.json"
INSIDE = ("w8 a8 8 bits, the defaults", "w8 a8")  #: Rows whose every tensor is looked at, ...
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
        for row in ROWS:
            if row.key in (args.only or keys):
                known["rows"][row.key] = found = measure(row, shipped, data)
                print(table_row(row, found), flush=True)
                if args.windows is None:
                    store(known)
        if not args.only:
            known["targets"] = measure_targets(shipped, data)
            for key, found in known["targets"].items():
                print(target_line(key, found), flush=True)
    if args.windows is not None:
        return
    if not args.render:
        store(known | {"elsewhere": elsewhere()})
    known = stored()
    if missing := [key for key in keys if key not in known["rows"]]:
        parser.error(f"no figures yet of {', '.join(missing)}: measure these too")
    _matplotlib()
    render(known, args.output)
    print(f"accuracy: {args.output / 'accuracy.md'}")


if __name__ == "__main__":
    main()
