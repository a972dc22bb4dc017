"""Which mutants a scenario of `verify` can kill: its inputs, on gates of many mutants at once.

The bench of a mutant sees nothing but outputs and trace. As long as these are those of the core, it
does what it does with the core. So the core's inputs are recorded while Verilator plays a scenario,
and are then played into the gates of some hundred mutants side by side: a mutant on which the bench
sees what it sees on the core in every cycle passes the scenario. Any other one has to be played.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gates import TRACE, WEAK, Gates, compiled, pointer
from mutants import TOP

__all__ = ["Replay", "recorder"]

WORDS = 8  #: of 64 machines that are played at once, at most
_RESULT = re.compile(re.escape(TRACE) + r"[hc]__(\d+)")
_RECORDER = """\
  integer record = 0;
  reg [8*256-1:0] record_name;
  initial if ($value$plusargs("record=%s", record_name)) record = $fopen(record_name, "w");
  always @(posedge clk) if (record != 0) $fwrite(record, "%b\\n", {NAMES});
"""
#: A value is of 64 * WORDS machines. An output is of interest while both its flags are 1.
_PLAY = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef uint64_t words __attribute__((vector_size(8 * WORDS)));
static words get(const words *value, int lit) { return value[lit >> 1] ^ -(uint64_t)(lit & 1); }

int play(int cycles, int n_in, int n_reg, int n_and, int n_out,
          const int32_t *left, const int32_t *right, const int32_t *next, const int32_t *out,
          const int32_t *flags, const uint8_t *inputs, const uint8_t *fixed,
          const uint64_t *machines, uint8_t *given, uint64_t *differs, uint64_t *all)
{
    words *value = aligned_alloc(64, sizeof(words) * (1 + n_in + n_reg + n_and));
    words *state = aligned_alloc(64, sizeof(words) * (n_reg + 1)), seen, every;
    memset(state, 0, sizeof(words) * (n_reg + 1));
    memset(&seen, 0, sizeof seen);
    memset(value, 0, sizeof(words));
    memcpy(&every, all, sizeof every);
    memcpy(value + 1, machines, sizeof(words) * n_in);
    int left_over = 1, t = 0;
    for (; t < cycles && left_over; t++, inputs += n_in, given += n_out) {
        for (int i = 0; i < n_in; i++)
            if (!fixed[i]) value[1 + i] = (words){} - (uint64_t)inputs[i];
        memcpy(value + 1 + n_in, state, sizeof(words) * n_reg);
        words *v = value + 1 + n_in + n_reg;
        for (int i = 0; i < n_and; i++) v[i] = get(value, left[i]) & get(value, right[i]);
        for (int o = 0; o < n_out; o++) {
            words y = get(value, out[o]);
            given[o] = y[0] & 1;
            if (get(value, flags[2 * o])[0] & get(value, flags[2 * o + 1])[0] & 1)
                seen |= y ^ -(y[0] & 1);
        }
        for (int r = 0; r < n_reg; r++) state[r] = get(value, next[r]);
        left_over = 0;
        for (int w = 0; w < WORDS; w++) left_over |= (every[w] & ~seen[w]) != 0;
    }
    memcpy(differs, &seen, sizeof seen);
    free(value);
    free(state);
    return t;
}
"""


def recorder(work: Path) -> str:
    """Verilog for the end of the top module: +record=FILE writes its ports in every cycle."""
    return _RECORDER.replace("NAMES", ", ".join(f"{name}" for name, _, _ in _ports(work)))


def _ports(work: Path) -> list[tuple[str, int, bool]]:
    """The ports of the core in ``work``: name, bits, and whether it is an output."""
    ports = json.loads((work / "plain.json").read_text())["modules"][TOP]["ports"]
    return [(name, len(port["bits"]), port["direction"] == "output")
            for name, port in ports.items()]


class Replay:
    """Plays what was recorded. ``gates``: with mutants and trace; ``work``: their folder."""

    def __init__(self, gates: Gates, work: Path):
        self.gates, self.work = gates, work
        self._literals = dict(zip(gates.outputs, gates.out.tolist(), strict=True))
        #: Of each bit of a port, where it is in a line of the record.
        self.columns: dict[tuple[str, int], int] = {}
        for name, bits, _ in _ports(work):
            at = len(self.columns)
            self.columns |= {(name, bit): at + bits - 1 - bit for bit in range(bits)}

    def differing(self, record: Path, machines: Sequence[int], sums: bool) -> set[int]:
        """Those of the ``machines``, numbers of mutants, on which the bench sees a difference in
        what is recorded; ``sums``: it compares accumulators too."""
        rows = np.fromfile(record, np.uint8).reshape(-1, len(self.columns) + 1)[:, :-1] - ord("0")
        at_once, found = 64 * WORDS - 1, set[int]()  # one machine is the core
        for first in range(0, len(machines), at_once):
            found |= self._play(rows, machines[first:first + at_once], sums)
        return found

    def _play(self, rows: np.ndarray, machines: Sequence[int], sums: bool) -> set[int]:
        gates, words = self.gates, 1
        while 64 * words <= len(machines):
            words *= 2
        lanes = 64 * words
        selected = np.zeros((len(gates.inputs), lanes), np.uint8)
        inputs = np.zeros((len(rows), len(gates.inputs)), np.uint8)
        fixed = np.ones(len(gates.inputs), np.uint8)
        for n, name in enumerate(gates.inputs):
            if name[0] == "mutant":
                selected[n, 1:1 + len(machines)] = [m >> name[1] & 1 for m in machines]
            elif name in self.columns:
                inputs[:, n], fixed[n] = rows[:, self.columns[name]], 0
        asked = [n for n, (name, _) in enumerate(gates.outputs)
                 if sums or not name.startswith(f"{TRACE}sum")]
        names, out = [gates.outputs[n] for n in asked], gates.out[asked]
        flags = np.array([self._flags(*name) for name in names], np.int32)
        given = np.zeros((len(rows), len(asked)), np.uint8)
        differs, every = np.zeros(words, np.uint64), np.zeros(lanes, np.uint8)
        every[1:1 + len(machines)] = 1  # the core is not asked about
        places = [np.ascontiguousarray(array, np.int32)
                  for array in (gates.left, gates.right, gates.next, out)]
        packed, wanted = (np.packbits(bits, axis=-1, bitorder="little")
                          for bits in (selected, every))
        library = compiled(_PLAY.replace("WORDS", str(words)), self.work / f"replay_{words}.so")
        played = library.play(
            len(rows), len(gates.inputs), len(gates.registers), len(gates.left), len(asked),
            *map(pointer, places), pointer(flags), pointer(inputs), pointer(fixed),
            pointer(packed), pointer(given), pointer(differs), pointer(wanted))
        self._same(rows[:played], names, given[:played])
        seen = np.unpackbits(differs.view(np.uint8), bitorder="little")
        return {machine for machine, bit in zip(machines, seen[1:], strict=False) if bit}

    def _flags(self, name: str, bit: int) -> tuple[int, int]:
        """Literals, both of which are true while the bench looks at an output."""
        found = self._literals
        if name in WEAK:
            return found["m_axis_tvalid", 0], 1
        result = _RESULT.fullmatch(name)
        if result:
            return (found.get((f"{TRACE}valid", 0), 1),
                    found.get((f"{TRACE}lanes", int(result[1])), 1))
        which = {f"{TRACE}lanes": "valid", f"{TRACE}sums": "summed"}
        flag = next((flag for start, flag in which.items() if name.startswith(start)), "")
        return found.get((TRACE + flag, 0), 1), 1

    def _same(self, rows: np.ndarray, names: list[tuple[str, int]], given: np.ndarray) -> None:
        """Raise where the gates of the core do not do what Verilator does."""
        valid = rows[:, self.columns["m_axis_tvalid", 0]]
        for name, column in zip(names, given.T, strict=True):
            if name in self.columns:
                differ = rows[:, self.columns[name]] ^ column
                if (differ & valid if name[0] in WEAK else differ).any():
                    raise RuntimeError(f"the gates of the core differ from its Verilog: {name[0]}"
                                       f"[{name[1]}] in cycle {int(differ.argmax())}")
