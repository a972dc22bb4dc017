"""Whether an array fits a device, and the memories that its weights are placed in."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from gatefold.gen.numbers.quantized import QuantizedNetwork, Table
from gatefold.gen.plan.budget import Budget
from gatefold.gen.plan.demand import Demand, lane_multipliers, looked_up
from gatefold.gen.plan.memories import bram18s, rom_luts, urams
from gatefold.gen.plan.plan import Plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.hdl.config import SHALLOW, EngineConfig, bits_for

__all__ = ["fit", "lut_rows", "may_place", "might_fit", "multipliers_fit", "parts_of", "place",
           "widths_might_fit"]

#: Shares of a device that a core may take by our estimate: routing needs air.
_LUT_SHARE = 0.8
_BLOCK_SHARE = 0.95
#: Beats that a chunk of results may take.
_PARTS = (1, 2, 4, 8)


def might_fit(qnet: QuantizedNetwork, pe: int, simd: int, budget: Budget,
              asked: list[Demand]) -> bool:
    """A quick look, by counts: whether the device has room for multipliers and sums, weights,
    tables, two frames of input and results that others read. ``asked``: what the layers ask.

    Multipliers and block RAM are lower bounds. LUTs are a rough count, mostly too high, and weights
    of so few words that they are in LUTs are not put in UltraRAM: where a device is short of LUTs,
    an array that :func:`place` would place may be refused.
    """
    return widths_might_fit(asked, pe, simd, budget, inputs=qnet.input_elements,
                            weight_width=qnet.weight_width, act_width=qnet.act_width,
                            acc_width=qnet.acc_width, table=qnet.table, tables=looked_up(qnet),
                            multipliers=lane_multipliers(qnet))


def widths_might_fit(asked: list[Demand], pe: int, simd: int, budget: Budget, *, inputs: int,
                     weight_width: int, act_width: int, acc_width: int, table: Table,
                     tables: int, multipliers: int) -> bool:
    """The same from the widths alone, where there is no quantised network yet; ``inputs``, elements
    of an input frame; of a lane, ``tables``, memories that hold ``table``, and ``multipliers``,
    slices."""
    depth = sum(demand.words(pe, simd) for demand in asked)
    word = simd * weight_width
    fewest = simd // max(parts_of(simd, budget), default=1)
    lanes = simd if budget.lanes is None else fewest
    each = bram18s(table.out_frac, len(table.t0)) + (bram18s(8, len(table.t1)) if table.n2 else 0)
    held = budget.dies * lanes * tables * each / 2
    # Each die has the input, and the results of all dies, a memory for each lane.
    stored = sum(demand.stored(simd, budget.dies) for demand in asked)
    operands = budget.dies * (_blocks(simd * act_width, 2 << bits_for(ceil(inputs / simd)))
                              + budget.dies * simd * _blocks(act_width, stored))
    adders = pe * (simd * (weight_width + act_width) + acc_width)
    luts_left = budget.lut * _LUT_SHARE - adders
    if depth <= SHALLOW or budget.memory == "lut":
        in_blocks = 0
    else:
        left = budget.bram36 * _BLOCK_SHARE - held - operands
        in_blocks = min(pe, int(left // (bram18s(word, depth) / 2))
                        + budget.uram // urams(word, depth))
    return (multipliers_fit(pe, simd, fewest, budget, multipliers)
            and held + operands <= budget.bram36 * _BLOCK_SHARE
            and (pe - max(0, in_blocks)) * rom_luts(word, depth) <= luts_left)


def multipliers_fit(pe: int, simd: int, lanes: int, budget: Budget, multipliers: int) -> bool:
    """Whether the slices of an array and of so many ``lanes`` of each die, each of which takes so
    many ``multipliers``, are on the device."""
    return ceil(pe * simd / (1 + budget.packs)) + budget.dies * lanes * multipliers <= budget.dsp


def _blocks(width: int, depth: int) -> float:
    """Block RAMs of a memory of operands; those of few words are in LUTs."""
    return 0 if depth <= 64 or width * depth <= 2048 else bram18s(width, depth) / 2


def lut_rows(config: EngineConfig, *, bram36: float) -> int | None:
    """Rows whose weights must be in LUTs so that the rest fits block RAM; None where nothing
    helps."""
    taken = estimate(config).bram36
    if taken <= bram36:
        return 0
    if config.weight_depth <= SHALLOW:
        return None
    a_row = bram18s(config.simd * config.weight_width, config.weight_depth) / 2
    rows = ceil((taken - bram36) / a_row)
    return rows if rows <= config.pe - config.uram_rows else None


def may_place(outline: EngineConfig, budget: Budget) -> bool:
    """Whether the device has the multipliers and the memories of an ``outline``, which has no
    weights yet: whatever these take comes on top."""
    needs = estimate(outline)
    return needs.dsp <= budget.dsp and needs.bram36 <= budget.bram36 * _BLOCK_SHARE


def place(config: EngineConfig, budget: Budget) -> EngineConfig | None:
    """``config`` with its weights placed in the memories of a device, or None where it does not
    fit.

    By the ``memory`` of ``budget``. "auto": in block RAM, and the rows
    that it cannot hold in LUTs; in UltraRAM only where both are not enough, for it cannot be
    initialised and makes the core ``loadable``. "bram", "lut": in that memory alone (weights of so
    few words that a block RAM would be nearly empty are in LUTs all the same). "uram": in UltraRAM,
    and the rows that it cannot hold as by "auto".
    """
    memory = budget.memory
    attempts = [] if memory == "uram" else [replace(config, loadable=budget.loadable)]
    if budget.uram and memory in ("auto", "uram"):
        rows = min(config.pe, budget.uram // urams(config.simd * config.weight_width,
                                                   config.weight_depth))
        attempts.append(replace(config, loadable=True, uram_rows=rows))
    for attempt in attempts:
        rows = lut_rows(attempt, bram36=budget.bram36 * _BLOCK_SHARE)
        if memory == "lut" and config.weight_depth > SHALLOW:
            rows = config.pe
        if rows is None or (rows and memory == "bram"):
            continue
        placed = replace(attempt, lut_rows=rows)
        needs = estimate(placed)
        if (needs.dsp <= budget.dsp and needs.lut <= budget.lut * _LUT_SHARE
                and needs.bram36 <= budget.bram36 * _BLOCK_SHARE):
            return placed
    return None


def fit(plan: Plan, budget: Budget) -> Plan | None:
    """``plan`` with its weights placed for a device (:func:`place`), or None. Where it does not fit
    for want of logic, it is planned again with cascades that may cost a cycle."""
    placed = place(plan.config, budget)
    if placed is None and place(replace(plan.config, cascade=True), budget):
        plan = make_plan(plan.qnet, replace(plan.array, cascade=True))
        placed = place(plan.config, budget)
    return None if placed is None else replace(plan, config=placed)


def parts_of(simd: int, budget: Budget) -> list[int]:
    """Beats that a chunk of so many results may take, with no more lanes than the user allows."""
    return [parts for parts in _PARTS
            if simd % parts == 0 and (budget.lanes is None or simd <= budget.lanes * parts)]
