"""Does `gatefold verify` find what is wrong? Mutants of cores, played as it plays: `make mutate`.

Each mutant changes one bit of one cell's port. It is killed where any scenario of ``verify`` fails
on it. Every survivor has a line in survivors.tsv: it is *proved* equivalent, because SAT shows that
no register's next state and no output of its module depends on it (``prove.py``), or induction that
no output of the core does in any state that is reached (``reach.py``, ``closure.py``); or the line
says why it cannot matter, or that this is *open*. For the cores and the choice of CI any other
survivor makes the command fail, and so does a line that does not hold any more: the file can only
shrink.
CI plays 200 mutants of one core and counts the survivors (tests/verification/test_mutate.py).

Where the hardware has changed, ``--refresh`` writes the lines of the cores anew: those of mutants
that are gone go, and new survivors are *proved* or *open*.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
from closure import equivalent as equivalent_whatever_comes
from cores import CORES, OF_CI
from figures import figures, hardware, record
from mutants import TOP, Mutant, choose, list_mutants, write_mutants
from prove import equivalent
from reach import equivalent as equivalent_where_reached

from gatefold.gen.check import other_weights, registers_bench, stimuli
from gatefold.gen.store.folder import load_plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.results import CheckFailed
from gatefold.sim.scenario import Scenario
from gatefold.sim.verify import check_run, scenarios
from gatefold.sim.verilog_run import VerilogCore

SURVIVORS = Path(__file__).with_name("survivors.tsv")
COUNT = 400  #: mutants of a core of CI
PROVED = "proved"  #: a reason: SAT or induction shows it
OPEN = "open"  #: a reason: that nobody has explained it
#: Plays a mutant, +mutant=N, and raises CheckFailed where it differs.
Check = Callable[[str], object]


def play(folder: Path, core: Path, qnet, count: int, jobs: int, host: bool = False
         ) -> list[str | None]:
    """The scenario that kills each of the mutants 1 to ``count`` in ``folder``, or None; ``host``:
    they are in what lies around a core with registers.

    Raises :class:`CheckFailed` where mutant 0, which is none, is killed.
    """
    with ExitStack() as stack:
        checks = (_registers if host else _streams)(folder, core, qnet, stack)

        def killer(n: int) -> str | None:
            for name, check in checks.items():
                try:
                    check(f"+mutant={n}")
                except CheckFailed as failed:
                    if n == 0:
                        raise
                    return name if str(failed).startswith(name) else "no end"
            return None

        killer(0)
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(killer, range(1, count + 1)))


def _streams(folder: Path, core: Path, qnet, stack: ExitStack) -> dict[str, Check]:
    """The scenarios of a core's streams."""
    info = load_core_info(core)
    x, expect, counts = stimuli(info, qnet, folder=core)
    other = other_weights(load_plan(core), info, x, 1) if info.load_beats else None
    built = stack.enter_context(VerilogCore(folder, info, "verilator", other=other))

    def check(scenario: Scenario) -> Check:
        @cache
        def wanted():
            ask = other.expect if other and scenario.other else expect
            return ask(scenario.frames, scenario.begins, scenario.present(info))

        def expected(frames, begins, present=None):
            return wanted()

        return lambda mutant: check_run(
            built.simulate(x, scenario, mutant), info, scenario, expected)

    return {scenario.name: check(scenario) for scenario in scenarios(
        info, counts, "verilator", 1, other=other is not None)}


def _registers(folder: Path, core: Path, qnet, stack: ExitStack) -> dict[str, Check]:
    """What is played on a core with registers."""
    info = load_core_info(core)
    x, expect, _ = stimuli(info, qnet, folder=core)
    host = json.loads((core / "core.json").read_text())["host"]
    bench = stack.enter_context(registers_bench(folder, load_plan(core), info, host, x, expect,
                                                "verilator"))
    return {"registers and memory": lambda mutant: bench.check(mutant)}


def some_loads(core: Path) -> list[list[int]] | None:
    """The beats of loads with different weights, of a loadable core."""
    info = load_core_info(core)
    others = [other_weights(load_plan(core), info, np.zeros((1, info.n_in), int), seed)
              for seed in (range(1, 5) if info.load_beats else ())]
    return [other.load for other in others if other] or None


@cache
def reasons() -> list[tuple[str, ...]]:
    """The lines of survivors.tsv: core, mutant (both may have wildcards), reason."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    return [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]


def reason(core: str, mutant: Mutant) -> tuple[str, ...] | None:
    """The line that says why a survivor cannot matter."""
    literal = mutant.key.replace("[", "(").replace("]", ")")  # fnmatch gives brackets a meaning
    return next((line for line in reasons() if fnmatchcase(core, line[0])
                 and fnmatchcase(literal, line[1].replace("[", "(").replace("]", ")"))), None)


def played(name: str, count: int, seed: int, jobs: int, root: Path, first: int = 0
           ) -> tuple[int, dict[Mutant, str | None]]:
    """How many mutants a core has, and what kills each of ``count`` of them, those after the
    ``first``. ``root`` takes the core's folder, ``core``, and that of its netlist, ``work``."""
    core, work, folder, top = root / "core", root / "work", root / "mutants", CORES[name].top
    work.mkdir()
    qnet = CORES[name].save(core)
    every = list_mutants(core, work, top)
    chosen = choose(every, first + count, seed)[first:]
    write_mutants(chosen, core, work, folder, top)
    killers = play(folder, core, qnet, len(chosen), jobs, host=top != TOP)
    return len(every), dict(zip(chosen, killers, strict=True))


def sample_alive(name: str, count: int, jobs: int) -> list[Mutant]:
    """The survivors among ``count`` of a core's mutants; nothing is proved."""
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        _, killers = played(name, count, 1, jobs, Path(temporary))
    return [mutant for mutant, killer in killers.items() if killer is None]


def mutate(name: str, count: int, seed: int, jobs: int, first: int = 0
           ) -> tuple[dict, list, list]:
    """Play ``count`` mutants of a core, those after the ``first``: figures, (mutant, whether it is
    proved) of the survivors without a line that holds, and the lines that hold."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        root, top = Path(temporary), CORES[name].top
        every, killers = played(name, count, seed, jobs, root, first)
        verilog = hardware(root / "core")
        alive = [mutant for mutant, killer in killers.items() if killer is None]
        proved, shown = equivalent(alive, root / "work", top), {}
        others = [mutant for mutant in alive if mutant not in proved]
        if top == TOP:
            reached, shown = equivalent_where_reached(
                others, load_core_info(root / "core"), root / "work",
                loads=some_loads(root / "core"))
            proved |= reached
        else:
            proved |= equivalent_whatever_comes(others, top, root / "work")
    for mutant, output in shown.items():
        print(f"{name}: random traffic shows {mutant.key}: {output}", flush=True)
    lines = {mutant: reason(name, mutant) for mutant in alive}
    hold = {mutant: line for mutant, line in lines.items()
            if line and (line[2] == PROVED) == (mutant in proved)
            and (mutant not in shown or line[2] == OPEN)}
    explained = sum(line[2] not in (PROVED, OPEN) for line in hold.values())
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for mutant, killer in killers.items():
        kinds[mutant.kind][0] += 1
        kinds[mutant.kind][1] += killer is not None
        kinds[mutant.kind][2] += mutant in proved
    return {
        "mutants": len(killers), "of": every, "seed": seed, "hardware": verilog,
        "killed": dict(Counter(filter(None, killers.values()))),
        "proved": len(proved), "explained": explained,
        "open": len(alive) - len(proved) - explained,
        "modules": dict(sorted(kinds.items())), "seconds": round(time.monotonic() - started),
    }, [(mutant, mutant in proved) for mutant in alive if mutant not in hold], [*hold.values()]


def added(before: dict, found: dict) -> dict:
    """Figures of a core's mutants and of the slice of them that follows."""
    sums = {key: before[key] + found[key]
            for key in ("mutants", "proved", "explained", "open", "seconds")}
    kinds = {kind: [sum(counts) for counts in zip(*(
        one["modules"].get(kind, (0, 0, 0)) for one in (before, found)), strict=True)]
        for kind in sorted({*before["modules"], *found["modules"]})}
    return found | sums | {"modules": kinds,
                           "killed": dict(Counter(before["killed"]) + Counter(found["killed"]))}


def refresh(name: str, lines: list[tuple[str, ...]]) -> None:
    """Write ``lines`` in place of those of a core."""
    text = SURVIVORS.read_text().splitlines()
    head = [line for line in text if line.startswith("#")]
    kept = [line for line in text if line and line.split("\t")[0] not in (name, *head)]
    new = sorted("\t".join(line) for line in set(lines))
    SURVIVORS.write_text("\n".join([*head, *sorted([*kept, *new])]) + "\n")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: "
                        f"{' and '.join(OF_CI)}, as CI does")
    parser.add_argument("--all", action="store_true", help="every core, 1,000 mutants each")
    parser.add_argument("--count", type=int, help="mutants of each core")
    parser.add_argument("--first", type=int, default=0,
                        help="mutants to leave out: the choice is played in slices, one after the "
                        "other, and --record adds a slice to those before it")
    parser.add_argument("--seed", type=int, default=1, help="of the choice; 1 is what CI plays")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write docs/verification.md")
    parser.add_argument("--refresh", action="store_true", help="write the lines of survivors.tsv")
    options = parser.parse_args()
    names = options.cores or (list(CORES) if options.all else OF_CI)
    count = options.count or (1000 if options.all else COUNT)
    failed = False
    for name in names:
        found, unknown, used = mutate(name, count, options.seed, options.jobs, options.first)
        killed = sum(found["killed"].values())
        print(f"{name}: {found['mutants']} mutants: {killed} killed, {found['proved']} proved "
              f"equivalent, {found['explained']} explained, {found['open']} open "
              f"({found['seconds']} s)", flush=True)
        new = [(name, mutant.key, PROVED if proved else OPEN) for mutant, proved in unknown]
        for line in new:
            print(*line, sep="\t")
        whole = (count, options.seed, options.first) == (COUNT, 1, 0) and name in OF_CI
        stale = [line for line in reasons() if line[0] == name and line not in used]
        for line in stale if whole else ():
            print(f"survivors.tsv: no mutant of {name} needs the line {line[1]!r}: remove it")
        if options.refresh and whole:
            refresh(name, [*used, *new])
        failed |= whole and bool(new or stale) and not options.refresh
        if options.record:
            section = "mutants" if whole else "many mutants"
            if options.first:
                before = figures().get(section, {}).get(name, {})
                mine = options.first, options.seed, found["hardware"]
                if tuple(map(before.get, ("mutants", "seed", "hardware"))) != mine:
                    parser.error(f"--first {options.first} adds to {options.first} mutants of this "
                                 f"{name} with seed {options.seed}, which are not recorded")
                found = added(before, found)
            record(section, {name: found})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
