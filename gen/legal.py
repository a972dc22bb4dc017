"""Kinds of legal values that an option may have: how they are written, checked and explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gatefold.gen.errors import UserError, quoted

__all__ = ["Choice", "ChoiceOrFile", "Duration", "Legal", "Limit", "Part", "Several"]


class Legal:
    """The legal values of an option, here any: ``text`` says in messages what they are.

    ``metavar``, how the help shows a value; ``help``, what it says about them in parentheses.
    """

    def __init__(self, text: str, metavar: str = "N", help: str = ""):
        self.text, self.metavar, self.help = text, metavar, help

    def read(self, text: str) -> Any:
        """The value that ``text`` says; raises :class:`ValueError` where it says none."""
        return text

    def written(self, value: Any) -> str:
        """A legal value as :meth:`read` takes it."""
        return f"{value:g}" if isinstance(value, float) else str(value)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is legal."""
        return True

    def check(self, name: str, value: Any) -> Any:
        """``value`` where it is legal for ``name``; raises :class:`UserError` otherwise."""
        if not self.holds(value):
            raise self.refusal(name, value)
        return value

    def refusal(self, name: str, value: Any) -> UserError:
        """The error of a value that is not legal."""
        shown = quoted(value) if isinstance(value, str) else quoted(value)[1:-1]
        return UserError(f"{name} must be {self.text}, not {shown}")


class Limit(Legal):
    """Numbers from ``lo`` to ``hi``, multiples of ``step`` (0: any real), or the word ``word``."""

    def __init__(self, lo: int, hi: int, step: int = 1, unit: str = "", word: str = ""):
        self.lo, self.hi, self.step, self.word = lo, hi, step, word
        kind = {0: "a number in ", 1: "an integer in "}.get(step, f"a multiple of {step} in ")
        text = kind + f"{lo}..{hi} {unit}".rstrip() + (f" or {word}" if word else "")
        super().__init__(text, f"N|{word}" if word else "N", text.removeprefix("an integer in "))

    def read(self, text: str) -> Any:
        if self.word and text == self.word:
            return text
        if self.step and not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(text)
        return int(text) if self.step else float(text)

    def holds(self, value: Any) -> bool:
        if self.word and value == self.word:
            return True
        return (isinstance(value, int if self.step else (int, float))
                and not isinstance(value, bool) and self.lo <= value <= self.hi
                and not (self.step and value % self.step))


class Duration(Legal):
    """A time with its unit, ``10ms`` or ``500us``; from Python also a number of microseconds."""

    def __init__(self):
        super().__init__("a time above 0 like 10ms or 500us", "TIME", "like 10ms or 500us")

    def read(self, text: str) -> float:
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s)", text.strip())
        if not found:
            raise ValueError(text)
        return float(found[1]) * {"us": 1.0, "ms": 1e3, "s": 1e6}[found[2]]

    def written(self, value: Any) -> str:
        return "None" if value is None else f"{value:g}us"

    def holds(self, value: Any) -> bool:
        return (isinstance(value, int | float) and not isinstance(value, bool)
                and 0 < value <= 1e9)


class Choice(Legal):
    """One of some words."""

    def __init__(self, *words: str):
        self.words = words
        super().__init__(f"one of {', '.join(words)}", "|".join(words))

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.words


class ChoiceOrFile(Choice):
    """One of some words, or the path of a file with this suffix, which is read later."""

    def __init__(self, *words: str, suffix: str):
        super().__init__(*words)
        self.suffix = suffix
        self.text, self.metavar = f"{self.text} or a file like my{suffix}", "NAME|FILE"
        self.help = self.text

    def holds(self, value: Any) -> bool:
        return super().holds(value) or (isinstance(value, str) and value.endswith(self.suffix))


class Several(Legal):
    """Some numbers, each within ``limit``: ``nouns`` like ``example``."""

    def __init__(self, limit: Limit, nouns: str, example: str):
        self.limit = limit
        super().__init__(f"{nouns} like {example}", "N,N,...", f"each {limit.help}")

    def read(self, text: str) -> tuple[int, ...]:
        return tuple(self.limit.read(part.strip()) for part in text.split(","))

    def written(self, value: Any) -> str:
        return ",".join(map(str, value))

    def holds(self, value: Any) -> bool:
        return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and bool(value)

    def check(self, name: str, value: Any) -> tuple[int, ...]:
        super().check(name, value)
        return tuple(sorted({self.limit.check(f"each of {name}", one) for one in value}))


class Part(Legal):
    """A part of the outputs' range, written ``1%`` or ``0.01``."""

    def __init__(self):
        super().__init__("a part of the outputs' range like 1% or 0.01", "1%")

    def read(self, text: str) -> float:
        found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(%?)\s*", text)
        value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
        if not 0 < value < 1:
            raise ValueError(text)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
