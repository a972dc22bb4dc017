"""The one type that describes a board: data that the planner and the project files read."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["FAMILIES", "Board"]

#: Device families whose memories and DSP blocks the planner knows.
FAMILIES = ("zynq-ultrascale+", "virtex-ultrascale+")

#: Vendor part name: device, package, speed grade. It reaches Tcl, so nothing else is accepted.
_PART = re.compile(r"xc[a-z0-9]{2,12}-[a-z0-9]{6,12}-[123][A-Z]{0,2}-[a-z]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_COUNTS = ("lut", "ff", "lutram_lut", "bram36", "uram", "dsp", "stream_bits", "max_multipliers")


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board and the resources of its whole device.

    Attributes: ``name``, as in ``--board``; ``title``, for people; ``part``, the vendor's part;
    ``family``, one of :data:`FAMILIES`; ``lut`` and ``ff``; ``lutram_lut``, the LUTs that may hold
    memory (64 bits each); ``bram36``, blocks of 36 Kibit; ``uram``, blocks of 288 Kibit; ``dsp``,
    DSP48E2 slices; ``stream_bits``, data width of the AXI4-Stream ports; ``clock_mhz``, the default
    clock; ``max_multipliers``, the largest array the planner may choose, which leaves DSP slices
    for the elementwise lanes; ``source``, the documents that the numbers come from.
    Raises :class:`ValueError` where a number cannot be true.
    """

    name: str
    title: str
    part: str
    family: str
    lut: int
    ff: int
    lutram_lut: int
    bram36: int
    uram: int
    dsp: int
    stream_bits: int
    max_multipliers: int
    clock_mhz: float = 300.0
    source: tuple[str, ...]

    def __post_init__(self):
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"Board name must match {_NAME.pattern}, not {self.name!r}")
        where = f"Board {self.name}:"
        if not _PART.fullmatch(self.part):
            raise ValueError(f"{where} part must be device-package-speed-grade, not {self.part!r}")
        if self.family not in FAMILIES:
            raise ValueError(f"{where} family must be one of {', '.join(FAMILIES)}, "
                             f"not {self.family!r}")
        for field in _COUNTS:
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                raise ValueError(f"{where} {field} must be a positive integer, not {value!r}")
        if self.lutram_lut > self.lut:
            raise ValueError(f"{where} lutram_lut must be at most lut ({self.lut}), "
                             f"not {self.lutram_lut}")
        if self.max_multipliers > self.dsp:
            raise ValueError(f"{where} max_multipliers must be at most dsp ({self.dsp}), "
                             f"not {self.max_multipliers}")
        if self.stream_bits not in (32, 64, 128, 256, 512, 1024):
            raise ValueError(f"{where} stream_bits must be a power of two from 32 to 1024, "
                             f"not {self.stream_bits}")
        if not 1 <= self.clock_mhz <= 1000:
            raise ValueError(f"{where} clock_mhz must be from 1 to 1000, not {self.clock_mhz!r}")
        if not self.source:
            raise ValueError(f"{where} source must name at least one document")

    @property
    def clock_period_ns(self) -> float:
        """Period of the default clock in nanoseconds."""
        return 1000.0 / self.clock_mhz
