"""What the numeric options may be: one table for the command line, the Python API and the messages.

Imports nothing heavy: ``gatefold --help`` reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gatefold.gen.errors import UserError, quoted

__all__ = ["LIMITS", "Limit", "checked", "parsed", "whole"]


@dataclass(frozen=True)
class Limit:
    """Legal values of an option: from ``lo`` to ``hi``, a multiple of ``step`` (0: any real)."""

    lo: int
    hi: int
    step: int = 1
    unit: str = ""

    def __str__(self):
        tail = f" {self.unit}" if self.unit else ""
        kind = {0: "a number", 1: "an integer"}.get(self.step, f"a multiple of {self.step}")
        return f"{kind} in {self.lo}..{self.hi}{tail}"


_BITS = Limit(4, 18, unit="bits")

#: Every numeric option by its name on the command line, without the dashes.
LIMITS: dict[str, Limit] = {
    "units": Limit(1, 4096),
    "features": Limit(1, 4096),
    "timesteps": Limit(1, 65536),
    "layers": Limit(1, 16),
    "dense": Limit(1, 4096),
    "width": _BITS,
    "weight-width": _BITS,
    "act-width": _BITS,
    "cell-width": _BITS,
    "table-bits": _BITS,
    "macs": Limit(4, 16384, unit="multipliers"),
    "pe": Limit(4, 4096, step=4, unit="rows"),
    "simd": Limit(1, 256, unit="columns"),
    "clock": Limit(1, 1000, step=0, unit="MHz"),
    "seed": Limit(0, 2**32 - 1),
    "samples": Limit(1, 4096),
    "contexts": Limit(1, 64, unit="sequences a frame"),
}


def whole(text: str) -> int:
    """An integer in plain digits; raises :class:`ValueError` for other ways to write one."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def checked(name: str, value, told: str | None = None) -> Any:
    """``value`` where it is legal for the option ``name``, or for one of a list of these, the
    option ``told``; raises :class:`UserError` otherwise."""
    limit = LIMITS[name]
    kinds = (int, float) if limit.step == 0 else (int,)
    if (isinstance(value, bool) or not isinstance(value, kinds)
            or not limit.lo <= value <= limit.hi or (limit.step and value % limit.step)):
        what = f"--{name} must be" if told is None else f"each of --{told} must be"
        raise UserError(f"{what} {limit}, not {quoted(value)[1:-1]}")
    return value


def parsed(name: str, text: str) -> Any:
    """The option's value from its text; raises :class:`UserError` where it is illegal."""
    try:
        value = float(text) if LIMITS[name].step == 0 else whole(text)
    except ValueError:
        raise UserError(f"--{name} must be {LIMITS[name]}, not {quoted(text)}") from None
    return checked(name, value)
