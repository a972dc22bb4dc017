"""How wide the streams are where the user leaves it open: wide enough not to be what a frame waits
for, and no wider.

A network whose input is large for its multiplications takes as many cycles as its input has beats,
whatever the array. A wider stream ends that, but it is fed only by a source that is as wide, and
the ports of a board's processor or memory are not. So streams have the width of the board's ports
unless that costs much.
"""

from __future__ import annotations

from collections.abc import Callable

from gatefold.gen.errors import UserError
from gatefold.gen.plan.plan import Plan

__all__ = ["with_streams"]

#: The widths that may be taken instead of the board's, in bits.
_WIDER = (256, 512)
#: Wider streams must save this part of the latency, and so many cycles: a small core keeps the
#: ports that people expect.
_PART, _CYCLES = 0.1, 100
#: Of the wider ones, the narrowest is taken that costs at most this part more than the widest.
_NEAR = 0.05


def with_streams(planned: Callable[[int], Plan], own: int) -> tuple[Plan, dict[int, int]]:
    """The plan with the narrowest streams that a frame does not wait for, and the latencies of all
    widths that were planned. ``planned``: makes a plan with streams of so many bits; ``own``: bits
    of the board's ports. Raises what ``planned`` raises for these; widths for which it raises
    :class:`UserError` are not taken.
    """
    plan = planned(own)
    latency = plan.cycles.latency
    cycles = {own: latency}
    wider = [bits for bits in _WIDER if bits > own]
    worth = max(_PART * latency, _CYCLES)
    # What wider streams can save at most: the cycles in which nothing but beats moves.
    beats = plan.config.x_beats + plan.config.out_beats
    if not wider or beats * (1 - own / wider[-1]) < worth:
        return plan, cycles
    try:
        widest = planned(wider[-1])
        fastest = cycles[wider[-1]] = widest.cycles.latency
        if latency - fastest < worth:
            return plan, cycles
        for bits in wider[:-1]:
            narrower = planned(bits)
            cycles[bits] = narrower.cycles.latency
            if cycles[bits] <= (1 + _NEAR) * fastest:
                return narrower, cycles
    except UserError:  # the array does not fit beside wider streams
        return plan, cycles
    return widest, cycles
