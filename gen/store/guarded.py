"""What a core that watches itself watches, by its places in the Verilog: for test benches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil

from gatefold.gen.plan import Plan
from gatefold.gen.store.export import TOP, modules
from gatefold.hdl.config import SHALLOW, EngineConfig
from gatefold.hdl.guard import FAULTS
from gatefold.hdl.isa import instruction_layout, segment_layout

__all__ = ["guarded"]

_HALF = 72  #: bits of a word of UltraRAM, of which a column takes two
_PROGRAM, _STATE, _WEIGHTS, _ = range(len(FAULTS))
_INSTANCE = re.compile(r"^  (gatefold_core\w*) (\w+) \($", re.MULTILINE)
_COPY = re.compile(r"^  reg (?:\[(\d+):0\] )?(\w+_copy) = ", re.MULTILINE)


def guarded(plan: Plan) -> dict:
    """``guard`` of core.json: the watchdog's patience; the frames that the program is for; and
    everything that is watched, with its place in the module ``gatefold``, its bits, the bit of the
    port ``fault`` that tells of it, and for a memory its words, of which the first one is at
    ``first``."""
    config = plan.config
    copies = [{"place": place, "width": width, "tells": _STATE}
              for place, width in _copies(modules(config)[TOP][1])]
    return {"patience": config.patience, "frames": plan.work.storage.phases,
            "watched": [*copies, *_memories(config)]}


def _copies(verilog: str) -> Iterator[tuple[str, int]]:
    """The copies of registers, and their bits."""
    text = {found[1]: found[0] for found in re.finditer(
        r"^module (\w+)\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)}

    def below(module: str, place: str) -> Iterator[tuple[str, int]]:
        for high, name in _COPY.findall(text[module]):
            yield f"{place}.{name}", int(high or 0) + 1
        for part, name in _INSTANCE.findall(text[module]):
            yield from below(part, f"{place}.{name}")

    yield from below("gatefold_core", "core")


def _memories(c: EngineConfig) -> Iterator[dict]:
    """The memories whose words have a bit of parity."""
    for name, depth, width in (
            ("program", c.program_depth, instruction_layout(c).size),
            ("segment", c.segments, segment_layout(c).size)):
        yield {"place": f"core.sequencer.{name}_memory.{_placed(depth)}mem", "width": width + 1,
               "tells": _PROGRAM, "depth": depth, "first": 0}
    for n, rows in enumerate(c.regions):
        die, n = divmod(n, len(c.die_regions))
        region = f"core.array{f'_{die}' if c.dies > 1 else ''}.region_{n:02d}"
        for row in rows:
            style = c.weight_style(row)
            yield from _memory(c, f"{region}.weights_{row % c.rows}", c.simd * c.weight_width + 1,
                               c.weight_depth, style)
        yield from _memory(c, f"{region}.bias", len(rows) * c.acc_width + 1, c.bias_depth,
                           "distributed" if c.loadable or c.bias_depth <= SHALLOW else "block")


def _memory(c: EngineConfig, place: str, width: int, depth: int, style: str) -> Iterator[dict]:
    """A memory of a region; in UltraRAM each half of a column is one by itself."""
    if style != "ultra":
        inner = "" if c.loadable else "in_luts." if style == "distributed" else "in_block."
        yield {"place": f"{place}.{inner}mem", "width": width, "tells": _WEIGHTS, "depth": depth,
               "first": 0}
        return
    above = 1 << max(1, (depth - 1).bit_length())  # the address of a column's upper half
    for half in range(ceil(width / _HALF)):
        yield {"place": f"{place}.column[{half // 2}].mem",
               "width": min(_HALF, width - half * _HALF), "tells": _WEIGHTS, "depth": depth,
               "first": half % 2 * above}


def _placed(depth: int) -> str:
    return "in_luts." if depth <= SHALLOW else "in_block."
