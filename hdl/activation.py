"""From a sum or a state to sign and magnitude: the non-linear step of every lane."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from gatefold.hdl.arith import by_limits, by_parameter, clamp, delay, floor_shift, half, inverted
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.kinds import Gate, Squash
from gatefold.hdl.tanh_table import TanhTable

__all__ = ["Activated", "Argument", "activate", "activation_latency", "gate_squash"]


@dataclass(frozen=True)
class Argument:
    """What is to be activated: a signed ``value``, how (``squashes``, by the index of the kind),
    and the ``kind`` beside it. ``rounded``: the value holds its rounding constant already; one that
    does not may be saturated to ``widths`` bits, by kind, before it is activated."""

    value: Value
    kind: Value
    squashes: dict[int, Squash]
    rounded: bool = True
    widths: dict[int, int] | None = None


@dataclass(frozen=True)
class Activated:
    """t of T bits, and whether it counts as negative."""

    t: Value
    negative: Value


def gate_squash(gate: Gate) -> Squash:
    """A gate's t as that of an activation."""
    return Squash(gate.shift, "linear" if gate.direct else "tanh")


def activation_latency(config: EngineConfig) -> int:
    """Cycles from a value to its sign and t."""
    return 1 + TanhTable.latency(config)


def activate(m: Module, config: EngineConfig, images: dict | None,
             arguments: dict[str, Argument]) -> dict[str, Activated]:
    """Sign and t of each argument, :func:`activation_latency` later; two share a table.

    Cycle 1: sign, shift, magnitude, clamped. Then the tanh table, which what is direct passes by.
    """
    latency = activation_latency(config)
    free: list[tuple[TanhTable, str]] = []
    out = {}
    for name, argument in arguments.items():
        negative = delay(m, f"negative_{name}", argument.value[-1], latency)[-1]
        tanh = {n: s for n, s in argument.squashes.items() if s.function == "tanh"}
        direct = {n: s for n, s in argument.squashes.items() if n not in tanh}
        t = None
        if tanh:
            if not free:
                table = TanhTable(config, images)
                m.submodules[f"table_{name}"] = table
                free += [(table, "a"), (table, "b")]
            table, port = free.pop(0)
            m.d.comb += getattr(table, f"magnitude_{port}").eq(
                _magnitude(m, f"u_{name}", argument, tanh, config.table.frac + 3))
            t = getattr(table, f"t_{port}")
        if direct:
            value = delay(m, f"direct_{name}_late",
                          _magnitude(m, f"direct_{name}", argument, direct, config.table.out_frac),
                          TanhTable.latency(config))[-1]
            if t is not None:
                by_table = delay(m, f"by_table_{name}", _one_of(argument.kind, tanh), latency)[-1]
                value = Mux(by_table, t, value)
            t = value
        assert t is not None, f"{name} has no squash"
        out[name] = Activated(t, negative)
    return out


def _rounded(number: int, shift: int) -> int:
    return (number + half(shift)) >> shift if shift > 0 else number << -shift


def _one_of(kind: Value, indices) -> Value:
    return Cat(kind == n for n in indices).any()


def _magnitude(m: Module, name: str, argument: Argument, squashes: dict[int, Squash],
               bits: int) -> Signal:
    """min(|round(value, shift)|, largest), registered; 0 of a negative value for relu.

    The negation is one of ones' complement, and what it lacks is carried in. Where the value is
    still to be rounded, |floor((v + half) / 2^s)| = floor((~v + half) / 2^s) of a negative v: what
    it lacks is in the rounding constant already, and there is one addition either way.
    """
    value, kind, widths = argument.value, argument.kind, argument.widths
    negative = value[-1]
    shifts = {n: squash.shift for n, squash in squashes.items()}
    if argument.rounded:
        def shifted(shift: int) -> Value:
            v = inverted(floor_shift(value, shift), negative)
            return Cat(v[:bits], Const(0, max(0, bits - len(v))), v[bits:].any())

        chosen = by_parameter(m, f"{name}_shifted", kind, shifts, shifted, bits + 1)
        total = Signal(bits + 1, name=f"{name}_absolute")
        m.d.comb += total.eq(chosen[:bits] + negative)
        clamped = total[:bits] | (total[bits] | chosen[bits]).replicate(bits)
    else:
        widest = max(half(shift).bit_length() for shift in shifts.values())
        addend = by_parameter(m, f"{name}_half", kind, shifts,
                              lambda shift: half(shift) if shift > 0 else negative,
                              max(1, widest))
        inside = value[:max(widths.values())] if widths else value
        total = Signal(max(len(inside), len(addend)) + 1, name=f"{name}_absolute")
        m.d.comb += total.eq(inverted(inside, negative) + addend)
        clamped = by_parameter(
            m, f"{name}_clamped", kind, shifts,
            lambda shift: clamp(total[shift:] if shift >= 0 else Cat(Const(0, -shift), total),
                                bits), bits)
        if widths:
            clamped = by_limits(
                m, name, kind, value, {n: (widths[n], shift) for n, shift in shifts.items()},
                clamped, lambda limit, way: min(abs(_rounded(limit, way[1])), (1 << bits) - 1),
                bits)
    relu = [n for n, squash in squashes.items() if squash.function == "relu"]
    if relu:
        always = len(relu) == len(squashes)
        zero = negative & (Const(1) if always else _one_of(kind, relu))
        clamped = Mux(zero, 0, clamped)
    result = Signal(bits, name=name, reset_less=True)
    m.d.sync += result.eq(clamped)
    return result
