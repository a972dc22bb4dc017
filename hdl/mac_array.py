"""The array: the rows of a die in regions, and the controls beside the data."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import later
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.interfaces import (
    FINISH_LEAD,
    chunk_layout,
    finished_rows,
    region_controls,
    tile_issue,
    weight_write,
)
from gatefold.hdl.isa import Start, Stop
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.region import Region
from gatefold.hdl.relay import fan_out

__all__ = ["MacArray"]


class MacArray(wiring.Component):
    """Executes one tile a cycle and hands out finished rows.

    ::

        operands, weight address, controls -> relays: a tree -> a relay a region -> its rows

    Cycles are counted from the tile's issue. The operands come ``OperandMemory.latency`` later and
    are at the rows after :meth:`way_out`; :meth:`latency` is the cycle in which the accumulators
    hold the tile's sums, and ``rows.valid`` says FINISH_LEAD cycles earlier that they will be
    final. What is known at the issue takes its way through the relays in cycles in which it would
    have to wait.

    Members
    -------
    tile: In, a tile at its issue. operands: In, ``simd`` elements.
    rows: Out, the finished rows, and their finish.
    load: In, of a loadable core, write of the weight memories.
    fault: Out, of a core that watches itself: as of any region.

    Parameters: ``die``, whose rows these are.
    """

    def __init__(self, config: EngineConfig, images: dict | None = None, *, die: int = 0):
        self.config, self.images = config, images or {}
        number = len(config.die_regions)
        #: The regions of the die, by their numbers.
        self.regions = dict(list(enumerate(config.regions))[die * number:(die + 1) * number])
        super().__init__({
            "tile": In(tile_issue(config)),
            "operands": In(chunk_layout(config)),
            "rows": Out(finished_rows(config)),
            **({"load": In(weight_write(config))} if config.loadable else {}),
            **({"fault": Out(1)} if config.protect else {}),
        })

    #: Cycles from the issue of a tile that parks its sums to the first tile that may start from
    #: them: they are written in the cycle of the accumulator and fetched two cycles before it.
    park_distance = 3

    @staticmethod
    def way_out(config: EngineConfig) -> int:
        """Cycles from a tile's issue to its operands at the rows."""
        return OperandMemory.latency(config) + config.relays

    @classmethod
    def latency(cls, config: EngineConfig) -> int:
        """Cycles from a tile's issue to its sums in the accumulators."""
        return cls.way_out(config) + MacRow.latency(config) + 1

    def elaborate(self, platform):
        c = self.config
        m = Module()
        known = self.latency(c) - FINISH_LEAD
        places = len(self.regions)
        tile = self.tile.word
        # Out of registers: whether a tile is issued is known late in its cycle.
        valid, start, stop = (later(m, name, value, 1) for name, value in (
            ("issued", self.tile.valid), ("start", tile.start), ("stop", tile.stop)))
        finishes = valid & ((stop & Stop.FINISH) != 0)
        parks = valid & ((stop & Stop.PARK) != 0)
        m.d.comb += [
            self.rows.valid.eq(later(m, "finishes", finishes, known - 1)),
            self.rows.finish.as_value().eq(later(m, "finish", tile.finish.as_value(), known)),
        ]

        operands = fan_out(m, platform, "operands", self.operands, places, c.relays - 1)
        controls = fan_out(m, platform, "controls", self._controls(m, valid, start, parks), places,
                           c.relays)
        weight = fan_out(m, platform, "weight", tile.weight if c.reach else self.tile.next_weight,
                         places, c.relays - 1)
        load = self._load(m, platform) if c.loadable else []
        faults = []
        for n, (number, rows) in enumerate(self.regions.items()):
            region = Region(c, number, self.images)
            m.submodules[f"region_{n:02d}"] = region
            m.d.comb += [region.operands.eq(operands[n]), region.controls.eq(controls[n]),
                         region.weight.eq(weight[n])]
            m.d.comb += [self.rows.acc[row % c.rows].eq(acc)
                         for row, acc in zip(rows, region.acc, strict=True)]
            if c.loadable:
                m.d.comb += region.load.as_value().eq(load[n])
            if c.protect:
                faults.append(region.fault)
        if c.protect:
            m.d.sync += self.fault.eq(Cat(faults).any())
        return m

    def _controls(self, m: Module, valid: Value, start: Value, parks: Value):
        """What the rows do, each field early enough for its way through the relays: the tree's, and
        the region's. ``valid``, ``start``, ``parks``: of the tile issued in the cycle before."""
        c, tile = self.config, self.tile.word
        early = c.relays + 1
        ready = self.latency(c) - early  # for the accumulators
        summed = ready - 1  # for the tree's sums
        controls = Signal(region_controls(c))
        m.d.comb += [
            # with the parked sum, a cycle before the tree's
            controls.bias.eq(later(m, "bias", tile.init, summed - 2)),
            controls.valid.eq(later(m, "valid", valid, summed - 1)),
            controls.go_on.eq(later(m, "go_on", start == Start.GO_ON, summed - 1)),
            controls.align.eq(later(m, "align", tile.align, summed)),
        ]
        if c.park_depth:
            m.d.comb += [
                controls.init_parked.eq(later(m, "parked", start == Start.PARKED, summed - 2)),
                controls.init.eq(later(m, "init", tile.init, summed - 1)),
                controls.parks.eq(later(m, "parks", parks, ready - 1)),
                controls.park.eq(later(m, "park", tile.park, ready)),
            ]
        return controls

    def _load(self, m: Module, platform) -> list[Value]:
        """The write of the memories, for each region (:func:`~.interfaces.region_load`): what only
        one of them takes has a chain of relays of its own."""
        c, load, on_the_way = self.config, self.load, self.config.relays - 1
        word = c.simd * c.weight_width
        common = Cat(load.bias, load.addr, load.word[:word])
        found = []
        for n, (rows, shared) in enumerate(zip(self.regions.values(), fan_out(
                m, platform, "load", common, len(self.regions), on_the_way), strict=True)):
            own = Cat(load.rows[rows.start:rows.stop],
                      load.word[rows.start * c.acc_width:rows.stop * c.acc_width])
            own, = fan_out(m, platform, f"load_{n:02d}", own, 1, on_the_way)
            found.append(Cat(own[:len(rows)], shared, own[len(rows):]))
        return found
