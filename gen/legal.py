"""Kinds of legal values that an option may have: how they are written, checked and explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gatefold.gen.errors import UserError, quoted

__all__ = ["Address", "Choice", "Flag", "Legal", "Limit", "Part", "Several"]


class Legal:
    """The legal values of an option; as a string, what they are, for messages.

    ``metavar``, how the help shows a value; ``help``, what it adds to the text in parentheses.
    """

    metavar = "N"
    help = ""

    def read(self, text: str) -> Any:
        """The value that ``text`` says; raises :class:`ValueError` where it says none."""
        return text

    def written(self, value: Any) -> str:
        """A legal value as :meth:`read` takes it."""
        return f"{value:g}" if isinstance(value, float) else str(value)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is legal."""
        raise NotImplementedError

    def check(self, name: str, value: Any) -> Any:
        """``value`` where it is legal for ``name``; raises :class:`UserError` otherwise."""
        if not self.holds(value):
            raise self.refusal(name, value)
        return value

    def refusal(self, name: str, value: Any) -> UserError:
        """The error of a value that is not legal."""
        shown = quoted(value) if isinstance(value, str) else quoted(value)[1:-1]
        return UserError(f"{name} must be {self}, not {shown}")


@dataclass(frozen=True)
class Limit(Legal):
    """Numbers from ``lo`` to ``hi``, multiples of ``step`` (0: any real), or the word ``word``."""

    lo: int
    hi: int
    step: int = 1
    unit: str = ""
    word: str = ""

    def __str__(self):
        kind = {0: "a number", 1: "an integer"}.get(self.step, f"a multiple of {self.step}")
        return f"{kind} in {self.range}" + (f" or {self.word}" if self.word else "")

    @property
    def range(self) -> str:
        """Both ends with the unit."""
        return f"{self.lo}..{self.hi} {self.unit}".rstrip()

    @property
    def metavar(self) -> str:
        return f"N|{self.word}" if self.word else "N"

    @property
    def help(self) -> str:
        return self.range if self.step == 1 else str(self)

    def read(self, text: str) -> Any:
        if text == self.word:
            return text
        if self.step and not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(text)
        return int(text) if self.step else float(text)

    def holds(self, value: Any) -> bool:
        return (self.word and value == self.word) or (
            isinstance(value, int if self.step else (int, float)) and not isinstance(value, bool)
            and self.lo <= value <= self.hi and not (self.step and value % self.step))


@dataclass(frozen=True)
class Choice(Legal):
    """One of some words."""

    words: tuple[str, ...]

    def __str__(self):
        return f"one of {', '.join(self.words)}"

    @property
    def metavar(self) -> str:
        return "|".join(self.words)

    def holds(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.words


@dataclass(frozen=True)
class Several(Legal):
    """Some numbers, each within ``limit``; ``noun`` and ``example`` for messages."""

    limit: Limit
    noun: str
    example: str
    metavar = "N,N,..."

    def __str__(self):
        return f"{self.noun} like {self.example}"

    @property
    def help(self) -> str:
        return f"each {self.limit.range}"

    def read(self, text: str) -> tuple[int, ...]:
        return tuple(self.limit.read(part.strip()) for part in text.split(","))

    def written(self, value: Sequence[int]) -> str:
        return ",".join(map(str, value))

    def holds(self, value: Any) -> bool:
        return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and bool(value)

    def check(self, name: str, value: Any) -> tuple[int, ...]:
        super().check(name, value)
        return tuple(sorted({self.limit.check(f"each of {name}", one) for one in value}))


class Part(Legal):
    """A part of the outputs' range, written ``1%`` or ``0.01``."""

    metavar = "1%"

    def __str__(self):
        return "a part of the outputs' range like 1% or 0.01"

    def read(self, text: str) -> float:
        found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(%?)\s*", text)
        value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
        if not 0 < value < 1:
            raise ValueError(text)
        return value

    def holds(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


class Flag(Legal):
    """On or off."""

    def __str__(self):
        return "True or False"

    def check(self, name: str, value: Any) -> bool:
        return bool(value)


@dataclass(frozen=True)
class Address(Legal):
    """A text like ``metavar``, which is checked by whoever connects to it."""

    metavar: str

    def __str__(self):
        return f"a text like {self.metavar}"

    def check(self, name: str, value: Any) -> Any:
        return value
