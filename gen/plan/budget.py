"""What a device offers a core, and how the core may keep its weights there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gatefold.boards import Board
from gatefold.gen.errors import UserError

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """What a core may use.

    Attributes: ``name`` of the device, for messages; ``multipliers`` to ``clock_mhz``, as
    :class:`~gatefold.boards.Board`; ``memory``, where the weights are stored, one of
    :data:`~gatefold.gen.options.MEMORIES`; ``loadable``, whether they are streamed in at run time.
    """

    name: str
    multipliers: int
    bram36: int
    dsp: int
    lut: int
    uram: int
    stream_bits: int
    clock_mhz: float
    memory: str = "auto"
    loadable: bool = False

    @classmethod
    def of(cls, board: Board | None, *, memory: str = "auto", loadable: bool = False) -> Budget:
        """The board's; without one a generic device's: 256 multipliers, 128-bit streams."""
        if board is None:
            return cls("a core without --board", 256, 1024, 1024, 400_000, 0, 128, 300.0, memory,
                       loadable)
        return cls(f"the {board.name}", board.max_multipliers, board.bram36, board.dsp, board.lut,
                   board.uram, board.stream_bits, board.clock_mhz, memory, loadable)

    def within(self, multipliers: int | None, option: str = "--macs") -> Budget:
        """The same with ``multipliers``, which ``option`` asks for, or with all where it does not.

        Raises :class:`UserError` where the device has fewer.
        """
        if multipliers is not None and multipliers > self.multipliers:
            raise UserError(f"{option} must be at most {self.multipliers} for {self.name}, not "
                            f"{multipliers}: choose fewer{self.or_larger}")
        return replace(self, multipliers=multipliers or self.multipliers)

    def check_weights(self, number: int, width: int) -> None:
        """Raise :class:`UserError` where no memories hold ``number`` weights of ``width`` bits."""
        # More than all the weights that can stay on chip: block RAM, UltraRAM and LUTs.
        bits = self.bram36 * 36864 + self.uram * 294912 + self.lut * 64
        if number * width > bits:
            raise UserError(f"{number} weights of at least {width} bits do not fit into the "
                            f"{bits // width} that {self.name} holds on chip: use a smaller "
                            f"network or width{self.or_larger}")

    @property
    def or_larger(self) -> str:
        """The end of a remedy: without a board, one may be larger."""
        return "" if self.name.startswith("the ") else ", or a larger device with --board"
