"""Frames by the million and networks by the hundred: `make soak`.

The small cores of ``cores.py`` are built once, and play slices of frames in Verilator, in turns of
equal time: the scenarios of ``verify``, each slice with inputs, flows and, on a loadable core,
other weights of its own seed. What a core has played is kept in figures.json, so that the command
goes on where it stopped; it begins anew for a core whose Verilog or images have changed.

``--networks N`` takes N random networks, arrays, widths and options instead, each verified in
Icarus. One that fails is shrunk: parts are taken away as long as it still fails.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cores import CORES, network, tflite_files, windows
from figures import hardware, record, recorded

import gatefold as gf
from gatefold.gen.check import check_core, extreme_inputs, other_weights, seeded_inputs
from gatefold.gen.errors import UserError
from gatefold.gen.store.folder import load_plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.expected import expectation
from gatefold.sim.results import CheckFailed
from gatefold.sim.scenario import Counts, blocked, hostile
from gatefold.sim.verify import check_run, scenarios
from gatefold.sim.verilog_run import VerilogCore
from tests.support.networks import NETWORKS

SLICE = 2000  #: samples of a slice, and as many of the scenario *many frames*
EXTREME = 32  #: samples at the ends of their formats
AGAIN, APART = 4, 1_000_000  #: times that a slice plays short scenarios, with seeds so far apart
TURN = 10  #: seconds of CPU time at least, after which another core has its turn


class Player:
    """A core that plays slices of frames, built into a folder that ``stack`` removes."""

    def __init__(self, name: str, stack: ExitStack):
        self.name = name
        folder = Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="gatefold-"))) / "core"
        self.qnet, self.info = CORES[name].save(folder), load_core_info(folder)
        self.plan = load_plan(folder)
        self.core = stack.enter_context(VerilogCore(folder, self.info, "verilator"))
        self.hardware = hardware(folder)

    def play(self, seed: int) -> int:
        """Play a slice of frames; how many came out, all of them as golden says.

        Raises :class:`CheckFailed` at the first difference.
        """
        info, contexts = self.info, self.info.contexts
        drawn = seeded_inputs(self.qnet, 2 * SLICE * contexts, seed)
        x = np.concatenate([drawn[:SLICE * contexts],
                            extreme_inputs(self.qnet, info, EXTREME, seed),
                            drawn[SLICE * contexts:]])
        expect = expectation(self.qnet, x, contexts)
        x = x.reshape(len(x) // contexts, -1)
        other = self.core.other = other_weights(self.plan, info, x[:SLICE + EXTREME], seed)
        counts = Counts(SLICE, EXTREME, SLICE)
        given = [*scenarios(info, counts, "verilator", seed, other=other is not None), *(
            short(info, SLICE, seed=seed + n * APART) for n in range(1, AGAIN)
            for short in (blocked, hostile))]
        played = 0
        for scenario in given:
            try:
                run = self.core.simulate(x, scenario)
                check_run(run, info, scenario,
                          other.expect if other and scenario.other else expect)
            except CheckFailed as failed:
                raise CheckFailed(f"{self.name}, seed {seed}: {failed}") from None
            played += len(run.played)
        return played


def soak(names: Sequence[str], frames: int) -> None:
    """Play ``frames`` frames on all cores together, in turns of equal time, and record them.

    What a core has played counts as long as its hardware is the same.
    Raises :class:`CheckFailed` at the first difference, with the seed of its slice.
    """
    with ExitStack() as stack:
        players = [Player(name, stack) for name in names]
        played = {player.name: recorded("soak", player.name, player.hardware,
                                        {"frames": 0, "slices": 0, "seconds": 0})
                  for player in players}
        while sum(one["frames"] for one in played.values()) < frames:
            # Cores that were left behind, because their hardware has changed, catch up first.
            player = min(players, key=lambda player: played[player.name]["seconds"])
            one, began = played[player.name], cpu_seconds()
            while cpu_seconds() - began < TURN:
                one["frames"] += player.play(one["slices"])
                one["slices"] += 1
            one["seconds"] = round(one["seconds"] + cpu_seconds() - began, 1)
            record("soak", {player.name: one})
            print(f"{player.name}: {one['frames']:,} frames in {one['seconds']} s", flush=True)


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


REFUSED = "refused"  #: of a case that options or networks of this kind do not allow


@dataclass(frozen=True)
class Case:
    """A random network and core: input shape, layers (tests/support/networks.py), options.

    ``model``: instead of shape and layers a network of :data:`MODELS`."""

    shape: tuple[int, ...]
    layers: tuple[str, ...]
    options: dict = field(default_factory=dict)
    seed: int = 0
    model: str = ""

    def network(self) -> gf.Network:
        """In floats, or of a file in int8."""
        kind, _, name = self.model.partition(" ")
        if kind == "int8":
            return gf.load(tflite_files.path(name))
        if kind == "windows":
            return windows.made(name)
        return network(name if self.model else (self.shape, self.layers), seed=self.seed)

    def failure(self) -> str | None:
        """What verify finds; None where nothing, :data:`REFUSED` where the core is refused."""
        with tempfile.TemporaryDirectory(prefix="gatefold-") as temporary:
            try:
                core = gf.compile(self.network(), **self.options)
                core.save(Path(temporary) / "core")
                check_core(Path(temporary) / "core", core.qnet, sim="icarus", seed=1 + self.seed)
            except UserError:
                return REFUSED
            except Exception as error:  # whatever is wrong is a finding
                return f"{type(error).__name__}: {error}"
        return None

    def smaller(self) -> Iterator[Case]:
        """The same with something taken away."""
        for n in range(len(self.layers)):
            if len(self.layers) > 1:
                yield replace(self, layers=self.layers[:n] + self.layers[n + 1:])
        for n, size in enumerate(self.shape):
            if size > 1:
                yield replace(self, shape=(*self.shape[:n], size // 2, *self.shape[n + 1:]))
        for n, layer in enumerate(self.layers):
            digits = "".join(filter(str.isdigit, layer))
            if digits and int(digits) > 1:
                less = layer.replace(digits, str(int(digits) // 2))
                yield replace(self, layers=(*self.layers[:n], less, *self.layers[n + 1:]))
        for name in self.options.keys() - {"pe", "simd"}:
            yield replace(self, options={key: value for key, value in self.options.items()
                                         if key != name})


#: What no description holds: how its parts are joined, several inputs and outputs, states that
#: last, peepholes, windows, LiteRT's arithmetic.
MODELS = {
    "graph": [name for name, spec in NETWORKS.items() if callable(spec)],
    "windows": ["stack", "pooled", "branches", "gated", "columns", "short"],
    "int8": ["dense", "stacked", "autoencoder", "padded", "both_ways", "saturating", "clipped",
              "sequence", "wrapping"]}


def random_case(seed: int) -> Case:
    """One to four layers, or one of MODELS, on an array and with options that suit a small core."""
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(rng.integers(0, 3)):
        layers.append(f"{'LGBS'[rng.integers(4)]}{rng.integers(1, 9)}seq")
    if rng.random() < 0.7:
        layers.append(f"{'LGBS'[rng.integers(4)]}{rng.integers(1, 9)}")
    activations = ("", "relu", "tanh", "sigmoid", "hard_tanh", "hard_sigmoid")
    if rng.random() < 0.7 or not layers:
        layers.append(f"D{rng.integers(1, 7)}{activations[rng.integers(len(activations))]}")
    options = {
        "pe": 4 * int(rng.integers(1, 9)), "simd": int(rng.integers(1, 9)),
        "act_width": int(rng.integers(5, 17)), "weight_width": int(rng.integers(4, 17)),
        "cell_width": int(rng.integers(8, 19)), "pipeline": ("full", "short")[rng.integers(2)],
        "loadable": bool(rng.random() < 0.25), "contexts": int(rng.choice([1, 1, 1, 2, 3])),
        "reach": int(rng.choice([0, 0, 1, 2])), "gather": int(rng.choice([0, 0, 1, 2])),
        "dies": int(rng.choice([1, 1, 1, 2])), "protect": bool(rng.random() < 0.2),
        "rule": ("auto", "max", "percentile")[rng.integers(3)],
        "lanes": int(rng.choice([1, 2, 4])) if rng.random() < 0.15 else None,
        "port": (None, "32", "64", "128", "256")[rng.integers(5)]}
    if rng.random() < 0.2:
        options |= {"host": "axi", "io": ("fixed", "float32")[rng.integers(2)],
                    "engines": int(rng.choice([1, 1, 2, 3]))}
    if rng.random() < 0.2:
        options |= {"board": ("zcu104", "u280")[options["dies"] - 1],
                    "memory": ("bram", "lut", "uram")[rng.integers(3)]}
    # What every die takes, and a core without a board.
    options["pe"] = -(-options["pe"] // (4 * options["dies"])) * 4 * options["dies"]
    most = 256 // options.get("engines", 1)  # multipliers
    options["simd"] = min(options["simd"], most // options["pe"])
    shape = (int(rng.integers(1, 6)), int(rng.integers(1, 9)))
    if rng.random() < 0.5:
        return Case(shape, tuple(layers), options, seed)
    kind = ("graph", "graph", "windows", "int8")[rng.integers(4)]
    model = f"{kind} {rng.choice(MODELS[kind])}"
    if model.startswith("int8"):
        options = {key: value for key, value in options.items() if key not in (
            "act_width", "weight_width", "cell_width", "rule", "dies")} | {"board": "zcu104"}
    elif model.startswith("windows"):
        steps = windows.made(model.split(" ")[1]).input_shape[0]
        options["hop"] = int(rng.choice([n for n in range(1, steps) if steps % n == 0]))
        if model.endswith("columns"):  # whose output the array puts together
            options["output_width"] = options["act_width"]
    return Case((), (), options, seed, model)


def shrunk(case: Case) -> Case:
    """The smallest case that still fails, as far as taking away finds it."""
    while True:
        found = next((one for one in case.smaller() if one.failure() not in (None, REFUSED)), None)
        if found is None:
            return case
        case = found


def networks(count: int, first: int) -> int:
    """Verify ``count`` random networks; the exit code."""
    started, failures, refused = time.monotonic(), 0, 0
    for seed in range(first, first + count):
        case = random_case(seed)
        found = case.failure()
        refused += found == REFUSED
        if found not in (None, REFUSED):
            failures += 1
            least = shrunk(case)
            print(f"seed {seed} fails: {found.splitlines()[0]}\n  the smallest that fails: {least}"
                  f"\n  {(least.failure() or '').splitlines()[0]}", flush=True)
    print(f"{count} networks, {refused} refused, {failures} fail "
          f"({time.monotonic() - started:.0f} s)")
    record("random networks", {f"seeds {first} to {first + count - 1}": {
        "networks": count, "refused": refused, "failures": failures}})
    return int(failures > 0)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000_000, help="of all cores together")
    parser.add_argument("--networks", type=int, help="random networks, instead of frames")
    parser.add_argument("--seed", type=int, default=0, help="of the first random network")
    parser.add_argument("cores", nargs="*", help=f"of {', '.join(CORES)}; default: all")
    options = parser.parse_args()
    if options.networks:
        return networks(options.networks, options.seed)
    soak(options.cores or list(CORES), options.frames)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckFailed as failed:
        sys.exit(f"FAILED: {failed}")
