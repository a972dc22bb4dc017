"""What must be computed: one job for every group of rows at every step, and the words it uses.

A job is independent of the order in which it will run: the schedule decides that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...hdl.config import Kind
from ..errors import UserError
from ..quantized import QuantizedNetwork
from .layout import Chunk, Storage, cut
from .lower import Lowered, lower
from .ops import Op, Part
from .rows import Fold, fold

__all__ = ["Job", "Operand", "Word", "Work", "break_down", "interleave"]

#: Rows of the output frame that an op puts together where no other op's results do.
_GATHERED = 512


@dataclass(frozen=True)
class Operand:
    """One tile of a job: a chunk, the weight word that meets it, the shift of their products.
    ``carried``: the chunk holds what the last frame left."""

    chunk: Chunk
    weight: int
    align: int
    carried: bool = False


@dataclass(frozen=True)
class Job:
    """A group of rows of an op at one step: what it reads and where its result goes.

    context, layer (the op's number), step, group: which. operands: its tiles. bias: its bias word.
    first, beats: chunks of the result that it writes. h, out: address of the first of them in the
    operand and the output memory, or None. cell: word of the states; fresh, they count as zero;
    carried, they are the last frame's.
    """

    layer: int
    step: int
    group: int
    operands: tuple[Operand, ...]
    bias: int
    first: int
    beats: int
    h: int | None
    out: int | None
    cell: int
    fresh: bool
    complete: bool
    route: int
    carried: bool = False
    context: int = 0


@dataclass(frozen=True)
class Word:
    """A weight word: the rows of a group of an op, and for each lane the column of a part of its
    matrix that stands there, or -1."""

    op: int
    part: int
    group: int
    lanes: np.ndarray


@dataclass(frozen=True)
class Work:
    """All jobs of a frame and the memories they refer to.

    ops; folds, of their rows. kinds, aligns, routes: what the engine must be able to do; kind_of:
    of each op. weight_words; bias_words: (op, group, whether of step 0 alone). cell_depth, in
    words. x_rows, x_row, out_rows, out_row: shapes of the frames in rows of elements. leaving: the
    ops whose results are the output; in_order: they are one, whose chunks leave in the order of
    its steps. repeated: ops whose input is the same at every step: their jobs after the first step
    have recurrent columns only. order: by stage and step, of (op, step); before: the op whose
    states an op waits for.
    """

    storage: Storage
    ops: tuple[Op, ...]
    folds: tuple[Fold, ...]
    kinds: tuple[Kind, ...]
    kind_of: tuple[int, ...]
    aligns: tuple[int, ...]
    routes: tuple[int, ...]
    jobs: tuple[Job, ...]
    weight_words: tuple[Word, ...]
    bias_words: tuple[tuple[int, int, bool], ...]
    cell_depth: int
    x_rows: int
    x_row: int
    out_rows: int
    out_row: int
    leaving: frozenset[int]
    in_order: bool
    repeated: frozenset[int]

    def rank(self, op: int, step: int) -> tuple[int, int, int]:
        """An order in which every job comes after those it depends on."""
        return self.ops[op].stage, step, op


def _routes(folds: tuple[Fold, ...], slots: int, simd: int) -> tuple[tuple[int, ...],
                                                                     dict[int, int]]:
    """Slot offsets of lane 0, and for each rotation the index of its first route."""
    routes: list[int] = []
    first = {}
    for rotation in sorted({group.rotation for f in folds for group in f.groups}):
        first[rotation] = len(routes)
        routes += [b * simd - rotation for b in range(-(-(rotation + slots) // simd))]
    return tuple(routes), first


def break_down(qnet: QuantizedNetwork, pe: int, simd: int, block_words: int) -> Work:
    """List the jobs of ``qnet`` on a pe x simd array, op by op, step by step, row-major.

    ``block_words``: see :func:`gatefold.gen.plan.lower.lower`.
    Raises :class:`UserError` for an output that is an input, untouched.
    """
    lowered = lower(qnet, pe, simd, block_words)
    places = _places(lowered)
    if places is None:  # no op's results lie as the output does: one more puts it together
        lowered = lower(qnet, pe, simd, block_words, keep=True)
        frame = lowered.frame()
        if (frame < 0).all():
            raise UserError("the network's output is nothing but padding: there is nothing to "
                            "build")
        elements = len(frame)
        lowered.gather(max(n for n in range(1, min(elements, _GATHERED) + 1) if elements % n == 0))
        places = _places(lowered)
        assert places is not None
    return _Breakdown(lowered, *places).work()


def _places(lowered: Lowered) -> tuple[dict[tuple[int, int], int], int, int] | None:
    """Where the output's chunks come from: for (op, step) the output word of its first chunk, and
    the shape (rows, elements of a row) of the frame; None where they lie otherwise."""
    frame, simd = lowered.frame(), lowered.simd
    sizes = {op.size for op in lowered.ops if op.written is not None}
    sizes |= {shape[-1] for shape in lowered.qnet.output_shapes}
    for row in sorted(sizes, reverse=True):
        if len(frame) % row:
            continue
        places = _placed(lowered, frame.reshape(-1, row), simd)
        if places is not None:
            return places, len(frame) // row, row
    return None


def _placed(lowered: Lowered, rows: np.ndarray, simd: int) -> dict[tuple[int, int], int] | None:
    words = -(-rows.shape[1] // simd)
    found: dict[tuple[int, int], dict[int, int]] = {}
    for r, row in enumerate(rows):
        for k in range(words):
            piece = row[k * simd:(k + 1) * simd]
            if piece[0] < 0 or piece[0] % simd or (np.diff(piece) != 1).any():
                return None
            chunk = lowered.storage.chunks[piece[0] // simd]
            op, step, index = chunk.origin
            if op < 0 or chunk.count != len(piece) or index in found.get((op, step), {}):
                return None
            found.setdefault((op, step), {})[index] = r * words + k
    places = {}
    for (op, step), chunks in found.items():
        size = lowered.storage.words(lowered.ops[op].size)
        first = chunks.get(0)
        if first is None or chunks != {k: first + k for k in range(size)}:
            return None
        places[op, step] = first
    return places


class _Breakdown:
    """Jobs and words of lowered ops."""

    def __init__(self, lowered: Lowered, places: dict[tuple[int, int], int], out_rows: int,
                 out_row: int):
        self.lowered, self.places = lowered, places
        self.out_rows, self.out_row = out_rows, out_row
        self.simd, self.slots = lowered.simd, lowered.pe // 4
        self.ops = tuple(lowered.ops)
        self.folds = tuple(fold(op.size, op.rows, lowered.pe, lowered.simd) for op in self.ops)
        self.words: dict[tuple, int] = {}
        self.weight_words: list[Word] = []
        self.bias_words: dict[tuple[int, int, bool], int] = {}
        self.needed: dict[tuple, bool] = {}

    def work(self) -> Work:
        ops = self.ops
        kinds: list[Kind] = []
        for op in ops:
            if op.kind not in kinds:
                kinds.append(op.kind)
        self.aligns = tuple(sorted({self._align(part, chunk) for op in ops for part in op.parts
                                    for chunk in self._chunks(part)}))
        routes, self.first_route = _routes(self.folds, self.slots, self.simd)
        cells: dict[int, int] = {}
        depth = 0
        for op in ops:
            if op.cells is not None and op.cells not in cells:
                cells[op.cells] = depth
                depth += self.lowered.storage.words(op.size)
        self.repeated = frozenset(n for n, op in enumerate(ops) if op.repeated)
        jobs = [job for n, op in enumerate(ops) for step in range(len(op.sizes))
                if any(part.steps[step] is not None for part in op.parts)
                for job in self._jobs(n, op, step, None if op.cells is None else cells[op.cells])]
        leaving = frozenset(op for op, _ in self.places)
        steps = [out for (_, _), out in sorted(self.places.items())]
        return Work(
            storage=self.lowered.storage, ops=ops, folds=self.folds, kinds=tuple(kinds),
            kind_of=tuple(kinds.index(op.kind) for op in ops), aligns=self.aligns, routes=routes,
            jobs=tuple(jobs), weight_words=tuple(self.weight_words),
            bias_words=tuple(self.bias_words), cell_depth=max(1, depth),
            x_rows=self.lowered.x_rows, x_row=self.lowered.x_row, out_rows=self.out_rows,
            out_row=self.out_row, leaving=leaving,
            in_order=len(leaving) == 1 and steps == sorted(steps), repeated=self.repeated)

    def _chunks(self, part: Part):
        numbers = {int(n) for vector in part.steps if vector is not None
                   for n in np.unique(vector[vector >= 0] // self.simd)}
        return [self.lowered.storage.chunks[n] for n in sorted(numbers)]

    @staticmethod
    def _align(part: Part, chunk: Chunk) -> int:
        return 0 if part.base is None else part.base - chunk.frac

    def _jobs(self, n: int, op: Op, step: int, cell: int | None):
        met = []
        for p, part in enumerate(op.parts):
            vector = part.steps[step]
            if vector is None or (p == 0 and n in self.repeated and step):
                continue
            numbers, lanes = cut(vector, self.simd)
            carried = part.carried and step == 0
            for number, held in zip(numbers.tolist(), lanes, strict=True):
                chunk = self.lowered.storage.chunks[number]
                if carried:
                    chunk = self.lowered.storage.before(chunk)
                met.append((p, chunk, held, carried))
        chunks = self.lowered.storage.words(op.sizes[step])
        begins = step == 0
        out = self.places.get((n, step))
        h = None
        if op.written is not None:
            address = self.lowered.storage.chunks[op.written[step, 0] // self.simd].address
            h = address if address >= 0 else None
        for g, group in enumerate(self.folds[n].groups):
            beats = min(group.beats, chunks - group.first)
            if beats < 1:
                continue
            operands = [
                Operand(chunk, self._word(n, p, g, held),
                        self.aligns.index(self._align(op.parts[p], chunk)), carried)
                for p, chunk, held, carried in met if self._meets(n, p, g, held)]
            if not operands:  # nothing but a bias: some chunk must carry it
                chunk = met[0][1] if met else self.lowered.storage.chunks[0]
                operands = [Operand(chunk, self._word(n, 0, g, np.full(self.simd, -1)), 0)]
            yield Job(
                layer=n, step=step, group=g, operands=tuple(operands),
                bias=self._bias(n, g, begins and op.first_bias is not None),
                first=group.first, beats=beats, h=None if h is None else h + group.first,
                out=None if out is None else out + group.first,
                cell=0 if cell is None else cell + group.first,
                fresh=begins and op.fresh and op.cells is not None,
                carried=begins and op.carried and op.cells is not None,
                complete=group.complete or beats < group.beats,
                route=self.first_route[group.rotation])

    def _meets(self, n: int, p: int, g: int, held: np.ndarray) -> bool:
        """Whether a group's rows can be other than zero at these columns."""
        part = self.ops[n].parts[p]
        if part.pattern is None:
            return True
        key = (n, p, g, held.tobytes())
        if key not in self.needed:
            rows, per = self.folds[n].rows[g], self.ops[n].rows
            rows = rows[rows >= 0]
            pattern = part.pattern[rows // per, rows % per]
            self.needed[key] = bool(pattern[:, held[held >= 0]].any())
        return self.needed[key]

    def _word(self, n: int, p: int, g: int, held: np.ndarray) -> int:
        key = (n, p, g, held.tobytes())
        if key not in self.words:
            self.words[key] = len(self.weight_words)
            self.weight_words.append(Word(n, p, g, held))
        return self.words[key]

    def _bias(self, n: int, g: int, first: bool) -> int:
        return self.bias_words.setdefault((n, g, first), len(self.bias_words))


def interleave(work: Work, contexts: int, x_depth: int) -> Work:
    """The work of ``contexts`` independent sequences in one frame, each with memories of its own.

    ``x_depth``: input chunks of one sequence. Sequences follow one another in input and output.
    """
    out_depth = work.out_rows * work.storage.words(work.out_row)
    h_depth, cell_depth = work.storage.h_depth, work.cell_depth

    def moved(operand: Operand, context: int) -> Operand:
        chunk = operand.chunk
        offset = context * (x_depth if chunk.from_x else h_depth)
        return replace(operand, chunk=replace(chunk, address=chunk.address + offset))

    jobs = tuple(
        replace(job, context=context,
                operands=tuple(moved(operand, context) for operand in job.operands),
                h=None if job.h is None else job.h + context * h_depth,
                out=None if job.out is None else job.out + context * out_depth,
                cell=job.cell + context * cell_depth)
        for context in range(contexts) for job in work.jobs)
    storage = replace(work.storage, h_depth=contexts * h_depth, swaps=[
        (context * h_depth + address, words)
        for context in range(contexts) for address, words in work.storage.swaps])
    return replace(work, jobs=jobs, cell_depth=contexts * cell_depth, storage=storage,
                   out_rows=contexts * work.out_rows, x_rows=contexts * work.x_rows,
                   in_order=False)
