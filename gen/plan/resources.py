"""What a core takes of a device: a formula for each component, over the plan's widths and depths.

The coefficients were fitted to what open synthesis finds: ``tools/synth`` repeats the comparison,
and ``docs/resources.md`` says how it is done and how far off the formulas are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, replace
from math import ceil
from operator import add

from gatefold.gen.plan.cycles import gearboxes
from gatefold.gen.plan.memories import bram18s, ram_luts, rom, urams
from gatefold.hdl.arith import tree
from gatefold.hdl.config import EngineConfig, TableConfig, bits_for
from gatefold.hdl.gearbox import GearboxShape
from gatefold.hdl.int8_dense_lane import EXPONENT, MANTISSA
from gatefold.hdl.interfaces import region_controls, region_load
from gatefold.hdl.isa import beat_layout, finish_layout, instruction_layout, segment_layout
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
from gatefold.hdl.mac_row import first_sums
from gatefold.hdl.recip_table import GATES, LINE, REMAINDER, SEGMENT
from gatefold.hdl.relay import levels
from gatefold.hdl.target import SHALLOW

__all__ = ["Resources", "components", "estimate", "total"]


@dataclass(frozen=True)
class Resources:
    """Device resources; bram36 counts half blocks as 0.5."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0
    uram: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(*map(add, astuple(self), astuple(other)))

    def __mul__(self, number: int) -> Resources:
        return Resources(*(value * number for value in astuple(self)))

    def as_dict(self) -> dict:
        """For reports, with where the figures come from."""
        return asdict(self) | {"source": "estimate: gen/plan/resources.py (formulas over the "
                                         "plan's widths and depths; no vendor tool was run)"}


def _part(lut: float = 0, ff: float = 0, dsp: int = 0, halves: int = 0, uram: int = 0) -> Resources:
    return Resources(round(lut), round(ff), dsp, halves / 2, uram)


def _mux(inputs: int) -> int:
    """LUTs of a multiplexer of one bit: a LUT6 takes four inputs, and up to 16 inputs the LUTs are
    joined for nothing (F7, F8)."""
    return 0 if inputs <= 1 else ceil(inputs / 4)


def components(config: EngineConfig) -> dict[str, Resources]:
    """What each component of an engine takes; a component that takes nothing is left out.

    rows: multipliers, adder trees, accumulators, parked sums. array: delayed controls and relays.
    weights, bias, program, tables: the memories. scales: the memories of row scales, and what the
    lanes' shifts take. operands, sequencer, router, reader, writer, loader: the components of
    these names.
    lstm_lanes, gru_lanes, merge_lanes, dense_lanes, int8_lstm_lanes, int8_dense_lanes: the lanes,
    those in int8 with their tables; lanes: what they share, and the registers from die to die.
    guards: parity, copies and watchdog of a core that watches itself.
    """
    dies = config.dies
    parts = {
        "rows": _rows(config),
        "array": _array(config),
        "weights": _weights(config),
        "bias": _bias(config),
        "program": _program(config),
        "operands": _operands(config) * dies,
        "sequencer": _sequencer(config),
        "router": _router(config) * dies,
        "scales": _scales(config) * dies,
        "lstm_lanes": _lstm_lanes(config) * dies,
        "gru_lanes": _gru_lanes(config) * dies,
        "merge_lanes": _merge_lanes(config) * dies,
        "dense_lanes": _dense_lanes(config) * dies,
        "int8_lstm_lanes": _int8_lstm_lanes(config) * dies,
        "int8_dense_lanes": _int8_dense_lanes(config) * dies,
        "tables": _tables(config) * dies,
        "lanes": _lanes(config) * dies + _crossings(config),
        "reader": _reader(config),
        "writer": _writer(config),
        "loader": _loader(config),
        "guards": _guards(config),
    }
    return {name: part for name, part in parts.items() if any(astuple(part))}


def estimate(config: EngineConfig) -> Resources:
    """Resources of an engine."""
    return total(components(config).values())


def total(parts: Iterable[Resources]) -> Resources:
    """The sum of components."""
    return sum(parts, Resources())


def _rows(c: EngineConfig) -> Resources:
    """DSP slices hold the multipliers, their registers and the sums of two products; LUTs and
    flip-flops the rest of the trees and the accumulators."""
    z = c.acc_width
    tree_lut, tree_ff, left = _tree(c)
    # The terms that the tree leaves are aligned and added to the accumulator or the start value,
    # which is the bias or, where there is a parking memory, a parked sum.
    aligned = 1 if len(c.aligns) == 1 else 2 if left == 1 else 1.9 + 0.1 * len(c.aligns)
    lut = tree_lut + left * aligned * z
    if c.park_depth:
        lut += z + ram_luts(z, c.park_depth)
    # A product of more than 27 x 18 bits takes two slices.
    each = 1 if min(c.act_width, c.weight_width) <= 18 and max(
        c.act_width, c.weight_width) <= 27 else 2
    return _part(c.pe * lut, c.pe * (tree_ff + 2 * z), c.slices * each)


def _tree(c: EngineConfig) -> tuple[float, int, int]:
    """LUTs and registers of a row's adder tree (:class:`~gatefold.hdl.mac_row.MacRow`), and how
    many terms it leaves for the accumulator.

    A sum of two terms takes a LUT a bit, but none where it adds two products. Yosys needs nearly
    two for a sum of three; a tool that uses both outputs of a LUT needs one.
    """
    product = c.act_width + c.weight_width - c.packed  # packed, neither is the lowest integer
    leaves = first_sums(c)
    threes = leaves.count(3)
    lut, ff = 1.9 * threes * (product + 2), threes * (product + 2)
    for level, sizes in enumerate(tree(len(leaves)), 1):
        rest = iter(leaves)
        leaves = [sum(next(rest) for _ in range(size)) for size in sizes]
        for size, leaf in zip(sizes, leaves, strict=True):
            wide = product + (leaf - 1).bit_length()
            lut += wide * (1.9 if size == 3 else 1)
            ff += wide * (level * c.pair % 2 == 0)
    return lut, ff, len(leaves)


def _array(c: EngineConfig) -> Resources:
    """Controls are delayed in shift-register LUTs. Weights in LUTs add a register of their
    address in each row; a block has the register of its word inside."""
    in_luts = sum(c.weight_style(row) == "distributed" for row in range(c.pe))
    return _part(c.dies * (18 + finish_layout(c).size),
                 12 * c.dies + in_luts * bits_for(c.weight_depth) + _relays(c))


def _relays(c: EngineConfig) -> int:
    """Registers on the ways from operand memory, sequencer and loader to the regions."""
    def tree(width: int, relays: int) -> int:
        """Of ``width`` bits with ``relays`` on the way to each region, on every die."""
        places = len(c.die_regions)
        return c.dies * width * (sum(levels(places, relays - 1)) + places) if relays else 0

    ff = (tree(c.simd * c.act_width, c.relays) + tree(region_controls(c).size, c.relays + 1)
          + tree(bits_for(c.weight_depth), c.relays))
    if c.loadable:
        ff += tree(region_load(c, 0).size, c.relays) + c.pe * (1 + c.acc_width) * c.relays
    return ff


def _weights(c: EngineConfig) -> Resources:
    word, depth = c.simd * c.weight_width + c.protect, c.weight_depth
    in_luts = sum(c.weight_style(row) == "distributed" for row in range(c.pe))
    in_blocks = c.pe - in_luts - c.uram_rows
    if c.loadable:
        luts, ffs = ram_luts(word, depth), word
    else:
        luts, ffs = rom(word, depth)
    return _part(in_luts * luts, in_luts * ffs, halves=in_blocks * bram18s(word, depth),
                 uram=c.uram_rows * urams(word, depth) if c.uram_rows else 0)


def _bias(c: EngineConfig) -> Resources:
    widths = [len(rows) * c.acc_width for rows in c.regions]
    if c.bias_depth > SHALLOW:
        return _part(halves=sum(bram18s(width, c.bias_depth) for width in widths))
    if c.loadable:
        return _part(sum(ram_luts(width, c.bias_depth) for width in widths), sum(widths))
    return total(_part(*rom(width, c.bias_depth)) for width in widths)


def _program(c: EngineConfig) -> Resources:
    lut = ff = halves = 0
    for width, depth in ((instruction_layout(c).size, c.program_depth),
                         (segment_layout(c).size, c.segments)):
        if depth > SHALLOW:
            halves += bram18s(width, depth)
        else:
            luts, ffs = rom(width, depth)
            lut, ff = lut + luts, ff + ffs
    return _part(lut, ff, halves=halves)


def _operands(c: EngineConfig) -> Resources:
    """The input and the h memory of a die, which has a bank for each die. A bank is written lane by
    lane; a multiplexer takes what is written past it. Of few words, its second port takes LUTs."""
    chunk, h = c.simd * c.act_width, (c.simd, c.act_width, max(2, c.h_depth))
    lut, ff, halves = chunk, c.simd, 0
    lut += c.dies * (1.1 * chunk + 8)
    ff += c.dies * (chunk + 4 * c.simd + bits_for(c.h_depth))
    if c.reach:
        ff += chunk + c.dies * c.simd
    if c.h_depth <= 8:
        lut += c.dies * 0.95 * chunk
    for lanes, width, depth in ((1, chunk, 2 << bits_for(c.x_depth)), *[h] * c.dies):
        if depth <= 64 or width * depth <= 2048:
            lut, ff = lut + lanes * ram_luts(width, depth), ff + chunk
        else:
            halves += lanes * bram18s(width, depth)
    return _part(lut, ff, halves=halves)


def _sequencer(c: EngineConfig) -> Resources:
    word = instruction_layout(c).size
    return _part(2.2 * word - 22, 2 * word - 6)


def _guards(c: EngineConfig) -> Resources:
    """A tree of LUTs for the parity of each word, and a flag; a copy of each control register, and
    its comparison, three bits a LUT; counters."""
    if not c.protect:
        return _part()
    checked = [c.simd * c.weight_width] * c.pe + [len(rows) * c.acc_width for rows in c.regions]
    checked += [instruction_layout(c).size, segment_layout(c).size]
    copies = _sequencer(c).ff + 80 + c.loadable * (2 * c.pe + 40)
    return _part(sum(ceil(bits / 5) for bits in checked) + copies / 3 + 50,
                 len(checked) + copies + 2 * bits_for(c.patience + 1) + 30)


def _router(c: EngineConfig) -> Resources:
    """For each lane a multiplexer for each row of an element, in each span; equal ones are shared.
    Where a group takes several beats or is finished again, a copy of the rows waits for that."""
    seen = {tuple(c.sources(lane, k).items())
            for lane in range(c.lanes) for k in range(4)} - {()}
    z = c.acc_width
    copies = c.rows * z if c.copies else 0
    relays = len(c.die_regions) + c.lanes * len(c.spans) * bits_for(len(c.routes))
    lut, ff = 25 + copies, finish_layout(c).size + beat_layout(c).size + relays + copies
    for rows in seen:
        held = [sum(row in span for _, row in rows) for span in c.spans]
        parts = sum(map(bool, held))
        lut += z * (sum(map(_mux, held)) + ceil((parts - 1) / 5))
        ff += z * (1 + (c.gather > 0) * parts + (c.gather > 1) * ceil(parts / 4))
    return _part(lut, ff)


def _scales(c: EngineConfig) -> Resources:
    """The memory of the scales, and a LUT for each row of a lane: the choice of a bit shares a LUT
    with the sign or the saturation behind it."""
    if not c.scale_depth:
        return _part()
    memory = ram_luts if c.loadable else lambda width, depth: rom(width, depth)[0]
    return _part(c.lanes * c.row_places + memory(c.scale_width, c.scale_depth),
                 c.scale_width)


def _kinds(c: EngineConfig, wanted: type) -> list:
    return [kind for kind in c.kinds if isinstance(kind, wanted)]


def _lstm_lanes(c: EngineConfig) -> Resources:
    """Fitted to single lanes of 8 to 18 bits (``docs/resources.md``)."""
    kinds = _kinds(c, LstmKind)
    if not kinds:
        return _part()
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
    return _part(c.lanes * lut, c.lanes * ff, (3 + wide) * c.lanes)


def _gru_lanes(c: EngineConfig) -> Resources:
    """As :func:`_lstm_lanes`."""
    kinds = _kinds(c, GruKind)
    if not kinds:
        return _part()
    t, cell, u = c.table.out_frac, c.cell_width, c.table.width
    lut = max(100, 20 * u + 10 * t + 11 * cell - 235)
    lut += 65 * (len(kinds) > 1) + 70 * c.has(ResetKind) + 110 * c.has(LoadKind)
    lut += 150 * _mixed(kinds) + ram_luts(cell, max(2, c.cell_depth)) - ram_luts(cell, 2)
    if c.has(AsideKind):
        lut += ram_luts(c.acc_width, c.cell_depth) + 2 * ram_luts(t + 1, c.cell_depth)
    ff = 6 * u + 4 * t + 7.5 * cell - 25
    if c.pair == 1:  # row a waits two cycles, in registers, instead of three, in a LUT
        lut, ff = lut - c.acc_width, ff + 2 * c.acc_width - (t + cell) - 2
    return _part(c.lanes * lut, c.lanes * ff, (2 + (t > 16 or cell > 18)) * c.lanes)


def _mixed(kinds: list[LstmKind] | list[GruKind]) -> bool:
    """Whether layers differ in their activations, so that a lane has the logic of several."""
    return len({(kind.gate.direct, kind.candidate.function) for kind in kinds}) > 1


def _merge_lanes(c: EngineConfig) -> Resources:
    functions = {kind.function for kind in _kinds(c, MergeKind)}
    largest, product = "max" in functions, "mul" in functions
    return _part(c.lanes * (largest * (5.2 * c.acc_width + 10) + product * c.act_width),
                 c.lanes * (largest * 3 * c.acc_width + product * c.act_width), c.lanes * product)


def _dense_lanes(c: EngineConfig) -> Resources:
    kinds = _kinds(c, DenseKind)
    if not kinds:
        return _part()
    a, t, u = c.result_width, c.table.out_frac, c.table.width
    tables = any(kind.tabled for kind in kinds)
    plain = any(kind.activation in ("linear", "relu") for kind in kinds)
    return _part(c.lanes * (plain * 1.3 * a + tables * (3.5 * u + 3 * t)),
                 c.lanes * (a + tables * (u + t) + tables * plain * 2 * a))


def _int8_lstm_lanes(c: EngineConfig) -> Resources:
    """Products: four sums of ``acc_width`` bits and o * tanh(c) of 31 with 31 bits, which take two
    slices for each 27 bits; three of 17 x 16 bits; a line of each table."""
    kinds = len(_kinds(c, Int8LstmKind))
    if not kinds:
        return _part()
    wide = 2 * (1 if c.acc_width <= 27 else 2) * 4 + 4
    tables = sum(bram18s(REMAINDER, segments * SEGMENT) + bram18s(LINE, segments)
                 for segments in (GATES, GATES, c.recips))
    lut = 1000 + 16 * c.acc_width + 78 * kinds + ram_luts(16, c.cell_depth) + ram_luts(
        64, c.cell_depth)
    return _part(c.lanes * lut, c.lanes * (330 + 19 * c.acc_width), c.lanes * (wide + 3 + 5),
                 c.lanes * tables)


def _int8_dense_lanes(c: EngineConfig) -> Resources:
    """A product of 25 x 24 bits, two slices; shifter and rounding."""
    if not c.factor_depth:
        return _part()
    lut, ff = rom(MANTISSA + EXPONENT, c.factor_depth) if c.factor_depth <= SHALLOW else (0, 0)
    halves = 0 if c.factor_depth <= SHALLOW else bram18s(MANTISSA + EXPONENT, c.factor_depth)
    long = c.acc_width if c.acc_width > MANTISSA else 0  # sums that are rounded to a mantissa
    return _part(c.lanes * (375 + 2 * long + lut), c.lanes * (166 + long + ff), 2 * c.lanes,
                 c.lanes * halves)


def _tables(c: EngineConfig) -> Resources:
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
    return _part(halves=halves * c.lanes)


def _lanes(c: EngineConfig) -> Resources:
    """The delays of a beat's controls, and where there are Dense lanes and others, the choice of a
    result."""
    lut = beat_layout(c).size
    if c.has(DenseKind) and c.has(LstmKind, GruKind, MergeKind):
        lut += 2 * c.lanes * c.act_width
    return _part(lut, beat_layout(c).size)


@dataclass(frozen=True)
class _Gearbox:
    """The bits of a gearbox that take logic.

    held: bits of its buffer. shifted: multiplexers of the shifter that moves a new word to the end
    of the buffer's content: in each stage one for every bit where the word, moved, overlaps the
    word in place. moving: bits of the buffer that take over a bit from further up when a word
    leaves. two: those of them that choose between two such bits, since the last word of a row is
    shorter than the others.
    """

    held: int
    shifted: int
    moving: int
    two: int

    @classmethod
    def of(cls, shape: GearboxShape) -> _Gearbox:
        unit = shape.unit * shape.width
        held = shape.units * unit
        put = (shape.size_in if shape.words_in > 1 else shape.rest_in) * shape.width
        shifted = 0
        for bit in range(shape.before.bit_length()):
            move = unit << bit
            shifted, put = shifted + max(0, put - move), put + move
        moving = max(0, held - min(shape.size_out, shape.rest_out) * shape.width)
        two = shape.words_out > 1 and shape.rest_out != shape.size_out
        return cls(held, shifted, moving, moving * two)


def _reader(c: EngineConfig) -> Resources:
    box = _Gearbox.of(gearboxes(c)[0])
    split = 0  # a choice for each bit of each operand, and one more than the first of them
    if c.x_split > 1:
        split = min(c.x_row, c.simd // c.x_split) * (c.x_split + 1) * c.act_width
    return _part(0.275 * box.held + 0.6 * box.shifted + 1.04 * box.moving + 0.71 * box.two + 65
                 + split,
                 box.held + 2 * bits_for(c.x_depth) + 16)


def _writer(c: EngineConfig) -> Resources:
    box = _Gearbox.of(gearboxes(c)[1])
    memory = c.out_banks * c.simd * ram_luts(c.result_width, 2 << bits_for(c.out_depth))
    return _part(0.61 * box.held + 0.92 * box.two + 3 + memory,
                 box.held + 2 * bits_for(c.out_depth) + 8)


def _crossings(c: EngineConfig) -> Resources:
    """To each die an input chunk, its operand and the tile; from it a chunk to every other die,
    over as many borders as there are, and one to the writer."""
    chunk = c.simd * c.act_width
    there = chunk + 2 * bits_for(max(c.x_depth, c.h_depth)) + instruction_layout(c).size
    if c.loadable:
        there += c.pe + c.load_width
    result = chunk + c.simd + bits_for(max(c.h_depth, c.out_depth))
    return _part(ff=c.dies * c.way_there * there + c.dies * (c.dies - 1) * c.cross * result
                 + c.out_banks * c.way_back * result)


def _loader(c: EngineConfig) -> Resources:
    if not c.loadable:
        return _part()
    address = bits_for(c.load_depth)
    return _part(2 * c.pe + 50, c.load_width + 2 * c.pe + 2 * address)
