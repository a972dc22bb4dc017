"""`make full-size`: every network of workloads.json at its full size, verified in Verilator.

    python bench/full_size.py                                    all cores that were not done yet
    python bench/full_size.py --only forum-cnn-lstm --board u280   one core
    python bench/full_size.py --again --only autoenc-1           once more, after a change
    python bench/full_size.py --render                           only write docs/full-size.md

Each core is made as a user makes it: quantised, planned and written to a folder. Its Verilog is
then compared with the golden model: every output, every value of every layer and step, and latency
and interval to the cycle. The networks for streaming keep their state between frames, and their
weights are loaded at run time, into UltraRAM if they fit no other memory. The forum's network in
full integer gets the inputs that are shipped with it, for which golden must give LiteRT's bytes.
After each core the results go to bench/simulated.json, so a run that was stopped continues with the
next core. A core whose plan has changed since is run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
from figures import BOARD_TITLES, TARGETS, is_simulated, key
from networks import ROOT, Workload, all_workloads, int8_workload, vectors
from planned import core_of

from gatefold.gen.check import seeded_inputs
from gatefold.gen.errors import UserError
from gatefold.gen.flow import Core
from gatefold.gen.plan.resources import estimate
from gatefold.sim.expected import expectation
from gatefold.sim.results import CheckFailed
from gatefold.sim.verify import VerifyResult, verify

PLACE = ROOT / "build/full-size"
JOURNAL = ROOT / "bench/simulated.json"
PAGE = ROOT / "docs/full-size.md"

#: Frames with different inputs: typical ones, random ones within the format, and its extremes. A
#: network that keeps its state gets more, so that some continue a sequence and some begin one.
_SAMPLES, _STREAMED = 3, 12
_TIMEOUT = 7200  # seconds, for the compiler and for each run
_SEED = 1
_RESOURCES = ("lut", "ff", "dsp", "bram36", "uram")
#: The sources that decide the Verilog and the expected bits.
_SOURCES = ("hdl", "gen", "sim", "boards", "bench/networks.py", "bench/workloads.json")


class _Stages:
    """Seconds of each type of stage; prints each stage that begins."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._current: str | None = None
        self._began = time.monotonic()

    def begin(self, kind: str, message: str) -> None:
        """A stage of type ``kind`` begins; prints ``message``."""
        self.end()
        self._current, self._began = kind, time.monotonic()
        print(f"    {message}", flush=True)

    def end(self) -> None:
        """The stage is over."""
        if self._current:
            taken = time.monotonic() - self._began
            self.seconds[self._current] = self.seconds.get(self._current, 0) + taken
        self._current = None


def prove(workload: Workload, board: str, known: dict) -> dict:
    """Build and verify one core; returns the results, ready for JSON, or ``known`` itself where it
    is about this very core.

    A difference, or a core that cannot be built, is a result too: ``failed``, the message.
    """
    streamed = workload.network.stateful
    stages = _Stages()
    found: dict = {"source": _source()}
    core = None
    try:
        stages.begin("plan", "quantising and planning")
        core = core_of(workload, board)
        config, cycles = core.plan.config, core.plan.cycles
        if is_simulated(known, config.pe, config.simd, cycles.latency, cycles.interval):
            return known
        found |= _describe(core)
        result = _verify(core, _STREAMED if streamed else _SAMPLES, stages)
        found["verified"] = result.as_dict()
    except (CheckFailed, UserError) as error:
        found["failed"] = str(error)
    stages.end()
    return found | {"seconds": {kind: round(taken, 1) for kind, taken in stages.seconds.items()}}


def _verify(core: Core, samples: int, stages: _Stages) -> VerifyResult:
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        stages.begin("write", f"writing Verilog for {core.plan.config.pe} x "
                              f"{core.plan.config.simd} multipliers, "
                              f"{core.plan.cycles.latency:,} cycles planned")
        folder = core.save(Path(place) / "core")
        if core.qnet.affine is None:
            x = seeded_inputs(core.qnet, samples, _SEED)
        else:
            x, y = vectors(samples)
            if not np.array_equal(core.run(x, raw=True), y):
                raise CheckFailed("golden does not give LiteRT's bytes")
        return verify(
            folder, x=np.reshape(x, (samples, -1)), expect=expectation(core.qnet, x), seed=_SEED,
            timeout=_TIMEOUT, progress=lambda message: stages.begin(
                "compile" if "compiles" in message else "simulate", message))


def _describe(core: Core) -> dict:
    config, cycles = core.plan.config, core.plan.cycles
    return {"pe": config.pe, "simd": config.simd, "planned": asdict(cycles),
            "loadable": config.loadable,
            "weights": dict(Counter(config.weight_style(row) for row in range(config.pe))),
            "estimated": asdict(estimate(config))}


def _source() -> str:
    """The commit, with ``+`` where files that matter differ from it."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True,
                              check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--", *_SOURCES)
    return (commit or "unknown") + ("+" if changed else "")


# ---- the page -----------------------------------------------------------------------------------


def markdown(found: dict[str, dict], workloads: list[Workload]) -> str:
    """docs/full-size.md, from the results ``found``."""
    cores = [(workload, board) for workload in workloads for board in workload.boards]
    known = [(workload, board, found[key(workload.name, board)]) for workload, board in cores
             if key(workload.name, board) in found]
    proved = [row for *_, row in known if "verified" in row]
    values = sum(_values(row) for row in proved)
    cycles = sum(row["verified"]["cycles"] for row in proved)
    missing = [f"{workload.name} on the {BOARD_TITLES[board]}" for workload, board in cores
               if key(workload.name, board) not in found]
    broken = [f"- **{workload.name} on the {BOARD_TITLES[board]}**: {row['failed']}"
              for workload, board, row in known if "failed" in row]
    parts = [
        "# Every network at its full size",
        f"Verilator simulated the exported Verilog of {len(proved)} of {len(cores)} cores, and all "
        f"values were compared with the golden model: {values:,} integers compared in {cycles:,} "
        "cycles, all of them equal. Latency and interval are as planned, to the cycle. `make "
        "full-size` (bench/full_size.py) writes this page. Nothing ran on a board, and no vendor "
        "tool ran.",
        "\n".join(_table(known)),
        _NOTES.format(samples=_SAMPLES, streamed=_STREAMED)]
    if missing:
        parts.append(f"Not run yet: {', '.join(missing)}.")
    if broken:
        parts.append("## Failed\n\n" + "\n".join(broken))
    return "\n\n".join(parts) + "\n"


_NOTES = """\
- Latency is the number of cycles from the first input beat to the last output beat of a core that
  was idle before. Interval is the number between the last output beats of consecutive frames at
  full rate. Both were planned, and simulation found the same numbers. Target is the project's aim.
- Compared is the number of integers: every output, and every value of every layer and step, in the
  five scenarios of `gatefold verify` ([streams.md](streams.md)). There were {samples} different
  inputs; for the network in int8 those that are shipped with it, whose outputs are LiteRT's bytes.
  The streaming networks had {streamed}, in sequences of one to four frames that keep the state,
  with a reset among them.
- Weights says where they are stored; "loaded" means through their stream, before the first frame.
- Resources are estimated (gen/plan/resources.py). The seconds for planning, for Verilator's
  compilation and for the simulation come from a machine with other users.
- Source is the commit that was run, with `+` if there were uncommitted files. A row describes the
  core of that commit; the plans of today are in bench.md, which marks those that were simulated."""

_HEAD = ("network", "board", "array", "latency", "target", "interval", "compared", "weights", "LUT",
         "FF", "DSP", "BRAM36", "URAM", "simulator", "plan, s", "compile, s", "simulate, s",
         "source")


def _table(known: list[tuple[Workload, str, dict]]) -> list[str]:
    lines = [f"| {' | '.join(_HEAD)} |",
             "|---|---|---|" + "---:|" * 4 + "---|" + "---:|" * 5 + "---|" + "---:|" * 3 + "---|"]
    for workload, board, row in known:
        if "verified" not in row:
            continue
        seen, seconds = row["verified"], row["seconds"]
        target = TARGETS[board].get(workload.name)
        cells = [workload.name, BOARD_TITLES[board], f"{row['pe']} x {row['simd']}",
                 f"**{seen['latency']:,}**", "" if target is None else f"{target:,}",
                 f"{seen['interval']:,}", f"{_values(row):,}", _weights(row),
                 *(f"{row['estimated'][name]:,g}" if name == "bram36" else
                   f"{row['estimated'][name]:,}" for name in _RESOURCES),
                 seen["simulator"], *(f"{seconds[kind]:,.0f}" for kind in
                                      ("plan", "compile", "simulate")), row["source"]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _values(row: dict) -> int:
    return row["verified"]["outputs"] + row["verified"]["states"]


def _weights(row: dict) -> str:
    places = [f"{row['weights'][style]} rows in {where}" for style, where in (
        ("ultra", "UltraRAM"), ("distributed", "LUTs"), ("block", "block RAM"))
        if style in row["weights"]]
    return ("loaded: " if row["loadable"] else "") + ", ".join(places)


# ---- the command --------------------------------------------------------------------------------


def main() -> None:
    """Entry point; exit code 1 where any core failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = [*all_workloads(), int8_workload()]
    names = [row.name for row in rows]
    parser.add_argument("--only", nargs="+", metavar="NETWORK", choices=names, default=names,
                        help="these networks: " + ", ".join(names))
    parser.add_argument("--board", choices=BOARD_TITLES, help="on this board only")
    parser.add_argument("--again", action="store_true", help="also cores that are done")
    parser.add_argument("--render", action="store_true", help="run nothing, only write the page")
    options = parser.parse_args()
    PLACE.mkdir(parents=True, exist_ok=True)
    if not options.render:
        for name in options.only:  # in the order asked for
            row = rows[names.index(name)]
            for board in row.boards:
                if options.board in (None, board):
                    _one(JOURNAL, row, board, options.again)
    found = _read(JOURNAL)
    PAGE.write_text(markdown(found, rows))
    print(f"full-size: {PAGE.relative_to(ROOT)}")
    sys.exit(any("failed" in row for row in found.values()))


def _one(journal: Path, workload: Workload, board: str, again: bool) -> None:
    core = key(workload.name, board)
    known = {} if again else _read(journal).get(core, {})
    print(f"full-size: {core}", flush=True)
    row = prove(workload, board, known)
    if row is known:
        print(f"full-size: {core} is done", flush=True)
        return
    print(f"    {_summary(row)}", flush=True)
    # Read again: another run may have stored results meanwhile.
    new = journal.with_suffix(".new")
    new.write_text(json.dumps(_read(journal) | {core: row}, indent=1) + "\n")
    os.replace(new, journal)


def _summary(row: dict) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return (f"{_values(row):,} values equal, latency {row['verified']['latency']:,}, interval "
            f"{row['verified']['interval']:,}; seconds: {row['seconds']}")


def _read(journal: Path) -> dict[str, dict]:
    return json.loads(journal.read_text()) if journal.exists() else {}


if __name__ == "__main__":
    main()
