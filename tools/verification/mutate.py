"""Does `gatefold verify` find what is wrong? Mutants of cores, played as it plays: `make mutate`.

Each mutant changes one bit of one cell's port. It is killed where any scenario of ``verify`` fails
on it. A survivor is proved equivalent where SAT shows that no register's next state and no output
of its module depends on it (``prove.py``), or has a line in survivors.tsv that says why it cannot
matter, or that this is *open*. For the cores and the choice of CI any other survivor makes the
command fail, and so does a line whose mutant is now killed or proved: the file can only shrink.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from cores import CORES, OF_CI
from figures import record
from mutants import Mutant, choose, list_mutants, write_mutants
from prove import equivalent

from gatefold.gen.check import EXTREMES, stimuli
from gatefold.sim.core_info import load_core_info
from gatefold.sim.results import CheckFailed
from gatefold.sim.verify import check_run, scenarios
from gatefold.sim.verilog_run import VerilogCore

SURVIVORS = Path(__file__).with_name("survivors.tsv")


def play(folder: Path, core: Path, qnet, count: int, jobs: int) -> list[str | None]:
    """The scenario that kills each of the mutants 1 to ``count`` in ``folder``, or None.

    Raises :class:`CheckFailed` where mutant 0, which is none, is killed.
    """
    info = load_core_info(core)
    x, expect = stimuli(info, qnet, folder=core)
    plays = scenarios(info, len(x) - EXTREMES, EXTREMES, "verilator", 1)
    answers: dict = {}

    def expected(frames, begins, present=None):
        key = (tuple(frames), begins.tobytes(), None if present is None else present.tobytes())
        if key not in answers:
            answers[key] = expect(frames, begins, present)
        return answers[key]

    with VerilogCore(folder, info, "verilator") as built:
        def killer(n: int) -> str | None:
            for scenario in plays:
                try:
                    check_run(built.simulate(x, scenario, f"+mutant={n}"), info, scenario, expected)
                except CheckFailed as failed:
                    if n == 0:
                        raise
                    return scenario.name if str(failed).startswith(scenario.name) else "no end"
            return None

        killer(0)
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(killer, range(1, count + 1)))


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


def mutate(name: str, count: int, seed: int, jobs: int) -> tuple[dict, list[Mutant], set]:
    """Play ``count`` mutants of a core: figures, survivors without a line, and lines used."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        root = Path(temporary)
        core, work, folder = root / "core", root / "work", root / "mutants"
        work.mkdir()
        qnet = CORES[name].save(core)
        every = list_mutants(core, work)
        chosen = choose(every, count, seed)
        write_mutants(chosen, core, work, folder)
        killers = play(folder, core, qnet, len(chosen), jobs)
        alive = [mutant for mutant, killer in zip(chosen, killers, strict=True) if killer is None]
        proved = equivalent(alive, work)
    lines = {mutant: reason(name, mutant) for mutant in alive if mutant not in proved}
    unknown = [mutant for mutant, line in lines.items() if line is None]
    explained = sum(line is not None and line[2] != "open" for line in lines.values())
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for mutant, killer in zip(chosen, killers, strict=True):
        kinds[mutant.kind][0] += 1
        kinds[mutant.kind][1] += killer is not None
        kinds[mutant.kind][2] += mutant in proved
    return {
        "mutants": len(chosen), "of": len(every), "seed": seed,
        "killed": dict(Counter(killer for killer in killers if killer)),
        "proved": len(proved), "explained": explained,
        "open": len(lines) - explained,
        "modules": dict(sorted(kinds.items())), "seconds": round(time.monotonic() - started),
    }, unknown, {line for line in lines.values() if line}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: "
                        f"{' and '.join(OF_CI)}, as CI does")
    parser.add_argument("--all", action="store_true", help="every core, 1,000 mutants each")
    parser.add_argument("--count", type=int, help="mutants of each core")
    parser.add_argument("--seed", type=int, default=1, help="of the choice; 1 is what CI plays")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write docs/verification.md")
    options = parser.parse_args()
    names = options.cores or (list(CORES) if options.all else OF_CI)
    count = options.count or (1000 if options.all else 400)
    failed = False
    for name in names:
        found, unknown, used = mutate(name, count, options.seed, options.jobs)
        killed = sum(found["killed"].values())
        print(f"{name}: {found['mutants']} mutants: {killed} killed, {found['proved']} proved "
              f"equivalent, {found['explained']} explained, {found['open']} open "
              f"({found['seconds']} s)", flush=True)
        for mutant in unknown:
            print(f"{name}\t{mutant.key}\t")
        whole = (count, options.seed) == (400, 1) and name in OF_CI
        stale = [line for line in reasons() if line[0] == name and line not in used]
        for line in stale if whole else ():
            print(f"survivors.tsv: no mutant of {name} needs the line {line[1]!r}: remove it")
        failed |= whole and bool(unknown or stale)
        if options.record:
            record("mutants" if count == 400 else "many mutants", {name: found})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
