"""The resources of each component of a core, measured: every module is synthesised once.

A row and a lane of each kind are one Verilog module each: their resources are multiplied. Every
other component is synthesised without these and without the ROMs. A ROM is synthesised once for
each shape.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from gatefold.gen.errors import UserError
from gatefold.gen.plan import Plan
from gatefold.gen.plan.amounts import Resources, total
from gatefold.gen.store.export import TOP, write_rtl
from gatefold.gen.synth.netlist import RAM_STUBS, Job, cells, netlists
from gatefold.hdl.config import EngineConfig
from gatefold.hdl.int8_dense_lane import EXPONENT, MANTISSA
from gatefold.hdl.isa import instruction_layout, segment_layout
from gatefold.hdl.kinds import DenseKind, GruKind, LstmKind, ResetKind
from gatefold.hdl.lane_array import LANES
from gatefold.hdl.recip_table import GATES, LINE, REMAINDER, SEGMENT
from gatefold.hdl.target import SHALLOW
from gatefold.hdl.weight_memory import RAM_VERILOG

__all__ = ["PARTS", "SHARED", "Measured", "measure"]

_LANES = tuple(f"gatefold_{name}_lane" for name in LANES)
_ROWS = ("gatefold_row", "gatefold_pair")
SHARED = (*_ROWS, *_LANES)
PARTS = ("array", "operands", "sequencer", "router", "reader", "writer")
_OF_A_DIE = ("array", "operands", "router")
_LABELS = dict.fromkeys(_ROWS, "rows") | {
    lane: f"{lane.removeprefix('gatefold_')}s" for lane in _LANES}
#: Where netlists are kept, by the hash of their input.
CACHE = Path(tempfile.gettempdir()) / f"gatefold-synth-{os.getuid()}"
#: Outputs of lanes that only test benches read.
_UNREAD = {f"gatefold_{name}_lane": f"gatefold_{name}_lane/o:c"
           for name in ("lstm", "gru", "int8_lstm")}

#: LUTs of a cell; an inverter counts, although a later step may absorb it. F7/F8 multiplexers and
#: carry chains are resources of their own.
_LOGIC = {f"LUT{n}": 1 for n in range(1, 7)} | {"INV": 1, "SRL16E": 1, "SRLC32E": 1}
_LUTS = (_LOGIC
         | {"RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2,
            "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM128X1S": 2, "RAM256X1S": 4,
            "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM512X1S": 8,
            "RAM64X8SW": 8})
_FFS = {f"FD{kind}{edge}": 1 for kind in ("RE", "SE", "CE", "PE") for edge in ("", "_1")}
_FABRIC = {*_LOGIC, *_FFS}
_HALVES = {"RAMB36E2": 2, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB18E1": 1}
_DSPS = {"DSP48E2": 1, "DSP48E1": 1}
_FREE = {"MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "URAM288", "VCC", "GND",
         "$scopeinfo"}
#: Modules inside a module that are measured by themselves.
_OUTSIDE = ("gatefold_core_", "gatefold_rom", "gatefold_ram", "gatefold_uram")


@dataclass(frozen=True)
class Measured:
    """components: by name, as :func:`gatefold.gen.plan.resources.components` names them. core,
    many, packed: the netlists by module: of components that a core has once; of rows, lanes and
    memories; of rows and lanes for xc7, of which logic and registers count."""

    components: dict[str, Resources]
    core: dict[str, dict]
    many: dict[str, dict]
    packed: dict[str, dict]

    @property
    def total(self) -> Resources:
        """The whole core."""
        return total(self.components.values())

    @property
    def lane_fabric(self) -> dict[str, int]:
        """LUTs and flip-flops in fabric that feed the DSP slices of a row, and multiplier registers
        (a, b, m, p) outside the slices. All 0 where each multiplier is a slice and nothing else."""
        row = next(self.packed[name] for name in _ROWS if name in self.packed)
        fed = {bit for cell in row["cells"].values() if cell["type"] in _DSPS
               for pin, bits in cell["connections"].items() if pin in ("A", "B", "C", "D")
               for bit in bits}
        operand = {bit for name, net in row["netnames"].items()
                   if re.fullmatch(r"[abmp]_\d+(_\d)?", name) for bit in net["bits"]}
        ffs = [cell["connections"]["Q"][0] for cell in row["cells"].values()
               if cell["type"] in _FFS]
        luts = [cell["connections"]["O"][0] for cell in row["cells"].values()
                if cell["type"].startswith("LUT") or cell["type"] == "INV"]
        return {"lut": sum(bit in fed for bit in luts),
                "ff": sum(bit in fed or bit in operand for bit in ffs)}


def resources(count: Counter) -> Resources:
    """A netlist's cells as resources; unknown cells are an error."""
    known = {*_LUTS, *_FFS, *_HALVES, *_DSPS, *_FREE, *SHARED}
    strange = [name for name in count if name not in known
               and not name.split("\\")[-1].startswith(_OUTSIDE)]
    if strange:
        raise UserError(f"a netlist has cells of unknown size: {strange[:5]}")

    def taken(table):
        return sum(table[name] * number for name, number in count.items() if name in table)

    return Resources(lut=taken(_LUTS), ff=taken(_FFS), dsp=taken(_DSPS),
                     bram36=taken(_HALVES) / 2, uram=count["URAM288"])


def verilog(plan: Plan) -> dict[str, str]:
    """The exported files of a plan by name, ROMs left out."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        return {name: (rtl / name).read_text() for name in write_rtl(rtl, plan)
                if name not in ("gatefold_rom.v", "gatefold_ram.v")}


def modules(texts: dict[str, str]) -> tuple[str, ...]:
    """Shared modules of an export."""
    return tuple(name for name in SHARED if f"{name}.v" in texts)


def measure(plan: Plan, *, cache: Path = CACHE) -> Measured:
    """Synthesise a core in three runs: the components that it has once; rows, lanes and memories;
    rows and lanes for another family, for which Yosys moves registers and additions into DSP
    slices.

    Minutes for a core of a thousand multipliers; seconds where ``cache`` has its netlists. Raises
    :class:`UserError` where Yosys fails.
    """
    c, texts = plan.config, verilog(plan)
    shared = modules(texts)
    places = {part: [f"gatefold_core_{part}{die}" for die in (
        [f"_{n}" for n in range(c.dies)] if c.dies > 1 and part in _OF_A_DIE else [""])]
        for part in ((*PARTS, "loader") if c.loadable else PARTS)}
    once = "".join(texts.values()) + (RAM_STUBS if c.loadable else "")
    core = netlists(Job(once, TOP, black=shared,
                        kept=tuple(name for names in places.values() for name in names)),
                    cache=cache)
    memories = _memories(c)
    shapes = tuple({shape: None for shape, _ in memories.values()})
    texts_shared = "".join(texts[f"{name}.v"] for name in shared)
    unread = tuple(_UNREAD[name] for name in shared if name in _UNREAD)
    images = {}
    names = {shape: f"memory_{n}" for n, shape in enumerate(shapes)}
    text_memories = (RAM_VERILOG if c.loadable else "") + "".join(
        _memory(name, shape, images) for shape, name in names.items())
    many = netlists(Job(texts_shared + text_memories + _all(shared, *names.values()), "all",
                        kept=(*shared, *names.values()), unread=unread, files=images),
                    cache=cache)
    packed = netlists(Job(texts_shared + _all(shared), "all", "xc7", kept=shared, unread=unread),
                      cache=cache)

    out = {part: total(resources(cells(core[name])) for name in names)
           for part, names in places.items()}
    # The top module still holds the lanes' delays and the choice between their results, and the
    # registers from die to die.
    out["lanes"] = resources(cells(core[TOP]))
    # Block RAM and UltraRAM have an output register: it takes that of a row's weight word.
    in_blocks = sum(c.weight_style(row) != "distributed" for row in range(c.pe))
    out["array"] += Resources(ff=-in_blocks * c.simd * c.weight_width)
    for name in shared:
        # From xc7 the logic and the registers, for there the DSP slices take theirs; from xcup the
        # slices themselves and the memories.
        found, held = cells(many[name]), cells(packed[name])
        part = resources(Counter({cell: number for cell, number in found.items()
                                  if cell not in _FABRIC})
                         + Counter({cell: number for cell, number in held.items()
                                    if cell in _FABRIC}))
        number = c.pe // (1 + c.packed) if name in _ROWS else c.lanes * c.dies
        out[_LABELS[name]] = part * number
    for label, (shape, number) in memories.items():
        name = label.split()[0]
        part = _scaled(resources(cells(many[names[shape]])), shape) * number
        out[name] = out.get(name, Resources()) + part
    return Measured(out, core, many, packed)


def _all(*parts) -> str:
    """A module that holds one of each."""
    flat = [name for part in parts for name in ([part] if isinstance(part, str) else part)]
    return "module all;\n" + "".join(f"(* keep *) {name} u_{name} ();\n" for name in flat) + (
        "endmodule\n")


#: A memory's shape: width, depth, read ports, and where it is: "logic" (a ROM in LUTs), "block",
#: "distributed" (writable), "ultra".
Shape = tuple[int, int, int, str]


def _memories(c: EngineConfig) -> dict[str, tuple[Shape, int]]:
    """Shape and number of every memory, by its component (and which of its memories)."""
    def rom(width, depth, ports=1) -> Shape:
        return width, depth, ports, "logic" if depth <= SHALLOW else "block"

    word = c.simd * c.weight_width
    styles = Counter(c.weight_style(row) for row in range(c.pe))
    in_luts = "distributed" if c.loadable else "logic"
    bias = "distributed" if c.loadable and c.bias_depth <= SHALLOW else None
    found = {f"weights {style}": ((word, c.weight_depth, 1,
                                   in_luts if style == "distributed" else style), number)
             for style, number in styles.items()}
    if c.scale_depth:
        shape = c.scale_width, c.scale_depth, 1, in_luts
        found["scales"] = shape, c.dies
    for width, number in Counter(len(rows) * c.acc_width for rows in c.regions).items():
        *_, style = rom(width, c.bias_depth)
        found[f"bias {width}"] = (width, c.bias_depth, 1, bias or style), number
    found |= {
        "program p": (rom(instruction_layout(c).size, c.program_depth), 1),
        "program s": (rom(segment_layout(c).size, c.segments), 1),
    }
    table = c.table
    dense = any(isinstance(kind, DenseKind) and kind.activation in (
        "sigmoid", "tanh") for kind in c.kinds)
    # Two look-ups a memory: three pairs of an LSTM's five, two of a GRU's three.
    number = c.dies * c.lanes * (3 * c.has(LstmKind) + 2 * c.has(GruKind, ResetKind) + dense)
    found["tables 0"] = (rom(table.out_frac, 1 << (table.n0 + table.n1), 2), number)
    if table.n2:
        found["tables 1"] = (rom(table.t1_width, 1 << (table.n0 + table.n2 - 1), 2), number)
    if c.curve:
        number, table = c.dies * c.lanes * len(c.curves), c.curve
        found["curves 0"] = (rom(table.out_frac, 1 << (table.n0 + table.n1), 2), number)
        if table.n2:
            found["curves 1"] = (rom(table.t1_width, 1 << (table.n0 + table.n2 - 1), 2), number)
    lanes = c.dies * c.lanes
    if c.recips:  # two look-ups a memory: two pairs of gates, and c
        for name, segments, number in (("gates", GATES, 2 * lanes), ("cell", c.recips, lanes)):
            found |= {f"int8_lstm_lanes {name} {what}": (rom(width, depth, 2), number)
                      for what, width, depth in (("lines", LINE, segments),
                                                 ("remainders", REMAINDER, segments * SEGMENT))}
    if c.factor_depth:
        found["int8_dense_lanes factors"] = (rom(MANTISSA + EXPONENT, c.factor_depth), lanes)
    return {label: value for label, value in found.items() if value[1]}


def _sample(shape: Shape) -> int:
    """Bits of a word that are synthesised, as a sample of all. Where there are few words, many
    columns are equal and share their LUTs, so more of the width is synthesised."""
    width, depth, _, style = shape
    if style != "logic":
        return width
    return min(width, 4096 if depth <= 12 else 256 if depth <= SHALLOW else 32)


def _scaled(part: Resources, shape: Shape) -> Resources:
    width, sample = shape[0], _sample(shape)
    return replace(part, lut=ceil(part.lut * width / sample), ff=ceil(part.ff * width / sample))


def _memory(name: str, shape: Shape, images: dict[str, str]) -> str:
    """A memory of ``shape``. A ROM in LUTs has random contents, added to ``images``; one in block
    RAM is written as if it could be, which takes the same blocks and needs no contents."""
    _, depth, ports, style = shape
    addr = max(1, (depth - 1).bit_length())
    width = _sample(shape)
    letters = "ab"[:ports]
    head = (f"module {name}(input clk, input we, input [{addr - 1}:0] w_addr, "
            f"input [{width - 1}:0] d, "
            + ", ".join(f"input [{addr - 1}:0] addr_{n}, output [{width - 1}:0] data_{n}"
                        for n in letters) + ");\n")
    if style in ("ultra", "distributed"):
        kind = ("gatefold_uram #(" if style == "ultra" else
                "gatefold_ram #(.STYLE(\"distributed\"), ")
        return (f"{head}{kind}.WIDTH({width}), .DEPTH({depth}), .ADDR({addr})) m (.clk(clk), "
                ".w_en(we), .w_addr(w_addr), .w_data(d), .addr(addr_a), .data(data_a));\n"
                "endmodule\n")
    body = "".join(f"reg [{width - 1}:0] q_{n}; assign data_{n} = q_{n};\n" for n in letters)
    attribute = "rom_style = \"logic\"" if style == "logic" else "ram_style = \"block\""
    body += f"(* {attribute} *) reg [{width - 1}:0] mem [0:{depth - 1}];\n"
    if style == "logic":
        bits = random.Random(f"{width} {depth}")
        images[f"{name}.hex"] = "".join(
            f"{bits.getrandbits(width):0{-(-width // 4)}x}\n" for _ in range(depth))
        body += f"initial $readmemh(\"{name}.hex\", mem);\n"
    else:
        body += "always @(posedge clk) if (we) mem[addr_a] <= d;\n"
    body += "".join(f"always @(posedge clk) q_{n} <= mem[addr_{n}];\n" for n in letters)
    return head + body + "endmodule\n"
