"""The distances that schedules are made of, put together from what each component states.

All are in cycles between *issues* of tiles, or from an issue to a later event.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.config import EngineConfig
from gatefold.hdl.lane_array import early_latency, lanes_of, late_latency, state_latency
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.row_router import RowRouter

__all__ = ["Latencies", "latencies", "stages"]


@dataclass(frozen=True)
class Latencies:
    """Fixed distances of an engine.

    array: issue of a tile to its sums. result: issue of a finishing tile to the cycle in which the
    first beat of its result is written to the h memory. output: the same for the output memory.
    tail: issue of a finishing tile to the first issue that can use its first beat; the operand
    memory lets it come before the write. park: issue of
    a parking tile to the first issue that can start from the parked sums. state: issue of a
    finishing tile to the issue of the first that may finish from the states it leaves.
    """

    array: int
    result: int
    output: int
    tail: int
    park: int
    state: int


def latencies(config: EngineConfig) -> Latencies:
    """The distances of the engine that ``config`` describes."""
    array = MacArray.latency(config)
    rows = array + RowRouter.latency
    result = rows + late_latency(config)
    # Parked sums are written in the cycle of the accumulator and fetched two cycles before it.
    return Latencies(array=array, result=result, output=rows + early_latency(config),
                     tail=result - OperandMemory.lead, park=3, state=state_latency(config))


def stages(config: EngineConfig) -> dict[str, int]:
    """The parts of :attr:`Latencies.tail` in their order, in cycles; what each of them does is
    described in the component's docstring. A result of h goes to the broadcast register past the
    operand memory."""
    whole = latencies(config)
    slowest = max(lanes_of(config), key=lambda lane: lane.latency(config))
    return {
        "broadcast": OperandMemory.latency - OperandMemory.lead,
        **dict(MacRow.stages(config)),
        "accumulator": whole.array - OperandMemory.latency - MacRow.latency(config),
        "router": RowRouter.latency,
        **{f"lane: {name}": cycles for name, cycles in slowest.stages(config)},
    }
