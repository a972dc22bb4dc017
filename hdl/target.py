"""Where a component goes: the simulator, or Verilog files with shared modules and memory images.

Amaranth emits one Verilog module an *instance* and one object a *bit* of memory contents: too much
for thousands of equal multipliers and megabits of weights. Under a :class:`VerilogTarget`,
repeated components become instances of one shared module (:func:`shared`), and read-only memories
become instances of ``gatefold_rom``, which reads its contents from a file (:class:`Rom`). In
Amaranth's simulator, which knows no instances, both are plain Amaranth.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["ROM_VERILOG", "SHALLOW", "DualRom", "Rom", "VerilogTarget", "shared"]

#: The one hand-written Verilog module: a synchronous ROM filled from a $readmemh image.
ROM_VERILOG = """\
// Read-only memories filled from files. `GATEFOLD_WEIGHTS is the folder of the images.
`ifndef GATEFOLD_WEIGHTS
`define GATEFOLD_WEIGHTS "../weights"
`endif

module gatefold_rom #(
    parameter WIDTH = 16,
    parameter DEPTH = 16,
    parameter ADDR = 4,
    parameter FILE = "rom.hex",
    parameter STYLE = "block"
) (
    input wire clk,
    input wire en,
    input wire [ADDR-1:0] addr,
    output reg [WIDTH-1:0] data
);
    (* rom_style = STYLE *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    initial $readmemh({`GATEFOLD_WEIGHTS, "/", FILE}, mem);
    always @(posedge clk) if (en) data <= mem[addr];
endmodule

// The same with two read ports.
module gatefold_rom2 #(
    parameter WIDTH = 16,
    parameter DEPTH = 16,
    parameter ADDR = 4,
    parameter FILE = "rom.hex",
    parameter STYLE = "block"
) (
    input wire clk,
    input wire [ADDR-1:0] addr_a,
    input wire [ADDR-1:0] addr_b,
    output reg [WIDTH-1:0] data_a,
    output reg [WIDTH-1:0] data_b
);
    (* rom_style = STYLE *) reg [WIDTH-1:0] mem [0:DEPTH-1];
    initial $readmemh({`GATEFOLD_WEIGHTS, "/", FILE}, mem);
    always @(posedge clk) data_a <= mem[addr_a];
    always @(posedge clk) data_b <= mem[addr_b];
endmodule
"""

#: Read-only memories of up to so many words go to LUTs: a LUT holds 64 bits of one.
SHALLOW = 64


class VerilogTarget:
    """Passed as Amaranth's ``platform`` when exporting.

    Members: ``modules``, the shared components met so far, by module name.
    """

    def __init__(self):
        self.modules: dict[str, wiring.Component] = {}


def shared(name: str, component: wiring.Component, platform):
    """``component`` itself, or under a :class:`VerilogTarget` an instance of module ``name``.

    Either way the caller wires ``component``'s members. All components given under one name must be
    equal in every parameter: their ``key`` says so.
    """
    if not isinstance(platform, VerilogTarget):
        return component
    first = platform.modules.setdefault(name, component)
    if first.key != component.key:
        raise ValueError(f"shared module {name} must have one set of parameters, "
                         f"not {first.key!r} and {component.key!r}")
    ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in component.signature.flatten(component):
        ports[f"{'i' if member.flow is In else 'o'}_{'__'.join(map(str, path))}"] = value
    component._MustUse__used = True  # elaborated once, for all its instances
    return Instance(name, **ports)


class Rom(wiring.Component):
    """Synchronous read-only memory, ``latency`` 1 cycle from :attr:`addr` to :attr:`data`.

    Parameters
    ----------
    width, depth: bits of a word, words.
    file: name of the image in the weights folder.
    init: the words, for the simulator (``None``: zeros).
    in_luts: keep it out of block RAM; by default where it is :data:`SHALLOW`.

    Members
    -------
    addr, en: In, word address; the output holds while ``en`` is low. data: Out, ``width`` bits.
    """

    latency = 1

    def __init__(self, *, width: int, depth: int, file: str, init=None,
                 in_luts: bool | None = None):
        self.width, self.depth, self.file, self.init = width, depth, file, init
        self.in_luts = depth <= SHALLOW if in_luts is None else in_luts
        self.addr_width = max(1, (depth - 1).bit_length())
        super().__init__({
            "addr": In(self.addr_width),
            "en": In(1, init=1),
            "data": Out(unsigned(width)),
        })

    def placed(self, platform):
        """Itself, or under a :class:`VerilogTarget` an instance of ``gatefold_rom``."""
        return _image(self, "gatefold_rom", platform, i_en=self.en, i_addr=self.addr,
                      o_data=self.data)

    def elaborate(self, platform):
        m = Module()
        memory = m.submodules.memory = _contents(self)
        port = memory.read_port(domain="sync")
        m.d.comb += [port.addr.eq(self.addr), port.en.eq(self.en), self.data.eq(port.data)]
        return m


class DualRom(wiring.Component):
    """A :class:`Rom` with two read ports, which block RAMs have anyway.

    Members: ``addr_a``, ``addr_b``: In. ``data_a``, ``data_b``: Out, a cycle later.
    """

    latency = 1

    def __init__(self, *, width: int, depth: int, file: str, init=None):
        self.width, self.depth, self.file, self.init = width, depth, file, init
        self.in_luts = depth <= SHALLOW
        self.addr_width = max(1, (depth - 1).bit_length())
        super().__init__({
            "addr_a": In(self.addr_width),
            "addr_b": In(self.addr_width),
            "data_a": Out(unsigned(width)),
            "data_b": Out(unsigned(width)),
        })

    def placed(self, platform):
        """Itself, or under a :class:`VerilogTarget` an instance of ``gatefold_rom2``."""
        return _image(self, "gatefold_rom2", platform, i_addr_a=self.addr_a, i_addr_b=self.addr_b,
                      o_data_a=self.data_a, o_data_b=self.data_b)

    def elaborate(self, platform):
        m = Module()
        memory = m.submodules.memory = _contents(self)
        for name in "ab":
            port = memory.read_port(domain="sync")
            m.d.comb += [port.addr.eq(getattr(self, f"addr_{name}")),
                         getattr(self, f"data_{name}").eq(port.data)]
        return m


def _contents(rom: Rom | DualRom) -> Memory:
    init = [] if rom.init is None else [int(word) for word in rom.init]
    return Memory(shape=unsigned(rom.width), depth=rom.depth, init=init)


def _image(rom: Rom | DualRom, module: str, platform, **ports):
    if not isinstance(platform, VerilogTarget):
        return rom
    rom._MustUse__used = True
    return Instance(module, p_WIDTH=rom.width, p_DEPTH=rom.depth, p_ADDR=rom.addr_width,
                    p_FILE=rom.file, p_STYLE="distributed" if rom.in_luts else "block",
                    i_clk=ClockSignal(), **ports)
