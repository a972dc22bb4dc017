"""A machine that executes a plan's program in NumPy and checks every distance.

It knows the instruction set (`hdl/isa.py`), the arithmetic of the golden model, and the depths of
the pipeline, which are deliberately written down here a second time. It knows nothing of layers,
jobs or schedules. Tiles take effect in program order, and a value that is read must have been
written early enough; so the result is that of the hardware, whenever it stalls. Every array begins
with an axis of dies, which do the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatefold.gen.numbers.tables import curve_table
from gatefold.gen.plan import Plan
from gatefold.gen.plan.program import unroll
from gatefold.hdl.dies import borders, sources
from gatefold.hdl.isa import Start, Stop
from gatefold.hdl.kinds import (
    AsideKind,
    DenseKind,
    EmitKind,
    Gate,
    GruKind,
    LoadKind,
    MergeKind,
    PeepholeKind,
    ResetKind,
    Squash,
)
from gatefold.sim import golden
from gatefold.sim.scalars import tanh_magnitude
from tests.support.hdl_harness import unpack


@dataclass(frozen=True)
class Depth:
    """Cycles of a pipeline. multiply: of the multipliers. lstm, gru, merge, table: of the lanes.
    lstm_state, gru_state: from a beat that writes a state to the first that may read it.
    ``levels``: levels of the adder tree for each register. peepholes: how much more an LSTM's
    lane and its state take with peepholes."""

    multiply: int
    levels: int
    lstm: int
    gru: int
    merge: int
    table: int
    lstm_state: int
    gru_state: int
    peepholes: tuple[int, int]


DEPTHS = {"full": Depth(3, 1, 11, 12, 3, 4, 6, 11, (7, 5)),
          "short": Depth(2, 2, 6, 8, 2, 3, 4, 8, (5, 3))}
# Cycles of either pipeline
OPERANDS, ACCUMULATE, ROUTE = 2, 1, 1
PARK = 3  # from a tile that parks its sums to the first that may start from them
LEAD = 1  # from the address of a chunk of h to its data


def lane_latency(kind: Any, config: Any) -> int:
    """Cycles of the lane that finishes a kind."""
    depth = DEPTHS[config.pipeline]
    if isinstance(kind, DenseKind):
        tables = any(isinstance(k, DenseKind) and k.tabled for k in config.kinds)
        return depth.table if tables else 1
    if isinstance(kind, MergeKind):
        return depth.merge
    if is_gru(kind):
        return depth.gru
    return depth.lstm + depth.peepholes[0] * config.has(PeepholeKind)


def is_gru(kind: Any) -> bool:
    """Whether the state of a kind is a GRU's."""
    return isinstance(kind, GruKind | AsideKind | ResetKind) or (
        isinstance(kind, LoadKind) and kind.gru)


class TileMachine:
    """The engine of ``plan``, executing its program and its memory images."""

    def __init__(self, plan: Plan):
        self.plan, self.config = plan, plan.config
        c, images = plan.config, plan.images()
        self.program = unroll(plan.program)
        self.weights = np.array([[unpack(word, c.weight_width, c.simd)
                                  for word in images[f"weights_{row:03d}"]]
                                 for row in range(c.pe)]).transpose(1, 0, 2)
        self.weights = self.weights.reshape(-1, c.dies, c.pe // c.dies, c.simd)
        self.bias = np.concatenate([[unpack(word, c.acc_width, len(rows))
                                     for word in images[f"bias_{n:02d}"]]
                                    for n, rows in enumerate(c.regions)], axis=1)
        self.bias = self.bias.reshape(-1, c.dies, c.pe // c.dies)
        places = max(per for per, _ in c.routes)
        self.scales = [np.array([unpack(word, 2, c.simd * places) % 4
                                 for word in images[f"scales_{die}"]]).reshape(-1, c.simd, places)
                       for die in range(c.dies)] if c.scale_depth else None
        depth = DEPTHS[c.pipeline]
        self.state = {"lstm": depth.lstm_state + depth.peepholes[1] * c.has(PeepholeKind),
                      "gru": depth.gru_state}
        terms = -(-c.simd // 2) if c.pipeline == "short" else c.simd  # that begin with sums of two
        levels = next(n for n in range(9) if 2 * 3 ** n >= terms)  # down to two
        self.sums = OPERANDS + c.reach + depth.multiply + levels // depth.levels + ACCUMULATE
        lanes = max(lane_latency(kind, c) for kind in c.kinds)
        self.written = self.sums + ROUTE + c.gather + lanes
        self.fresh, self.frames = True, 0
        self.before = 0  # frames of the sequence before the one that runs
        garbage = np.random.default_rng(0)
        self.h = garbage.integers(-8, 8, (c.dies, c.h_depth, c.simd))
        self.cells = {lane: garbage.integers(-8, 8, (c.dies, c.cell_depth, c.simd))
                      for lane in ("lstm", "gru")}
        self.aside = {name: garbage.integers(-8, 8, (c.dies, c.cell_depth, c.simd))
                      for name in "azrifo"}  # i, f, o: the weights of peepholes
        self.parked: dict[int, np.ndarray] = {}
        self.h_ready: dict[int, int] = {}
        self.park_ready: dict[int, int] = {}
        self.cell_ready = np.zeros((c.dies, c.cell_depth, c.simd), np.int64)
        self.time, self.finish_free = 0, 0
        self.acc = self.kept = np.zeros((c.dies, c.pe // c.dies), np.int64)

    def run(self, x, stall=lambda: 0, fresh: bool = True) -> tuple[np.ndarray, list]:
        """Run a frame ``x`` (elements,): the output's elements, and (lanes, state, result) of every
        beat that has a result, on each die in turn.

        ``stall``: called before each tile, the cycles to delay it by. ``fresh``: the frame begins a
        new sequence.
        """
        c = self.config
        self.fresh = fresh
        self.before = 0 if fresh else self.before + 1
        frames = len(self.plan.tiles)
        program = self.program[self.frames * frames % len(self.program):][:frames]
        self.frames += 1
        rows = np.zeros((c.x_rows, c.x_chunks * c.simd), np.int64)
        rows[:, :c.x_row] = x.reshape(c.x_rows, c.x_row)
        x = rows.reshape(-1, c.simd)
        self.out = np.zeros((c.dies, c.out_depth, c.simd), np.int64)
        self.out_known = np.zeros((c.dies, c.out_depth, c.simd), bool)
        self.complete: list[int] = []
        self.states: list = []
        for n, tile in enumerate(program):
            self.time += stall()
            self._execute(n, tile, x)
            self.time += 1 + tile["gap"]
            assert tile["last"] == (n == len(program) - 1)
        complete = sorted(self.complete) if c.out_whole else self.complete
        assert complete == list(range(c.out_depth)), "words leave in order, each once"
        known, rows = (values.swapaxes(0, 1).reshape(c.out_rows, -1)[:, :c.out_row]
                       for values in (self.out_known, self.out))
        assert known.all(), "an output was never written"
        return rows.reshape(-1), self.states

    def _execute(self, n: int, tile: dict, x: np.ndarray):
        c, now = self.config, self.time
        if tile["from_x"]:
            operand = np.tile(x[tile["operand"]], (c.dies, 1))
        else:
            bank, die = tile.get("bank", 0), np.arange(c.dies)
            near = np.array([sources(n, c.dies) for n in range(c.dies)])
            read = die * 0 + bank if tile.get("absolute", 0) else near[:, bank]
            meets = self.weights[tile["weight"]].any(axis=(1, 2))  # the others wait for nothing
            way = c.cross * max((borders(to, int(read[to]), c.dies)
                                 for to in np.flatnonzero(meets).tolist()), default=0)
            late = self.h_ready.get(tile["operand"], -way) + way - now
            assert late <= 0, f"tile {n} reads h chunk {tile['operand']} {late} cycles early"
            operand = self.h[read, tile["operand"]]
        if tile.get("age", 0) > self.before:
            operand = np.zeros_like(operand)
        if tile["start"] == Start.BIAS:
            self.acc = self.bias[tile["init"]]
        elif tile["start"] == Start.PARKED:
            late = self.park_ready[tile["init"]] - now
            assert late <= 0, f"tile {n} starts from word {tile['init']} {late} cycles early"
            self.acc = self.parked[tile["init"]]
        products = np.einsum("drs,ds->dr", self.weights[tile["weight"]], operand)
        self.acc = self.acc + (products << c.aligns[tile["align"]])
        assert (np.abs(self.acc) < 1 << (c.acc_width - 1)).all(), f"tile {n} overflows"
        if tile["stop"] & Stop.PARK:
            self.parked[tile["park"]] = self.acc
            self.park_ready[tile["park"]] = now + PARK
        if tile["stop"] & Stop.FINISH:
            late = self.finish_free - now
            assert late <= 0, f"tile {n} finishes {late} cycles before the lanes are free"
            self.finish_free = now + tile["beats"] + 1
            if not tile.get("again", 0):
                self.kept = self.acc
            self._finish(tile)

    def _finish(self, tile: dict):
        c, kind = self.config, self.config.kinds[tile["kind"]]
        beats = tile["beats"] + 1
        for beat in range(beats):
            per, first = c.routes[tile["route"] + beat]
            slot = first + np.arange(c.simd)
            holds = (slot >= 0) & (slot < self.kept.shape[1] // per)
            at = tile["out"] + beat
            assert not tile["to_out"] or at not in self.complete, f"output word {at} has left"
            for die in range(c.dies):
                z = self.kept[die, per * slot[holds, None] + np.arange(per)]
                if self.scales:
                    z = z >> self.scales[die][tile["scale"] + beat][holds, :per]
                state = None
                if isinstance(kind, DenseKind):
                    result = self._dense(kind, z[:, 0])
                elif isinstance(kind, MergeKind):
                    result = self._merge(kind, z)
                else:
                    result, state = self._cell(tile, kind, z, beat, die, holds)
                if result is None:
                    continue
                self.states.append((np.flatnonzero(holds), state, result))
                if tile["to_h"]:
                    self.h[die, tile["h"] + beat, holds] = result
                if tile["to_out"]:
                    self.out[die, at, holds] = result
                    self.out_known[die, at] |= holds
            if tile["to_h"]:
                self.h_ready[tile["h"] + beat] = self.time + self.written + beat - LEAD
            if tile["to_out"] and (tile["complete"] or beat < beats - 1):
                self.complete.append(at)

    def _cell(self, tile: dict, kind: Any, z: np.ndarray, beat: int, die: int, holds: np.ndarray):
        """Result (or None) and new state of a beat of a kind with states."""
        word, now = tile["cell"] + beat, self.time + beat
        lane = "gru" if is_gru(kind) else "lstm"
        cells, ready = self.cells[lane][die], self.cell_ready[die]
        written = now + self.state[lane]
        fresh = tile["fresh"] or (tile.get("cell_carried", 0) and self.fresh)
        if isinstance(kind, LoadKind):
            ready[word, holds] = written
            cells[word, holds] = _fit(z[:, 0], kind.shift, kind.cell_width)
            return None, None
        if isinstance(kind, AsideKind):
            self.aside[kind.row][die, word, holds] = (
                self._gate(kind.gate, z[:, 0]) if kind.gate else z[:, 0])
            return None, None
        if isinstance(kind, PeepholeKind):
            for name, row in zip("ifo", (0, 1, 3), strict=True):
                self.aside[name][die, word, holds] = z[:, row]
            return None, None
        if not fresh:
            assert (ready[word, holds] <= now).all(), f"cell {word} is read too early"
        old = np.zeros(len(z), np.int64) if fresh else cells[word, holds]
        if isinstance(kind, EmitKind):
            return golden.saturate(golden.round_shift(old, kind.shift), kind.h_width), old
        if isinstance(kind, ResetKind):
            r = self._gate(kind.gate, z[:, 0])
            return golden.saturate(golden.round_shift(r * old, kind.q), kind.h_width), old
        ready[word, holds] = written
        if isinstance(kind, GruKind):
            if kind.aside:
                update, a, r = (self.aside[name][die, word, holds] for name in "zar")
            else:
                update, r = (self._gate(kind.gate, z[:, row]) for row in (0, -2))
                a = z[:, 1]
            total = a << kind.up_a
            if kind.m is not None:
                m = _fit(z[:, -1], kind.m, kind.cell_width)
                total = total + ((r * m) << kind.up_m)
            n = self._squash(kind.candidate, total, rounds=True)
            s, n = old << kind.up_s, n << kind.up_n
            t = self.plan.qnet.table.out_frac
            new = golden.saturate(golden.round_shift(
                (n << t + 1) + update * (s - n), kind.state), kind.cell_width)
            cells[word, holds] = new
            return golden.saturate(golden.round_shift(new, kind.h), kind.h_width), new
        def gated(row: int, name: str, c: np.ndarray) -> np.ndarray:
            total = z[:, row]
            if kind.peepholes:
                up_z, up_p = kind.peepholes
                total = (total << up_z) + ((self.aside[name][die, word, holds] * c) << up_p)
                total = total + (1 << kind.gate.shift >> 1 if kind.gate.shift > 0 else 0)
            return self._gate(kind.gate, total)

        i, f = gated(0, "i", old), gated(1, "f", old)
        g = self._squash(kind.candidate, z[:, 2])
        new = golden.saturate(golden.round_shift(
            ((f * old) << kind.up_f) + ((i * g) << kind.up_g), kind.cell), kind.cell_width)
        cells[word, holds] = new
        o, tc = gated(3, "o", new), self._squash(kind.out, new, rounds=True)
        return golden.saturate(golden.round_shift(o * tc, kind.h), kind.h_width), new

    def _gate(self, gate: Gate, z: np.ndarray) -> np.ndarray:
        table = self.plan.qnet.table
        if gate.direct:
            return (1 << table.out_frac) + _within(
                _direct(z, gate.shift, table.out_frac), gate.limit)
        return golden.sigmoid(table, _within(_fit(z, gate.shift, table.width), gate.limit))

    def _squash(self, squash: Squash, z: np.ndarray, rounds: bool = False) -> np.ndarray:
        table = self.plan.qnet.table
        if rounds and squash.shift > 0:
            z = z + (1 << squash.shift - 1)
        if squash.function == "tanh":
            return golden.tanh(table, _within(_fit(z, squash.shift, table.width), squash.limit))
        value = _within(_direct(z, squash.shift, table.out_frac), squash.limit)
        return np.maximum(value, 0) if squash.function == "relu" else value

    def _merge(self, kind: MergeKind, z: np.ndarray) -> np.ndarray:
        if kind.function == "max":
            return _fit(z.max(axis=1), kind.shift, kind.h_width)
        a, b = (z[:, n] >> kind.shifts[n] for n in range(2))
        return golden.saturate(golden.round_shift(a * b, kind.shift), kind.h_width)

    def _dense(self, kind: DenseKind, z: np.ndarray) -> np.ndarray:
        table = self.plan.qnet.table
        if kind.activation in ("sigmoid", "tanh"):
            u = _fit(z, kind.shift, table.width)
            value = (golden.sigmoid if kind.activation == "sigmoid" else golden.tanh)(table, u)
            return golden.saturate(golden.round_shift(value, kind.out), kind.h_width)
        if kind.sign:
            u = _fit(z, kind.shift, table.width)
            t = tanh_magnitude(curve_table(kind.activation, table),
                               np.minimum(abs(u), (1 << table.frac + 3) - 1))
            part = {"odd": np.where(u < 0, -t, t), "even": -t, "left": np.where(u < 0, -t, 0)}
            return golden.saturate(golden.round_shift(kind.base + part[kind.sign], kind.out),
                                   kind.h_width)
        y = _within(_fit(z, kind.shift, kind.h_width), kind.limit)
        return np.maximum(y, 0) if kind.activation == "relu" else y


def _fit(z: np.ndarray, shift: int, width: int) -> np.ndarray:
    """Shifted right without rounding (z has the rounding constant in it), saturated."""
    return golden.saturate(z >> shift if shift >= 0 else z << -shift, width)


def _within(u: np.ndarray, limit: int | None) -> np.ndarray:
    """Limited in magnitude."""
    return u if limit is None else np.clip(u, -limit, limit)


def _direct(z: np.ndarray, shift: int, bits: int) -> np.ndarray:
    """Shifted right, its magnitude saturated to ``bits`` bits."""
    most = (1 << bits) - 1
    return np.clip(_fit(z, shift, bits + 1), -most, most)
