"""A core and its mutants as gates: one graph of ANDs and inverters, and what it does on inputs.

Yosys flattens the core with all mutants in it, each behind a comparison with the input ``mutant``,
and turns memories into registers. Constants are folded, equal gates are one, and what no output
depends on goes. The graph is then simulated by 64 machines at a time, of which
the first is the core itself and each other one a mutant; they get the same inputs, seeded, which
keep the protocol of the streams most of the time.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fold import folded
from mutants import TOP, Mutant, yosys

UNDRIVEN = ("", 0)  #: an input that is none: a bit that nothing drives. It is 0 here.
__all__ = ["FLATTEN", "TRACE", "UNDRIVEN", "WEAK", "Gates", "Seen", "compiled", "pointer",
           "read_gates", "read_graph", "simulate", "untraced", "walk"]

TRACE = "core.trace__"  #: how the signals begin that the bench sees beside the ports
WEAK = ("m_axis_tdata", "m_axis_tlast")  #: outputs that mean something while m_axis_tvalid is high

FLATTEN = """\
attrmap -remove keep
setattr -mod -unset keep_hierarchy
hierarchy -top {top}
flatten
memory -nordff -nomap
memory_map
opt_expr -mux_undef -undriven
opt_clean
techmap
opt_expr -mux_undef
opt_clean
setundef -init -zero
setundef -zero
aigmap
write_aiger -zinit -ascii -map names.txt gates.aag
"""


@dataclass(frozen=True)
class Gates:
    """A graph. Variable 0 is false; inputs, registers and ANDs follow. A literal is twice a
    variable, plus one where it is inverted.

    Attributes: ``inputs``, ``outputs`` and ``registers``, names of their bits, as (name, bit);
    ``next``, ``out`` the literals of registers in the next cycle and of outputs; ``left`` and
    ``right``, the literals of each AND, which come before it. All registers begin with 0 (those
    that begin with 1 are stored inverted).
    """

    inputs: list[tuple[str, int]]
    registers: list[tuple[str, int]]
    outputs: list[tuple[str, int]]
    next: np.ndarray
    out: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @property
    def first_register(self) -> int:
        """The variable of register 0; the others follow."""
        return 1 + len(self.inputs)

    @property
    def first_and(self) -> int:
        """The variable of the first AND; the others follow."""
        return self.first_register + len(self.registers)

    def port(self, name: str, outputs: bool = False) -> list[int]:
        """Places of a port's bits among inputs or outputs, the lowest first."""
        ports = self.outputs if outputs else self.inputs
        return [n for _, n in sorted((bit, n) for n, (port, bit) in enumerate(ports)
                                     if port == name)]


def read_gates(mutants: list[Mutant], work: Path, top: str = TOP, traced: bool = False) -> Gates:
    """The core of ``work``, in which its list of mutants was made, from ``top`` on, with
    ``mutants`` in it: the n-th, from 1 on, where the input ``mutant`` is n. ``traced``: what the
    bench sees inside the core is among the outputs."""
    commands = "\n".join(f"mutate -ctrl mutant 16 {n} {mutant.command}"
                         for n, mutant in enumerate(mutants, 1))
    script = FLATTEN.format(top=top)
    if traced:
        script = script.replace("flatten\n", f"flatten\nexpose {top}/w:{TRACE}*\n", 1)
    yosys(f"read_rtlil plain.il\n{commands}\n{script}", work)
    return folded(read_graph(work))


def untraced(gates: Gates) -> Gates:
    """The same without what only the bench sees."""
    kept = [n for n, (name, _) in enumerate(gates.outputs) if not name.startswith(TRACE)]
    return folded(replace(gates, outputs=[gates.outputs[n] for n in kept], out=gates.out[kept]))


def read_graph(work: Path) -> Gates:
    """The graph that FLATTEN has written in ``work``."""
    with (work / "gates.aag").open() as file:
        _, _, n_inputs, n_registers, n_outputs, n_ands = file.readline().split()[:6]
        rows = [[int(word) for word in file.readline().split()] for _ in range(
            int(n_inputs) + int(n_registers) + int(n_outputs) + int(n_ands))]
    ports, state = rows[:int(n_inputs)], rows[int(n_inputs):][:int(n_registers)]
    given = rows[len(ports) + len(state):][:int(n_outputs)]
    ands = sorted(rows[len(ports) + len(state) + len(given):])
    order = [0, *(row[0] >> 1 for row in (*ports, *state, *ands))]
    place = np.zeros(max(order) + 1, np.int64)
    place[order] = np.arange(len(order))

    def literals(found: Iterable[int]) -> np.ndarray:
        old = np.fromiter(found, np.int64)
        return (2 * place[old >> 1] + (old & 1)).astype(np.int32)

    names: dict[str, dict[int, tuple[str, int]]] = {"input": {}, "output": {}, "latch": {}}
    for line in (work / "names.txt").read_text().splitlines():
        kind, number, bit, *name = line.split()
        if kind.removeprefix("inv") in names:
            names[kind.removeprefix("inv")].setdefault(int(number), (" ".join(name), int(bit)))
    return Gates([names["input"].get(n, UNDRIVEN) for n in range(len(ports))],
                 [names["latch"].get(n, ("?", n)) for n in range(len(state))],
                 [names["output"].get(n, ("?", n)) for n in range(len(given))],
                 literals(row[1] for row in state), literals(row[0] for row in given),
                 literals(row[1] for row in ands), literals(row[2] for row in ands))


#: What a machine sees of the streams; counts of beats come from core.json.
SIMULATE = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef uint64_t word;
#define AT(lit) (value[(lit) >> 1] ^ -(word)((lit) & 1))
static word seed;
static word draw(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed; }
static int chance(int of_256) { return (int)(draw() >> 20 & 255) < of_256; }
static const int RATES[4] = {0, 40, 128, 256};

/* ports: places of tvalid, tready, tlast and the number of beats of a frame, of each input stream;
   then of the output stream's tready and tvalid. loads: bits of each beat of each load. */
void simulate(int cycles, word first_seed, int n_in, int n_reg, int n_and, int n_out,
              const int32_t *left, const int32_t *right, const int32_t *next, const int32_t *out,
              const int32_t *in_kind, int streams, const int32_t *ports, const int32_t *out_ports,
              const uint8_t *loads, int n_loads, int beat_bits,
              const int32_t *weak, word *value, const int32_t *watched, int n_watched,
              uint8_t *trace, word *cubes, word *differs, int64_t *shown)
{
    int words = (n_watched + 63) / 64, beat[4] = {0}, rate[4] = {256, 256, 256, 256}, ready = 256;
    int wrong = 0, mode = 0, n_lit = 2 * words, load = 0;
    word *state = calloc(n_reg, 8), *good = calloc(words + 1, 8), held = 0;
    seed = first_seed * 2654435761u + 88172645463325252ull;
    for (int i = 0; i < 20; i++) draw();
        for (int t = 0; t < cycles; t++) {
        if (t % 16 == 0 && chance(24)) {
            for (int s = 0; s < streams; s++) rate[s] = RATES[draw() >> 9 & 3];
            ready = RATES[draw() >> 9 & 3];
            wrong = chance(96) ? 60 : 0;
            mode = draw() >> 13 & 3;
            held = draw();
        }
        for (int r = 0; r < n_reg; r++) value[1 + n_in + r] = state[r];
        int reset = t > 3 && (draw() >> 11 & 4095) == 0;
        if (n_loads && beat[1] == 0) load = (int)((draw() >> 9) % n_loads);
        const uint8_t *bits = loads;
        if (n_loads) bits += (load * ports[7] + beat[1] % ports[7]) * beat_bits;
        /* kinds: 0 anything, 1 rst, 2 as it is, 3 and more data, below 0 a bit of a load's beat */
        for (int i = 0; i < n_in; i++) {
            if (in_kind[i] == 2) continue;
            if (in_kind[i] < 0) {
                value[1 + i] = -(word)bits[-1 - in_kind[i]];
                continue;
            }
            word bit = in_kind[i] == 1 ? reset : draw() >> 7 & 1;
            if (in_kind[i] >= 3 && mode == 1) bit = held >> (in_kind[i] - 3 & 7) & 1;
            if (in_kind[i] >= 3 && mode == 2) bit = in_kind[i] & 1 ? held >> (i & 31) & 1 : bit;
            value[1 + i] = -bit;
        }
        for (int s = 0; s < streams; s++) {
            const int32_t *p = ports + 4 * s;
            value[1 + p[0]] = -(word)chance(rate[s]);
            value[1 + p[2]] = -(word)((beat[s] % p[3] == p[3] - 1) ^ (wrong && chance(wrong)));
        }
        value[1 + out_ports[0]] = -(word)chance(ready);
        word *v = value + 1 + n_in + n_reg;
        for (int i = 0; i < n_and; i++) v[i] = AT(left[i]) & AT(right[i]);
        for (int s = 0; s < streams; s++) {
            const int32_t *p = ports + 4 * s;
            int last = value[1 + p[2]] & 1;
            if (AT(out[p[1]]) & value[1 + p[0]] & 1) beat[s] = last ? 0 : beat[s] + 1;
            if (reset) beat[s] = 0;
        }
        /* outputs, those that are weak only while the output is valid in both machines */
        word valid = AT(out[out_ports[1]]), sure = -(word)(valid & 1);
        for (int o = 0; o < n_out; o++) {
            word y = AT(out[o]), d = (y ^ -(y & 1)) & (weak[o] ? sure & valid : ~0ull);
            while (d) {
                int lane = __builtin_ctzll(d);
                d &= d - 1;
                if (shown[lane] < 0) shown[lane] = (int64_t)t * 1024 + o;
            }
        }
        memset(good, 0, 8 * words);
        for (int k = 0; k < n_watched; k++)
            good[k >> 6] |= (state[watched[k]] & 1) << (k & 63);
        memcpy(trace + (int64_t)t * words * 8, good, 8 * words);
        for (int r = 0; r < n_reg; r++) {
            word d = state[r] ^ -(state[r] & 1);
            while (d) {
                int lane = __builtin_ctzll(d);
                word *cube = cubes + ((int64_t)lane * n_reg + r) * n_lit;
                d &= d - 1;
                if (shown[lane] >= 0) continue;
                differs[r] |= (word)1 << lane;
                for (int k = 0; k < words; k++) {
                    cube[k] |= good[k];
                    cube[words + k] |= ~good[k];
                }
            }
        }
        for (int r = 0; r < n_reg; r++) state[r] = AT(next[r]);
    }
    free(state);
    free(good);
}
"""


#: From a state, with any inputs: what registers hold in 64 machines after each of some cycles.
WALK = r"""
void walk(int cycles, word first_seed, int paired, int n_in, int n_reg, int n_and,
          const int32_t *left, const int32_t *right, const int32_t *next, const int32_t *any,
          word *value, word *state, const int32_t *watched, int n_watched, word *trace)
{
    seed = first_seed * 2654435761u + 88172645463325252ull;
    for (int t = 0; t < cycles; t++) {
        for (int r = 0; r < n_reg; r++) value[1 + n_in + r] = state[r];
        for (int i = 0; i < n_in; i++) {
            if (t && any[i]) value[1 + i] = draw() ^ draw() << 32;
            if (t && any[i] == 2) value[1 + i] &= draw() & draw() & draw();
        }
        for (int i = 0; i < n_in; i++)   /* the upper machines get what the lower ones get */
            if (any[i] && paired) value[1 + i] = (value[1 + i] & 0xffffffffu) * 0x100000001ull;
        word *v = value + 1 + n_in + n_reg;
        for (int i = 0; i < n_and; i++) v[i] = AT(left[i]) & AT(right[i]);
        for (int r = 0; r < n_reg; r++) state[r] = AT(next[r]);
        for (int k = 0; k < n_watched; k++) trace[(int64_t)t * n_watched + k] = state[watched[k]];
    }
}
"""


@dataclass(frozen=True)
class Seen:
    """What a simulation showed.

    ``watched``, registers; ``trace`` (cycles, watched) bool, what they held in the core; ``shown``
    (machines,), the cycle in which an output of each machine differed first, times 1,024, plus the
    output, or -1; ``differs`` (registers,) uint64, the machines in which a register differed
    before that; ``cubes``, packed: :meth:`cubes_of`.
    """

    watched: np.ndarray
    trace: np.ndarray
    shown: np.ndarray
    differs: np.ndarray
    cubes: np.ndarray

    def cubes_of(self, machine: int) -> dict[int, np.ndarray]:
        """Of each register that differed, (2, watched): whether watched registers were 1, were 0
        in the core while it did."""
        registers = np.flatnonzero(self.differs >> np.uint64(machine) & np.uint64(1)).tolist()
        bits = np.unpackbits(self.cubes[machine, registers].view(np.uint8), axis=-1,
                             bitorder="little")[..., :len(self.watched)].astype(bool)
        return dict(zip(registers, bits, strict=True))


def simulate(gates: Gates, watched: np.ndarray, machines: list[int], beats: dict[str, int],
             cycles: int, seed: int, work: Path, loads: list[list[int]] | None = None) -> Seen:
    """Play ``cycles`` with machine n in which the input ``mutant`` is ``machines[n]``; there are at
    most 64, the first one is 0. ``beats``: of a frame of each input stream, by its prefix;
    ``loads``: the beats of some loads that a loadable core is given."""
    count = len(gates.registers)
    value = np.zeros(gates.first_and + len(gates.left), np.uint64)
    kinds = np.zeros(len(gates.inputs), np.int32)
    for n, (name, bit) in enumerate(gates.inputs):
        if name == "mutant":
            kinds[n] = 2
            value[1 + n] = sum((machine >> bit & 1) << lane
                               for lane, machine in enumerate(machines))
        elif name in ("clk", "rst", UNDRIVEN[0]):
            kinds[n] = 1 if name == "rst" else 2
        elif name == "s_load_tdata" and loads:
            kinds[n] = -1 - bit
        elif name.endswith("tdata"):
            kinds[n] = 3 + bit % 16
    ports = []
    for prefix, beats_in in beats.items():
        valid, last = (gates.port(f"{prefix}_{name}")[0] for name in ("tvalid", "tlast"))
        ready = gates.port(f"{prefix}_tready", outputs=True)[0]
        kinds[[valid, last]] = 2
        ports += [valid, ready, last, beats_in]
    ready = gates.port("m_axis_tready")[0]
    kinds[ready] = 2
    weak = np.array([name in WEAK for name, _ in gates.outputs], np.int32)
    words = -(-len(watched) // 64)
    trace = np.zeros((cycles, words), np.uint64)
    cubes = np.zeros((len(machines), count, 2, words), np.uint64)
    differs, shown = np.zeros(count, np.uint64), np.full(64, -1, np.int64)

    numbers = [np.ascontiguousarray(array, np.int32) for array in (
        gates.left, gates.right, gates.next, gates.out, kinds)]
    stream_ports, out_ports = np.array(ports, np.int32), np.array(
        [ready, gates.port("m_axis_tvalid", outputs=True)[0]], np.int32)
    places = np.ascontiguousarray(watched, np.int32)
    wide = len(gates.port("s_load_tdata"))
    load_bits = np.array([beat >> bit & 1 for load in loads or () for beat in load
                          for bit in range(wide)], np.uint8)
    _library(work).simulate(
        cycles, ctypes.c_uint64(seed), len(gates.inputs), count, len(gates.left),
        len(gates.outputs), *map(pointer, numbers), len(beats), pointer(stream_ports),
        pointer(out_ports), pointer(load_bits), len(loads or ()), wide, pointer(weak),
        pointer(value), pointer(places), len(watched), pointer(trace), pointer(cubes),
        pointer(differs), pointer(shown))
    bits = np.unpackbits(trace.view(np.uint8), axis=1, bitorder="little")[:, :len(watched)]
    return Seen(np.asarray(watched), bits.astype(bool), shown[:len(machines)], differs, cubes)


def walk(gates: Gates, watched: np.ndarray, state: np.ndarray, inputs: np.ndarray, cycles: int,
         seed: int, work: Path, machine: int = 0, mutated: np.ndarray | None = None) -> np.ndarray:
    """What the registers ``watched`` hold after each of ``cycles`` cycles in 64 machines that begin
    with the ``state`` (registers,) bool and get ``inputs`` (inputs,) bool, and then any others:
    (cycles, watched) uint64, a bit a machine. Where
    ``mutated`` is given, the upper 32 are the mutant ``machine``, begin with that state, and get
    the same inputs as the lower 32."""
    upper = np.uint64(0xFFFFFFFF << 32)
    any_input = np.array([0 if name in ("mutant", UNDRIVEN[0]) else 2 if name == "rst" else 1
                          for name, _ in gates.inputs], np.int32)
    value = np.zeros(gates.first_and + len(gates.left), np.uint64)
    value[1:1 + len(inputs)] = np.where(inputs, ~np.uint64(0), np.uint64(0))
    held = np.where(state, ~np.uint64(0), np.uint64(0))
    if mutated is not None:
        held = (held & ~upper) | np.where(mutated, upper, np.uint64(0))
        for n, (name, bit) in enumerate(gates.inputs, 1):
            if name == "mutant" and machine >> bit & 1:
                value[n] = upper
    places = np.ascontiguousarray(watched, np.int32)
    trace = np.zeros((cycles, len(places)), np.uint64)
    _library(work).walk(
        cycles, ctypes.c_uint64(seed), int(mutated is not None), len(gates.inputs),
        len(gates.registers), len(gates.left),
        *map(pointer, (gates.left, gates.right, gates.next, any_input, value, held, places)),
        len(places), pointer(trace))
    return trace


def _library(work: Path) -> ctypes.CDLL:
    return compiled(SIMULATE + WALK, work / "simulate.so")


def compiled(text: str, path: Path) -> ctypes.CDLL:
    """A library of C, made where it is missing."""
    if not path.exists():
        path.with_suffix(".c").write_text(text)
        subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", path,
                        path.with_suffix(".c")], check=True)
    return ctypes.CDLL(str(path.resolve()))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Where an array lies."""
    return array.ctypes.data_as(ctypes.c_void_p)
