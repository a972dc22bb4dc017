"""tools/verification: which points of a core's coverage count."""

import pytest

from tests.support.tools import tool

pytest.importorskip("pysat")
coverage = tool("tools/verification", "coverage")

VERILOG = """\
module gatefold_core(clk);
  wire [2:0] next;
  wire at_end;
  reg held;
  assign t1 = next ? next__t1 : 2'h0;
  assign t2 = at_end ? 1'h0 : 1'h1;
  assign t3 = next[1] ? 1'h0 : 1'h1;
  always @* begin
    if (held) begin
    end else if (at_end) begin
    end
  end
endmodule
module gatefold_core_other(clk);
endmodule
"""

#: A point and the bits that decide it.
POINTS = {
    "toggles\tgatefold_core\tnext[2]:0->1": {("gatefold_core", "next", 2)},
    "toggles\tgatefold_core\theld:1->0": {("gatefold_core", "held", 0)},
    "toggles\tgatefold_ram\tmem[3][5]:1->0": {("gatefold_ram", "mem[3]", 5)},
    "branches\tgatefold_core\tassign t# = next ? next__t# : #; | cond_then":
        {("gatefold_core", "next", bit) for bit in range(3)},
    # Two statements have this text, without their numbers.
    "branches\tgatefold_core\tassign t# = at_end ? # : #; | cond_else":
        {("gatefold_core", "at_end", 0)},
    "branches\tgatefold_core\tassign t# = next[#] ? # : #; | cond_else":
        {("gatefold_core", "next", 1)},
    "branches\tgatefold_core\tend else if (at_end) begin | if": {("gatefold_core", "at_end", 0)},
    "branches\tgatefold_core\tassign nothing = of ? the : kind; | cond_then": set(),
}


@pytest.mark.parametrize("point", POINTS)
def test_the_bits_that_decide_a_point(point, tmp_path):
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "gatefold.v").write_text(VERILOG)
    assert coverage.deciding(point, tmp_path) == POINTS[point]


def test_the_other_side_of_a_branch():
    assert coverage.other_side("branches\tm\tif (a) begin | else") == (
        "branches\tm\tif (a) begin | if")
    assert coverage.other_side("branches\tm\tassign a = b ? c : d; | cond_then") == (
        "branches\tm\tassign a = b ? c : d; | cond_else")


def test_an_exclusion_of_what_is_reached_or_of_nothing_is_told(tmp_path, monkeypatch):
    lines = tmp_path / "coverage.tsv"
    monkeypatch.setattr(coverage, "EXCLUDED", lines)
    merged = {"toggles\tm\ta[0]:0->1": False, "toggles\tm\ta[1]:0->1": True,
              "toggles\tm\tb:0->1": False}
    lines.write_text("# a comment\ntoggles\tm\tb:.*\tb is never set\n")
    assert coverage.excused(merged) == ({"toggles\tm\tb:0->1": "b is never set"}, [])
    lines.write_text("toggles\tm\ta.*\ta is never set\ntoggles\tn\t.*\tthere is no n\n")
    reasons, wrong = coverage.excused(merged)
    assert [text.partition(":")[0] for text in wrong] == [
        "coverage.tsv excludes what is reached", "coverage.tsv has a line that matches nothing"]
