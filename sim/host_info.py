"""What the check needs to know of a core with registers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HostInfo"]


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """A core with registers: its memory port, its frames and its planned cycles.

    Attributes: ``port_bits``; ``in_bytes``, ``out_bytes``, from frame to frame; ``window``, whether
    there is one; ``load``, the weights' image, or nothing; ``warm``, cycles after a reset until a
    frame takes no longer than others; ``frame``, ``window_frame``, ``batch``, planned cycles of one
    frame, of one in the window, and of ``batch_frames``; ``exact``, whether the batch must take
    exactly as many; ``sequences``, of a stateful core the results of
    all frames where a sequence has ``sequence`` of them; ``constants``, values of constant
    registers by name; ``engines``, and how many of them are ``watching`` themselves.
    """

    port_bits: int
    in_bytes: int
    out_bytes: int
    window: bool
    load: bytes
    warm: int
    frame: int
    window_frame: int | None
    batch: int
    batch_frames: int
    exact: bool
    sequence: int
    sequences: list[bytes]
    constants: dict[str, int]
    engines: int
    watching: int = 0
