"""What a device offers a core, and how the core may keep its weights there."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.boards import Board

__all__ = ["Budget"]


@dataclass(frozen=True, kw_only=True)
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
            return cls(name="a core without --board", multipliers=256, bram36=1024, dsp=1024,
                       lut=400_000, uram=0, stream_bits=128, clock_mhz=300.0, memory=memory,
                       loadable=loadable)
        return cls(name=f"the {board.name}", multipliers=board.max_multipliers,
                   bram36=board.bram36, dsp=board.dsp, lut=board.lut, uram=board.uram,
                   stream_bits=board.stream_bits, clock_mhz=board.clock_mhz, memory=memory,
                   loadable=loadable)

    @property
    def bits(self) -> int:
        """More than all the weights that can stay on chip: block RAM, UltraRAM and LUTs."""
        return self.bram36 * 36864 + self.uram * 294912 + self.lut * 64
