"""Networks that people ship, on their boards: how near the latency is to its bound.

The bound is that of wild.json. It does not count the beats of the input, which no core can take
faster than its stream brings them.

    python bench/wild.py                              plan all of wild.json, print a table
    python bench/wild.py --only chord-4x-bilstm --ops      and of each op, where its tiles go
    python bench/wild.py --reach 0 --gather 0         without the registers that distance needs

The weights are seeded: they change no cycle count.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from networks import ROOT

from gatefold.gen.flow import compile
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.network.graph import Concat, Network, Reverse, Window
from gatefold.gen.plan import Plan, make_plan

__all__ = ["TARGET", "WILD", "Row", "build", "lost", "row"]

WILD: dict = json.loads((ROOT / "bench/wild.json").read_text())["networks"]

#: Latency over the bound of wild.json that every network should reach on every board.
TARGET = 1.3


@dataclass(frozen=True)
class Row:
    """A network on a board. ``plan``: of the array that is chosen, with the registers that
    distance needs; ``bare``: of the same array without them, on one die. ``bound``: that of
    wild.json."""

    name: str
    board: str
    network: Network
    plan: Plan
    bare: Plan
    bound: int

    @property
    def ratio(self) -> float:
        """Latency without the registers of distance over the bound."""
        return self.bare.cycles.latency / self.bound


def build(name: str) -> Network:
    """The network ``name`` of wild.json with seeded weights, its layers joined as by a frontend."""
    described, rng = WILD[name], np.random.default_rng(0)
    builder = Builder(tuple(described["input"]))
    values = [0]
    for text in described["layers"]:
        values = _layers(builder, rng, values[0], *text.split())
    return builder.network({"format": "bench/wild.json"}, values)


def _layers(builder: Builder, rng: np.random.Generator, x: int, kind: str,
            *words: str) -> list[int]:
    """Append what a line of wild.json says; the values that it makes."""
    features = builder.shapes[x][-1]

    def normal(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns)) / np.sqrt(columns)

    def recurrent(layer: str, units: int, value: int, sequences: bool) -> int:
        gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[layer]
        add = {"LSTM": builder.lstm, "GRU": builder.gru, "SimpleRNN": builder.rnn}[layer]
        more = {"reset_after": True} if layer == "GRU" else {}
        return add(value, w_ih=normal(gates * units, features), w_hh=normal(gates * units, units),
                   b=np.zeros(gates * units), return_sequences=sequences, **more)

    if kind == "Bidirectional":
        layer, units = words[0], int(words[1])
        forward = recurrent(layer, units, x, True)
        backward = recurrent(layer, units, builder.view(x, Reverse), True)
        return [builder.view((forward, builder.view(backward, Reverse)), Concat, axis=1)]
    if kind == "BatchNormalization":
        return [builder.scale(x, rng.uniform(0.5, 2, features), rng.normal(size=features))]
    if kind == "relu":
        return [builder.activation(x, kind)]
    if kind == "AveragePooling1D":
        window = Window(int(words[0]), left=1, right=1)
        return [builder.average_pool(x, window, count_padding=True)]
    if kind == "Conv1D":
        filters, taps = int(words[0]), int(words[1].removeprefix("k"))
        w = normal(filters, taps * features).reshape(filters, taps, features)
        return [builder.conv1d(x, w=w, b=np.zeros(filters), window=Window(taps, left=taps - 1))]
    if kind == "Dense":
        return [builder.dense(x, w=normal(int(outputs), features), b=np.zeros(int(outputs)))
                for outputs in words if outputs != "+"]
    return [recurrent(kind, int(words[0]), x, "last" not in words)]


def row(name: str, board: str, **options) -> Row:
    """Plan ``name`` for ``board``; ``options``, as of :func:`gatefold.gen.flow.compile`."""
    network = build(name)
    plan = compile(network, board=board, **options).plan
    bare = make_plan(plan.qnet, replace(plan.array, reach=0, gather=0, dies=1, cross=0))
    return Row(name, board, network, plan, bare, WILD[name]["boards"][board]["bound"])


def lost(found: Row) -> Iterator[tuple[str, int, float]]:
    """Of each op its layer, its tiles, and how many tiles its products would fill. (The products of
    an op that rides on another are made in the other's tiles.)"""
    plan, names = found.bare, found.network.names
    tiles = Counter(job.op for job in plan.work.jobs for _ in job.operands)
    for n, op in enumerate(plan.work.ops):
        products = 0
        for p, part in enumerate(op.parts):
            met = sum(vector is not None for vector in part.steps)
            once = p == 0 and n in plan.work.repeated
            products += (1 if once else met) * np.count_nonzero(
                part.matrix if part.pattern is None else part.pattern)
        yield (names[op.layer] if op.layer >= 0 else "output", tiles[n],
               plan.array.contexts * products / plan.array.multipliers)


def _line(found: Row) -> str:
    bare, array = found.bare.cycles, found.plan.array
    return (f"| {found.name} | {found.board} | {array.pe} x {array.simd} | {bare.tiles} "
            f"| {found.bare.bounds.work} | {found.bare.bounds.chain} "
            f"| {found.plan.config.x_beats} | {bare.latency} "
            f"| {found.bound} | {found.ratio:.2f}{'' if found.ratio <= TARGET else ' **missed**'} "
            f"| {found.plan.cycles.latency} ({array.reach}, {array.gather}, {array.dies}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=WILD, default=list(WILD), metavar="NAME")
    parser.add_argument("--board", help="this board alone")
    parser.add_argument("--array", help="PExSIMD instead of the chosen array")
    parser.add_argument("--reach", type=int)
    parser.add_argument("--gather", type=int)
    parser.add_argument("--ops", action="store_true", help="where the tiles of each op go")
    given = parser.parse_args()
    options = {name: getattr(given, name) for name in ("reach", "gather")
               if getattr(given, name) is not None}
    if given.array:
        options["pe"], options["simd"] = map(int, given.array.split("x"))
    print("| network | board | array | tiles | A | B | beats in | cycles | bound | cycles / bound "
          "| with registers (reach, gather, dies) |\n|" + "---|" * 11, flush=True)
    for name in given.only:
        for board in WILD[name]["boards"]:
            if given.board in (None, board):
                found = row(name, board, **options)
                print(_line(found), flush=True)
                if given.ops:
                    for op, tiles, full in lost(found):
                        print(f"    {op}: {tiles} tiles, {full:.0f} if full", flush=True)


if __name__ == "__main__":
    main()
