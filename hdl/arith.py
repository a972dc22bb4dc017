"""Small arithmetic shared by the components: the rounding and saturation of `docs/numbers.md`."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

__all__ = ["as_signed", "by_kind", "by_parameter", "clamp", "delay", "floor_shift", "half",
           "half_by_kind", "inverted", "plus_minus", "saturate", "tree_sum"]


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


def as_signed(value: Value) -> Value:
    """An unsigned value as a signed one, a bit wider."""
    return Cat(value, Const(0, 1)).as_signed()


def inverted(value: Value, negative: Value) -> Value:
    """``~value`` where ``negative``: of a signed value beside its sign, a magnitude less one."""
    return Cat(value) ^ negative.replicate(len(value))


def clamp(value: Value, width: int) -> Value:
    """The smaller of an unsigned value and the largest of ``width`` bits."""
    if len(value) <= width:
        return value
    return value[:width] | value[width:].any().replicate(width)


def plus_minus(base: Value, value: Value, negative: Value) -> Value:
    """``base - value`` where ``negative``, else ``base + value``, in one carry chain.

    Signed, a bit wider than either. The bit below the lowest is what a negation carries in.
    """
    width = 1 + max(len(operand) + (not operand.shape().signed) for operand in (base, value))

    def wide(operand: Value) -> Value:
        sign = operand[-1] if operand.shape().signed else Const(0, 1)
        return Cat(operand, sign.replicate(width - len(operand)))

    total = Cat(Const(1, 1), wide(base)) + Cat(negative, inverted(wide(value), negative))
    return total[1:width + 1].as_signed()


def by_parameter(m: Module, name: str, kind: Value, parameters: dict, make, shape) -> Signal:
    """A wire that follows ``make(parameters[kind])``; kinds that are not named may do anything.

    Kinds with equal parameters (hashable) share one expression: a single one is a plain wire.
    """
    out = Signal(shape, name=name)
    kinds: dict = {}
    for index, parameter in parameters.items():
        kinds.setdefault(parameter, []).append(index)
    *others, last = kinds
    value = make(last)
    made = {parameter: make(parameter) for parameter in others}
    if all(isinstance(choice, int | Const) for choice in (*made.values(), value)):
        # No switch: a Verilog process that reads nothing but ``kind`` does not run in Icarus before
        # ``kind`` changes for the first time.
        for parameter, choice in made.items():
            value = Mux(Cat(kind == index for index in kinds[parameter]).any(), choice, value)
        made = {}
    if not made:
        m.d.comb += out.eq(value)
        return out
    with m.Switch(kind):
        for parameter, choice in made.items():
            with m.Case(*kinds[parameter]):
                m.d.comb += out.eq(choice)
        with m.Default():
            m.d.comb += out.eq(value)
    return out


def by_kind(m: Module, name: str, kind: Value, choices: dict[int, Value], shape) -> Signal:
    """A wire that follows ``choices[kind]``; kinds that are not named may do anything."""
    return by_parameter(m, name, kind, {index: index for index in choices},
                        lambda index: choices[index], shape)


def half_by_kind(m: Module, name: str, kind: Value, shifts: dict[int, int]) -> Signal:
    """A wire that follows ``half(shifts[kind])``."""
    widest = max(half(shift).bit_length() for shift in shifts.values())
    return by_parameter(m, name, kind, shifts, half, max(1, widest))


def delay(m: Module, name: str, value: Value, cycles: int, *, reset_less: bool = True):
    """``value`` some cycles later, a list: entry n is n cycles late, entry 0 ``value`` itself."""
    line = [value]
    for n in range(1, cycles + 1):
        stage = Signal(value.shape(), name=f"{name}_{n}", reset_less=reset_less)
        m.d.sync += stage.eq(line[-1])
        line.append(stage)
    return line


def tree_sum(m: Module, name: str, terms: list[Value], *, step: int = 1) -> tuple[Value, int]:
    """Sum of signed terms in a binary tree; the sum and its latency in cycles.

    ``step``: levels of the tree to a register. Each level grows by one bit, unlike Python's
    ``sum``, which grows with every term.
    """
    level = 0
    while len(terms) > 1:
        level += 1
        sums = []
        for n in range(0, len(terms), 2):
            pair = terms[n:n + 2]
            width = max(len(term) for term in pair) + (len(pair) - 1)
            total = Signal(signed(width), name=f"{name}_{level}_{n // 2}", reset_less=True)
            m.d["comb" if level % step else "sync"] += total.eq(
                pair[0] + pair[1] if len(pair) == 2 else pair[0])
            sums.append(total)
        terms = sums
    return terms[0], level // step
