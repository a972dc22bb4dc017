"""The plan of a core: of the array that was asked for, or of the best, and what the report says of
the choice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

from gatefold.gen.errors import UserError
from gatefold.gen.measure.rules import EXTRAS
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import BuildOptions
from gatefold.gen.plan import Array, Budget, Plan, choose_array, make_plan
from gatefold.gen.plan.deadline import meet_deadline
from gatefold.gen.plan.drafts import made_to_fit
from gatefold.gen.plan.placing import fit
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.stream import with_streams

__all__ = ["SPENT", "Progress", "affordable", "describe_stream", "describe_windows",
           "on_its_array", "planned"]

#: Part of a narrow core's LUTs that it may take to make its error smaller, by the formulas: open
#: synthesis counts up to a quarter more, so that it is less than 5 %.
SPENT = 0.04

Progress = Callable[[str], None]


def planned(qnet: QuantizedNetwork, limits: Budget, options: BuildOptions,
            progress: Progress) -> tuple[Plan, dict[int, int]]:
    """The plan of the chosen array, or of the best, and the latencies with all widths of streams
    that were planned (:mod:`gatefold.gen.plan.stream`); :class:`UserError` where it does not fit.
    """
    counted = _counted(progress)

    def of_width(bits: int) -> Plan:
        return _planned_within(qnet, replace(limits, stream_bits=bits), options, counted)

    own = limits.stream_bits
    if options.port is not None or options.host is not None:
        plan = of_width(own)
        return plan, {own: plan.cycles.latency}
    if options.deadline is None:
        return with_streams(of_width, own)
    try:
        plan = of_width(own)
    except UserError:  # perhaps it is the streams that are too slow
        fastest, widths = with_streams(
            lambda bits: choose_array(
                qnet, replace(limits, stream_bits=bits), goal="latency", quick=True,
                **options.named(("contexts", "pipeline", "protect"))), own)
        if fastest.array.stream_bits == own:
            raise
        return of_width(fastest.array.stream_bits), widths
    return plan, {own: plan.cycles.latency}


def _planned_within(qnet: QuantizedNetwork, limits: Budget, options: BuildOptions,
                    progress: Callable[[int, int], None]) -> Plan:
    """The plan with streams of the width of ``limits``."""
    made = options.named(("contexts", "pipeline", "protect"))
    if options.deadline is not None:
        return meet_deadline(qnet, limits, options.deadline, **made)
    if options.pe is None or options.simd is None:
        return choose_array(qnet, limits, **made, goal=options.goal, quick=options.quick,
                            progress=progress)
    if options.pe % (4 * limits.fewest_dies):
        raise UserError(f"--pe must be a multiple of {4 * limits.fewest_dies} on "
                        f"{limits.fewest_dies} dies (four rows each), not {options.pe}")
    array = Array(pe=options.pe, simd=options.simd, stream_bits=limits.stream_bits,
                  packed=limits.packs, **made)
    plans = [(make_plan(qnet, made_to_fit(qnet, array, share)), share) for share in limits.shares()
             if array.pe % (4 * share.dies) == 0]
    fitting = [placed for plan, share in plans if (placed := fit(plan, share)) is not None]
    if fitting:
        return min(fitting, key=lambda plan: plan.cycles.latency)
    needs = estimate(plans[-1][0].config)
    where = "" if limits.memory == "auto" else f" with --memory {limits.memory}"
    best = choose_array(qnet, limits, **made, quick=True).array
    raise UserError(f"an array of {array.pe} x {array.simd} takes about {needs.lut} LUTs, "
                    f"{needs.dsp} DSPs and {needs.bram36:g} block RAMs of {limits.name}'s "
                    f"{limits.lut}, {limits.dsp} and {limits.bram36:g} and cannot be placed"
                    f"{where}: the fastest of no more multipliers that fits is --pe "
                    f"{best.pe} --simd {best.simd}")


def _counted(say: Progress) -> Callable[[int, int], None]:
    """What :func:`choose_array` calls: it says how many arrays are left and for about how long."""
    started = time.monotonic()

    def counted(done: int, total: int) -> None:
        left = (time.monotonic() - started) * (total - done) / done
        say(f"planning: {done} of about {total} arrays, {left:.0f} s left")

    return counted


def on_its_array(plan: Plan, qnet: QuantizedNetwork, limits: Budget) -> Plan:
    """``qnet`` on the array of ``plan``; or ``plan``, where that does not fit or is slower."""
    made = fit(make_plan(qnet, plan.array, loadable=plan.config.loadable),
               limits.on(plan.config.dies))
    return plan if made is None or made.cycles.latency > plan.cycles.latency else made


def affordable(plan: Plan, quantised: Callable[[tuple[str, ...]], QuantizedNetwork],
               limits: Budget) -> Plan:
    """``plan``, or on the same array the network without some of what makes its error smaller
    (:data:`~gatefold.gen.measure.rules.EXTRAS`): with as many of these as take at most
    :data:`SPENT` of the LUTs that it takes without any. ``quantised`` makes it without some."""
    used = [extra for extra in EXTRAS if plan.qnet.calibration.get(extra)]
    if not used:
        return plan
    plain = on_its_array(plan, quantised(EXTRAS), limits)
    most, found = (1 + SPENT) * estimate(plain.config).lut, plan
    for without in (some for count in range(1, len(used))
                    for some in combinations(used, count)):
        if estimate(found.config).lut <= most:
            break
        found = on_its_array(plan, quantised(without), limits)
    return found if estimate(found.config).lut <= most else plain


def describe_stream(plan: Plan, widths: dict[int, int], options: BuildOptions) -> dict:
    """The width of the streams, and why they have it, for the report."""
    bits = plan.array.stream_bits
    own = next(iter(widths))
    where = "a core has without --board" if options.board is None else "the board's ports have"
    if options.host is not None:
        reason = "a beat for each word of the memory port"
    elif options.port is not None:
        reason = "as --port says"
    elif bits == own:
        reason = f"what {where}"
    else:
        reason = (f"with {own} bits, which {where}, a frame would wait for its input and take "
                  f"{widths[own]} cycles")
    return {"bits": bits, "reason": reason, "latency_of": {str(n): widths[n] for n in widths}}


def describe_windows(plan: Plan, whole: QuantizedNetwork) -> dict:
    """What a core whose windows overlap saves beside one that computes each anew, on the same
    array."""
    anew = make_plan(whole, plan.array)
    hop, _ = plan.qnet.input_shape
    return {"window": plan.qnet.window, "hop": hop, "frames": plan.qnet.spans,
            "multiplications": plan.bounds.multiplications, "latency": plan.cycles.latency,
            "interval": plan.cycles.interval,
            "whole": {"multiplications": anew.bounds.multiplications,
                      "latency": anew.cycles.latency, "interval": anew.cycles.interval},
            "meaning": {
                "frames": "from the first frame of a recording to the first answer that is that of "
                          "a whole window: answers before it are of windows that begin with zeros",
                "whole": "a core that computes each window whole, on the same array"}}
