"""What must be computed: a job for every group of rows at every step, and the words that it uses.

The jobs are in no order that they must run in: the schedule decides that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from gatefold.gen.plan.layout import Chunk, Storage
from gatefold.gen.plan.ops import Op
from gatefold.gen.plan.riders import Ride
from gatefold.gen.plan.rows import Fold
from gatefold.hdl.kinds import Kind

__all__ = ["Job", "Operand", "Word", "Work", "interleave"]


class Operand(NamedTuple):
    """What one tile of a job meets: a chunk, or of a word that the dies share any of its chunks;
    the weight word for it; the shift of the products (an index into ``aligns``). ``bank``,
    ``absolute``: which chunk of the word each die meets (:mod:`gatefold.gen.plan.dies`); ``away``:
    the most borders of dies that it passes."""

    chunk: Chunk
    weight: int
    align: int
    bank: int = 0
    absolute: bool = False
    away: int = 0


@dataclass(frozen=True)
class Job:
    """A group of rows of an op at one step: what it reads and where its result goes.

    op, step, group, context: which it is.
    operands: what its tiles meet. bias: its bias word.
    first, beats: the first beat of the step's result that it makes, and how many.
    complete: the chunks of its last beats are full then. route: the first that its beats take.
    h, out: address of the first beat in the operand and in the output memory, or None: ``parts``
    times that of a word, and the part of the word. scale: word of the row scales.
    cell: word of the states; fresh: they count as zero; carried: they are the last frame's.
    after: (op, step, group) of the job from whose sums it starts; None, from its bias.
    rides: the same of the job in whose tiles its sums are made, so that it has none of its own;
        None, it has.
    """

    op: int
    step: int
    group: int
    operands: tuple[Operand, ...]
    bias: int
    first: int
    beats: int
    h: int | None
    out: int | None
    scale: int
    cell: int
    fresh: bool
    complete: bool
    route: int
    carried: bool = False
    context: int = 0
    after: tuple[int, int, int] | None = None
    rides: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Word:
    """A weight word of the rows of a group: ``lanes`` (dies, simd), for each lane the column of a
    part of the op's matrix whose weights the rows of a die hold, or -1. ``ops``: the op, or several
    that ride on one carrier and meet the same chunk."""

    ops: tuple[int, ...]
    part: int
    group: int
    lanes: np.ndarray


@dataclass(frozen=True)
class Work:
    """All jobs of a frame and the memories they refer to.

    parts: beats of a chunk of results.
    ops: in the order of their numbers; folds: the rows of each on the array.
    kinds, aligns, routes: what the engine must be able to do; kind_of: by op and step, the kind.
    make_jobs: makes ``jobs``; tiles: how many all of them have.
    weight_words; bias_words: (op, group, whether for step 0 alone); cell_depth: words of states;
        scale_depth: of row scales, 0 where no op has any.
    x_rows, x_row, out_rows, out_row: rows of the input and output frames, elements of a row.
    leaving: the ops whose results are the output; in_order: it is one op, whose chunks leave in
        the order of its steps.
    repeated: ops whose input is the same at every step: only the jobs of the first step meet it.
    rides: of each op that rides on others, how.
    factors: of each op whose results have factors of their own, the first word of them in the
    lanes; factor_depth: words of factors.
    """

    storage: Storage
    parts: int
    ops: tuple[Op, ...]
    folds: tuple[Fold, ...]
    kinds: tuple[Kind, ...]
    kind_of: tuple[tuple[int, ...], ...]
    aligns: tuple[int, ...]
    routes: tuple[tuple[int, int], ...]
    make_jobs: Callable[[], tuple[Job, ...]]
    tiles: int
    weight_words: tuple[Word, ...]
    bias_words: tuple[tuple[int, int, bool], ...]
    cell_depth: int
    scale_depth: int
    x_rows: int
    x_row: int
    out_rows: int
    out_row: int
    leaving: frozenset[int]
    in_order: bool
    repeated: frozenset[int]
    rides: dict[int, tuple[Ride, ...]]
    factors: dict[int, int]
    factor_depth: int

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs, by context, op, step and group."""
        return self.make_jobs()

    @cached_property
    def stateful(self) -> bool:
        """Whether a frame reads what earlier frames left."""
        return any(op.carried for op in self.ops) or bool(self.storage.chunks.column("age").any())

    def rank(self, op: int, step: int) -> tuple[int, int, int]:
        """An order in which every job comes after those it depends on."""
        return self.ops[op].stage, step, op


def interleave(work: Work, contexts: int, x_depth: int) -> Work:
    """The work of ``contexts`` independent sequences in one frame, each with memories of its own.

    ``x_depth``: input chunks of one sequence. Sequences follow one another in input and output.
    """
    h_depth = work.storage.h_depth
    storage = replace(work.storage, h_depth=contexts * h_depth, rings=[
        replace(ring, base=context * h_depth + ring.base)
        for context in range(contexts) for ring in work.storage.rings])
    return replace(work, make_jobs=partial(_interleaved, work, contexts, x_depth),
                   tiles=contexts * work.tiles, cell_depth=contexts * work.cell_depth,
                   storage=storage, out_rows=contexts * work.out_rows,
                   x_rows=contexts * work.x_rows, in_order=False)


def _interleaved(work: Work, contexts: int, x_depth: int) -> tuple[Job, ...]:
    out_beats = work.parts * work.out_rows * work.storage.words(work.out_row)
    h_depth, cell_depth = work.storage.h_depth, work.cell_depth

    def moved(operand: Operand, context: int) -> Operand:
        chunk = operand.chunk
        offset = context * (x_depth if chunk.from_x else h_depth)
        return operand._replace(chunk=chunk._replace(address=chunk.address + offset))

    return tuple(
        replace(job, context=context,
                operands=tuple(moved(operand, context) for operand in job.operands),
                h=None if job.h is None else job.h + context * work.parts * h_depth,
                out=None if job.out is None else job.out + context * out_beats,
                cell=job.cell + (0 if job.op in work.factors else context * cell_depth))
        for context in range(contexts) for job in work.jobs)
