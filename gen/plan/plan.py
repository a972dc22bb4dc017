"""The plan: array, memories, schedule and every cycle count of a core, frozen before hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork, Table
from gatefold.gen.plan.array import Array
from gatefold.gen.plan.bounds import Bounds, bounds
from gatefold.gen.plan.breakdown import Breakdown, break_down
from gatefold.gen.plan.collection import uncollected
from gatefold.gen.plan.cycles import Timeline, input_arrivals, replay
from gatefold.gen.plan.images import load_image, number_images, program_images, with_parity
from gatefold.gen.plan.kinds import recip_segments
from gatefold.gen.plan.latency import Latencies, latencies
from gatefold.gen.plan.program import Program, assemble
from gatefold.gen.plan.schedule import schedule
from gatefold.gen.plan.stretches import Stretch, Tile
from gatefold.gen.plan.work import Work, interleave
from gatefold.hdl.config import EngineConfig, TableConfig, bits_for
from gatefold.hdl.isa import Stop
from gatefold.hdl.kinds import SILENT, DenseKind

__all__ = ["Cycles", "Frame", "Outline", "Plan", "draft_plan", "make_plan", "programmed",
           "scheduled"]

#: Frames of the steady state that the interval is measured on.
_FRAMES = 5

#: What a watchdog waits for without a beat that moves: so many frames, and so many cycles more for
#: the start after a reset.
_PATIENCE, _START = 4, 256


@dataclass(frozen=True)
class Cycles:
    """Cycle counts. latency: first input beat to last output beat, the core idle before.
    intervals: between last output beats of successive frames at full rate, from the second frame's
    to the third's on; where there are several they come in turn: two output frames are under way,
    and short ones leave in pairs. interval: their mean, rounded up. tiles: issued in a frame.
    bound, no_overlap: see :mod:`gatefold.gen.plan.bounds`."""

    latency: int
    interval: int
    intervals: tuple[int, ...]
    tiles: int
    bound: int
    no_overlap: int


@dataclass(frozen=True)
class Frame:
    """The tiles of a frame in the order of their issue, as ``stretches``, the ``work`` that they
    do, the distances that they keep, and about the latency in ``cycles``."""

    work: Work
    stretches: tuple[Stretch, ...]
    distance: Latencies
    cycles: int

    @cached_property
    def program(self) -> Program:
        """The program that issues the tiles."""
        return assemble(self.stretches, self.work)

    @property
    def tiles(self) -> int:
        """How many tiles there are."""
        return sum(len(stretch.operands) for stretch in self.stretches)


@dataclass(frozen=True)
class Plan:
    """Everything the hardware and the reports need to know; nothing is decided after it.

    Attributes: ``qnet``; ``array``, as given; ``config``, the engine; ``work``; ``stretches`` of
    ``tiles``; ``program``; ``latencies``; ``cycles``; ``timeline``, a single frame's; ``trace``,
    what each beat of results that the lanes yield in a frame is, in order, of each die in turn:
    (layer, first element in the layer's value, flat, of all contexts one after the other; how many
    elements), layer -1 for what golden does not compute.
    """

    qnet: QuantizedNetwork
    array: Array
    config: EngineConfig
    work: Work
    stretches: tuple[Stretch, ...]
    program: Program
    latencies: Latencies
    cycles: Cycles
    bounds: Bounds
    timeline: Timeline
    trace: tuple[tuple[int, int, int], ...]

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles of a frame in the order of their issue."""
        return tuple(tile for stretch in self.stretches for tile in stretch.tiles())

    def images(self) -> dict[str, list[int]]:
        """The contents of every memory that is read from a file. A loadable core's weights and bias
        are one image, ``load``: the beats of its weight stream."""
        numbers = number_images(self.qnet, self.work, self.config)
        if self.config.loadable:
            beats = load_image(numbers, self.config)
            numbers = {name: words for name, words in numbers.items()
                       if not name.startswith(("weights_", "bias_", "scales_"))}
            numbers["load"] = beats
        images = numbers | program_images(self.program, self.config)
        return with_parity(images, self.config) if self.config.protect else images

    def retrained(self, qnet: QuantizedNetwork) -> Plan:
        """The same plan for ``qnet``, the same network with other numbers in the same formats."""
        ops = Outline(qnet, self.array).work.ops
        assert [op.kind for op in ops] == [op.kind for op in self.work.ops]
        return replace(self, qnet=qnet, work=replace(self.work, ops=ops))


@uncollected()
def make_plan(qnet: QuantizedNetwork, array: Array, *, lut_rows: int = 0, uram_rows: int = 0,
              loadable: bool = False, frame: Frame | None = None) -> Plan:
    """Plan a core on ``array``, the weights of ``lut_rows`` rows in LUTs and of ``uram_rows`` in
    UltraRAM; ``loadable``, filled at run time. ``frame``: its schedule, if that has been made.

    Raises :class:`UserError` where the network cannot be planned on this array.
    """
    frame = frame or scheduled(*draft_plan(qnet, array))
    work, tiles, distance = frame.work, frame.tiles, frame.distance
    program = frame.program
    config = replace(programmed(qnet, array, frame), lut_rows=lut_rows, loadable=loadable,
                     uram_rows=uram_rows)
    assert distance == latencies(config)

    steady = replay(program, tiles, config, _FRAMES)  # a second frame has the same times
    alone = steady.first()  # later frames come behind it and do not change it
    limits = bounds(qnet, work, config, distance, array.contexts)
    intervals = _intervals(steady)
    cycles = Cycles(
        latency=alone.last_out[0] - alone.first_in[0],
        interval=-(-sum(intervals) // len(intervals)), intervals=intervals,
        tiles=tiles, bound=limits.bound, no_overlap=limits.no_overlap)
    if config.protect:
        config = replace(config, patience=_START + _PATIENCE * (cycles.latency + cycles.interval))
    return Plan(qnet, array, config, work, frame.stretches, program, distance, cycles, limits,
                alone, _trace(frame.stretches, work))


def _intervals(steady: Timeline) -> tuple[int, ...]:
    """The distances of frames that come in turn, as of :class:`Cycles`."""
    seen = tuple(np.diff(steady.last_out)[1:].tolist())
    for period in range(1, len(seen)):
        if seen[period:] == seen[:-period]:
            return seen[:period]
    return seen


class Outline:
    """What is known of a plan before its tiles are.

    Attributes: ``work``, without tiles and the words that they need; ``config``, the engine without
    weights, biases and a program: all other memories and multipliers are those of the plan, but for
    parked sums.
    """

    @uncollected()
    def __init__(self, qnet: QuantizedNetwork, array: Array):
        self._qnet, self._array = qnet, array
        self._breakdown = _broken_down(qnet, array)
        self.work = self._of_contexts(self._breakdown.outline())
        self.config = _config(qnet, self.work, array)

    @uncollected()
    def draft(self) -> tuple[Work, EngineConfig]:
        """As of :func:`draft_plan`."""
        work = self._of_contexts(self._breakdown.work())
        return work, _config(self._qnet, work, self._array)

    def _of_contexts(self, work: Work) -> Work:
        """The work of all contexts of a frame, from that of one."""
        if self._array.contexts == 1:
            return work
        return interleave(work, self._array.contexts,
                          _config(self._qnet, work, self._array).x_depth)


def draft_plan(qnet: QuantizedNetwork, array: Array) -> tuple[Work, EngineConfig]:
    """What a plan starts from: the jobs, and the engine but for its program. Errors as of
    :func:`make_plan`."""
    return Outline(qnet, array).draft()


@uncollected()
def scheduled(work: Work, draft: EngineConfig) -> Frame:
    """The schedule of a frame; ``work`` and ``draft`` are those of :func:`draft_plan`."""
    distance = latencies(draft)
    stretches = schedule(work, distance, input_arrivals(draft))
    last = max(stretch.last + stretch.finishes.beats for stretch in stretches
               if stretch.finishes is not None and stretch.finishes.out is not None)
    leave = max(draft.out_beats, draft.out_depth) if draft.out_whole else 1
    return Frame(work, tuple(stretches), distance, last + distance.output + leave)


@uncollected()
def programmed(qnet: QuantizedNetwork, array: Array, frame: Frame) -> EngineConfig:
    """The engine with the memory that the frame's program takes."""
    return _config(qnet, frame.work, array, frame.stretches, frame.program)


def _broken_down(qnet: QuantizedNetwork, array: Array) -> Breakdown:
    if array.packed and not qnet.packs:
        raise UserError("packed needs a network in int8 whose weights are -127..127, so that a DSP "
                        "slice holds two products: leave it out")
    return break_down(qnet, array.pe, array.simd, array.block_words, array.dies, array.parts)


def _config(qnet: QuantizedNetwork, work: Work, array: Array,
            stretches: Sequence[Stretch] | None = None,
            program: Program | None = None) -> EngineConfig:
    """The engine for a network; without a schedule, enough of it to know its latencies."""
    element = max(form.width for form in qnet.input_formats) if qnet.affine or qnet.split > 1 \
        else qnet.act_width
    container = qnet.container
    x_zero, out_zero = next(iter(qnet.zeros[0]), 0), int(qnet.output_zeros[0])
    if array.stream_bits % container or array.stream_bits < container:
        raise UserError(f"the stream must be a multiple of {container} bits wide (one element), "
                        f"not {array.stream_bits}")
    strides = [s for seg in program.segments for s in seg.strides] if program else [0]
    parked = [one.park + 1 for one in stretches or () if one.stop & Stop.PARK]
    return EngineConfig(
        pe=array.pe, simd=array.simd, weight_width=qnet.weight_width, act_width=qnet.act_width,
        cell_width=qnet.cell_width, acc_width=qnet.acc_width,
        table=_table_config(qnet.table),
        curve=_table_config(*qnet.curves.values()) if qnet.curves else None,
        aligns=work.aligns or (0,), kinds=work.kinds, routes=work.routes,
        weight_depth=max(1, len(work.weight_words)), bias_depth=max(1, len(work.bias_words)),
        park_depth=max(parked, default=0), h_depth=max(1, work.storage.h_depth),
        cell_depth=work.cell_depth, scale_depth=work.scale_depth, out_width=qnet.out_width,
        x_row=work.x_row, x_rows=work.x_rows, x_split=qnet.split,
        out_row=work.out_row, out_rows=work.out_rows,
        contexts=array.contexts, pipeline=array.pipeline,
        reach=array.reach, gather=array.gather, dies=array.dies, cross=array.cross,
        cascade=array.cascade, protect=array.protect, packed=array.packed, parts=array.parts,
        again=bool(work.rides),
        out_early=all(isinstance(work.ops[n].kind, DenseKind) for n in work.leaving),
        out_whole=not work.in_order, stateful=work.stateful,
        oldest=work.storage.oldest,
        beat=array.stream_bits // container, container=container, element=element,
        x_zero=x_zero, out_zero=out_zero, factor_depth=work.factor_depth,
        recips=recip_segments(qnet),
        program_depth=len(program.instructions) if program else 1,
        segments=len(program.segments) if program else 1,
        max_gap=max((one.gap for one in stretches or ()), default=0),
        max_beats=max(group.beats for f in work.folds for group in f.groups),
        max_count=max((seg.repeats for seg in program.segments), default=1) if program else 1,
        min_stride=min(strides, default=0), max_stride=max(strides, default=0),
        offsets=max((sum(stride != 0 for stride in seg.strides) for seg in program.segments),
                    default=0) if program else 0,
        max_run=max((fields["repeats"] + 1 for fields in program.instructions), default=1)
        if program else 1)


def _table_config(*tables: Table) -> TableConfig:
    """The shape of tables that differ in nothing but their contents."""
    widest = max(int(max(table.t1, default=0)) for table in tables)
    first = tables[0]
    return TableConfig(first.frac, first.n0, first.n1, first.n2, first.out_frac,
                       bits_for(widest + 1))


def _trace(stretches: Sequence[Stretch], work: Work) -> tuple[tuple[int, int, int], ...]:
    """What each beat of results is: see :class:`Plan`."""
    events = []
    lanes, dies, parts = work.storage.simd // work.parts, work.storage.dies, work.parts
    elements = [0 if op.traced is None else int(op.traced.max()) + 1 for op in work.ops]
    beats = [None if op.traced is None else _traced_beats(
        op.traced, lanes, work.storage.words(op.size) * dies * parts) for op in work.ops]
    for stretch in stretches:
        job = stretch.finishes
        if job is None or isinstance((op := work.ops[job.op]).kind, SILENT):
            continue
        of_op = beats[job.op]
        if of_op is None:
            events += [(-1, 0, 0)] * (job.beats * dies)
            continue
        firsts, counts = of_op[0][job.step], of_op[1][job.step]
        for beat, die in product(range(job.first, job.first + job.beats), range(dies)):
            word, part = divmod(beat, parts)
            at = (word * dies + die) * parts + part
            events.append((op.layer, firsts[at] + job.context * elements[job.op], counts[at])
                          if counts[at] else (-1, 0, 0))
    return tuple(events)


def _traced_beats(traced: np.ndarray, lanes: int, beats: int) -> tuple[list, list]:
    """Of each step and beat of an op with so many ``beats``, the first element and how many."""
    steps, size = traced.shape
    here = np.full((steps, beats * lanes), -1)
    here[:, :size] = traced
    here = here.reshape(steps, beats, lanes)
    counts = np.count_nonzero(here >= 0, axis=2)
    in_order = here == here[..., :1] + np.arange(lanes)
    assert (in_order | (np.arange(lanes) >= counts[..., None])).all()
    return here[..., 0].tolist(), counts.tolist()
