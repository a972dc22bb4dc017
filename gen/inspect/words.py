"""An inspection in lines of text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gatefold.gen.errors import quoted
from gatefold.gen.inspect.estimate import Estimate
from gatefold.gen.inspect.inspection import Inspection
from gatefold.gen.network.summary import counted, table

__all__ = ["lines"]


def lines(found: Inspection, model: str) -> Iterator[str]:
    """What ``gatefold inspect`` prints; ``model``, its argument."""
    if found.inputs:
        outputs = f" -> {_shapes(found.outputs)}" if found.outputs else ""
        yield f"inputs {_shapes(found.inputs)}{outputs}, without the batch"
    if found.layers:
        yield from table(found.layers, " (host)" if found.options is not None else " (refused)")
    yield ""
    if found.options is not None and any(not row.hardware for row in found.layers):
        yield from _shares(found)
    if found.blockers:
        yield f"{counted(len(found.blockers), 'blocker')}:"
        yield from (f"  {one.text}" for one in found.blockers)
    else:
        yield "no blockers"
    if found.not_examined:
        names = ", ".join(quoted(name, 40) for name in found.not_examined[:20])
        more = len(found.not_examined) - 20
        yield ("not examined, since the shape of what they read is not known: " + names
               + (f" and {more} more" if more > 0 else ""))
    if found.options is None:
        yield "options: none lets it in; change the model as the blockers say"
    else:
        yield "build it with: " + shlex.join(["gatefold", "build", model, *found.options, "-o",
                                              "core"])
        if any(one.kind == "input" for one in found.blockers):
            yield "  (any number of timesteps: with this one it was inspected)"
    if found.estimate is not None and found.estimate.fits:
        yield _estimated(found.estimate)


def _shares(found: Inspection) -> Iterator[str]:
    """Who computes how much of a model that is cut."""
    total = sum(row.multiplications or 0 for row in found.layers) or 1
    for part in found.parts:
        ends = quoted(part.first, 40) + ("" if part.layers == 1 else f" to {quoted(part.last, 40)}")
        share = "" if part.multiplications is None else (
            f", {part.multiplications / total:.1%} of the multiplications")
        yield (f"{'core' if part.hardware else 'host'}: {counted(part.layers, 'layer')}, {ends}"
               + share)


def _estimated(one: Estimate) -> str:
    where = "a generic device" if one.board is None else f"the {one.board}"
    return (f"estimate: it fits {where}; about {one.cycles:,} cycles an inference, {one.us:g} us "
            f"at {one.clock_mhz:g} MHz, with an array of {one.pe} x {one.simd} and {one.numbers}")


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join(map(str, shapes))
