"""What a device offers a core, how the core may keep its weights there, and what clock it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gatefold.boards import Board
from gatefold.gen.errors import UserError

__all__ = ["Budget"]

#: Dies that a core is spread over, at most.
DIES = 4

@dataclass(frozen=True)
class Budget:
    """What a core may use: the device less the shell, of each die as much as of the poorest.

    Attributes: ``name`` of the device, for messages; ``multipliers``; ``bram36``, ``dsp``, ``lut``
    and ``uram``, on all ``dies``; ``packs``, whether each of the array's DSP slices holds two
    products; ``stream_bits``; ``clock_mhz``, which the wires must keep;
    ``memory``, where the weights are stored, one of :data:`~gatefold.gen.options.MEMORIES`;
    ``loadable``, whether they are streamed in at run time; ``board``, the geometry, None where
    wires are not known; ``fewest_dies`` that a core takes; ``reach``, ``gather``, levels of
    registers that the user fixed; ``lanes``, the most of each die, None for no limit; ``engines``,
    equal cores on the device, each of which may use this much; ``asked``, the option with which the
    user asked for fewer ``multipliers`` than the device has, or nothing.
    """

    name: str
    multipliers: int
    bram36: float
    dsp: int
    lut: int
    uram: int
    stream_bits: int
    clock_mhz: float
    memory: str = "auto"
    loadable: bool = False
    board: Board | None = None
    dies: int = 1
    fewest_dies: int = 1
    reach: int | None = None
    gather: int | None = None
    lanes: int | None = None
    engines: int = 1
    packs: bool = False
    asked: str = ""

    @classmethod
    def of(cls, board: Board | None, *, memory: str = "auto", loadable: bool = False,
           clock_mhz: float | None = None) -> Budget:
        """As many of the board's dies as can share a core; without a board a generic device: 256
        multipliers, 128-bit streams. The clock is the board's if not given."""
        if board is None:
            return cls("a core without --board", 256, 1024, 1024, 400_000, 0, 128,
                       clock_mhz or 300.0, memory, loadable)
        whole = cls(f"the {board.name}", board.max_multipliers, board.bram36, board.dsp, board.lut,
                    board.uram, board.stream_bits, clock_mhz or board.clock_mhz, memory, loadable,
                    board)
        return whole.on(min(DIES, len(board.dies)))

    def packed(self) -> Budget:
        """The same for a network two of whose products fit a DSP slice."""
        return replace(self, packs=True, multipliers=2 * self.multipliers)

    def on(self, dies: int) -> Budget:
        """The same on so many of the board's dies, with a share of ``multipliers`` at most.

        Raises :class:`UserError` where the board or the hardware has fewer.
        """
        most = min(DIES, len(self.board.dies)) if self.board else DIES
        if dies > most:
            raise UserError(f"--dies must be at most {most} for {self.name}, not {dies}: choose "
                            "fewer, or leave it out to have the number chosen")
        if self.board is None:
            return replace(self, dies=dies)
        first = self.board.window(dies)
        free = [die.free for die in self.board.dies]
        least = {name: dies * min(getattr(one, name) for one in free[first:first + dies])
                 // self.engines for name in ("bram36", "dsp", "lut", "uram")}
        # Each die keeps its part of the DSP slices that the board sets aside for the lanes.
        multipliers = (least["dsp"] * self.board.max_multipliers
                       // sum(one.dsp for one in free)) * (1 + self.packs)
        return replace(self, dies=dies, multipliers=min(self.multipliers, multipliers), **least)

    def shares(self) -> Iterator[Budget]:
        """The budgets of each number of dies that a core may take."""
        return (self.on(dies) for dies in range(self.fewest_dies, self.dies + 1))

    def within(self, multipliers: int | None, option: str = "--macs") -> Budget:
        """The same with ``multipliers``, which ``option`` asks for, or with all where it does not.

        Raises :class:`UserError` where the device has fewer.
        """
        if multipliers is None or multipliers == self.multipliers:
            return self
        if multipliers > self.multipliers:
            raise UserError(f"{option} must be at most {self.multipliers} for {self.name}, not "
                            f"{multipliers}: choose fewer{self.or_larger}")
        return replace(self, multipliers=multipliers, asked=option)

    def check_weights(self, number: int, width: int) -> None:
        """Raise :class:`UserError` where no memories hold ``number`` weights of ``width`` bits."""
        # More than all the weights that can stay on chip: block RAM, UltraRAM and LUTs.
        bits = self.bram36 * 36864 + self.uram * 294912 + self.lut * 64
        if number * width > bits:
            raise UserError(f"{number} weights of at least {width} bits do not fit into the "
                            f"{bits // width} that {self.name} holds on chip: use a smaller "
                            f"network or width{self.or_larger}")

    def each_of(self, engines: int) -> Budget:
        """What each of several equal cores may use."""
        part = {name: getattr(self, name) // engines
                for name in ("multipliers", "bram36", "dsp", "lut", "uram")}
        return replace(self, engines=engines, **part)

    @property
    def more_multipliers(self) -> str:
        """A remedy for an array that is too small."""
        return f"more multipliers ({self.asked})" if self.asked else "a larger board (--board)"

    @property
    def or_larger(self) -> str:
        """The end of a remedy: without a board, one may be larger."""
        return "" if self.name.startswith("the ") else ", or a larger device with --board"
