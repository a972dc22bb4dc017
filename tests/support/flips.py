"""A campaign of single bit flips: what becomes of a flip in any register or memory of a core.

Every flip has a run of its own, from a reset on: frames at full rate, a bit that changes in some
cycle, and the outputs compared with golden. Icarus plays them one after the other.
"""

import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from gatefold.hdl.isa import instruction_layout, segment_layout
from gatefold.hdl.target import SHALLOW
from gatefold.sim.core_info import load_core_info
from gatefold.sim.expected import expectation

FRAMES = 5

_BENCH = """\
`timescale 1ns / 1ps
module campaign;
    localparam integer IN = @IN@, OUT = @OUT@, LOAD = @LOAD@, FRAMES = @FRAMES@, LIMIT = @LIMIT@;
    reg clk = 0;
    always #5 clk = !clk;
    reg rst = 1, s_valid = 0, s_last = 0, m_ready = 1, l_valid = 0, l_last = 0;
    reg [@MSB@:0] s_data = 0, l_data = 0;
    wire s_ready, m_valid, m_last, frame_error;
    wire l_ready;
    wire [@MSB@:0] m_data;
    wire [3:0] fault;
    gatefold dut (.clk(clk), .rst(rst), .frame_error(frame_error), .s_axis_tdata(s_data),
        .s_axis_tvalid(s_valid), .s_axis_tready(s_ready), .s_axis_tlast(s_last),
        .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready),
        .m_axis_tlast(m_last)@PORTS@);
    @UNUSED@
    reg [@MSB@:0] in_beats [0:FRAMES*IN-1], out_beats [0:FRAMES*OUT-1], load_beats [0:LOAD];
    integer flips, target, at, fields, sent, got, wrong, quiet, cycle, loaded, first;
    reg s_fires, m_fires, l_fires, found;
    reg [3:0] seen;

    task flip(input integer k);
        case (k)
@CASES@
        endcase
    endtask

    // A reset, and frames until all are out, nothing moves any more, or a fault is seen.
    task play(input reset, input integer frames, input integer flip_at);
        begin
            if (reset) begin
                @(negedge clk) rst = 1; s_valid = 0; l_valid = 0;
                @(negedge clk) rst = 0;
            end
            sent = 0; got = 0; wrong = 0; quiet = 0; cycle = 0; found = 0;
            loaded = 0;
            while (got < frames * OUT && quiet < LIMIT && !found) begin
                s_valid = sent < frames * IN;
                s_data = in_beats[sent < frames * IN ? sent : 0];
                s_last = sent % IN == IN - 1;
                l_valid = loaded < LOAD;
                l_data = load_beats[loaded];
                l_last = loaded == LOAD - 1;
                if (cycle == flip_at) flip(target);
                #4 s_fires = s_valid && s_ready; m_fires = m_valid === 1 && m_ready;
                l_fires = l_valid && l_ready;
                if (m_fires) begin
                    if (m_data !== out_beats[got] || m_last !== (got % OUT == OUT - 1)) wrong = 1;
                    got = got + 1;
                end
                if (m_valid === 1'bx) wrong = 1;
                sent = sent + (s_fires === 1);
                loaded = loaded + (l_fires === 1);
                quiet = s_fires === 1 || m_fires || l_fires === 1 ? 0 : quiet + 1;
                if (loaded == LOAD) cycle = cycle + 1;
                @(negedge clk) found = @WATCHES@ && fault !== 0 && flip_at >= 0;
            end
            s_valid = 0;
        end
    endtask

    initial begin
        $readmemh("in.hex", in_beats);
        $readmemh("out.hex", out_beats);
        if (LOAD > 0) $readmemh("../weights/load.hex", load_beats, 0, LOAD - 1);
        if ($test$plusargs("list")) begin
            $dumpfile("names.vcd");
            $dumpvars(0, dut);
            #1 $finish(0);
        end
        flips = $fopen("flips.txt", "r");
        fields = $fscanf(flips, "%d %d", target, at);
        while (fields == 2) begin
            play(1, FRAMES, at);
            first = got;
            seen = fault;
            $write("%0d %0d %0d %0d %b", target, at, got == FRAMES * OUT, wrong, seen);
            if (seen !== 0 || got != FRAMES * OUT) begin
                // Memories are written anew; after its watchdog a core needs no other reset.
                if (target >= @REGISTERS@) flip(target);
                play(!seen[3], 2, -1);
                $write(" %0d", got == 2 * OUT && !wrong);
            end else if (target >= @REGISTERS@) flip(target);
            $write("\\n");
            fields = $fscanf(flips, "%d %d", target, at);
        end
        $finish(0);
    end
endmodule
"""


class Campaign:
    """Flips in the core in ``folder`` (a saved core of ``plan``), which it compiles."""

    def __init__(self, folder: Path, plan):
        self.plan, self.folder = plan, folder
        self.info = load_core_info(folder)
        self.run_folder = folder / "flips"
        self.run_folder.mkdir()
        self._write_frames()
        self._build([], 0)
        self._vvp("+list")
        self.registers = self._registers()
        self.memories = self._memories()
        cases = [f"{path} = ~{path};" for path in self.registers + self.memories]
        self._build(cases, len(self.registers))

    def _write_frames(self) -> None:
        info, qnet = self.info, self.plan.qnet
        lo, hi = qnet.input_limits()
        rng = np.random.default_rng(0)
        x = rng.integers(lo, hi + 1, (FRAMES, info.n_in))
        y, _ = expectation(qnet, x.reshape(FRAMES, *qnet.input_shape))(
            range(FRAMES), np.arange(FRAMES) == 0 if info.stateful else np.ones(FRAMES, bool))
        whole = replace(info.stream, element_bits=info.stream.container_bits)  # results are wider
        for name, values in (("in", x), ("out", y.reshape(FRAMES, -1))):
            beats = whole.pack(values)
            digits = info.stream.beat_bits // 4
            text = "".join(f"{word:0{digits}x}\n" for frame in beats for word in frame)
            (self.run_folder / f"{name}.hex").write_text(text)

    def _build(self, cases: list[str], registers: int) -> None:
        info, protect = self.info, self.plan.config.protect
        ports = ", .fault(fault)" if protect else ""
        unused = "" if protect else "assign fault = 0;"
        if info.load_beats:
            ports += (", .s_load_tdata(l_data), .s_load_tvalid(l_valid), .s_load_tready(l_ready), "
                      ".s_load_tlast(l_last)")
        else:
            unused += " assign l_ready = 0;"
        if info.stateful:
            ports += ", .s_axis_tuser(1'b0)"
        values = {
            "IN": info.beats_in, "OUT": info.beats_out, "LOAD": info.load_beats, "FRAMES": FRAMES,
            "LIMIT": 1000 + 10 * (info.latency + info.interval), "MSB": info.stream.beat_bits - 1,
            "PORTS": ports, "UNUSED": unused, "WATCHES": int(protect), "REGISTERS": registers,
            "CASES": "\n".join(f"            {n}: {case}" for n, case in enumerate(cases))
                     or "            default: ;"}
        text = _BENCH
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.run_folder / "campaign.v").write_text(text)
        subprocess.run(["iverilog", "-g2012", "-s", "campaign", "-o", "campaign.vvp", "campaign.v",
                        *sorted(map(str, (self.folder / "rtl").glob("*.v")))], cwd=self.run_folder,
                       check=True)

    def _vvp(self, *arguments: str) -> str:
        return subprocess.run(["vvp", "-n", "campaign.vvp", *arguments], cwd=self.run_folder,
                              check=True, capture_output=True, text=True).stdout

    def _registers(self) -> list[str]:
        """Every bit of every register, by its hierarchical name."""
        declared = {found for path in (self.folder / "rtl").glob("*.v") for found in re.findall(
            r"\breg (?:\[\d+:0\] )?(\w+) = \d+'h", path.read_text())} | {"held"}
        bits, scope = [], []
        for line in (self.run_folder / "names.vcd").read_text().splitlines():
            words = line.split()
            if words[:1] == ["$scope"]:
                scope.append(words[2])
            elif words[:1] == ["$upscope"]:
                scope.pop()
            elif words[:2] == ["$var", "reg"] and words[4] in declared:
                path, width = ".".join([*scope, words[4]]), int(words[2])
                bits += [path] if width == 1 else [f"{path}[{n}]" for n in range(width)]
        return [bit for bit in bits if ".watchdog." not in bit]

    def _memories(self) -> list[str]:
        """Every bit of the memories of program, segments, weights and biases."""
        c, bits = self.plan.config, []
        assert c.dies == 1
        found = [("sequencer.program_memory", c.program_depth, instruction_layout(c).size),
                 ("sequencer.segment_memory", c.segments, segment_layout(c).size)]
        for n, rows in enumerate(c.regions):
            found += [(f"array.region_{n:02d}.weights_{row}", c.weight_depth,
                       c.simd * c.weight_width) for row in rows]
            found.append((f"array.region_{n:02d}.bias", c.bias_depth, len(rows) * c.acc_width))
        for path, depth, width in found:
            style = "in_luts." if depth <= SHALLOW else "in_block."
            style = "" if c.loadable and path.startswith("array") else style
            bits += [f"campaign.dut.core.{path}.{style}mem[{word}][{bit}]"
                     for word in range(depth) for bit in range(width + c.protect)]
        return bits

    def play(self, flips: list[tuple[int, int]]) -> list[tuple[str, bool]]:
        """What became of flips, each (number of the bit, registers before memories; cycle):
        "masked", "wrong", "detected" or "hang"; and whether the core works again after a reset,
        its watchdog's where that came, and with its memories as they were."""
        (self.run_folder / "flips.txt").write_text("".join(f"{a} {b}\n" for a, b in flips))
        found = []
        for line in self._vvp().splitlines():
            _, _, whole, wrong, fault, *works = line.split()
            found.append(("detected" if fault != "0000" else "hang" if whole == "0"
                          else "wrong" if wrong == "1" else "masked", works != ["0"]))
        assert len(found) == len(flips)
        return found

    def draw(self, registers: int, memories: int, seed: int = 0) -> dict[str, Counter]:
        """The verdicts of so many flips of registers and of memories, drawn from all bits and all
        cycles; "lost": the core did not work again."""
        rng = np.random.default_rng(seed)
        span = self.info.latency + (FRAMES - 1) * self.info.interval
        first, last = len(self.registers), len(self.registers) + len(self.memories)
        bits = [*rng.integers(0, first, registers), *rng.integers(first, last, memories)]
        found = self.play([(int(bit), int(rng.integers(1, span))) for bit in bits])
        return {name: Counter(verdict for verdict, _ in part)
                + Counter(lost=sum(not works for _, works in part))
                for name, part in (("registers", found[:registers]),
                                   ("memories", found[registers:]))}
