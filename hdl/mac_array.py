"""The array: ``pe`` rows with their weight memories, and the controls that walk beside the data."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.isa import Start, Stop, finish_layout, instruction_layout
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.target import Rom, shared
from gatefold.hdl.weight_memory import WeightMemory

__all__ = ["MacArray"]


def _load_members(config: EngineConfig) -> dict:
    return {"load_rows": In(config.pe), "load_bias": In(1),
            "load_addr": In(bits_for(max(config.weight_depth, config.bias_depth))),
            "load_word": In(config.load_width)}


class MacArray(wiring.Component):
    """Executes one tile a cycle and hands out finished rows.

    Cycles are counted from the tile's issue (:attr:`tile_valid`). The operands come
    ``OperandMemory.latency`` later; :attr:`latency` is the cycle in which the accumulators hold the
    tile's sums and :attr:`finish_valid` says that they are final.

    Members
    -------
    tile_valid, tile: In, an instruction at its issue. operands: In, ``simd`` elements.
    finish_valid, finish: Out, the rows are final, and what to do with them.
    acc_0 .. acc_<pe-1>: Out, the accumulators (separate signals: a wide assembled vector makes
    compiled simulators slow).
    load_rows, load_bias, load_addr, load_word: In, from the loader of a loadable core.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config, self.images = config, images or {}
        super().__init__({
            "tile_valid": In(1),
            "tile": In(instruction_layout(config)),
            "operands": In(data.ArrayLayout(signed(config.act_width), config.simd)),
            "finish_valid": Out(1),
            "finish": Out(finish_layout(config)),
            **{f"acc_{row}": Out(signed(config.acc_width)) for row in range(config.pe)},
            **(_load_members(config) if config.loadable else {}),
        })

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from a tile's issue to its sums in the accumulators."""
        return OperandMemory.latency + MacRow.latency(config) + 1

    def elaborate(self, platform):
        c = self.config
        m = Module()
        ready = self.latency(c)  # accumulators
        summed = ready - 1  # tree's sum

        valid = delay(m, "valid", self.tile_valid, ready, reset_less=False)
        tile = self.tile
        align = delay(m, "align", tile.align, summed)
        start = delay(m, "start", tile.start, summed)
        init = delay(m, "init", tile.init, summed - 1)
        stop = delay(m, "stop", tile.stop, ready)
        park = delay(m, "park", tile.park, ready)
        finish = delay(m, "finish", tile.finish.as_value(), ready)
        go_on = Signal()
        parks = Signal()
        init_parked = Signal()
        m.d.comb += [
            init_parked.eq(start[summed - 1] == Start.PARKED),
            go_on.eq(start[summed] == Start.GO_ON),
            parks.eq(valid[ready] & ((stop[ready] & Stop.PARK) != 0)),
            self.finish_valid.eq(valid[ready] & ((stop[ready] & Stop.FINISH) != 0)),
            self.finish.as_value().eq(finish[ready]),
        ]

        # The bias word arrives with the parked sum: one cycle before the tree's sum.
        bias = self._memory("bias", c.pe * c.acc_width, c.bias_depth, "distributed")
        m.submodules.bias = bias.placed(platform)
        m.d.comb += bias.addr.eq(init[summed - 2])

        for row in range(c.pe):
            # Block RAM with its output register: the word is beside the operands.
            memory = self._memory(f"weights_{row:03d}", c.simd * c.weight_width, c.weight_depth,
                                  c.weight_style(row))
            m.submodules[f"weights_{row}"] = memory.placed(platform)
            word = Signal(c.simd * c.weight_width, name=f"weight_word_{row}", reset_less=True)
            mac = MacRow(c)
            m.submodules[f"row_{row}"] = shared("gatefold_row", mac, platform)
            m.d.sync += word.eq(memory.data)
            m.d.comb += [
                memory.addr.eq(tile.weight),
                mac.operands.eq(self.operands),
                mac.weights.as_value().eq(word),
                mac.bias.eq(bias.data[row * c.acc_width:(row + 1) * c.acc_width].as_signed()),
                mac.init_parked.eq(init_parked),
                mac.init.eq(init[summed - 1]),
                mac.valid.eq(valid[summed]),
                mac.go_on.eq(go_on),
                mac.align.eq(align[summed]),
                mac.parks.eq(parks),
                mac.park.eq(park[ready]),
                getattr(self, f"acc_{row}").eq(mac.acc),
            ]
            if c.loadable:
                m.d.comb += [memory.w_en.eq(self.load_rows[row]), memory.w_addr.eq(self.load_addr),
                             memory.w_data.eq(self.load_word)]
        if c.loadable:
            m.d.comb += [bias.w_en.eq(self.load_bias), bias.w_addr.eq(self.load_addr),
                         bias.w_data.eq(self.load_word)]
        return m

    def _memory(self, name: str, width: int, depth: int, style: str) -> Rom | WeightMemory:
        """A memory of the array: written by the loader, or filled from a file."""
        if self.config.loadable:
            return WeightMemory(width=width, depth=depth, style=style)
        return Rom(width=width, depth=depth, file=f"{name}.hex", init=self.images.get(name),
                   in_luts=True if style == "distributed" and name != "bias" else None)
