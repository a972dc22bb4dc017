"""The options of an exploration, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.options import Limit, checked, whole

__all__ = ["EXPLORE_LIMITS", "NUMBERS", "Settings", "checked_setting", "parsed_list",
           "parsed_setting"]

#: Numeric options that only exploring has, as :data:`~gatefold.gen.options.LIMITS`.
EXPLORE_LIMITS: dict[str, Limit] = {
    "sizes": Limit(1, 12),
    "shapes": Limit(1, 100),
    "jobs": Limit(1, 256),
    "max-error": Limit(0, 1, step=0, unit="of the outputs' range"),
    "max-latency": Limit(0, 10**9, step=0, unit="us"),
}

#: Settings that :func:`~gatefold.gen.numbers.quantize.quantize` takes, the same for all widths.
NUMBERS = ("cell_width", "table_bits", "rule", "weight_rule", "percentile")

_LISTS = {"widths": "numbers of bits like 8,12,16",
          "contexts": "numbers of sequences like 1,2,4"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to explore and what is best.

    Attributes: ``widths`` in bits; ``contexts``, sequences in a frame; ``cell_width``,
    ``table_bits``, ``rule``, ``weight_rule`` and ``percentile`` (:data:`NUMBERS`) for all of them;
    ``macs``, the most multipliers, None for all; ``sizes``, each half of the one before, and
    ``shapes`` of each size; ``clock``, MHz or None; ``seed``; ``goal`` of
    :data:`~gatefold.gen.explore.GOALS` among points of at most ``max_error`` (rms, a part of the
    output's range) and ``max_latency`` (us); ``synth``, whether what fits is synthesised.
    Raises :class:`UserError` for what is illegal.
    """

    widths: Sequence[int] = (8, 12, 16)
    contexts: Sequence[int] = (1,)
    cell_width: int = 18
    table_bits: int | None = None
    rule: str = "max"
    weight_rule: str = "max"
    percentile: float = 99.9
    macs: int | None = None
    sizes: int = 5
    shapes: int = 6
    clock: float | None = None
    seed: int = 0
    goal: str = "latency"
    max_error: float | None = None
    synth: bool = False
    max_latency: float | None = None

    def __post_init__(self):
        from gatefold.gen.explore.goals import GOALS
        from gatefold.gen.numbers.formats import rules

        for name, check in (("widths", lambda n: checked("width", n, "widths")),
                            ("contexts", lambda n: checked("contexts", n, "contexts"))):
            given = getattr(self, name)
            if isinstance(given, (str, bytes)) or not isinstance(given, Sequence) or not given:
                raise UserError(f"--{name} must be {_LISTS[name]}, not {quoted(given)}")
            object.__setattr__(self, name, tuple(sorted({check(n) for n in given})))
        rules(self.rule, self.weight_rule, self.percentile)
        for name in ("cell-width", "table-bits", "macs", "clock", "seed"):
            value = getattr(self, name.replace("-", "_"))
            if value is not None:
                checked(name, value)
        for name in ("sizes", "shapes", "max-error", "max-latency"):
            value = getattr(self, name.replace("-", "_"))
            if value is not None:
                checked_setting(name, value)
        if not isinstance(self.goal, str) or self.goal not in GOALS:
            raise UserError(f"--goal must be one of {', '.join(GOALS)}, not {quoted(self.goal)}")

    @property
    def numbers(self) -> dict[str, Any]:
        """What of :data:`NUMBERS` is asked for."""
        return {name: getattr(self, name) for name in NUMBERS}


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
        value = float(text) if EXPLORE_LIMITS[name].step == 0 else whole(text)
    except ValueError:
        raise UserError(f"--{name} must be {EXPLORE_LIMITS[name]}, not {quoted(text)}") from None
    return checked_setting(name, value)


def parsed_list(name: str, text: str) -> tuple[int, ...]:
    """``8,12,16`` as numbers, for :class:`Settings` to check; raises :class:`UserError`."""
    try:
        return tuple(whole(part.strip()) for part in text.split(","))
    except ValueError:
        raise UserError(f"--{name} must be {_LISTS[name]}, not {quoted(text)}") from None
