"""Notices that memory does not answer."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Watchdog"]


class Watchdog(wiring.Component):
    """Counts the cycles in which memory owes an answer and nothing moves at its port.

    Members
    -------
    patience: In, cycles; 0: for ever. owes: In, an answer is outstanding. moves: In, a transfer.
    expires: Out, for a cycle, ``patience`` cycles after the last transfer.
    """

    def __init__(self):
        super().__init__({"patience": In(32), "owes": In(1), "moves": In(1), "expires": Out(1)})

    def elaborate(self, platform):
        m = Module()
        left = Signal(32)
        counts = Signal()
        m.d.comb += [counts.eq(self.owes & ~self.moves & (left != 0)
                               & (self.patience != 0)),
                     self.expires.eq(counts & (left == 1))]
        m.d.sync += left.eq(Mux(counts & ~self.expires, left - 1, self.patience))
        return m
