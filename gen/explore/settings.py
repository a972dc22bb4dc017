"""The options of an exploration, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UserError, quoted
from ..options import LIMITS, Limit, checked

__all__ = ["EXPLORE_LIMITS", "Settings", "checked_setting", "parsed_setting", "parsed_widths"]

#: Numeric options that only exploring has, as :data:`~gatefold.gen.options.LIMITS`.
EXPLORE_LIMITS: dict[str, Limit] = {
    "sizes": Limit(1, 12),
    "shapes": Limit(1, 100),
    "jobs": Limit(1, 256),
    "max-error": Limit(0, 100, step=0, unit="% of the output's range"),
    "max-latency": Limit(0, 10**9, step=0, unit="us"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to explore and what is best.

    Attributes: ``widths`` in bits; ``cell_width``; ``macs``, the most multipliers, None for all;
    ``sizes``, how often they are halved, and ``shapes`` of each size; ``clock``, MHz or None;
    ``seed``; ``goal`` of :data:`~gatefold.gen.explore.GOALS` among points of at most ``max_error``
    (% of the output's range, rms) and ``max_latency`` (us).
    Raises :class:`UserError` for what is illegal.
    """

    widths: Sequence[int] = (8, 12, 16)
    cell_width: int = 18
    macs: int | None = None
    sizes: int = 5
    shapes: int = 6
    clock: float | None = None
    seed: int = 0
    goal: str = "latency"
    max_error: float | None = None
    max_latency: float | None = None

    def __post_init__(self):
        from .goals import GOALS

        widths = self.widths
        if isinstance(widths, (str, bytes)) or not isinstance(widths, Sequence) or not widths:
            raise UserError(f"--widths must be numbers of bits like 8,12,16, not {quoted(widths)}")
        object.__setattr__(self, "widths", tuple(sorted({checked("width", w) for w in widths})))
        for name in ("cell-width", "macs", "clock", "seed"):
            value = getattr(self, name.replace("-", "_"))
            if value is not None:
                checked(name, value)
        for name in EXPLORE_LIMITS:
            value = getattr(self, name.replace("-", "_"), None)
            if value is not None:
                checked_setting(name, value)
        if not isinstance(self.goal, str) or self.goal not in GOALS:
            raise UserError(f"--goal must be one of {', '.join(GOALS)}, not {quoted(self.goal)}")


def checked_setting(name: str, value: Any) -> Any:
    """``value`` where it is legal for ``name`` of :data:`EXPLORE_LIMITS`; else
    :class:`UserError`."""
    limit = EXPLORE_LIMITS[name]
    kinds = (int, float) if limit.step == 0 else (int,)
    if (isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value)
            or not limit.lo <= value <= limit.hi):
        raise UserError(f"--{name} must be {limit}, not {quoted(value)[1:-1]}")
    return value


def parsed_setting(name: str, text: str) -> Any:
    """The option's value from its text; raises :class:`UserError` where it is illegal."""
    try:
        value = float(text) if EXPLORE_LIMITS[name].step == 0 else int(text)
    except ValueError:
        raise UserError(f"--{name} must be {EXPLORE_LIMITS[name]}, not {quoted(text)}") from None
    return checked_setting(name, value)


def parsed_widths(text: str) -> tuple[int, ...]:
    """``8,12,16`` as numbers, each legal for ``--width``; raises :class:`UserError`."""
    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--widths must be numbers of bits like 8,12,16, not {quoted(text)}"
                        ) from None
    for width in widths:
        if not LIMITS["width"].lo <= width <= LIMITS["width"].hi:
            raise UserError(f"--widths must each be {LIMITS['width']}, not {width}")
    return widths
