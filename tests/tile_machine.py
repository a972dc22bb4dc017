"""A machine that executes a plan's program in NumPy, and insists on every distance.

It knows the instruction set (`hdl/isa.py`), the arithmetic of the golden model and the depths of
the pipeline, which are written down here a second time, by hand. It knows nothing of layers, jobs
or schedules. Tiles take effect in program order; what was written must have *arrived* when it is
read, so the result is that of the hardware, however the stalls fall.
"""


from typing import Any

import numpy as np

from gatefold.gen.plan import Plan
from gatefold.gen.plan.program import unroll
from gatefold.hdl.config import DenseKind
from gatefold.hdl.isa import Start, Stop
from gatefold.sim import golden

from .hdl_harness import unpack

# Cycles from the issue of a tile
OPERANDS, MULTIPLY, ACCUMULATE, ROUTE = 2, 3, 1, 1
LSTM, DENSE, DENSE_TABLE = 12, 1, 4  # lanes
PARK = 3  # to the first tile that starts from what is parked
CELL = 6  # from a beat to the first that reads the cell it writes


class TileMachine:
    """The engine of ``plan``, executing its program and its memory images."""

    def __init__(self, plan: Plan):
        self.plan, self.config = plan, plan.config
        c, images = plan.config, plan.images()
        self.program = unroll(plan.program)
        self.weights = np.array([[unpack(word, c.weight_width, c.simd)
                                  for word in images[f"weights_{row:03d}"]]
                                 for row in range(c.pe)]).transpose(1, 0, 2)
        self.bias = np.array([unpack(word, c.acc_width, c.pe) for word in images["bias"]])
        tables = any(isinstance(k, DenseKind) and k.activation in ("sigmoid", "tanh")
                     for k in c.kinds)
        dense = DENSE_TABLE if tables else DENSE
        self.sums = OPERANDS + MULTIPLY + (c.simd - 1).bit_length() + ACCUMULATE
        self.written = self.sums + ROUTE + (LSTM if c.has_lstm else dense)
        garbage = np.random.default_rng(0)
        self.h = garbage.integers(-8, 8, (c.h_depth, c.simd))
        self.cells = garbage.integers(-8, 8, (c.cell_depth, c.simd))
        self.parked: dict[int, np.ndarray] = {}
        self.h_ready: dict[int, int] = {}
        self.park_ready: dict[int, int] = {}
        self.cell_ready = np.zeros_like(self.cells)
        self.time, self.finish_free, self.acc = 0, 0, np.zeros(c.pe, np.int64)

    def run(self, x, stall=lambda: 0) -> tuple[np.ndarray, list]:
        """One frame (elements,) in; the output's elements and every (chunk of c, chunk of h).

        ``stall``: called before each tile, cycles by which it is later than it could be.
        """
        c = self.config
        rows = np.zeros((c.x_rows, c.x_chunks * c.simd), np.int64)
        rows[:, :c.x_row] = x.reshape(c.x_rows, c.x_row)
        x = rows.reshape(-1, c.simd)
        self.out = np.zeros((c.out_depth, c.simd), np.int64)
        self.out_known = np.zeros((c.out_depth, c.simd), bool)
        self.complete: list[int] = []
        self.states: list = []
        for n, tile in enumerate(self.program):
            self.time += stall()
            self._execute(n, tile, x)
            self.time += 1 + tile["gap"]
            assert tile["last"] == (n == len(self.program) - 1)
        assert self.complete == list(range(c.out_depth)), "chunks leave in order, each once"
        held = np.zeros((c.out_rows, c.out_chunks * c.simd), bool)
        held[:, :c.out_row] = True
        assert self.out_known[held.reshape(-1, c.simd)].all(), "an output was never written"
        rows = self.out.reshape(c.out_rows, -1)[:, :c.out_row]
        return rows.reshape(-1), self.states

    def _execute(self, n: int, tile: dict, x: np.ndarray):
        c, now = self.config, self.time
        if tile["from_x"]:
            operand = x[tile["operand"]]
        else:
            late = self.h_ready.get(tile["operand"], 0) - now
            assert late <= 0, f"tile {n} reads h chunk {tile['operand']} {late} cycles early"
            operand = self.h[tile["operand"]]
        if tile["start"] == Start.BIAS:
            self.acc = self.bias[tile["init"]]
        elif tile["start"] == Start.PARKED:
            late = self.park_ready[tile["init"]] - now
            assert late <= 0, f"tile {n} starts from word {tile['init']} {late} cycles early"
            self.acc = self.parked[tile["init"]]
        products = (self.weights[tile["weight"]] @ operand) << c.aligns[tile["align"]]
        self.acc = self.acc + products
        assert (np.abs(self.acc) < 1 << (c.acc_width - 1)).all(), f"tile {n} overflows"
        if tile["stop"] & Stop.PARK:
            self.parked[tile["park"]] = self.acc
            self.park_ready[tile["park"]] = now + PARK
        if tile["stop"] & Stop.FINISH:
            late = self.finish_free - now
            assert late <= 0, f"tile {n} finishes {late} cycles before the lanes are free"
            self.finish_free = now + tile["beats"] + 1
            self._finish(tile)

    def _finish(self, tile: dict):
        c, kind = self.config, self.config.kinds[tile["kind"]]
        dense = isinstance(kind, DenseKind)
        slots, span = self.acc.reshape(-1, 4), 4 if dense else 1
        beats = tile["beats"] + 1
        for beat in range(beats):
            way = beat // span
            slot = c.routes[tile["route"] + way] + np.arange(c.simd)
            holds = (slot >= 0) & (slot < c.slots)
            z = slots[slot[holds]]
            result = (self._activate(kind, z[:, beat % 4]) if dense
                      else self._cell(tile, kind, z, beat, holds))
            if tile["to_h"]:
                self.h[tile["h"] + beat, holds] = result
                ready = self.time + self.written + beat + 1
                self.h_ready[tile["h"] + beat] = ready
            if tile["to_out"]:
                at = tile["out"] + beat
                assert at not in self.complete, f"output chunk {at} has left already"
                self.out[at, holds] = result
                self.out_known[at] |= holds
                if tile["complete"] or way != (beats - 1) // span:
                    self.complete.append(at)

    def _cell(self, tile: dict, kind: Any, z: np.ndarray, beat: int, holds: np.ndarray):
        c, table = self.config, self.plan.qnet.table
        word, now = tile["cell"] + beat, self.time + beat
        if not tile["fresh"]:
            assert (self.cell_ready[word, holds] <= now).all(), f"cell {word} is read too early"
        self.cell_ready[word, holds] = now + CELL
        gates = []
        for gate in range(4):
            shift = kind.gate - (gate == 2)
            u = golden.saturate(z[:, gate] >> shift if shift >= 0 else z[:, gate] << -shift,
                                table.width)
            gates.append((golden.tanh if gate == 2 else golden.sigmoid)(table, u))
        i, f, g, o = gates
        old = 0 if tile["fresh"] else self.cells[word, holds]
        new = golden.saturate(golden.round_shift(
            ((f * old) << kind.up_f) + ((i * g) << kind.up_g), kind.cell), c.cell_width)
        self.cells[word, holds] = new
        tc = golden.tanh(table, golden.saturate(golden.round_shift(new, kind.cell_u), table.width))
        h = golden.saturate(golden.round_shift(o * tc, c.h_shift), c.act_width)
        self.states.append((np.flatnonzero(holds), new, h))
        return h

    def _activate(self, kind: DenseKind, z: np.ndarray):
        c, table = self.config, self.plan.qnet.table
        z = z >> kind.shift if kind.shift >= 0 else z << -kind.shift
        if kind.activation in ("sigmoid", "tanh"):
            u = golden.saturate(z, table.width)
            value, shift = ((golden.sigmoid(table, u), 2) if kind.activation == "sigmoid"
                            else (golden.tanh(table, u), 1))
            return golden.saturate(golden.round_shift(value, shift), c.act_width)
        y = golden.saturate(z, c.act_width)
        return np.maximum(y, 0) if kind.activation == "relu" else y
