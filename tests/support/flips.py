"""A campaign of single bit flips: what becomes of a flip in any register or memory of a core.

Every flip has a run of its own, from a reset on: frames at full rate, a bit that changes in some
cycle, and the outputs compared with golden. A simulator plays them one after the other.
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
from gatefold.sim.simulators import verilator

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
    integer flips, number, target, word, index, at, fields, sent, got, wrong, quiet, cycle, loaded;
    reg [@MOST@:0] mask;
    integer results;
    reg s_fires, m_fires, l_fires, found;
    reg [3:0] seen;

    // Behind the falling edge: registers change at the rising one.
    task flip;
        begin
            mask = 1 << index;
            case (target)
@CASES@
                default: ;
            endcase
        end
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
                if (cycle == flip_at) flip;
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
        results = $fopen("results.txt", "w");
        fields = $fscanf(flips, "%d %d %d %d %d", number, target, word, index, at);
        while (fields == 5) begin
            play(1, FRAMES, at);
            seen = fault;
            $fwrite(results, "%0d %0d %0d %0d %b", number, at, got == FRAMES * OUT, wrong, seen);
            if (seen !== 0 || got != FRAMES * OUT) begin
                // Memories are written anew; after its watchdog a core needs no other reset.
                if (target >= @REGISTERS@) flip;
                play(!seen[3], 2, -1);
                $fwrite(results, " %0d", got == 2 * OUT && !wrong);
            end else if (target >= @REGISTERS@) flip;
            $fwrite(results, "\\n");
            fields = $fscanf(flips, "%d %d %d %d %d", number, target, word, index, at);
        end
        $fclose(results);
        $finish(0);
    end
endmodule
"""


class Campaign:
    """Flips in the core in ``folder`` (a saved core of ``plan``), which it compiles for ``sim``;
    Icarus lists the registers.

    Attributes: ``registers``, ``memories``: the name of every bit, registers first;
    ``places``: of each bit the index of its register or memory, the word, and its place there.
    """

    def __init__(self, folder: Path, plan, sim: str = "icarus"):
        self.plan, self.folder = plan, folder
        self.info = load_core_info(folder)
        self.run_folder = folder / "flips"
        self.run_folder.mkdir()
        self._write_frames()
        self._write([], 0)
        self._run(self._build("icarus"), "+list")
        registers, memories = self._registers(), self._memories()
        self.registers = [name for path, width in registers
                          for name in ([path] if width == 1 else
                                       [f"{path}[{bit}]" for bit in range(width)])]
        self.memories = [f"{path}[{word}][{bit}]" for path, depth, width in memories
                         for word in range(depth) for bit in range(width)]
        self.places = [(n, 0, bit) for n, (_, width) in enumerate(registers)
                       for bit in range(width)]
        self.places += [(n, word, bit)
                        for n, (_, depth, width) in enumerate(memories, len(registers))
                        for word in range(depth) for bit in range(width)]
        self._write([*(path for path, _ in registers), *(f"{path}[word]" for path, *_ in memories)],
                    len(registers), max(width for *_, width in [*registers, *memories]))
        self._command = self._build(sim)

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

    def _write(self, targets: list[str], registers: int, most: int = 1) -> None:
        """The bench, which flips bits of the ``targets``, words of ``most`` bits at most."""
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
            "MOST": most - 1, "CASES": "\n".join(
                f"                {n}: {target} <= {target} ^ mask;"
                for n, target in enumerate(targets))}
        text = _BENCH
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.run_folder / "campaign.v").write_text(text)

    def _build(self, sim: str) -> list[str]:
        """Compile the bench; the command that runs it."""
        sources = ["campaign.v", *sorted(map(str, (self.folder / "rtl").glob("*.v")))]
        if sim == "icarus":
            self._run(["iverilog", "-g2012", "-s", "campaign", "-o", "campaign.vvp", *sources])
            return ["vvp", "-n", "campaign.vvp"]
        tool, environment = verilator(self.run_folder)
        self._run([tool, "--binary", "--timing", "-Wno-fatal", "-Wno-lint", "-Wno-style",
                   "--x-assign", "fast", "--x-initial", "fast", "--top-module", "campaign",
                   "-o", "campaign", *sources], environment=environment)
        return ["obj_dir/campaign"]

    def _run(self, command: list[str], *arguments: str,
             environment: dict[str, str] | None = None) -> None:
        subprocess.run([*command, *arguments], cwd=self.run_folder, check=True,
                       capture_output=True, env=environment)

    def _registers(self) -> list[tuple[str, int]]:
        """Every register, by its hierarchical name, and its bits."""
        declared = {found for path in (self.folder / "rtl").glob("*.v") for found in re.findall(
            r"\breg (?:\[\d+:0\] )?(\w+) = \d+'h", path.read_text())} | {"held"}
        found, scope = [], []
        for line in (self.run_folder / "names.vcd").read_text().splitlines():
            words = line.split()
            if words[:1] == ["$scope"]:
                scope.append(words[2])
            elif words[:1] == ["$upscope"]:
                scope.pop()
            elif words[:2] == ["$var", "reg"] and words[4] in declared:
                found.append((".".join([*scope, words[4]]), int(words[2])))
        return [one for one in found if ".watchdog." not in one[0]]

    def _memories(self) -> list[tuple[str, int, int]]:
        """The memories of program, segments, weights and biases, with their words and bits."""
        c, memories = self.plan.config, []
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
            memories.append((f"campaign.dut.core.{path}.{style}mem", depth, width + c.protect))
        return memories

    def play(self, flips: list[tuple[int, int]]) -> list[tuple[str, bool]]:
        """What became of flips, each (number of the bit, registers before memories; cycle):
        "masked", "wrong", "detected" or "hang"; and whether the core works again after a reset,
        its watchdog's where that came, and with its memories as they were."""
        (self.run_folder / "flips.txt").write_text("".join(
            f"{bit} {' '.join(map(str, self.places[bit]))} {cycle}\n" for bit, cycle in flips))
        self._run(self._command)
        found = []
        for line in (self.run_folder / "results.txt").read_text().splitlines():
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
