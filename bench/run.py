"""`make bench`: plan every network on its boards, measure the CPU runtimes here, write the table.

    python bench/run.py                                   plan and measure, then write docs/bench.*
    python bench/run.py --synth autoenc-1/zcu104 ...      and synthesise these with Yosys
    python bench/run.py --render                          only write docs/bench.* from the results

The results are kept in bench/*.json, and docs/bench.md names the origin of each figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from importlib.metadata import version
from pathlib import Path

from batch import NETWORK, batch_rows
from exports import write_models
from networks import ROOT, WORKLOADS, Workload, all_workloads
from planned import plan_row, synthesise
from report import markdown

BENCH = ROOT / "bench"
VENV = ROOT / ".venv-bench"
INT8 = "forum-cnn-lstm"  #: the network that bench/int8.py measures
_MODELS = ROOT / "build/bench"
_RESULTS = ("planned", "measured", "simulated", "synthesised", "gpu", "int8")


def read(folder: Path, name: str) -> dict:
    """``folder``/``name``.json, empty where it does not exist."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(folder: Path, name: str, value: dict) -> None:
    """Write ``folder``/``name``.json."""
    (folder / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def runtimes() -> Path:
    """The Python of .venv-bench, made or renewed where bench/requirements.txt says so."""
    python, stamp = VENV / "bin/python", VENV / "requirements.stamp"
    wanted = BENCH / "requirements.txt"
    key = hashlib.sha256(f"{ROOT}\n{wanted.read_text()}".encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != key:
        print("bench: making .venv-bench with ONNX Runtime, LiteRT and Matplotlib", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check",
                        "-r", wanted], check=True)
        stamp.write_text(key)
    return python


def plan_all(rows: list[Workload], folder: Path, order: list[str]) -> None:
    """Plan ``rows`` on their boards; each goes into ``folder``/planned.json at once, in
    ``order``."""
    for row in rows:
        planned = {}
        for board in row.boards:
            started = time.monotonic()
            planned[board] = plan_row(row, board)
            print(f"  planned {row.name} on {board}: {planned[board]['latency']} cycles "
                  f"({time.monotonic() - started:.0f} s)", flush=True)
        old = read(folder, "planned")
        networks = old.get("networks", {}) | {row.name: planned}
        new = {"gatefold": version("gatefold"),
               "networks": {name: networks[name] for name in order if name in networks}}
        if row.name == NETWORK:
            new["batches"] = batch_rows(row)
        write(folder, "planned", old | new)


def measure_all(rows: list[Workload]) -> dict:
    """Times of ONNX Runtime and LiteRT on this machine."""
    python = runtimes()
    shutil.rmtree(_MODELS, ignore_errors=True)
    for row in rows:
        write_models(row.name, row.network, _MODELS)
    result = _MODELS / "measured.json"
    subprocess.run([python, BENCH / "measure.py", _MODELS, result], check=True)
    return json.loads(result.read_text())


def measure_int8(row: Workload, folder: Path) -> None:
    """Times of the network of ``row`` in full integer, into ``folder``/int8.json."""
    python = runtimes()
    with tempfile.TemporaryDirectory() as place:
        write_models(row.name, row.network, Path(place))
        subprocess.run([python, BENCH / "int8.py", place, folder / "int8.json",
                        python.parent / "vela"], check=True)


def each(cores: list[str], rows: list[Workload], folder: Path, file: str, work) -> None:
    """``work`` on every network/board named, results kept in ``folder``/``file``.json at once."""
    by_name = {row.name: row for row in rows}
    for core in cores:
        name, _, board = core.partition("/")
        if name not in by_name or board not in by_name[name].boards:
            cores_there = [f"{row.name}/{there}" for row in rows for there in row.boards]
            sys.exit(f"bench: {core!a} is not one of {', '.join(cores_there)}")
        print(f"  {work.__name__} {core}", flush=True)
        write(folder, file, read(folder, file) | {core: work(by_name[name], board)})


def render(folder: Path, out: Path) -> None:
    """Write ``out``/bench.md, and bench.svg where .venv-bench exists."""
    out.mkdir(parents=True, exist_ok=True)
    known = {name: read(folder, name) for name in _RESULTS}
    known["workloads"] = WORKLOADS
    (out / "bench.md").write_text(markdown(known, all_workloads()))
    if (VENV / "requirements.stamp").exists():
        with tempfile.TemporaryDirectory() as place:
            data = Path(place) / "known.json"
            data.write_text(json.dumps(known))
            subprocess.run([VENV / "bin/python", BENCH / "plot.py", data, out / "bench.svg"],
                           check=True)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="plan and measure only these")
    parser.add_argument("--synth", nargs="+", default=[], metavar="NETWORK/BOARD")
    parser.add_argument("--render", action="store_true", help="plan and measure nothing")
    parser.add_argument("--no-measure", action="store_true", help="plan, but measure nothing")
    parser.add_argument("--no-plan", action="store_true", help="measure, but plan nothing")
    parser.add_argument("--results", type=Path, default=BENCH, help="where the *.json are kept")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    os.chdir(ROOT)
    folder = options.results
    folder.mkdir(parents=True, exist_ok=True)
    rows = all_workloads()
    names = [row.name for row in rows]
    if options.only and not set(options.only) <= set(names):
        sys.exit(f"bench: --only must be of {', '.join(names)}, not {' '.join(options.only)}")
    chosen = [row for row in rows if row.name in (options.only or names)]
    if not options.render and not options.no_plan:
        plan_all(chosen, folder, names)
    each(options.synth, rows, folder, "synthesised", synthesise)
    if not options.render and not options.no_measure:
        old, new = read(folder, "measured"), measure_all(chosen)
        networks = old.get("networks", {}) | new["networks"]
        write(folder, "measured", new | {
            "networks": {name: networks[name] for name in names if name in networks}})
        for row in chosen:
            if row.name == INT8:
                measure_int8(row, folder)
    render(folder, options.output)
    print(f"bench: {options.output / 'bench.md'}")


if __name__ == "__main__":
    main()
