"""A core's Verilog with other initial values than those that a configured FPGA starts with."""

import random
import re
from collections.abc import Callable
from pathlib import Path

_REGISTER = re.compile(r"\breg (\[(\d+):0\] )?(\w+) = \d+'h\w+;")
_MEMORY = re.compile(r"( {4}\w+\[\d+\] = )(\d+)'h0+;")


def unknown(width: int) -> str:
    """X in every bit."""
    return f"{width}'bx"


def drawn(seed: int) -> Callable[[int], str]:
    """Random bits, another draw for each register."""
    rng = random.Random(seed)
    return lambda width: f"{width}'h{rng.getrandbits(width):x}"


def give_initial_values(folder: Path, value: Callable[[int], str]) -> int:
    """Start every register of the core in ``folder`` from ``value`` of its width in bits, a Verilog
    constant, and its writable memories from random words; the number of both.

    Words of a memory are never X: an element that was never written meets a zero weight, and zero
    times X is X in a simulator.
    """
    count, word = 0, drawn(0)
    for path in sorted((folder / "rtl").glob("*.v")):
        text, registers = _REGISTER.subn(
            lambda m: f"reg {m[1] or ''}{m[3]} = {value(int(m[2] or 0) + 1)};", path.read_text())
        text, words = _MEMORY.subn(lambda m: f"{m[1]}{word(int(m[2]))};", text)
        text = text.replace("held = {WIDTH{1'b0}}", f"held = {{WIDTH{{{value(1)}}}}}")
        # An event at the start, for the combinational blocks of which no input changes by then.
        text = re.sub(r"\binitial at_start = 0;", "initial #1 at_start = 0;", text)
        path.write_text(text)
        count += registers + words
    return count
