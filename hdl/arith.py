"""Small arithmetic shared by the components: the rounding and saturation of `docs/numbers.md`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

__all__ = ["by_kind", "delay", "floor_shift", "half", "magnitude", "saturate", "tree_sum"]


def half(shift: int) -> int:
    """What is added before a right shift to round half up."""
    return 1 << (shift - 1) if shift > 0 else 0


def floor_shift(value: Value, shift: int) -> Value:
    """``value >> shift`` keeping the sign, or ``value << -shift``."""
    if shift >= len(value):
        return value[-1].replicate(2).as_signed()
    return value.shift_right(shift) if shift >= 0 else value.shift_left(-shift)


def saturate(value: Value, width: int) -> Value:
    """Clamp a signed value to ``width`` bits of two's complement."""
    if len(value) <= width:
        return value
    sign = value[-1]
    fits = (value[width - 1:] == sign.replicate(len(value) - width + 1))
    rail = Cat((~sign).replicate(width - 1), sign)
    return Mux(fits, value[:width], rail).as_signed()


def magnitude(value: Value) -> Value:
    """min(|value|, largest positive): one bit less than the signed value."""
    width = len(value)
    sign = value[-1]
    most_negative = sign & ~value[:-1].any()
    absolute = (value[:-1] ^ sign.replicate(width - 1)) + sign
    return absolute[: width - 1] | most_negative.replicate(width - 1)


def by_kind(m: Module, name: str, kind: Value, choices: dict[int, Value], shape) -> Signal:
    """A wire that follows ``choices[kind]``; kinds that are not named may do anything.

    Kinds with equal expressions cost nothing: one choice is a plain wire.
    """
    out = Signal(shape, name=name)
    values = list(choices.values())
    if len(values) == 1:
        m.d.comb += out.eq(values[0])
        return out
    with m.Switch(kind):
        for index, value in list(choices.items())[:-1]:
            with m.Case(index):
                m.d.comb += out.eq(value)
        with m.Default():
            m.d.comb += out.eq(values[-1])
    return out


def delay(m: Module, name: str, value: Value, cycles: int, *, reset_less: bool = True):
    """``value`` some cycles later, a list: entry n is n cycles late, entry 0 ``value`` itself."""
    line = [value]
    for n in range(1, cycles + 1):
        stage = Signal(value.shape(), name=f"{name}_{n}", reset_less=reset_less)
        m.d.sync += stage.eq(line[-1])
        line.append(stage)
    return line


def tree_sum(m: Module, name: str, terms: list[Value]) -> tuple[Value, int]:
    """Sum of signed terms in a registered binary tree; the sum and its latency in cycles.

    Each level grows by one bit, unlike Python's ``sum``, which grows with every term.
    """
    level = 0
    while len(terms) > 1:
        level += 1
        sums = []
        for n in range(0, len(terms), 2):
            pair = terms[n:n + 2]
            width = max(len(term) for term in pair) + (len(pair) - 1)
            total = Signal(signed(width), name=f"{name}_{level}_{n // 2}", reset_less=True)
            m.d.sync += total.eq(pair[0] + pair[1] if len(pair) == 2 else pair[0])
            sums.append(total)
        terms = sums
    return terms[0], level
