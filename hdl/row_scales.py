"""The scales of rows: a sum loses as many of its lowest bits as the scale of its row says."""

from __future__ import annotations

from amaranth.hdl import Array, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import floor_shift
from gatefold.hdl.config import SCALE_BITS, EngineConfig
from gatefold.hdl.interfaces import routed_beat, scale_write
from gatefold.hdl.target import Rom
from gatefold.hdl.weight_memory import WeightMemory

__all__ = ["RowScales"]


class RowScales(wiring.Component):
    """z >> e for every row of a beat's elements, e of 0 or 1 from a small memory; golden's
    ``unscaled`` (the rounding constants are in the bias).

    A word of the memory holds the scales of the rows of a die's lanes, row 0 of lane 0 lowest. It
    is read in the cycle before the beat, so that the shift, one multiplexer for each bit, is all
    that comes between the rows and the lanes: latency 0.

    Parameters: ``die``, whose rows these are.

    Members
    -------
    rows: In, a beat from the router. address: In, the word of the beat that comes a cycle later.
    scaled: Out, the same beat for the lanes. write: In, of a loadable core.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, die: int = 0):
        self.config, self.images, self.die = config, images or {}, die
        address = config.scale_address
        super().__init__({
            "rows": In(routed_beat(config)), "address": In(address),
            "scaled": Out(routed_beat(config)),
            **({"write": In(scale_write(config))} if config.loadable else {})})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        word = self._word(m, platform)
        m.d.comb += [self.scaled.valid.eq(self.rows.valid),
                     self.scaled.beat.as_value().eq(self.rows.beat.as_value())]
        for lane in range(c.lanes):
            for k in range(c.row_places):
                z = self.rows.z[lane][k]
                shifts = Array(floor_shift(z, e) for e in range(1 << SCALE_BITS))
                scale = word.as_value().word_select(lane * c.row_places + k, SCALE_BITS)
                m.d.comb += self.scaled.z[lane][k].eq(shifts[scale])
        return m

    def _word(self, m: Module, platform) -> data.View:
        """The scales of the beat, (lanes, rows of an element)."""
        c = self.config
        if c.loadable:
            memory = WeightMemory(width=c.scale_width, depth=c.scale_depth, style="distributed")
            m.d.comb += [memory.w_en.eq(self.write.en), memory.w_addr.eq(self.write.addr),
                         memory.w_data.eq(self.write.word)]
        else:
            name = f"scales_{self.die}"
            memory = Rom(width=c.scale_width, depth=c.scale_depth, file=f"{name}.hex",
                         init=self.images.get(name), in_luts=True)
        m.submodules.memory = memory.placed(platform)
        m.d.comb += memory.addr.eq(self.address)
        layout = data.ArrayLayout(data.ArrayLayout(SCALE_BITS, c.row_places), c.lanes)
        return data.View(layout, memory.data)
