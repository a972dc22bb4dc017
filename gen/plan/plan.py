"""The plan: array, memories, schedule and every cycle count of a core, frozen before hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...hdl.config import EngineConfig, LstmKind, TableConfig
from ...hdl.isa import Stop
from ..errors import UserError
from ..quantized import QuantizedNetwork
from .bounds import Bounds, bounds
from .cycles import Timeline, input_arrivals, replay
from .images import load_image, number_images, program_images
from .latency import Latencies, latencies
from .program import Program, assemble, unroll
from .schedule import Tile, schedule
from .work import Work, break_down, interleave

__all__ = ["Cycles", "Plan", "container_bits", "make_plan"]

#: Frames of the steady state that the interval is measured on.
_FRAMES = 5


@dataclass(frozen=True)
class Cycles:
    """Cycle counts. latency: first input beat to last output beat, the core idle before.
    interval: between last output beats of successive frames at full rate. tiles: issued in a
    frame. bound, no_overlap: see :mod:`gatefold.gen.plan.bounds`."""

    latency: int
    interval: int
    tiles: int
    bound: int
    no_overlap: int


@dataclass(frozen=True)
class Plan:
    """Everything the hardware and the reports need to know; nothing is decided after it.

    Attributes: ``qnet``; ``config``, the engine; ``work``, ``tiles``, ``program``; ``latencies``;
    ``cycles``; ``timeline``, a single frame's; ``trace``, the (layer, step, chunk) of every h that
    the lanes yield in a frame, in order (the steps of a second context follow those of the first).
    """

    qnet: QuantizedNetwork
    config: EngineConfig
    work: Work
    tiles: tuple[Tile, ...]
    program: Program
    latencies: Latencies
    cycles: Cycles
    bounds: Bounds
    timeline: Timeline
    trace: tuple[tuple[int, int, int], ...]

    def images(self) -> dict[str, list[int]]:
        """Contents of every memory that is read from a file. A loadable core's weights and bias are
        one image, ``load``: the beats of its weights' stream."""
        numbers = number_images(self.qnet, self.work, self.config)
        if self.config.loadable:
            beats = load_image(numbers, self.config)
            numbers = {name: words for name, words in numbers.items() if name.startswith("tanh")}
            numbers["load"] = beats
        return numbers | program_images(self.program, self.config)


def container_bits(act_width: int) -> int:
    """Bits an element takes in a stream: 8, 16 or 32."""
    return next(bits for bits in (8, 16, 32) if bits >= act_width)


def make_plan(qnet: QuantizedNetwork, *, pe: int, simd: int, stream_bits: int = 128,
              lut_rows: int = 0, loadable: bool = False, uram_rows: int = 0,
              contexts: int = 1) -> Plan:
    """Plan a core of ``pe`` x ``simd`` multipliers with ``stream_bits`` wide streams, the weights
    of ``lut_rows`` rows in LUTs and of ``uram_rows`` in UltraRAM; ``loadable``, filled at run time.
    ``contexts`` sequences make a frame and share the array: throughput for latency.
    Raises :class:`UserError` where the network or the shape is not to be had.
    """
    if pe < 4 or pe % 4:
        raise UserError(f"pe must be a multiple of 4 (one row a gate), not {pe}")
    if simd < 1:
        raise UserError(f"simd must be a positive number of columns, not {simd}")
    if contexts < 1:
        raise UserError(f"contexts must be a positive number of sequences, not {contexts}")
    work = break_down(qnet, pe, simd)
    if contexts > 1:
        work = interleave(work, contexts, _config(qnet, work, pe, simd, stream_bits).x_depth)
    draft = _config(qnet, work, pe, simd, stream_bits, contexts=contexts)
    distance = latencies(draft)
    tiles = schedule(work.jobs, distance, input_arrivals(draft), work.repeated, work.last,
                     in_order=contexts == 1)
    program = assemble(tiles, work)
    config = replace(_config(qnet, work, pe, simd, stream_bits, tiles, program, contexts),
                     lut_rows=lut_rows, loadable=loadable, uram_rows=uram_rows)
    instructions = unroll(program)
    assert len(instructions) == len(tiles)

    steady = replay(instructions, config, _FRAMES)
    alone = steady.first()  # later frames come behind it and do not change it
    limits = bounds(qnet, config, distance, contexts)
    cycles = Cycles(
        latency=alone.last_out[0] - alone.first_in[0],
        interval=steady.last_out[-1] - steady.last_out[-2],
        tiles=len(tiles), bound=limits.bound, no_overlap=limits.no_overlap)
    return Plan(qnet, config, work, tuple(tiles), program, distance, cycles, limits, alone,
                _trace(tiles, work))


def _config(qnet: QuantizedNetwork, work: Work, pe: int, simd: int, stream_bits: int,
            tiles: list[Tile] | None = None, program: Program | None = None,
            contexts: int = 1) -> EngineConfig:
    """The engine for a network; without a schedule, enough of it to know its latencies."""
    container = container_bits(qnet.act_width)
    if stream_bits % container or stream_bits < container:
        raise UserError(f"the stream must be a multiple of {container} bits wide (one element), "
                        f"not {stream_bits}")
    table, shape = qnet.table, qnet.input_shape
    strides = [s for seg in program.segments for s in seg.strides] if program else [0]
    parked = [tile.park + 1 for tile in tiles or () if tile.stop & Stop.PARK]
    return EngineConfig(
        pe=pe, simd=simd, weight_width=qnet.weight_width, act_width=qnet.act_width,
        cell_width=qnet.cell_width, acc_width=qnet.acc_width,
        h_shift=2 * qnet.act_width + 1 - (qnet.act_width - 1),
        table=TableConfig(table.frac, table.n0, table.n1, table.n2, table.out_frac,
                          max(1, int(max(table.t1, default=0)).bit_length())),
        aligns=work.aligns, kinds=work.kinds, routes=work.routes,
        weight_depth=len(work.weight_words), bias_depth=len(work.bias_words),
        park_depth=max(parked, default=0), h_depth=work.storage.h_depth,
        cell_depth=work.cell_depth,
        x_row=shape[-1], x_rows=contexts * (shape[0] if len(shape) == 2 else 1),
        out_row=work.out_row, out_rows=work.out_rows, contexts=contexts,
        out_early=not isinstance(work.kinds[work.kind_of[work.last]], LstmKind),
        beat=stream_bits // container, container=container,
        program_depth=len(program.instructions) if program else 1,
        segments=len(program.segments) if program else 1,
        max_gap=max((tile.gap for tile in tiles or ()), default=0),
        max_beats=max(group.beats for f in work.folds.values() for group in f.groups),
        max_count=max((seg.repeats for seg in program.segments), default=1) if program else 1,
        max_stride=max(strides, default=0))


def _trace(tiles: list[Tile], work: Work) -> tuple[tuple[int, int, int], ...]:
    events = []
    for tile in tiles:
        job = tile.job
        if tile.stop & Stop.FINISH and isinstance(work.kinds[work.kind_of[job.layer]], LstmKind):
            first = work.folds[job.layer].groups[job.group].first
            step = job.context * len(work.storage.inputs[job.layer].steps) + job.step
            events += [(job.layer, step, first + beat) for beat in range(job.beats)]
    return tuple(events)
