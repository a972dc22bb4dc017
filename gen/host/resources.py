"""The resources around the engines of a core with registers: a rough count, not compared with any
synthesis."""

from __future__ import annotations

from math import ceil

from gatefold.gen.plan.amounts import Resources
from gatefold.hdl.host.config import HostConfig

__all__ = ["around"]


def around(host: HostConfig) -> Resources:
    """Registers, descriptors, the master with its queues in LUT memory, windows in block RAM,
    converters and the checksum of a loadable core."""
    width, lanes = host.width, host.engine.beat
    # Eight LUTs hold 64 words of 7 bits, or 32 of 14.
    queues = ceil((width + 1) * 8 / 7) + ceil(width * 9 / 8 * 8 / 14)
    found = Resources(lut=1500 + queues, ff=2300 + 3 * width)
    if host.window:
        found += Resources(lut=width // 2, ff=width // 8, bram36=2 * ceil(width / 72))
    if host.float32:
        found += Resources(lut=350 * lanes, ff=130 * lanes)
    if host.engine.loadable:
        # A parity of half of the word's bits for each of 32 bits, by sixes.
        found += Resources(lut=32 * ceil(host.beat_bits / 2 / 5) + 32 * 4, ff=120)
    return found
