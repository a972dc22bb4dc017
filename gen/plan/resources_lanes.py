"""What the lanes of a die take: formulas over the kinds of results, as of
:mod:`gatefold.gen.plan.resources`."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from gatefold.gen.plan.amounts import Resources, part
from gatefold.gen.plan.memories import bram18s, ram_luts, rom
from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.int8_dense_lane import EXPONENT, MANTISSA
from gatefold.hdl.isa import beat_layout
from gatefold.hdl.kinds import (
    AsideKind,
    DenseKind,
    EmitKind,
    GruKind,
    Int8LstmKind,
    LoadKind,
    LstmKind,
    MergeKind,
    PeepholeKind,
    ResetKind,
)
from gatefold.hdl.recip_table import GATES, LINE, REMAINDER, SEGMENT
from gatefold.hdl.target import SHALLOW

__all__ = ["dense_lanes", "gru_lanes", "int8_dense_lanes", "int8_lstm_lanes", "lanes",
           "lstm_lanes", "merge_lanes", "scales", "tables"]


def scales(c: EngineConfig) -> Resources:
    """The memory of the scales, and a LUT for each row of a lane: the choice of a bit shares a LUT
    with the sign or the saturation behind it."""
    if not c.scale_depth:
        return part()
    memory = ram_luts if c.loadable else lambda width, depth: rom(width, depth)[0]
    return part(c.lanes * c.row_places + memory(c.scale_width, c.scale_depth),
                c.scale_width)


def _kinds(c: EngineConfig, wanted: type) -> list:
    return [kind for kind in c.kinds if isinstance(kind, wanted)]


def lstm_lanes(c: EngineConfig) -> Resources:
    """Fitted to single lanes of 8 to 18 bits (``docs/resources.md``)."""
    kinds = _kinds(c, LstmKind)
    if not kinds:
        return part()
    t, cell, u = c.table.out_frac, c.cell_width, c.table.width
    lut = max(100, 18.7 * u + 18.6 * t + 7 * cell - 268)
    different = {replace(kind, carries=False) for kind in kinds}  # the others have the same shifts
    lut += 63 * (len(different) > 1) + 60 * c.has(LoadKind, EmitKind) + 180 * _mixed(kinds)
    lut += ram_luts(cell, max(2, c.cell_depth)) - ram_luts(cell, 2)
    rest = max((kind.h for kind in kinds if kind.carries), default=0)
    lut += (ram_luts(rest, max(2, c.cell_depth)) + rest) if rest else 0
    wide = 2 * (t > 17 or cell > 18)  # products of two slices
    if c.has(PeepholeKind):
        total = max(c.acc_width, c.weight_width + cell) + 2
        lut += 5 * total + ram_luts(3 * c.weight_width, max(2, c.cell_depth)) + u
        wide += 3
    ff = 9.5 * u + 5.4 * t + 3.2 * cell - 8 + rest
    if c.pair == 1:
        ff -= 1.5 * (t + cell) - 2
    return part(c.lanes * lut, c.lanes * ff, (3 + wide) * c.lanes)


def gru_lanes(c: EngineConfig) -> Resources:
    """As :func:`lstm_lanes`."""
    kinds = _kinds(c, GruKind)
    if not kinds:
        return part()
    t, cell, u = c.table.out_frac, c.cell_width, c.table.width
    lut = max(100, 20 * u + 10 * t + 11 * cell - 235)
    lut += 65 * (len(kinds) > 1) + 70 * c.has(ResetKind) + 110 * c.has(LoadKind)
    lut += 150 * _mixed(kinds) + ram_luts(cell, max(2, c.cell_depth)) - ram_luts(cell, 2)
    if c.has(AsideKind):
        lut += ram_luts(c.acc_width, c.cell_depth) + 2 * ram_luts(t + 1, c.cell_depth)
    ff = 6 * u + 4 * t + 7.5 * cell - 25
    if c.pair == 1:  # row a waits two cycles, in registers, instead of three, in a LUT
        lut, ff = lut - c.acc_width, ff + 2 * c.acc_width - (t + cell) - 2
    return part(c.lanes * lut, c.lanes * ff, (2 + (t > 16 or cell > 18)) * c.lanes)


def _mixed(kinds: list[LstmKind] | list[GruKind]) -> bool:
    """Whether layers differ in their activations, so that a lane has the logic of several."""
    return len({(kind.gate.direct, kind.candidate.function) for kind in kinds}) > 1


def merge_lanes(c: EngineConfig) -> Resources:
    functions = {kind.function for kind in _kinds(c, MergeKind)}
    largest, product = "max" in functions, "mul" in functions
    return part(c.lanes * (largest * (5.2 * c.acc_width + 10) + product * c.act_width),
                c.lanes * (largest * 3 * c.acc_width + product * c.act_width), c.lanes * product)


def dense_lanes(c: EngineConfig) -> Resources:
    kinds = _kinds(c, DenseKind)
    if not kinds:
        return part()
    a, t, u = c.result_width, c.table.out_frac, c.table.width
    tables = any(kind.tabled for kind in kinds)
    plain = any(kind.activation in ("linear", "relu") for kind in kinds)
    return part(c.lanes * (plain * 1.3 * a + tables * (3.5 * u + 3 * t)),
                c.lanes * (a + tables * (u + t) + tables * plain * 2 * a))


def int8_lstm_lanes(c: EngineConfig) -> Resources:
    """Products: four sums of ``acc_width`` bits and o * tanh(c) of 31 with 31 bits, which take two
    slices for each 27 bits; three of 17 x 16 bits; a line of each table."""
    kinds = len(_kinds(c, Int8LstmKind))
    if not kinds:
        return part()
    wide = 2 * (1 if c.acc_width <= 27 else 2) * 4 + 4
    tables = sum(bram18s(REMAINDER, segments * SEGMENT) + bram18s(LINE, segments)
                 for segments in (GATES, GATES, c.recips))
    lut = 1000 + 16 * c.acc_width + 78 * kinds + ram_luts(16, c.cell_depth) + ram_luts(
        64, c.cell_depth)
    return part(c.lanes * lut, c.lanes * (330 + 19 * c.acc_width), c.lanes * (wide + 3 + 5),
                c.lanes * tables)


def int8_dense_lanes(c: EngineConfig) -> Resources:
    """A product of 25 x 24 bits, two slices; shifter and rounding."""
    if not c.factor_depth:
        return part()
    lut, ff = rom(MANTISSA + EXPONENT, c.factor_depth) if c.factor_depth <= SHALLOW else (0, 0)
    halves = 0 if c.factor_depth <= SHALLOW else bram18s(MANTISSA + EXPONENT, c.factor_depth)
    long = c.acc_width if c.acc_width > MANTISSA else 0  # sums that are rounded to a mantissa
    return part(c.lanes * (375 + 2 * long + lut), c.lanes * (166 + long + ff), 2 * c.lanes,
                c.lanes * halves)


def tables(c: EngineConfig) -> Resources:
    """The tables of the lanes; a memory serves two look-ups. An LSTM lane looks up its rows, then
    c; a GRU lane r and z, then the candidate; a Dense lane its activation."""
    def memories_of(table: TableConfig) -> int:
        """Half block RAMs of one table."""
        found = bram18s(table.out_frac, 1 << (table.n0 + table.n1))
        if table.n2:
            found += bram18s(table.t1_width, 1 << (table.n0 + table.n2 - 1))
        return found

    lstm, gru = _kinds(c, LstmKind), _kinds(c, GruKind)
    gates = any(not kind.gate.direct for kind in lstm)
    rows = 3 * gates + any(kind.candidate.function == "tanh" for kind in lstm)
    memories = ceil(rows / 2) + any(kind.out.function == "tanh" for kind in lstm)
    memories += any(not kind.gate.direct for kind in gru)
    memories += any(kind.candidate.function == "tanh" for kind in gru)
    memories += any(kind.activation in ("sigmoid", "tanh") for kind in _kinds(c, DenseKind))
    halves = memories * memories_of(c.table)
    halves += len(c.curves) * memories_of(c.table_of(c.curves[0])) if c.curves else 0
    return part(halves=halves * c.lanes)


def lanes(c: EngineConfig) -> Resources:
    """The delays of a beat's controls, and where there are Dense lanes and others, the choice of a
    result."""
    lut = beat_layout(c).size
    if c.has(DenseKind) and c.has(LstmKind, GruKind, MergeKind):
        lut += 2 * c.lanes * c.act_width
    return part(lut, beat_layout(c).size)
