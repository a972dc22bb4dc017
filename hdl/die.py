"""What each die of a device has of its own, and the ways from die to die."""

from __future__ import annotations

from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.lane_array import LaneArray
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.relay import relayed
from gatefold.hdl.row_router import RowRouter
from gatefold.hdl.row_scales import RowScales

__all__ = ["Die", "crossed", "way"]

class Die:
    """Operand memory, rows, router, row scales and lanes of a die, from a tile to its results.

    Attributes: ``number``; ``operands``, ``lanes``, whose results and outputs the core takes.
    """

    def __init__(self, config: EngineConfig, images: dict | None, number: int):
        self.config, self.number = config, number
        self.operands = OperandMemory(config, die=number)
        self.array = MacArray(config, images, die=number)
        self.router = RowRouter(config)
        self.scales = RowScales(config, images, number) if config.scale_depth else None
        self.lanes = LaneArray(config, images, die=number)

    def place(self, m: Module, platform, sources: dict, primed: Value) -> None:
        """Make it a part of ``m``; connected to its ``sources``, by the names of its inputs."""
        die = f"_{self.number}" if self.config.dies > 1 else ""
        for name in ("operands", "array", "router", "lanes"):
            m.submodules[f"{name}{die}"] = getattr(self, name)
        m.d.comb += self.router.primed.eq(way(
            m, platform, self.config.way_there, f"primed{die}", primed))
        for name, source in sources.items():
            target = self.operands if name in ("write", "read") else self.array
            crossed(m, platform, self.config.way_there, f"{name}{die}", source,
                    getattr(target, name))
        m.d.comb += self.array.operands.eq(self.operands.chunk)
        wiring.connect(m, self.array.rows, self.router.rows)
        wiring.connect(m, self.router.routed, self.lanes.routed)
        if self.scales is None:
            return
        m.submodules[f"row_scales{die}"] = self.scales
        m.d.comb += [self.scales.address.eq(self.router.scale),
                     self.lanes.scales.eq(self.scales.scales)]
        if self.config.loadable:
            load, width = self.array.load, self.config.scale_width
            m.d.comb += [
                self.scales.write.en.eq(load.scales), self.scales.write.addr.eq(load.addr),
                self.scales.write.word.eq(load.word.word_select(self.number, width))]


def crossed(m: Module, platform, registers: int, name: str, source, target) -> None:
    """Connect the members of ``source`` to those of ``target``, by way of the borders of dies."""
    for path, _, value in source.signature.flatten(source):
        member = "__".join(map(str, path))
        there = target
        for part in path:
            there = getattr(there, part)
        m.d.comb += Value.cast(there).eq(way(m, platform, registers, f"{name}_{member}",
                                             Value.cast(value)))


def way(m: Module, platform, registers: int, name: str, value: Value) -> Value:
    """``value`` at the end of the registers between two dies: at each border one that sends and one
    that receives, and others between."""
    for n in range(registers):
        value = relayed(m, platform, f"{name}_{n}", value)
    return value
