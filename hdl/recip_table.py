"""The table of reciprocals behind LiteRT's sigmoid and tanh: lines and remainders."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.config import bits_for
from gatefold.hdl.target import DualRom

__all__ = ["BASE", "GATES", "LINE", "REMAINDER", "SEGMENT", "RecipTable"]

SEGMENT = 512  #: Entries that share a line.
SLOPE = 12  #: Fractional bits of a line's slope, which is below 1.
REMAINDER = 3  #: Bits of a remainder.
BASE = 14  #: Bits of a line's first value, signed.
LINE = BASE + SLOPE  #: Bits of a line: the slope above its base.
ENTRY = 14  #: Bits of an entry.
GATES = 74  #: Segments of the gates' table.


class RecipTable(wiring.Component):
    """R of an entry, bit-exact with :class:`gatefold.gen.numbers.int8_table.ReciprocalTable`.

    ::

        1     line and remainder out of their memories
        2     slope * place on the line + base + remainder

    Two look-ups a cycle, one on each port of the memories. ``name``: of its images, gates or cell;
    ``segments``: its lines.

    Members
    -------
    a, b: In, ``entry``; ``value`` comes two cycles later, signed.
    """

    latency = 2

    def __init__(self, name: str, segments: int, images: dict | None = None):
        self.name, self.segments, self.images = name, segments, images or {}
        port = wiring.Signature({"entry": Out(bits_for(segments * SEGMENT)),
                                 "value": In(signed(ENTRY + 1))})
        super().__init__({"a": In(port), "b": In(port)})

    def elaborate(self, platform):
        m = Module()
        lines, rests = (DualRom(width=width, depth=depth, file=f"recip_{self.name}_{what}.hex",
                                init=self.images.get(f"recip_{self.name}_{what}"))
                        for what, width, depth in (
                            ("lines", LINE, self.segments),
                            ("remainders", REMAINDER, self.segments * SEGMENT)))
        m.submodules.lines, m.submodules.remainders = lines.placed(platform), rests.placed(platform)
        place_bits = SEGMENT.bit_length() - 1
        for name, port, line, rest in (("a", self.a, lines.a, rests.a),
                                       ("b", self.b, lines.b, rests.b)):
            place = Signal(place_bits, name=f"place_{name}", reset_less=True)
            value = Signal(signed(ENTRY + 1), name=f"value_{name}", reset_less=True)
            m.d.comb += [line.addr.eq(port.entry[place_bits:]), rest.addr.eq(port.entry),
                         port.value.eq(value)]
            m.d.sync += [
                place.eq(port.entry),
                value.eq(line.data[:BASE].as_signed() + (line.data[BASE:] * place >> SLOPE)
                         + rest.data),
            ]
        return m
