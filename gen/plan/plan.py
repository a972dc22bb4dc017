"""The plan: array, memories, schedule and every cycle count of a core, frozen before hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.plan.bounds import Bounds, bounds
from gatefold.gen.plan.cycles import Timeline, input_arrivals, replay
from gatefold.gen.plan.images import load_image, number_images, program_images
from gatefold.gen.plan.latency import Latencies, latencies
from gatefold.gen.plan.lower import BLOCK_WORDS
from gatefold.gen.plan.ops import Op
from gatefold.gen.plan.program import Program, assemble, unroll
from gatefold.gen.plan.schedule import Tile, schedule
from gatefold.gen.plan.work import Work, break_down, interleave
from gatefold.gen.quantized import QuantizedNetwork
from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.isa import Stop
from gatefold.hdl.kinds import DenseKind, LoadKind

__all__ = ["Cycles", "Plan", "container_bits", "draft_plan", "make_plan"]

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
    ``cycles``; ``timeline``, a single frame's; ``block_words``, as given; ``trace``, what each beat
    of results that the lanes yield in a frame is, in order: (layer, first element in the layer's
    value, flat, of all contexts one after the other; how many elements), layer -1 for what is none
    of golden's.
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
    block_words: int

    def images(self) -> dict[str, list[int]]:
        """Contents of every memory that is read from a file. A loadable core's weights and bias are
        one image, ``load``: the beats of its weights' stream."""
        numbers = number_images(self.qnet, self.work, self.config)
        if self.config.loadable:
            beats = load_image(numbers, self.config)
            numbers = {name: words for name, words in numbers.items() if name.startswith("tanh")}
            numbers["load"] = beats
        return numbers | program_images(self.program, self.config)


    def retrained(self, qnet: QuantizedNetwork) -> Plan:
        """The same plan for other numbers in the same formats: its images are theirs."""
        work = break_down(qnet, self.config.pe, self.config.simd, self.block_words)
        ops = work.ops
        assert [op.kind for op in ops] == [op.kind for op in self.work.ops]
        return replace(self, qnet=qnet, work=replace(self.work, ops=ops))


def container_bits(act_width: int) -> int:
    """Bits an element takes in a stream: 8, 16 or 32."""
    return next(bits for bits in (8, 16, 32) if bits >= act_width)


def make_plan(qnet: QuantizedNetwork, *, pe: int, simd: int, stream_bits: int = 128,
              lut_rows: int = 0, loadable: bool = False, uram_rows: int = 0,
              contexts: int = 1, pipeline: str = "full",
              block_words: int = BLOCK_WORDS) -> Plan:
    """Plan a core of ``pe`` x ``simd`` multipliers with ``stream_bits`` wide streams, the weights
    of ``lut_rows`` rows in LUTs and of ``uram_rows`` in UltraRAM; ``loadable``, filled at run time.
    ``contexts`` sequences make a frame and share the array: throughput for latency. ``pipeline``:
    "full", or "short" for slower clocks (:class:`~gatefold.hdl.config.EngineConfig`).
    ``block_words``: weight words that blocks of convolutions may take.
    Raises :class:`UserError` where the network or the shape is not to be had.
    """
    work, draft = draft_plan(qnet, pe=pe, simd=simd, stream_bits=stream_bits, contexts=contexts,
                             pipeline=pipeline, block_words=block_words)
    distance = latencies(draft)
    tiles = schedule(work, distance, input_arrivals(draft))
    program = assemble(tiles, work)
    config = replace(_config(qnet, work, pe, simd, stream_bits, tiles, program, contexts),
                     pipeline=pipeline, lut_rows=lut_rows, loadable=loadable, uram_rows=uram_rows)
    instructions = unroll(program)[:len(tiles)]  # a second frame has the same times

    steady = replay(instructions, config, _FRAMES)
    alone = steady.first()  # later frames come behind it and do not change it
    limits = bounds(qnet, work, config, distance, contexts)
    cycles = Cycles(
        latency=alone.last_out[0] - alone.first_in[0],
        interval=steady.last_out[-1] - steady.last_out[-2],
        tiles=len(tiles), bound=limits.bound, no_overlap=limits.no_overlap)
    return Plan(qnet, config, work, tuple(tiles), program, distance, cycles, limits, alone,
                _trace(tiles, work), block_words)


def draft_plan(qnet: QuantizedNetwork, *, pe: int, simd: int, stream_bits: int = 128,
               contexts: int = 1, pipeline: str = "full",
               block_words: int = BLOCK_WORDS) -> tuple[Work, EngineConfig]:
    """What a plan starts from: the jobs, and the engine but for its program. Parameters and errors
    as of :func:`make_plan`."""
    if pe < 4 or pe % 4:
        raise UserError(f"pe must be a multiple of 4 (one row a gate), not {pe}")
    if simd < 1:
        raise UserError(f"simd must be a positive number of columns, not {simd}")
    if contexts < 1:
        raise UserError(f"contexts must be a positive number of sequences, not {contexts}")
    work = break_down(qnet, pe, simd, block_words)
    if contexts > 1:
        work = interleave(work, contexts, _config(qnet, work, pe, simd, stream_bits).x_depth)
    return work, replace(_config(qnet, work, pe, simd, stream_bits, contexts=contexts),
                         pipeline=pipeline)


def _config(qnet: QuantizedNetwork, work: Work, pe: int, simd: int, stream_bits: int,
            tiles: list[Tile] | None = None, program: Program | None = None,
            contexts: int = 1) -> EngineConfig:
    """The engine for a network; without a schedule, enough of it to know its latencies."""
    container = container_bits(qnet.act_width)
    if stream_bits % container or stream_bits < container:
        raise UserError(f"the stream must be a multiple of {container} bits wide (one element), "
                        f"not {stream_bits}")
    table = qnet.table
    strides = [s for seg in program.segments for s in seg.strides] if program else [0]
    parked = [tile.park + 1 for tile in tiles or () if tile.stop & Stop.PARK]
    return EngineConfig(
        pe=pe, simd=simd, weight_width=qnet.weight_width, act_width=qnet.act_width,
        cell_width=qnet.cell_width, acc_width=qnet.acc_width,
        table=TableConfig(table.frac, table.n0, table.n1, table.n2, table.out_frac,
                          max(1, int(max(table.t1, default=0)).bit_length())),
        aligns=work.aligns, kinds=work.kinds, routes=work.routes,
        weight_depth=len(work.weight_words), bias_depth=len(work.bias_words),
        park_depth=max(parked, default=0), h_depth=max(1, work.storage.h_depth),
        cell_depth=work.cell_depth,
        x_row=work.x_row, x_rows=work.x_rows,
        out_row=work.out_row, out_rows=work.out_rows, contexts=contexts,
        out_early=all(isinstance(work.ops[n].kind, DenseKind) for n in work.leaving),
        out_whole=not work.in_order, stateful=any(op.carried for op in work.ops),
        beat=stream_bits // container, container=container,
        program_depth=len(program.instructions) if program else 1,
        segments=len(program.segments) if program else 1,
        max_gap=max((tile.gap for tile in tiles or ()), default=0),
        max_beats=max(group.beats for f in work.folds for group in f.groups),
        max_count=max((seg.repeats for seg in program.segments), default=1) if program else 1,
        max_stride=max(strides, default=0),
        max_run=max((fields["repeats"] + 1 for fields in program.instructions), default=1)
        if program else 1)


def _trace(tiles: list[Tile], work: Work) -> tuple[tuple[int, int, int], ...]:
    events = []
    simd = work.storage.simd
    for tile in tiles:
        job = tile.job
        op = work.ops[job.layer]
        if not tile.stop & Stop.FINISH or isinstance(op.kind, LoadKind):
            continue
        if op.traced is None:
            events += [(-1, 0, 0)] * job.beats
            continue
        elements = _elements(op)
        for beat in range(job.beats):
            here = op.traced[job.step, (job.first + beat) * simd:][:simd]
            first, count = int(here[0]), int(np.count_nonzero(here >= 0))
            assert (here[:count] == first + np.arange(count)).all()
            events.append((op.layer, first + job.context * elements, count))
    return tuple(events)


def _elements(op: Op) -> int:
    """Traced results of an op in one sequence."""
    assert op.traced is not None
    return int(op.traced.max()) + 1
