"""The types that describe a board: data that the planner and the project files read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

__all__ = ["FAMILIES", "NAME", "Board", "Columns", "Counts", "Die", "Grid", "Host"]

#: Device families whose memories and DSP slices the planner knows, by what their parts begin with.
FAMILIES = {"zynq-ultrascale+": ("xczu", "xck2"), "kintex-ultrascale+": ("xcku",),
            "virtex-ultrascale+": ("xcvu", "xcu")}

#: Vendor part name: device, package, speed grade. It reaches Tcl, so nothing else is accepted.
_PART = re.compile(r"xc[a-z0-9]{2,12}-[a-z0-9]{6,12}-[123][A-Z]{0,2}-[a-z]")
#: A board's name, and every name that reaches a script.
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
#: A title reaches a Tcl comment: nothing in it may end or continue the line.
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,()+/-]{0,79}")
_BOARD_PART = re.compile(r"[a-z0-9.]{1,32}:[a-z0-9_]{1,32}:part[0-9]:[0-9]\.[0-9]")
_MACHINE = re.compile(r"[a-z][a-z0-9-]{0,47}")
_VIVADO = re.compile(r"20[0-9]{2}\.[0-9]")
_MOST = 10_000_000  # of any resource

#: What a column of a kind holds in one row of clock regions: UG574 (60 CLBs of 8 LUTs, here a pair
#: of columns), UG579 (24 DSP slices), UG573 (12 block RAMs, 16 UltraRAMs).
_PER_COLUMN = {"clb_pairs": ("lut", 2 * 60 * 8), "dsp": ("dsp", 24), "bram": ("bram36", 12),
               "uram": ("uram", 16)}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Resources: ``lut`` and ``ff``; ``bram36``, blocks of 36 Kibit, in halves; ``uram``, blocks of
    288 Kibit; ``dsp``, DSP48E2 slices. Raises :class:`ValueError` for what counts nothing."""

    lut: int
    ff: int
    bram36: float
    uram: int
    dsp: int

    def __post_init__(self):
        for field in fields(Counts):
            _check_count(field.name, getattr(self, field.name), 0,
                         halves=field.name == "bram36")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Clock regions of a die: ``columns`` side by side, ``rows`` of 60 CLBs each."""

    columns: int
    rows: int

    def __post_init__(self):
        _check_count("columns", self.columns, 1, 64)
        _check_count("rows", self.rows, 1, 64)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of a die from left to right: ``clb_pairs``, pairs of CLB columns; ``dsp``, ``bram``,
    ``uram``, those of DSP slices and memories that lie between them."""

    clb_pairs: int
    dsp: int
    bram: int
    uram: int

    def __post_init__(self):
        for field in fields(self):
            _check_count(field.name, getattr(self, field.name), field.name == "clb_pairs", 1000)


@dataclass(frozen=True, kw_only=True)
class Die(Counts):
    """A die (an SLR): its resources, ``clock_regions``, ``columns``, and what the ``shell`` takes.

    Raises :class:`ValueError` where the shell is larger than the die, and where the columns hold
    fewer resources than the die has.
    """

    clock_regions: Grid
    columns: Columns
    shell: Counts

    def __post_init__(self):
        super().__post_init__()
        for field in fields(Counts):
            has, taken = getattr(self, field.name), getattr(self.shell, field.name)
            if taken > has:
                raise ValueError(f"the shell's {field.name} must be at most the die's ({has}), "
                                 f"not {taken}")
        for column, (name, each) in _PER_COLUMN.items():
            number = getattr(self.columns, column)
            most = number * self.clock_regions.rows * each
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name} must be at most what {number} columns of {column} hold in "
                    f"{self.clock_regions.rows} rows of clock regions ({most}), not "
                    f"{getattr(self, name)}")

    @property
    def free(self) -> Counts:
        """What the shell leaves."""
        return Counts(**{field.name: getattr(self, field.name) - getattr(self.shell, field.name)
                         for field in fields(Counts)})


@dataclass(frozen=True, kw_only=True)
class Host:
    """How a core with registers sits beside a Zynq UltraScale+ processing system.

    Attributes: ``board_part``, of the vendor's board files; ``machine``, of Yocto;
    ``control_base``, byte address of the registers; ``interrupt``, number of the shared peripheral
    interrupt that pl_ps_irq0[0] is; ``port_bits``, of the widest port to memory.
    Raises :class:`ValueError` where one cannot be true.
    """

    board_part: str
    machine: str
    control_base: int
    interrupt: int
    port_bits: int = 128

    def __post_init__(self):
        _check_text("board_part", self.board_part, _BOARD_PART, "be like "
                    "xilinx.com:zcu104:part0:1.1")
        _check_text("machine", self.machine, _MACHINE, "be a machine's name in Yocto")
        _check_count("control_base", self.control_base, 0xA000_0000, 0xAFFF_0000)
        if self.control_base % 0x1_0000:
            raise ValueError(f"control_base must be a multiple of 64 KiB, not "
                             f"{self.control_base:#x}")
        _check_count("interrupt", self.interrupt, 89, 96)
        if self.port_bits not in (32, 64, 128):
            raise ValueError(f"port_bits must be 32, 64 or 128, not {self.port_bits!a}")


@dataclass(frozen=True, kw_only=True)
class Board(Counts):
    """A board, the resources of its whole device, and its dies.

    Attributes: ``name``, as in ``--board``; ``title``, for people; ``part``, the vendor's part;
    ``family``, one of :data:`FAMILIES`; the resources; ``lutram_lut``, the LUTs that may hold
    memory (64 bits each); ``dies``, from SLR0 up; ``stream_bits``, data width of the AXI4-Stream
    ports; ``clock_mhz``, the default clock; ``max_multipliers``, DSP slices of the largest array
    that the planner may choose, one for each product (in int8 for two), which leaves others for the
    lanes; ``delay_scale``, how much slower wires are than those of a part at 0.85 V;
    ``vivado_last``, the last Vivado that has the part, None for today's; ``host``, the processing
    system, where the board has one that packages are written for; ``source``, the documents that
    the numbers come from.
    Raises :class:`ValueError` where a number cannot be true.
    """

    name: str
    title: str
    part: str
    family: str
    lutram_lut: int
    dies: tuple[Die, ...]
    stream_bits: int
    max_multipliers: int
    clock_mhz: float = 300.0
    delay_scale: float = 1.0
    vivado_last: str | None = None
    host: Host | None = None
    source: tuple[str, ...]

    def __post_init__(self):
        super().__post_init__()
        _check_text("name", self.name, NAME, f"match {NAME.pattern}")
        _check_text("title", self.title, _TITLE, "be at most 80 letters, digits, spaces and "
                    ".,()+/-")
        _check_text("part", self.part, _PART, "be device-package-speed-grade like "
                    "xczu7ev-ffvc1156-2-e")
        if self.family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {self.family!a}")
        if not self.part.startswith(FAMILIES[self.family]):
            raise ValueError(f"part must begin with {' or '.join(FAMILIES[self.family])} for the "
                             f"family {self.family}, not {self.part!a}")
        for field in ("lut", "ff", "dsp", "lutram_lut", "max_multipliers"):
            _check_count(field, getattr(self, field), 1)
        if self.lutram_lut > self.lut:
            raise ValueError(f"lutram_lut must be at most lut ({self.lut}), not {self.lutram_lut}")
        self._check_dies()
        free = sum(die.free.dsp for die in self.dies)
        if self.max_multipliers > free:
            raise ValueError(f"max_multipliers must be at most the dsp beside the shell ({free}), "
                             f"not {self.max_multipliers}")
        if self.stream_bits not in (32, 64, 128, 256, 512, 1024):
            raise ValueError("stream_bits must be a power of two from 32 to 1024, "
                             f"not {self.stream_bits!a}")
        _check_number("clock_mhz", self.clock_mhz, 1, 1000)
        _check_number("delay_scale", self.delay_scale, 0.5, 3)
        if self.vivado_last is not None:
            _check_text("vivado_last", self.vivado_last, _VIVADO, "be a version like 2023.1")
        if not self.source or not all(isinstance(text, str) and text.isprintable()
                                      and 0 < len(text) <= 200 for text in self.source):
            raise ValueError("source must name at least one document, each in one line of at most "
                             "200 characters")

    def _check_dies(self) -> None:
        if not 1 <= len(self.dies) <= 4:
            raise ValueError(f"a board must have 1 to 4 dies, not {len(self.dies)}")
        for field in fields(Counts):
            whole, parts = getattr(self, field.name), sum(getattr(die, field.name)
                                                          for die in self.dies)
            if whole != parts:
                raise ValueError(f"the dies' {field.name} must add up to the device's ({whole}), "
                                 f"not {parts}")

    def window(self, dies: int) -> int:
        """The first of the ``dies`` neighbouring dies that leave a core the most on each: DSP
        slices, then block RAM, then LUTs."""
        def least(first: int) -> tuple:
            free = [die.free for die in self.dies[first:first + dies]]
            return tuple(min(getattr(one, name) for one in free)
                         for name in ("dsp", "bram36", "lut"))

        return max(range(len(self.dies) - dies + 1), key=lambda first: (least(first), -first))

    @property
    def clock_period_ns(self) -> float:
        """Period of the default clock in nanoseconds."""
        return 1000.0 / self.clock_mhz


def _check_count(name: str, value: object, least: int, most: int = _MOST,
                 halves: bool = False) -> None:
    if halves and type(value) is float and value % 1 in (0, 0.5):
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number{' or half of one' if halves else ''} from "
                         f"{least} to {most}, not {_shown(value)}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"{name} must be from {least:g} to {most:g}, not {_shown(value)}")


def _check_text(name: str, value: object, pattern: re.Pattern, must: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{name} must {must}, not {_shown(value)}")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:56] + "..."
