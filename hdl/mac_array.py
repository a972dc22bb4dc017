"""The array: a die's rows with their weight memories, and the controls beside the data."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.interfaces import chunk_layout, finished_rows, tile_issue, weight_write
from gatefold.hdl.isa import Start, Stop
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.target import Rom, shared
from gatefold.hdl.weight_memory import WeightMemory

__all__ = ["MacArray"]


class MacArray(wiring.Component):
    """Executes one tile a cycle and hands out finished rows.

    Cycles are counted from the tile's issue. The operands come ``OperandMemory.latency`` later;
    :attr:`latency` is the cycle in which the accumulators hold the tile's sums and ``rows.valid``
    says that they are final.

    Members
    -------
    tile: In, a tile at its issue. operands: In, ``simd`` elements.
    rows: Out, the finished rows, and their finish.
    load: In, of a loadable core, write of the weight memories.

    Parameters: ``die``, whose rows these are.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, *, die: int = 0):
        self.config, self.images, self.die = config, images or {}, die
        super().__init__({
            "tile": In(tile_issue(config)),
            "operands": In(chunk_layout(config)),
            "rows": Out(finished_rows(config)),
            **({"load": In(weight_write(config))} if config.loadable else {}),
        })

    #: Cycles from the issue of a tile that parks its sums to the first tile that may start from
    #: them: they are written in the cycle of the accumulator and fetched two cycles before it.
    park_distance = 3

    @staticmethod
    def latency(config: EngineConfig) -> int:
        """Cycles from a tile's issue to its sums in the accumulators."""
        return OperandMemory.latency + MacRow.latency(config) + 1

    def elaborate(self, platform):
        c = self.config
        m = Module()
        ready = self.latency(c)  # accumulators
        summed = ready - 1  # tree's sum

        valid = delay(m, "valid", self.tile.valid, ready, reset_less=False)
        tile = self.tile.word
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
            self.rows.valid.eq(valid[ready] & ((stop[ready] & Stop.FINISH) != 0)),
            self.rows.finish.as_value().eq(finish[ready]),
        ]

        # The bias word arrives with the parked sum: one cycle before the tree's sum. Every die has
        # the whole words; of what it does not use, synthesis leaves nothing.
        bias = self._memory("bias", c.pe * c.acc_width, c.bias_depth, "distributed")
        m.submodules.bias = bias.placed(platform)
        m.d.comb += bias.addr.eq(init[summed - 2])

        for n in range(c.rows):
            row = self.die * c.rows + n  # of all dies
            # Block RAM with its output register: the word is beside the operands.
            memory = self._memory(f"weights_{row:03d}", c.simd * c.weight_width, c.weight_depth,
                                  c.weight_style(row))
            m.submodules[f"weights_{n}"] = memory.placed(platform)
            word = Signal(c.simd * c.weight_width, name=f"weight_word_{n}", reset_less=True)
            mac = MacRow(c)
            m.submodules[f"row_{n}"] = shared("gatefold_row", mac, platform)
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
                self.rows.acc[n].eq(mac.acc),
            ]
            if c.loadable:
                m.d.comb += [memory.w_en.eq(self.load.rows[row]), memory.w_addr.eq(self.load.addr),
                             memory.w_data.eq(self.load.word)]
        if c.loadable:
            m.d.comb += [bias.w_en.eq(self.load.bias), bias.w_addr.eq(self.load.addr),
                         bias.w_data.eq(self.load.word)]
        return m

    def _memory(self, name: str, width: int, depth: int, style: str) -> Rom | WeightMemory:
        """A memory of the array: written by the loader, or filled from a file."""
        if self.config.loadable:
            return WeightMemory(width=width, depth=depth, style=style)
        return Rom(width=width, depth=depth, file=f"{name}.hex", init=self.images.get(name),
                   in_luts=True if style == "distributed" and name != "bias" else None)
