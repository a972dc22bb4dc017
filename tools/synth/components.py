"""What each component of a core takes, measured: one synthesis a module, equal modules once.

A row, an LSTM lane and a Dense lane are one Verilog module each: they are synthesised once and
multiplied. Every other component is synthesised with those and with the ROMs left out. A ROM is
synthesised by its shape, once.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import astuple, dataclass
from math import ceil
from pathlib import Path

from gatefold.gen.export import TOP, write_rtl
from gatefold.gen.plan import Plan
from gatefold.gen.plan.resources import Resources
from gatefold.hdl.config import DenseKind, EngineConfig
from gatefold.hdl.isa import instruction_layout, segment_layout
from gatefold.hdl.target import SHALLOW
from netlist import Job, cells, netlists

__all__ = ["PARTS", "SHARED", "Measured", "measure"]

SHARED = ("gatefold_row", "gatefold_lstm_lane", "gatefold_dense_lane")
PARTS = ("array", "operands", "sequencer", "router", "reader", "writer")
_LABELS = {"gatefold_row": "rows", "gatefold_lstm_lane": "lstm_lanes",
           "gatefold_dense_lane": "dense_lanes"}

#: LUTs of a cell; an inverter counts, although a later step may absorb it. F7/F8 multiplexers and
#: carry chains stand beside the LUTs.
_LUTS = ({f"LUT{n}": 1 for n in range(1, 7)}
         | {"INV": 1, "SRL16E": 1, "SRLC32E": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2,
            "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM128X1S": 2, "RAM256X1S": 4,
            "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM512X1S": 8,
            "RAM64X8SW": 8})
_FFS = {f"FD{kind}{edge}": 1 for kind in ("RE", "SE", "CE", "PE") for edge in ("", "_1")}
_HALVES = {"RAMB36E2": 2, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB18E1": 1}
_DSPS = {"DSP48E2": 1, "DSP48E1": 1}
_FREE = {"MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "URAM288", "VCC", "GND",
         "$scopeinfo"}


@dataclass(frozen=True)
class Measured:
    """components: by name, as :func:`gatefold.gen.plan.resources.components` names them. core,
    many, packed: the netlists by module: of what is there once; of what is there many times, and
    of the ROMs; the same for xc7, with final registers and DSP slices only."""

    components: dict[str, Resources]
    core: dict[str, dict]
    many: dict[str, dict]
    packed: dict[str, dict]


def resources(count: Counter) -> Resources:
    """A netlist's cells as resources; cells that are not known are an error."""
    known = {*_LUTS, *_FFS, *_HALVES, *_DSPS, *_FREE, *SHARED}
    strange = [name for name in count if name not in known
               and not name.split("\\")[-1].startswith(("gatefold_core_", "gatefold_rom"))]
    if strange:
        raise SystemExit(f"components.py does not know what these cells take: {strange}")

    def total(table):
        return sum(table[name] * number for name, number in count.items() if name in table)

    return Resources(lut=total(_LUTS), ff=total(_FFS), dsp=total(_DSPS),
                     bram36=total(_HALVES) / 2, uram=count["URAM288"])


def _times(part: Resources, number: int) -> Resources:
    """``number`` copies."""
    return Resources(*(value * number for value in astuple(part)))


def verilog(plan: Plan) -> dict[str, str]:
    """The exported files of a plan by name, ROMs left out."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        return {name: (rtl / name).read_text() for name in write_rtl(rtl, plan)
                if name != "gatefold_rom.v"}


def modules(texts: dict[str, str]) -> tuple[str, ...]:
    """Shared modules of an export."""
    return tuple(name for name in SHARED if f"{name}.v" in texts)


def measure(plan: Plan, *, cache: Path) -> Measured:
    """Synthesise a core in three runs: what is there once, what is there many times and the ROMs,
    and what is there many times for another family, which takes registers into DSP slices."""
    c, texts = plan.config, verilog(plan)
    shared = modules(texts)
    core = netlists(Job("".join(texts.values()), TOP, black=shared,
                        kept=tuple(f"gatefold_core_{part}" for part in PARTS)), cache=cache)
    roms = _roms(c)
    shapes = tuple({shape: None for shape, _ in roms.values()})
    texts_shared = "".join(texts[f"{name}.v"] for name in shared)
    unread = ("gatefold_lstm_lane/o:c",) if "gatefold_lstm_lane" in shared else ()
    images = {}
    names = {shape: f"rom_{n}" for n, shape in enumerate(shapes)}
    text_roms = "".join(_rom(name, shape, images) for shape, name in names.items())
    many = netlists(Job(texts_shared + text_roms + _all(shared, *names.values()), "all",
                        kept=(*shared, *names.values()), unread=unread, files=images),
                    cache=cache)
    packed = netlists(Job(texts_shared + _all(shared), "all", "xc7", kept=shared, unread=unread),
                      cache=cache)

    out = {part: resources(cells(core[f"gatefold_core_{part}"])) for part in PARTS}
    # What is left in the top module: the lanes' delays and the choice between their results.
    out["lanes"] = resources(cells(core[TOP]))
    # Block RAMs have an output register: it takes the register of a row's weight word.
    in_blocks = c.pe - (c.pe if c.weight_depth <= SHALLOW else c.lut_rows)
    out["array"] = _minus_ffs(out["array"], in_blocks * c.simd * c.weight_width)
    for name in shared:
        # xcup for all but its registers: of these xc7 takes what a DSP slice holds.
        found = resources(cells(many[name]))
        ffs = sum(number for cell, number in cells(packed[name]).items() if cell in _FFS)
        part = Resources(found.lut, ffs, found.dsp, found.bram36, found.uram)
        out[_LABELS[name]] = _times(part, c.pe if name == "gatefold_row" else c.simd)
    for label, (shape, number) in roms.items():
        name = label.split()[0]
        part = _times(_scaled(resources(cells(many[names[shape]])), shape), number)
        out[name] = _plus(out[name], part) if name in out else part
    return Measured(out, core, many, packed)


def _all(*parts) -> str:
    """A module that holds one of each."""
    flat = [name for part in parts for name in ([part] if isinstance(part, str) else part)]
    return "module all;\n" + "".join(f"(* keep *) {name} u_{name} ();\n" for name in flat) + (
        "endmodule\n")


def _plus(a: Resources, b: Resources) -> Resources:
    return Resources(*(x + y for x, y in zip(astuple(a), astuple(b), strict=True)))


def _minus_ffs(part: Resources, ffs: int) -> Resources:
    """Without ``ffs`` registers that stand in a hard block."""
    return Resources(part.lut, part.ff - ffs, part.dsp, part.bram36, part.uram)


#: A ROM's shape: width, depth, read ports, whether in LUTs.
Shape = tuple[int, int, int, bool]


def _roms(c: EngineConfig) -> dict[str, tuple[Shape, int]]:
    """Component and which ROM of it: its shape, how often."""
    def shape(width, depth, ports=1, luts=False) -> Shape:
        return width, depth, ports, luts or depth <= SHALLOW

    word = c.simd * c.weight_width
    in_luts = c.pe if c.weight_depth <= SHALLOW else c.lut_rows
    roms = {
        "weights l": (shape(word, c.weight_depth, luts=True), in_luts),
        "weights b": (shape(word, c.weight_depth), c.pe - in_luts),
        "bias": (shape(c.pe * c.acc_width, c.bias_depth), 1),
        "program p": (shape(instruction_layout(c).size, c.program_depth), 1),
        "program s": (shape(segment_layout(c).size, c.segments), 1),
    }
    table = c.table
    dense = any(isinstance(kind, DenseKind) and kind.activation in ("sigmoid", "tanh")
                for kind in c.kinds)
    number = c.simd * (3 * c.has_lstm + dense)
    roms["tables 0"] = (shape(table.out_frac, 1 << (table.n0 + table.n1), 2), number)
    if table.n2:
        roms["tables 1"] = (shape(table.t1_width, 1 << (table.n0 + table.n2 - 1), 2), number)
    return {label: value for label, value in roms.items() if value[1]}


def _sample(shape: Shape) -> int:
    """Bits of a word that are synthesised; the rest is like it. Few words have few different
    contents, which are shared over the whole width."""
    width, depth, _, luts = shape
    return min(width, 4096 if depth <= 8 else 256 if depth <= SHALLOW else 32) if luts else width


def _scaled(part: Resources, shape: Shape) -> Resources:
    width, sample = shape[0], _sample(shape)
    return Resources(*(ceil(value * width / sample) for value in astuple(part)[:2]),
                     *astuple(part)[2:])


def _rom(name: str, shape: Shape, images: dict[str, str]) -> str:
    """A ROM of random contents, added to ``images``; in block RAM a memory that could be written,
    which takes the same blocks and needs no contents."""
    _, depth, ports, luts = shape
    addr = max(1, (depth - 1).bit_length())
    width = _sample(shape)
    letters = "ab"[:ports]
    head = (f"module {name}(input clk, input we, input [{width - 1}:0] d, "
            + ", ".join(f"input [{addr - 1}:0] addr_{n}, output reg [{width - 1}:0] data_{n}"
                        for n in letters) + ");\n")
    style = "rom_style = \"logic\"" if luts else "ram_style = \"block\""
    body = f"(* {style} *) reg [{width - 1}:0] mem [0:{depth - 1}];\n"
    if luts:
        bits = random.Random(f"{width} {depth}")
        images[f"{name}.hex"] = "".join(
            f"{bits.getrandbits(width):0{-(-width // 4)}x}\n" for _ in range(depth))
        body += f"initial $readmemh(\"{name}.hex\", mem);\n"
    else:
        body += "always @(posedge clk) if (we) mem[addr_a] <= d;\n"
    body += "".join(f"always @(posedge clk) data_{n} <= mem[addr_{n}];\n" for n in letters)
    return head + body + "endmodule\n"
