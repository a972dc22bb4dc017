"""What a core takes of a device: memories by their shapes, logic by formulas. An estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil

from ...hdl.config import SHALLOW, DenseKind, EngineConfig, LstmKind, bits_for
from ...hdl.isa import instruction_layout, segment_layout
from ...hdl.row_router import beat_layout

__all__ = ["Resources", "bram18s", "estimate", "rom_luts", "urams"]


@dataclass(frozen=True)
class Resources:
    """Device resources; bram36 counts half blocks as 0.5."""

    lut: int
    ff: int
    dsp: int
    bram36: float
    uram: int

    def as_dict(self) -> dict:
        """For reports, with where the figures come from."""
        return asdict(self) | {"source": "estimate: gen/plan/resources.py (formulas over the "
                                         "plan's widths and depths; no vendor tool was run)"}


def bram18s(width: int, depth: int) -> int:
    """Half block RAMs (18 Kbit) of a memory that is read and written a word a cycle.

    A half block is 512 x 36, 1K x 18, 2K x 9, 4K x 4, 8K x 2 or 16K x 1 (UG573).
    """
    best = None
    for words, bits in ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)):
        blocks = ceil(width / bits) * ceil(depth / words)
        best = blocks if best is None else min(best, blocks)
    return best or 0


def urams(width: int, depth: int) -> int:
    """UltraRAMs of a row's weights: both ports of a 4K x 72 block read half a column (UG573)."""
    return ceil(width / 144) * ceil(depth / 2048)


def rom_luts(width: int, depth: int) -> int:
    """LUTs of a ROM in logic: 64 words a LUT6, multiplexers above 256 words (F7/F8 are free)."""
    slices = ceil(depth / 64)
    return width * (slices + (ceil(slices / 4) if slices > 4 else 0))


def _mux(inputs: int) -> float:
    """LUT6 of a bit of a multiplexer: 4:1 in one, 8:1 and 16:1 with free F7/F8."""
    return 0 if inputs <= 1 else 0.5 if inputs == 2 else ceil(inputs / 4)


def _ram_luts(width: int, depth: int) -> int:
    """LUTs of a simple dual-port LUT RAM: RAM32M16 holds 32 x 14 in 8 LUTs, RAM64M8 64 x 7."""
    return ceil(width / 14) * 8 if depth <= 32 else ceil(width / 7) * 8 * ceil(depth / 64)


def estimate(config: EngineConfig) -> Resources:
    """Resources of an engine."""
    c = config
    a, w, z = c.act_width, c.weight_width, c.acc_width
    luts = ffs = 0.0
    half_blocks = 0
    lanes = c.simd
    lstm = [kind for kind in c.kinds if isinstance(kind, LstmKind)]
    dense = [kind for kind in c.kinds if isinstance(kind, DenseKind)]

    # Multiplier rows: DSPs hold operands and products; trees and accumulators are fabric.
    level, terms, bits = 0, c.simd, a + w
    tree_lut = tree_ff = 0
    while terms > 1:
        level += 1
        tree_lut += (terms // 2) * (bits + level)
        terms = (terms + 1) // 2
        tree_ff += terms * (bits + level)
    row_lut = tree_lut + z * (2 if len(c.aligns) > 1 else 1)
    row_ff = tree_ff + 2 * z
    if c.park_depth:
        row_lut += _ram_luts(z, c.park_depth) + z / 2
    luts += c.pe * row_lut
    ffs += c.pe * row_ff

    # Weights, one word a row; bias; program.
    word = c.simd * w
    in_luts = sum(c.weight_style(row) == "distributed" for row in range(c.pe))
    luts += in_luts * (_ram_luts if c.loadable else rom_luts)(word, c.weight_depth)
    half_blocks += (c.pe - c.uram_rows - in_luts) * bram18s(word, c.weight_depth)
    ffs += in_luts * 2 * word
    if c.loadable:  # the word that is put together, and its copy on the way
        ffs += 2 * max(word, c.pe * z)
        luts += max(word, c.pe * z) / 4
    for bits, depth in ((c.pe * z, c.bias_depth), (instruction_layout(c).size, c.program_depth),
                        (segment_layout(c).size, c.segments)):
        if depth <= SHALLOW:
            luts += rom_luts(bits, depth)
            ffs += bits
        else:
            half_blocks += bram18s(bits, depth)

    # Operand and frame memories; gearboxes.
    chunk = c.simd * a
    half_blocks += bram18s(chunk, 2 << bits_for(c.x_depth)) + bram18s(chunk, c.h_depth)
    luts += _ram_luts(chunk, 2 << bits_for(c.out_depth)) + chunk / 2
    ffs += chunk
    capacities = (c.simd + 2 * c.beat - 1, c.beat + 2 * c.simd - 1)
    for capacity in capacities:
        luts += capacity * a * (1.5 + 0.5 * capacity.bit_length())
        ffs += capacity * a

    # Router: copies of the rows, a multiplexer a lane and gate.
    choices = max(sum(1 for route in c.routes if 0 <= route + lane < c.slots)
                  for lane in range(lanes))
    luts += lanes * 4 * z * _mux(choices) + (c.pe * z * 0.5 if c.max_beats > 1 else 0)
    ffs += lanes * 4 * z + (c.pe * z if c.max_beats > 1 else 0)

    # Lanes.
    u, table = c.table.width, c.table
    table_halves = bram18s(table.out_frac, 1 << (table.n0 + table.n1))
    if table.n2:
        table_halves += bram18s(table.t1_width, 1 << (table.n0 + table.n2 - 1))
    if lstm:
        per_gate = z * _mux(len(lstm)) + 3 * u + a
        luts += lanes * (4 * per_gate + 3 * (2 * a + 2) + 2 * (a + c.cell_width + 3)
                         + 3 * c.cell_width + _ram_luts(c.cell_width, c.cell_depth) + 3 * u + a)
        ffs += lanes * (4 * (u + a + 4) + 3 * (2 * a + 2) + 2 * (a + c.cell_width + 2)
                        + 5 * c.cell_width + 2 * u + 8 * a)
        half_blocks += lanes * 3 * table_halves
    if dense:
        luts += lanes * (z * 1.5 + a + z)
        ffs += lanes * (a + 2)
        half_blocks += lanes * table_halves * any(
            kind.activation in ("sigmoid", "tanh") for kind in dense)
    ffs += beat_layout(c).size * 14 + instruction_layout(c).size * 12
    luts += 400

    # A product of more than 27 x 18 bits takes two DSPs.
    per_product = 1 if min(a, w) <= 18 and max(a, w) <= 27 else 2
    dsps = c.pe * c.simd * per_product + (lanes * 3 if lstm else 0)
    return Resources(lut=round(luts), ff=round(ffs), dsp=dsps, bram36=half_blocks / 2,
                     uram=c.uram_rows * urams(word, c.weight_depth))
