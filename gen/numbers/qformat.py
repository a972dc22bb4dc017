"""Q-formats: the value that an integer represents. Floats become integers only here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["QFormat", "container_bits"]


@dataclass(frozen=True)
class QFormat:
    """A signed fixed-point format of ``width`` bits, ``frac`` of them behind the binary point.

    The value of the integer n is n * 2**-frac. Printed ``Q<int>.<frac>`` with the sign bit counted
    in the integer part: 16 bits with 13 fractional ones are ``Q3.13``. ``frac`` may be negative or
    larger than ``width``.
    """

    width: int
    frac: int

    def __post_init__(self):
        if not 2 <= self.width <= 48:
            raise ValueError(f"QFormat width must be in 2..48, not {self.width!r}")

    def __str__(self):
        return f"Q{self.width - self.frac}.{self.frac}"

    @property
    def lo(self) -> int:
        """Smallest integer."""
        return -(1 << (self.width - 1))

    @property
    def hi(self) -> int:
        """Largest integer."""
        return (1 << (self.width - 1)) - 1

    @property
    def step(self) -> float:
        """Value of one least significant bit."""
        return 2.0 ** -self.frac

    @classmethod
    def covering(cls, width: int, peak: float) -> QFormat:
        """The finest format of ``width`` bits that holds ``-peak..peak`` without saturating.

        A peak of zero gives ``width - 1`` fractional bits (the format of the unit interval).
        """
        frac = width - 1
        if peak > 0:
            hi = (1 << (width - 1)) - 1
            frac = width - 1 - int(np.ceil(np.log2(peak)))
            while np.floor(peak * 2.0**frac + 0.5) > hi:
                frac -= 1
            while np.floor(peak * 2.0 ** (frac + 1) + 0.5) <= hi:
                frac += 1
        return cls(width, frac)

    def quantize(self, values) -> np.ndarray:
        """Round floats half up and saturate; int64 of the same shape."""
        scaled = np.floor(np.asarray(values, dtype=np.float64) * 2.0**self.frac + 0.5)
        return np.clip(scaled, self.lo, self.hi).astype(np.int64)

    def to_float(self, integers) -> np.ndarray:
        """The values of integers, float64."""
        return np.asarray(integers, dtype=np.float64) * self.step


def container_bits(width: int) -> int:
    """Bits that an element of ``width`` bits takes in a stream: 8, 16 or 32."""
    return next(bits for bits in (8, 16, 32) if bits >= width)
