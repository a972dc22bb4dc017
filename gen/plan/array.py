"""The array that a plan is made for."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.gen.errors import UserError

__all__ = ["BLOCK_WORDS", "CROSS", "Array"]

#: Weight words that the blocks of convolutions may take, if an array names no other number.
BLOCK_WORDS = 2048

#: Registers from die to die: one that sends, one that receives.
CROSS = 2


@dataclass(frozen=True, kw_only=True, order=True)
class Array:
    """What decides a schedule, beside the network.

    Attributes: ``pe`` rows x ``simd`` columns of multipliers; ``stream_bits``, width of both
    streams; ``contexts``, sequences that make a frame and share the array, which gives throughput
    for latency; ``pipeline``, "full", or "short" for slower clocks
    (:class:`~gatefold.hdl.config.EngineConfig`); ``block_words``, weight words that the blocks of
    convolutions may take; ``reach``, ``gather``, ``dies``, ``cross``, what distance needs, and
    ``cascade``, what a shortage of logic needs, ``protect``, ``packed``, two products of int8 in a
    DSP slice, and ``parts``, beats of a chunk of results, as of the engine.
    Raises :class:`UserError` for what no network can be planned on.
    """

    pe: int
    simd: int
    stream_bits: int = 128
    contexts: int = 1
    pipeline: str = "full"
    block_words: int = BLOCK_WORDS
    reach: int = 0
    gather: int = 0
    dies: int = 1
    cross: int = 0
    cascade: bool = False
    protect: bool = False
    packed: bool = False
    parts: int = 1

    def __post_init__(self):
        if self.dies < 1:
            raise UserError(f"dies must be a positive number, not {self.dies}")
        if self.pe < 4 or self.pe % (4 * self.dies):
            on = "" if self.dies == 1 else f" on each of {self.dies} dies"
            raise UserError(f"pe must be a multiple of {4 * self.dies} (one row a gate{on}), "
                            f"not {self.pe}")
        if self.dies > 1 and self.cross < CROSS:
            raise UserError(f"cross must be at least {CROSS} registers from die to die (one that "
                            f"sends, one that receives), not {self.cross}")
        if self.simd < 1:
            raise UserError(f"simd must be a positive number of columns, not {self.simd}")
        if self.parts < 1 or self.parts & (self.parts - 1) or self.simd % self.parts:
            raise UserError(f"parts must be a power of two that divides simd ({self.simd}), not "
                            f"{self.parts}")
        if self.contexts < 1:
            raise UserError(f"contexts must be a positive number of sequences, not {self.contexts}")

    @property
    def multipliers(self) -> int:
        """Multipliers of the array."""
        return self.pe * self.simd
