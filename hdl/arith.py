"""Small arithmetic shared by the components: the rounding and saturation of `docs/numbers.md`."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

__all__ = ["as_signed", "by_kind", "by_parameter", "clamp", "delay", "floor_shift", "floored",
           "half", "half_by_kind", "inverted", "is_one_of", "later", "of_saturated", "plus_minus",
           "saturate", "tree", "tree_levels", "tree_sum", "unscaled",
           "within"]


def half(shift: int) -> int:
    """The constant to add before a right shift so that it rounds half up."""
    return 1 << (shift - 1) if shift > 0 else 0


def floor_shift(value: Value, shift: int) -> Value:
    """``value >> shift`` keeping the sign, or ``value << -shift``."""
    if shift >= len(value):
        return value[-1].replicate(2).as_signed()
    return value.shift_right(shift) if shift >= 0 else value.shift_left(-shift)


def unscaled(total: Value, scale: Value) -> Value:
    """The sum of a row without the lowest bit where the row has a ``scale``; golden's function of
    this name, whose rounding constant is in the bias."""
    return Mux(scale, floor_shift(total, 1), total).as_signed()


def saturate(value: Value, width: int) -> Value:
    """Clamp a signed value to ``width`` bits of two's complement."""
    if len(value) <= width:
        return value
    sign = value[-1]
    fits = value[width - 1:] == sign.replicate(len(value) - width + 1)
    limit = Cat(~sign.replicate(width - 1), sign)
    return Mux(fits, value[:width], limit).as_signed()


def within(value: Value, limit: int) -> Value:
    """Clamp a signed value to ``-limit..limit``, a power of two or 0."""
    if not limit:
        return Const(0, signed(1))
    bits = limit.bit_length() - 1
    value = saturate(value, bits + 2)  # to just below twice the limit: sign and the limit's bit
    if len(value) < bits + 2:
        return value
    beyond = value[bits] ^ value[-1]
    return Cat(value[:bits] & (~beyond).replicate(bits), value[bits] | value[-1],
               value[-1]).as_signed()


def as_signed(value: Value) -> Value:
    """An unsigned value as a signed one, a bit wider."""
    return Cat(value, Const(0, 1)).as_signed()


def is_one_of(kind: Value, indices) -> Value:
    """Whether ``kind`` is one of these constants."""
    return Cat(kind == n for n in indices).any()


def inverted(value: Value, negative: Value) -> Value:
    """``~value`` where ``negative``, else ``value``. With the value's own sign that is its
    magnitude, less one where it is negative."""
    bits = Cat(value)
    return Mux(negative, ~bits, bits)


def clamp(value: Value, width: int) -> Value:
    """The smaller of an unsigned value and the largest of ``width`` bits."""
    if len(value) <= width:
        return value
    return Mux(value[width:].any(), Const((1 << width) - 1, width), value[:width])


def plus_minus(base: Value, value: Value, negative: Value) -> Value:
    """``base - value`` where ``negative``, else ``base + value``, in one carry chain.

    Signed, a bit wider than either. A bit below the lowest brings in the carry of the negation.
    """
    width = 1 + max(len(operand) + (not operand.shape().signed) for operand in (base, value))

    def wide(operand: Value) -> Value:
        sign = operand[-1] if operand.shape().signed else Const(0, 1)
        return Cat(operand, sign.replicate(width - len(operand)))

    total = Cat(Const(1, 1), wide(base)) + Cat(negative, inverted(wide(value), negative))
    return total[1:width + 1].as_signed()


def by_parameter(m: Module, name: str, kind: Value, parameters: dict, make, shape) -> Signal:
    """A wire that follows ``make(parameters[kind])``, and is undefined for kinds not named.

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
            value = Mux(is_one_of(kind, kinds[parameter]), choice, value)
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
    """A wire that follows ``choices[kind]``, and is undefined for kinds not named."""
    return by_parameter(m, name, kind, {index: index for index in choices},
                        lambda index: choices[index], shape)


def floored(m: Module, name: str, kind: Value, value: Value, shifts: dict[int, int]) -> Signal:
    """A wire that follows ``value >> shifts[kind]``, exactly."""
    widest = max(len(floor_shift(value, shift)) for shift in shifts.values())
    return by_parameter(m, name, kind, shifts, lambda shift: floor_shift(value, shift),
                        signed(widest))


def of_saturated(m: Module, name: str, kind: Value, value: Value, ways: dict[int, tuple],
                 inside: Value, at_limit, width: int) -> Value:
    """A function of a signed value that saturates, computed beside the saturation, not behind it.

    ``ways[kind]`` begins with the number of bits to which the value saturates. Where the value has
    no more bits, the result is ``inside``: the function of the value as it is. Elsewhere it is the
    constant ``at_limit(limit, ways[kind])`` of the lowest or the highest value that has these bits.
    The result has ``width`` bits.
    """
    def exceeds(bits: int) -> Value:
        return value[bits - 1:] != value[-1].replicate(max(1, len(value) - bits + 1))

    lowest = by_parameter(m, f"{name}_lowest", kind, ways,
                          lambda way: at_limit(-1 << way[0] - 1, way), width)
    highest = by_parameter(m, f"{name}_highest", kind, ways,
                           lambda way: at_limit((1 << way[0] - 1) - 1, way), width)
    saturates = by_parameter(m, f"{name}_saturates", kind, {n: way[0] for n, way in ways.items()},
                             lambda bits: exceeds(min(bits, len(value))), 1)
    return Mux(saturates, Mux(value[-1], lowest, highest), inside[:width])


def half_by_kind(m: Module, name: str, kind: Value, shifts: dict[int, int]) -> Signal:
    """A wire that follows ``half(shifts[kind])``."""
    widest = max(half(shift).bit_length() for shift in shifts.values())
    return by_parameter(m, name, kind, shifts, half, max(1, widest))


def delay(m: Module, name: str, value: Value, cycles: int):
    """``value`` and its delays: entry n of the list is n cycles late, entry 0 ``value`` itself. No
    reset clears them."""
    line = [value]
    for n in range(1, cycles + 1):
        stage = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
        m.d.sync += stage.eq(line[-1])
        line.append(stage)
    return line


def later(m: Module, name: str, value: Value, cycles: int) -> Value:
    """``value``, ``cycles`` cycles later. No reset clears what is under way."""
    return delay(m, name, value, cycles)[cycles]


def tree_levels(terms: int) -> int:
    """Levels in which additions of three bring ``terms`` terms down to two or fewer."""
    return len(tree(terms))


def tree(terms: int) -> list[list[int]]:
    """The tree's shape: for each level, the number of terms that each of its sums adds. A level has
    as few sums of three as possible, and they are as equal as possible."""
    levels = []
    while terms > 2:
        sums = -(-terms // 3)
        levels.append([(terms + n) // sums for n in range(sums)])
        terms = sums
    return levels


def tree_sum(m: Module, name: str, terms: list[Value], *, leaves: list[int] | None = None,
             step: int = 1) -> list[Value]:
    """Add signed terms by threes (:func:`tree`), and return the last one or two sums.

    A sum of three takes one carry chain and one LUT a bit (a LUT6 with both its outputs), as a sum
    of two does. Every ``step``-th level ends in registers. Term n is a sum of ``leaves[n]`` values
    (by default 1), and a sum has as many bits as its number of values can need.
    """
    leaves = leaves or [1] * len(terms)
    leaf = max(len(term) - (values - 1).bit_length()
               for term, values in zip(terms, leaves, strict=True))
    for level, sizes in enumerate(tree(len(terms)), 1):
        rest, counts, sums, added = iter(terms), iter(leaves), [], []
        for n, size in enumerate(sizes):
            added.append(sum(next(counts) for _ in range(size)))
            total = Signal(signed(leaf + (added[-1] - 1).bit_length()), name=f"{name}_{level}_{n}",
                           reset_less=True)
            addend = next(rest)
            for _ in range(size - 1):
                addend = addend + next(rest)
            m.d["comb" if level % step else "sync"] += total.eq(addend)
            sums.append(total)
        terms, leaves = sums, added
    return terms
