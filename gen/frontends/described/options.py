"""The options of a network's description: each value is checked, unknown options are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import MAX_DIM

__all__ = ["INPUT", "Option", "Options", "choice", "count", "flag", "natural", "number", "one_or",
           "text", "top"]

_MAX_LAYERS = 256


@dataclass(frozen=True)
class Option:
    """An option: its legal values in words and as a check, its ``default`` (None: required)."""

    legal: str
    check: Callable[[Any], bool]
    default: Any = None


def _whole(value: Any, least: int, most: int = MAX_DIM) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def count(default: int | None = None, most: int = MAX_DIM) -> Option:
    """An integer from 1."""
    return Option(f"an integer in 1..{most}", lambda value: _whole(value, 1, most), default)


def natural(default: int | None = None) -> Option:
    """An integer from 0."""
    return Option(f"an integer in 0..{MAX_DIM}", lambda value: _whole(value, 0), default)


def flag(default: bool) -> Option:
    """True or false."""
    return Option("true or false", lambda value: isinstance(value, bool), default)


def choice(*legal: str, default: str | None = None) -> Option:
    """One of the words ``legal``."""
    return Option(f"one of {', '.join(legal)}",
                  lambda value: isinstance(value, str) and value in legal, default)


def one_or(words: Option, other: Option, default: Any = None) -> Option:
    """The values of either of two options."""
    return Option(f"{words.legal}, or {other.legal}",
                  lambda value: words.check(value) or other.check(value), default)


def text(legal: str) -> Option:
    """Any string; ``legal`` says in messages what it means."""
    return Option(legal, lambda value: isinstance(value, str))


def number(default: float) -> Option:
    """A small positive number."""
    return Option("a number above 0, at most 1", lambda value: isinstance(value, int | float)
                  and not isinstance(value, bool) and 0 < value <= 1, default)


def top() -> dict[str, Option]:
    """The description's own keys."""
    def tables(value: Any) -> bool:
        return (isinstance(value, list) and 1 <= len(value) <= _MAX_LAYERS
                and all(isinstance(entry, dict) for entry in value))

    def strings(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(prefix, str) for prefix in value)

    return {"input": Option("a table with shape", lambda value: isinstance(value, dict)),
            "layer": Option(f"1 to {_MAX_LAYERS} tables [[layer]]", tables),
            "ignore": Option("a list of prefixes", strings, [])}


#: The keys of ``[input]``.
INPUT = {"shape": Option(f"[timesteps, features] or [features], each in 1..{MAX_DIM}",
                         lambda value: isinstance(value, list) and 1 <= len(value) <= 2
                         and all(_whole(n, 1) for n in value))}


class Options:
    """A table's values, every key known and every value checked.

    Parameters: ``where``, the table in messages; ``given``, its keys and values in the
    description; ``known``, the legal keys.
    Raises :class:`UserError` for an unknown key, a missing one, and an illegal value.
    """

    def __init__(self, where: str, given: dict, known: dict[str, Option]):
        self.where = where
        self._values = {}
        for key in given:
            if key not in known:
                raise UserError(f"{where}: the key {quoted(key)} is unknown: the keys here are "
                                f"{', '.join(known) or 'none'}")
        for name, option in known.items():
            value = given.get(name, option.default)
            if value is None:
                raise UserError(f"{where}: {name} is missing: give {option.legal}")
            if name in given and not option.check(value):
                shown = quoted(value) if isinstance(value, str) else quoted(value)[1:-1]
                raise UserError(f"{where}: {name} must be {option.legal}, not {shown}")
            self._values[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._values[name]
