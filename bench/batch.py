"""Batches of the network that was published with batches: plans of several cores on one card.

A batch is distributed evenly to ``copies`` of a core, each with its share of the card's memories,
logic and multipliers, and each with several sequences in a frame (contexts). Planned: no copy was
placed beside another.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from networks import Workload, calibration

from gatefold.boards import get as get_board
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Budget, choose_array

__all__ = ["BATCHES", "NETWORK", "batch_rows"]

NETWORK, BOARD = "autoenc-5", "u280"
BATCHES = (32, 64, 128)
COPIES = (1, 2, 4, 16)
CONTEXTS = 8


def batch_rows(workload: Workload) -> list[dict]:
    """One row for each number of copies: the core, and cycles for one inference of each batch."""
    card = Budget.of(get_board(BOARD))
    qnet = quantize(workload.network, calibration=calibration(workload.name))
    rows = []
    for copies in COPIES:
        share = replace(card, **{name: getattr(card, name) // copies for name in (
            "multipliers", "bram36", "dsp", "lut", "uram")})
        plan = choose_array(qnet, share, contexts=CONTEXTS)
        config, cycles = plan.config, plan.cycles
        per_batch = {}
        for batch in BATCHES:
            frames = ceil(batch / (copies * CONTEXTS))
            taken = cycles.latency + (frames - 1) * cycles.interval
            per_batch[str(batch)] = round(taken / batch, 1)
        rows.append({"copies": copies, "contexts": CONTEXTS, "pe": config.pe, "simd": config.simd,
                     "latency": cycles.latency, "interval": cycles.interval,
                     "clock_mhz": card.clock_mhz, "cycles_per_inference": per_batch,
                     "busy": plan.bounds.multiplications
                     / (config.pe * config.simd * cycles.interval)})
    return rows
