"""Does `gatefold verify` find what is wrong? Mutants of cores, played as it plays: `make mutate`.

Each mutant changes one bit of one cell's port. It is killed where any scenario of ``verify`` fails
on it; a scenario is not played where the bench would see what it sees on the core (``replay.py``).
Every survivor has a line in survivors.tsv: it is *proved* equivalent, because SAT shows that no
register's next state and no output of the core depends on it, or induction that no output does in
any state that is reached (``reach.py``, ``closure.py``); or the line says why it cannot matter, or
that this is *open*. For the cores and the choice of CI any other
survivor makes the command fail, and so does a line that does not hold any more: the file can only
shrink.
CI plays 200 mutants of one core and counts the survivors (tests/verification/test_mutate.py).

Where the hardware has changed, ``--refresh`` writes the lines of the cores anew: those of mutants
that are gone go, and new survivors are *proved* or *open*.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import closure
import numpy as np
import reach
from cores import CORES, OF_CI
from figures import figures, hardware, record
from gates import Gates, read_gates, untraced
from mutants import TOP, Mutant, choose, list_mutants, write_mutants
from reach import SECONDS
from replay import Replay, recorder
from survivors import OPEN, PROVED, explained, reason, reasons, refresh

from gatefold.gen.check import other_weights, registers_bench, stimuli
from gatefold.gen.errors import UserError
from gatefold.gen.store.folder import load_plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.results import CheckFailed
from gatefold.sim.scenario import Scenario
from gatefold.sim.verify import check_run, scenarios
from gatefold.sim.verilog_run import VerilogCore

COUNT = 400  #: mutants of a core of CI
#: Plays a mutant, +mutant=N, and raises CheckFailed where it differs, +record=FILE as of replay.py;
#: and whether it compares accumulators.
Check = tuple[Callable[..., object], bool]


def play(folder: Path, core: Path, qnet, count: int, jobs: int, replay: Replay | None
         ) -> list[str | None]:
    """The shortest scenario that kills each of the mutants 1 to ``count`` in ``folder``, or None;
    ``replay``, which tells those that a scenario need not be played on; None: they are in what
    lies around a core with registers.

    Raises :class:`CheckFailed` where mutant 0, which is none, is killed.
    """
    with ExitStack() as stack:
        checks = (_streams if replay else _registers)(folder, core, qnet, stack)
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        killers: list[str | None] = [None] * (count + 1)

        def killed(name: str, n: int) -> None:
            try:
                checks[name][0](f"+mutant={n}")
            except CheckFailed as failed:
                killers[n] = name if str(failed).startswith(name) else "no end"

        records = {name: folder / f"{name}.txt" for name in checks}
        for name, (check, _) in checks.items():
            check("+mutant=0", f"+record={records[name]}")
        if replay:  # the shortest first
            checks = {name: checks[name]
                      for name in sorted(checks, key=lambda name: records[name].stat().st_size)}
        for name, (_, sums) in checks.items():
            alive = [n for n in range(1, count + 1) if killers[n] is None]
            if replay:
                alive = sorted(replay.differing(records[name], alive, sums))
                records[name].unlink()
            list(pool.map(partial(killed, name), alive))
        return killers[1:]


def _streams(folder: Path, core: Path, qnet, stack: ExitStack) -> dict[str, Check]:
    """The scenarios of a core's streams."""
    info = load_core_info(core)
    x, expect, counts = stimuli(info, qnet, folder=core)
    other = other_weights(load_plan(core), info, x, 1) if info.load_beats else None
    # A mutant may make several arms of a case true, before its number is read too.
    built = stack.enter_context(VerilogCore(folder, info, "verilator", other=other,
                                            flags=("--no-assert",)))

    def check(scenario: Scenario) -> Check:
        @cache
        def wanted():
            ask = other.expect if other and scenario.other else expect
            return ask(scenario.frames, scenario.begins, scenario.present(info))

        def expected(frames, begins, present=None):
            return wanted()

        return lambda *plusargs: check_run(
            built.simulate(x, scenario, *plusargs), info, scenario, expected), scenario.sums

    return {scenario.name: check(scenario) for scenario in scenarios(
        info, counts, "verilator", 1, other=other is not None)}


def _registers(folder: Path, core: Path, qnet, stack: ExitStack) -> dict[str, Check]:
    """What is played on a core with registers."""
    info = load_core_info(core)
    x, expect, _ = stimuli(info, qnet, folder=core)
    host = json.loads((core / "core.json").read_text())["host"]
    bench = stack.enter_context(registers_bench(folder, load_plan(core), info, host, x, expect,
                                                "verilator"))
    return {"registers and memory": (lambda mutant, *_: bench.check(mutant), False)}


def some_loads(core: Path) -> list[list[int]] | None:
    """The beats of loads with different weights, of a loadable core."""
    info = load_core_info(core)
    others = [other_weights(load_plan(core), info, np.zeros((1, info.n_in), int), seed)
              for seed in (range(1, 5) if info.load_beats else ())]
    return [other.load for other in others if other] or None


def played(core: Path, work: Path, mutants: list[Mutant], top: str, qnet, jobs: int
           ) -> tuple[dict[Mutant, str | None], Gates]:
    """What kills each of the ``mutants`` of the folder ``core``, and their gates, in which the n-th
    of them, from 1 on, is the machine n; ``work``, of their list."""
    folder, streams = work.with_name("mutants"), top == TOP
    write_mutants(mutants, core, work, folder, top, recorder(work) if streams else "")
    gates = read_gates(mutants, work, top, traced=streams)
    killers = play(folder, core, qnet, len(mutants), jobs, Replay(gates, work) if streams else None)
    return dict(zip(mutants, killers, strict=True)), untraced(gates)


def sample_alive(name: str, count: int, jobs: int) -> list[Mutant]:
    """The survivors among ``count`` of a core's mutants; nothing is proved."""
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        core, work, top = Path(temporary, "core"), Path(temporary, "work"), CORES[name].top
        qnet = CORES[name].save(core)
        chosen = choose(list_mutants(core, work, top), count)
        killers, _ = played(core, work, chosen, top, qnet, jobs)
    return [mutant for mutant, killer in killers.items() if killer is None]


def proved_of(alive: dict[Mutant, int], gates: Gates, core: Path, work: Path, top: str,
              seconds: float) -> tuple[set[Mutant], dict[Mutant, str]]:
    """Those that are equivalent, and those that random traffic shows not to be: where. ``alive``:
    their numbers in ``gates``; ``seconds`` that each proof by induction may take."""
    if top != TOP:
        return closure.equivalent(gates, alive), {}
    return reach.equivalent(gates, alive, load_core_info(core), work, loads=some_loads(core),
                            seconds=seconds)


def mutate(name: str, count: int, seed: int, jobs: int, first: int = 0, before: dict | None = None,
           again: bool = False, seconds: float = SECONDS) -> tuple[dict, list, list]:
    """Play ``count`` mutants of a core, those after the ``first``, or ``again`` the survivors of
    those that are recorded: figures, (mutant, whether it is proved) of the survivors without a line
    that holds, and the lines that hold. ``before``: the figures that these are added to;
    ``seconds``: as of :func:`proved_of`."""
    started = _cpu()
    with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
        core, work, top = Path(temporary, "core"), Path(temporary, "work"), CORES[name].top
        qnet = CORES[name].save(core)
        verilog = hardware(core)
        if before and before.get("hardware") != verilog:
            raise UserError(f"the {before['mutants']} mutants of {name} that are recorded are of "
                            "another hardware: play them anew, without --first and --again")
        every = list_mutants(core, work, top)
        chosen = choose(every, first + count, seed)[first:] if not (before and again) else [
            mutant for mutant in every if mutant.key in before["left"]]
        killers, gates = played(core, work, chosen, top, qnet, jobs)
        alive = {mutant: n for n, (mutant, killer) in enumerate(killers.items(), 1)
                 if killer is None}
        middle = _cpu()
        proved, shown = proved_of(alive, gates, core, work, top, seconds)
        # A proof begins with what traffic shows, which depends on the mutants beside it.
        once = [mutant for mutant in alive if mutant not in proved and mutant not in shown
                and (reason(name, mutant.key) or ("",) * 3)[2] == PROVED]
        if once:
            alone = untraced(read_gates(once, work, top, traced=top == TOP))
            proved |= proved_of({mutant: n for n, mutant in enumerate(once, 1)}, alone, core, work,
                                top, seconds)[0]
    for mutant, output in shown.items():
        print(f"{name}: random traffic shows {mutant.key}: {output}", flush=True)
    lines = {mutant: reason(name, mutant.key) for mutant in alive}
    hold = {mutant: line for mutant, line in lines.items()
            if line and (line[2] == PROVED) == (mutant in proved)
            and (mutant not in shown or line[2] == OPEN)}
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for mutant, killer in killers.items():
        kinds[mutant.kind][0] += not again
        kinds[mutant.kind][1] += killer is not None
        kinds[mutant.kind][2] += mutant in proved
    return {
        "mutants": 0 if again else len(killers), "of": len(every), "seed": seed,
        "hardware": verilog, "killed": dict(Counter(filter(None, killers.values()))),
        "proved": len(proved),
        "left": [mutant.key for mutant in alive if mutant not in proved],
        "shown": [mutant.key for mutant in shown],
        "modules": dict(sorted(kinds.items())),
        "cpu": [round(middle - started), round(_cpu() - middle)],
    }, [(mutant, mutant in proved) for mutant in alive if mutant not in hold], [*hold.values()]


def _cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2])
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def added(before: dict, found: dict) -> dict:
    """Figures of a core's mutants and of the slice of them that follows."""
    sums = {key: before[key] + found[key]
            for key in ("mutants", "proved", "left", "shown")}
    kinds = {kind: [sum(counts) for counts in zip(*(
        one["modules"].get(kind, (0, 0, 0)) for one in (before, found)), strict=True)]
        for kind in sorted({*before["modules"], *found["modules"]})}
    return found | sums | {
        "modules": kinds, "killed": dict(Counter(before["killed"]) + Counter(found["killed"])),
        "cpu": [sum(pair) for pair in zip(before["cpu"], found["cpu"], strict=True)]}


def earlier(name: str, options: argparse.Namespace) -> dict | None:
    """The figures that a slice is added to, or of which the survivors are played again."""
    if not (options.again or options.first and options.record):
        return None
    before = figures().get("many mutants", {}).get(name)
    if not before or before["seed"] != options.seed or options.first not in (0, before["mutants"]):
        there = f"{before['mutants']} with seed {before['seed']}" if before else "none"
        raise UserError(
            f"{'--again' if options.again else f'--first {options.first}'} needs the figures of "
            f"{options.first or 'some'} mutants of {name} with seed {options.seed}; recorded are "
            f"{there}")
    return before


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
    parser.add_argument("--again", action="store_true",
                        help="play and prove again what is neither killed nor proved of the "
                        "mutants of these cores that are recorded")
    parser.add_argument("--seed", type=int, default=1, help="of the choice; 1 is what CI plays")
    parser.add_argument("--seconds", type=float, default=SECONDS,
                        help="of a CPU that a proof by induction may take")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write docs/verification.md")
    parser.add_argument("--refresh", action="store_true", help="write the lines of survivors.tsv")
    options = parser.parse_args()
    names = options.cores or (list(CORES) if options.all else OF_CI)
    count = options.count or (1000 if options.all else COUNT)
    failed = False
    for name in names:
        try:
            before = earlier(name, options)
            found, unknown, used = mutate(name, count, options.seed, options.jobs, options.first,
                                          before, options.again, options.seconds)
        except UserError as error:
            parser.error(str(error))
        known = explained(name, found["left"], found["shown"])
        print(f"{name}: {len(found['left']) + found['proved'] + sum(found['killed'].values())} "
              f"mutants: {sum(found['killed'].values())} killed, {found['proved']} proved "
              f"equivalent, {known} explained, {len(found['left']) - known} open "
              f"(CPU: {found['cpu'][0]} s to play, {found['cpu'][1]} s to prove)", flush=True)
        new = [(name, mutant.key, PROVED if proved else OPEN) for mutant, proved in unknown]
        whole = not options.again and name in OF_CI and (
            count, options.seed, options.first) == (COUNT, 1, 0)
        for line in new if whole else [line for line in new if line[2] == OPEN]:
            print(*line, sep="\t")
        stale = [line for line in reasons() if line[0] == name and line not in used]
        for line in stale if whole else ():
            print(f"survivors.tsv: no mutant of {name} needs the line {line[1]!r}: remove it")
        if options.refresh and whole:
            refresh(name, [*used, *new])
        failed |= whole and bool(new or stale) and not options.refresh
        if options.record:
            if before:
                rest = {"left": [], "shown": []} if options.again else {}
                found = added(before | rest, found)
            record("mutants" if whole else "many mutants", {name: found})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
