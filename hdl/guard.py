"""What a core that watches itself has beside its work: copies of registers, parity, a watchdog."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Fragment, Module, Signal, Value
from amaranth.hdl._ast import Assign
from amaranth.hdl._xfrm import StatementTransformer, ValueTransformer
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["FAULTS", "Watchdog", "with_copies", "with_parity"]

#: The bits of the port ``fault``, and what each says.
FAULTS = {
    "program": "a word of the program or of its segments has the wrong parity",
    "state": "a control register and its copy differ",
    "weights": "a word of weights or biases that is used has the wrong parity",
    "timeout": "the core stood still with work to do and was reset",
}


_KEPT = {"keep": "true", "dont_touch": "true"}


def with_parity(word: Value) -> Value:
    """A word with a bit above it that makes the number of ones even."""
    return Cat(word, word.xor())


class _ToCopies(ValueTransformer):
    """The same expression of the copies of registers."""

    def __init__(self, copies: dict[int, Signal]):
        self.copies = copies

    def on_Signal(self, value):
        return self.copies.get(id(value), value)


class _Copied(StatementTransformer):
    """Statements that give copies what they give the registers."""

    def __init__(self, copies: dict[int, Signal]):
        self.to_copies = _ToCopies(copies)

    def on_Assign(self, stmt):  # pyright: ignore[reportIncompatibleMethodOverride]
        if not any(id(signal) in self.to_copies.copies for signal in stmt._lhs_signals()):
            return []
        return Assign(self.to_copies.on_value(stmt.lhs), stmt.rhs)


def with_copies(component, platform) -> tuple[Fragment, Value]:
    """``component`` with a copy of each register that a reset reaches, and whether one differs.

    Register and copy take the same next value, so that only a fault makes them differ, for a cycle
    at least: a single event that flips one of the two is seen. Registers without a reset hold data
    and are not copied. Tools must not merge the copies, and their attributes say so.
    """
    fragment = Fragment.get(component, platform)
    differ = _add_copies(fragment)
    return fragment, differ


def _add_copies(fragment: Fragment) -> Value:
    statements = fragment.statements.get("sync")
    differ: Value = Const(0, 1)
    if statements is not None:
        registers = [signal for signal in statements._lhs_signals() if not signal.reset_less]
        copies = {id(signal): Signal(len(signal), init=signal.init & ((1 << len(signal)) - 1),
                                     name=f"{signal.name}_copy", attrs=_KEPT)
                  for signal in registers}
        fragment.add_statements("sync", _Copied(copies).on_statements(statements))
        differ = Cat(signal.as_unsigned() != copies[id(signal)] for signal in registers).any()
    for part, _, _ in fragment.subfragments:
        if type(part) is Fragment:
            differ = differ | _add_copies(part)
    return differ


class Watchdog(wiring.Component):
    """Resets a core that stands still although it has work to do and nobody to wait for.

    There is work to do while more input frames than output frames were transferred whole, or while
    an input beat is offered; the core waits for nobody but itself unless an output beat is offered
    that is not taken, or a load is due. :attr:`expires` rises for one cycle after ``patience``
    such cycles in which no beat moved.

    Parameters: ``patience``, cycles; ``most``, frames that a core holds at most.

    Members
    -------
    came, ends: In, an input beat, an output beat moves; came_last, ends_last: the last of a frame.
    offered, blocked: In, an input beat is offered, an output beat is not taken.
    closed: In, the core waits for its weights.
    expires: Out.
    """

    def __init__(self, *, patience: int, most: int):
        self.patience, self.most = patience, most
        super().__init__({name: In(1) for name in (
            "came", "came_last", "ends", "ends_last", "offered", "blocked", "closed")}
            | {"expires": Out(1)})

    def elaborate(self, platform):
        m = Module()
        under_way = Signal(range(-1, self.most + 1))  # -1: a frame that is too long came out first
        waits = Signal(range(self.patience + 1))
        works = Signal()
        m.d.comb += [
            works.eq(((under_way > 0) | self.offered) & ~self.blocked & ~self.closed),
            self.expires.eq(waits == self.patience),
        ]
        m.d.sync += under_way.eq(under_way + (self.came & self.came_last)
                                 - (self.ends & self.ends_last))
        with m.If(self.came | self.ends | ~works | self.expires):
            m.d.sync += waits.eq(0)
        with m.Else():
            m.d.sync += waits.eq(waits + 1)
        with m.If(self.expires):
            m.d.sync += under_way.eq(0)
        return m
