"""What a core takes of a device: a formula for each component, over the plan's widths and depths.

The coefficients were fitted to what open synthesis finds: ``tools/synth`` repeats the comparison,
and ``docs/resources.md`` says how it is done and how far off the formulas are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import ceil

from gatefold.gen.plan import resources_lanes as lanes
from gatefold.gen.plan import resources_streams as streams
from gatefold.gen.plan.amounts import Resources, part, total
from gatefold.gen.plan.memories import bram18s, ram_luts, rom, urams
from gatefold.hdl.arith import tree
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import region_controls, region_load
from gatefold.hdl.isa import beat_layout, finish_layout, instruction_layout, segment_layout
from gatefold.hdl.mac_row import first_sums
from gatefold.hdl.relay import levels
from gatefold.hdl.target import SHALLOW

__all__ = ["components", "estimate"]


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
        "scales": lanes.scales(config) * dies,
        "lstm_lanes": lanes.lstm_lanes(config) * dies,
        "gru_lanes": lanes.gru_lanes(config) * dies,
        "merge_lanes": lanes.merge_lanes(config) * dies,
        "dense_lanes": lanes.dense_lanes(config) * dies,
        "int8_lstm_lanes": lanes.int8_lstm_lanes(config) * dies,
        "int8_dense_lanes": lanes.int8_dense_lanes(config) * dies,
        "tables": lanes.tables(config) * dies,
        "lanes": lanes.lanes(config) * dies + streams.crossings(config),
        "reader": streams.reader(config),
        "writer": streams.writer(config),
        "loader": streams.loader(config),
        "guards": _guards(config),
    }
    return {name: part for name, part in parts.items() if part != Resources()}


@lru_cache(maxsize=64)  # what is tried again differs in nothing, or in where its weights are
def estimate(config: EngineConfig) -> Resources:
    """Resources of an engine."""
    if config.lut_rows:
        other = replace(config, lut_rows=0)
        return estimate(other) - _of_places(other) + _of_places(config)
    return total(components(config).values())


def _of_places(c: EngineConfig) -> Resources:
    """Of the components, those that depend on how many rows have their weights in LUTs."""
    return _array(c) + _weights(c)


def _in_luts(c: EngineConfig) -> int:
    """Rows whose weights are in LUTs, as of :meth:`EngineConfig.weight_style`."""
    left = c.pe - c.uram_rows
    return left if c.weight_depth <= SHALLOW else min(left, c.lut_rows)


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
    return part(c.pe * lut, c.pe * (tree_ff + 2 * z), c.slices * each)


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
    return part(c.dies * (18 + finish_layout(c).size),
                12 * c.dies + _in_luts(c) * bits_for(c.weight_depth) + _relays(c))


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
    in_luts = _in_luts(c)
    in_blocks = c.pe - in_luts - c.uram_rows
    if c.loadable:
        luts, ffs = ram_luts(word, depth), word
    else:
        luts, ffs = rom(word, depth)
    return part(in_luts * luts, in_luts * ffs, halves=in_blocks * bram18s(word, depth),
                uram=c.uram_rows * urams(word, depth) if c.uram_rows else 0)


def _bias(c: EngineConfig) -> Resources:
    widths = [len(rows) * c.acc_width for rows in c.regions]
    if c.bias_depth > SHALLOW:
        return part(halves=sum(bram18s(width, c.bias_depth) for width in widths))
    if c.loadable:
        return part(sum(ram_luts(width, c.bias_depth) for width in widths), sum(widths))
    return total(part(*rom(width, c.bias_depth)) for width in widths)


def _program(c: EngineConfig) -> Resources:
    lut = ff = halves = 0
    for width, depth in ((instruction_layout(c).size, c.program_depth),
                         (segment_layout(c).size, c.segments)):
        if depth > SHALLOW:
            halves += bram18s(width, depth)
        else:
            luts, ffs = rom(width, depth)
            lut, ff = lut + luts, ff + ffs
    return part(lut, ff, halves=halves)


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
    for number, width, depth in ((1, chunk, 2 << bits_for(c.x_depth)), *[h] * c.dies):
        if depth <= 64 or width * depth <= 2048:
            lut, ff = lut + number * ram_luts(width, depth), ff + chunk
        else:
            halves += number * bram18s(width, depth)
    return part(lut, ff, halves=halves)


def _sequencer(c: EngineConfig) -> Resources:
    word = instruction_layout(c).size
    return part(2.2 * word - 22, 2 * word - 6)


def _guards(c: EngineConfig) -> Resources:
    """A tree of LUTs for the parity of each word, and a flag; a copy of each control register, and
    its comparison, three bits a LUT; counters."""
    if not c.protect:
        return part()
    checked = [c.simd * c.weight_width] * c.pe + [len(rows) * c.acc_width for rows in c.regions]
    checked += [instruction_layout(c).size, segment_layout(c).size]
    copies = _sequencer(c).ff + 80 + c.loadable * (2 * c.pe + 40)
    return part(sum(ceil(bits / 5) for bits in checked) + copies / 3 + 50,
                len(checked) + copies + 2 * bits_for(c.patience + 1) + 30)


def _mux(inputs: int) -> int:
    """LUTs of a multiplexer of one bit: a LUT6 takes four inputs, and up to 16 inputs the LUTs are
    joined for nothing (F7, F8)."""
    return 0 if inputs <= 1 else ceil(inputs / 4)


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
    return part(lut, ff)


