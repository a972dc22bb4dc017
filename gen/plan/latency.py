"""The distances that schedules are made of, put together from what each component states.

All are in cycles between *issues* of tiles, or from an issue to a later event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.kinds import Gate, LstmKind, Squash
from gatefold.hdl.lane_array import early_latency, lanes_of, late_latency, state_latency
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.operand_memory import OperandMemory
from gatefold.hdl.row_router import RowRouter

__all__ = ["Latencies", "latencies", "lstm_tail", "stages"]

#: An LSTM with the full pipeline. Of its parameters only the kind and ``simd`` change a latency.
_LSTM = EngineConfig(
    pe=4, simd=1, weight_width=8, act_width=8, cell_width=8, acc_width=24,
    table=TableConfig(frac=4, n0=4, n1=4, n2=0, out_frac=8, t1_width=1), aligns=(0,),
    kinds=(LstmKind(gate=Gate(0), candidate=Squash(0), up_f=0, up_g=0, cell=0, out=Squash(0), h=0,
                    cell_width=8, h_width=8),),
    routes=((4, 0),), weight_depth=1, bias_depth=1, park_depth=0, h_depth=1, cell_depth=1, x_row=1,
    x_rows=1, out_row=1, out_rows=1, out_early=False, out_whole=False, beat=1, container=8,
    program_depth=1, segments=1, max_gap=0, max_beats=1, max_count=1, max_stride=0)


@dataclass(frozen=True)
class Latencies:
    """Fixed distances of an engine.

    array: from the issue of a tile to its sums in the accumulators, where the array is on one die
        with the sequencer.
    result: the same from a finishing tile to the write of its first beat into the h memory.
    output: from the issue of a finishing tile to the write of its first beat into the output
        memory.
    tail: from the issue of a finishing tile to the first issue that can use its first beat, which
        comes before the write, since a chunk may be addressed before its data is there.
    park: from the issue of a parking tile to the first issue that can start from the parked sums.
    state: from the issue of a finishing tile to the first issue of one that may finish from the
        states that it leaves.
    cross: how much later a chunk can be used at each border of dies that it passes.
    """

    array: int
    result: int
    output: int
    tail: int
    park: int
    state: int
    cross: int


def latencies(config: EngineConfig) -> Latencies:
    """The distances of the engine that ``config`` describes."""
    array = MacArray.latency(config)
    rows = array + RowRouter.latency(config)
    result = rows + late_latency(config)
    # Tiles come to every die after as many cycles as to the farthest, and outputs go back: both
    # delay the output, and no tile is later than another.
    return Latencies(array=array, result=result,
                     output=rows + early_latency(config) + config.way_there + config.way_back,
                     tail=result - OperandMemory.lead, park=MacArray.park_distance,
                     state=state_latency(config), cross=config.cross)


@cache
def lstm_tail(simd: int) -> int:
    """The tail of an LSTM with the full pipeline on ``simd`` columns: what arrays are ranked by
    before there is an engine."""
    return latencies(replace(_LSTM, simd=simd)).tail


def stages(config: EngineConfig) -> dict[str, int]:
    """The parts of :attr:`Latencies.tail` in their order, in cycles; each component's docstring
    says what they do. The first is short because a result goes past the operand memory."""
    whole = latencies(config)
    slowest = max(lanes_of(config), key=lambda lane: lane.latency(config))
    return {
        "broadcast": MacArray.way_out(config) - OperandMemory.lead,
        **dict(MacRow.stages(config)),
        "accumulator": whole.array - MacArray.way_out(config) - MacRow.latency(config),
        "router": RowRouter.latency(config),
        **{f"lane: {name}": cycles for name, cycles in slowest.stages(config)},
    }
