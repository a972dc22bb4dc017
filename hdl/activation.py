"""From a sum or a state to sign and magnitude: the non-linear step of every lane."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from gatefold.hdl.arith import (
    by_parameter,
    clamp,
    delay,
    floor_shift,
    half,
    inverted,
    is_one_of,
    of_saturated,
)
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.kinds import Gate, Squash
from gatefold.hdl.tanh_table import TablePort, TanhTable

__all__ = ["Activated", "Argument", "activate", "activation_latency", "gate_squash"]


@dataclass(frozen=True)
class Argument:
    """The argument of an activation: a signed ``value`` with its ``kind`` beside it, and
    ``squashes``, the activation by the index of the kind. ``rounded``: the value holds its rounding
    constant already. One that does not may saturate to ``widths`` bits, by kind, before."""

    value: Value
    kind: Value
    squashes: dict[int, Squash]
    rounded: bool = True
    widths: dict[int, int] | None = None


@dataclass(frozen=True)
class Activated:
    """t of T bits, and its sign."""

    t: Value
    negative: Value


def gate_squash(gate: Gate) -> Squash:
    """The activation that gives a gate's t."""
    return Squash(gate.shift, "linear" if gate.direct else "tanh", gate.limit)


def activation_latency(config: EngineConfig) -> int:
    """Cycles from a value to its sign and t."""
    return 1 + TanhTable.latency(config)


def activate(m: Module, config: EngineConfig, images: dict | None,
             arguments: dict[str, Argument]) -> dict[str, Activated]:
    """Sign and t of each argument, :func:`activation_latency` later; two share a table.

    Cycle 1: sign; the shifted magnitude, clamped. Then the table, of tanh or a curve; a direct
    argument is delayed instead.
    """
    latency = activation_latency(config)
    free_ports: dict[str, list[TablePort]] = {}
    activated = {}
    for name, argument in arguments.items():
        negative = delay(m, f"negative_{name}", argument.value[-1], latency)[-1]
        functions = sorted({s.function for s in argument.squashes.values() if not s.direct},
                           key=lambda function: (function != "tanh", function))
        t = None
        for function in functions:
            mine = {n: s for n, s in argument.squashes.items() if s.function == function}
            if not free_ports.get(function):
                label = f"table_{name}" if function == "tanh" else f"{function}_{name}"
                m.submodules[label] = table = TanhTable(config, images, function)
                free_ports[function] = [table.a, table.b]
            port = free_ports[function].pop(0)
            label = f"u_{name}" if function == "tanh" else f"u_{function}_{name}"
            m.d.comb += port.magnitude.eq(
                _magnitude(m, label, argument, mine, config.table.frac + 3))
            if t is None:
                t = port.t
                continue
            by_own = delay(m, f"by_{function}_{name}", is_one_of(argument.kind, mine), latency)[-1]
            t = Mux(by_own, port.t, t)
        direct = {n: s for n, s in argument.squashes.items() if s.direct}
        if direct:
            value = delay(m, f"direct_{name}_late",
                          _magnitude(m, f"direct_{name}", argument, direct, config.table.out_frac),
                          TanhTable.latency(config))[-1]
            if t is not None:
                tabled = [n for n, s in argument.squashes.items() if not s.direct]
                by_table = delay(m, f"by_table_{name}", is_one_of(argument.kind, tabled),
                                 latency)[-1]
                value = Mux(by_table, t, value)
            t = value
        assert t is not None, f"{name} has no squash"
        activated[name] = Activated(t, negative)
    return activated


def _rounded(number: int, shift: int) -> int:
    return (number + half(shift)) >> shift if shift > 0 else number << -shift


def _magnitude(m: Module, name: str, argument: Argument, squashes: dict[int, Squash],
               bits: int) -> Signal:
    """min(|round(value, shift)|, largest), registered; for relu, 0 of a negative value. A squash
    may have a smaller limit.

    A negative value is inverted, and a carry adds the 1 that its negation is more. Where the value
    is still to be rounded, |floor((v + half) / 2^s)| = floor((~v + half) / 2^s) of a negative v:
    there the rounding constant includes that 1. So there is one addition either way.
    """
    value, kind, widths = argument.value, argument.kind, argument.widths
    negative = value[-1]
    shifts = {n: squash.shift for n, squash in squashes.items()}
    if argument.rounded:
        def shifted(shift: int) -> Value:
            v = inverted(floor_shift(value, shift), negative)
            if len(v) <= bits:
                return v
            return Cat(v[:bits], v[bits:].any())

        inside = by_parameter(m, f"{name}_shifted", kind, shifts, shifted, bits + 1)
        total = Signal(bits + 1, name=f"{name}_absolute")
        m.d.comb += total.eq(inside[:bits] + negative)
        clamped = Mux(total[bits] | inside[bits], Const((1 << bits) - 1, bits), total[:bits])
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
            clamped = of_saturated(
                m, name, kind, value, {n: (widths[n], shift) for n, shift in shifts.items()},
                clamped, lambda limit, way: min(abs(_rounded(limit, way[1])), (1 << bits) - 1),
                bits)
    if any(squash.limit is not None for squash in squashes.values()):
        largest = (1 << bits) - 1
        limits = {n: largest if squash.limit is None else min(squash.limit, largest)
                  for n, squash in squashes.items()}
        limit = by_parameter(m, f"{name}_limit", kind, limits, lambda value: value, bits)
        clamped = Mux(clamped > limit, limit, clamped)
    relu = [n for n, squash in squashes.items() if squash.function == "relu"]
    if relu:
        always = len(relu) == len(squashes)
        zero = negative & (Const(1) if always else is_one_of(kind, relu))
        clamped = Mux(zero, 0, clamped)
    result = Signal(bits, name=name, reset_less=True)
    m.d.sync += result.eq(clamped)
    return result
