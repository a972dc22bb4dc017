"""The parameters of the hardware around a core."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.host.registers import MAP

__all__ = ["FRAME_BITS", "PORTS", "HostConfig"]

#: Widths of the memory port, bits.
PORTS = (32, 64, 128, 256, 512)
#: Bits of a descriptor's number of frames.
FRAME_BITS = 24


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """A core, or several, behind registers and a memory port.

    Parameters
    ----------
    engine: of each core. Without ``float32`` its stream is as wide as the memory port, and its
        beats are the words in memory.
    engines: cores that take frames in turn.
    float32: elements in memory are float32, and a beat of the stream has as many as a word.
    in_formats, out_fracs: with ``float32``, (fraction bits, bits) of each element of an input
        frame, and fraction bits of each of an output frame.
    constants: values of the constant registers by name.
    """

    engine: EngineConfig
    engines: int = 1
    float32: bool = False
    in_formats: tuple[tuple[int, int], ...] = ()
    out_fracs: tuple[int, ...] = ()
    constants: dict[str, int] = field(hash=False)

    def __post_init__(self):
        if self.width not in PORTS:
            raise ValueError(f"the memory port must have {', '.join(map(str, PORTS))} bits, "
                             f"not {self.width}")
        if self.engines < 1 or (self.engines > 1 and self.engine.stateful):
            raise ValueError(f"engines must be 1 of a stateful core, or at least 1, "
                             f"not {self.engines}")

    @property
    def container(self) -> int:
        """Bits of an element in memory."""
        return 32 if self.float32 else self.engine.container

    @property
    def width(self) -> int:
        """Bits of the memory port."""
        return self.engine.beat * self.container

    @property
    def word_bytes(self) -> int:
        """Bytes of a word of the memory port."""
        return self.width // 8

    @property
    def beat_bits(self) -> int:
        """Bits of a beat of the core's streams."""
        return self.engine.beat * self.engine.container

    @property
    def load_words(self) -> int:
        """Words of the weights' image, whose beats follow each other without gaps."""
        return -(-self.engine.load_beats * self.beat_bits // self.width)

    @property
    def window(self) -> bool:
        """Whether there are windows: a frame fits into them."""
        most = max(self.engine.x_beats, self.engine.out_beats) * self.word_bytes
        return most <= MAP.window("WINDOW_IN").size
