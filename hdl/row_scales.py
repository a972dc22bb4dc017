"""The scales of rows: by how many of its lowest bits the lanes round the sum of each row."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.interfaces import scale_layout, scale_write
from gatefold.hdl.target import Rom
from gatefold.hdl.weight_memory import WeightMemory

__all__ = ["RowScales"]


class RowScales(wiring.Component):
    """The scales e, 0 or 1, of the rows of a beat's elements, from a small memory. Latency 1.

    The word is read in the cycle before the beat. A lane takes z >> e of each row itself
    (:meth:`gatefold.hdl.lane.Lane.total`), since there the choice of a bit shares a LUT with what
    comes next.

    Parameters: ``die``, whose rows these are.

    Members
    -------
    address: In, the word of the beat that comes a cycle later. scales: Out, those of each row of
    each lane's element. write: In, of a loadable core.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, die: int = 0):
        self.config, self.images, self.die = config, images or {}, die
        super().__init__({
            "address": In(config.scale_address), "scales": Out(scale_layout(config)),
            **({"write": In(scale_write(config))} if config.loadable else {})})

    def elaborate(self, platform):
        c = self.config
        m = Module()
        if c.loadable:
            memory = WeightMemory(width=c.scale_width, depth=c.scale_depth, style="distributed")
            m.d.comb += [memory.w_en.eq(self.write.en), memory.w_addr.eq(self.write.addr),
                         memory.w_data.eq(self.write.word)]
        else:
            name = f"scales_{self.die}"
            memory = Rom(width=c.scale_width, depth=c.scale_depth, file=f"{name}.hex",
                         init=self.images.get(name), in_luts=True)
        m.submodules.memory = memory.placed(platform)
        m.d.comb += [memory.addr.eq(self.address), self.scales.as_value().eq(memory.data)]
        return m
