"""What must be computed: one job for every group of rows at every step, and the words it uses.

A job is independent of the order in which it will run: the schedule decides that.

Steps repeat: most read vectors that lie in their chunks as the step before's do, a few chunks
further on. Such steps share what their tiles are (:class:`_Group`), which is found once, and the
jobs themselves are made when somebody looks at them: an array that is only drafted needs no more
than their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.plan.layout import NOWHERE, Chunk, Storage, cut
from gatefold.gen.plan.lower import Lowered, lower
from gatefold.gen.plan.ops import Op, Part
from gatefold.gen.plan.rows import Fold, fold
from gatefold.gen.quantized import QuantizedNetwork
from gatefold.hdl.kinds import Kind

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

    jobs, made by make_jobs; tiles, of all of them. ops; folds, of their rows. kinds, aligns,
    routes: what the engine must be able to do; kind_of: of each op. weight_words; bias_words: (op,
    group, whether of step 0 alone). cell_depth, in words. x_rows, x_row, out_rows, out_row: shapes
    of the frames in rows of elements. leaving: the ops whose results are the output; in_order: they
    are one, whose chunks leave in the order of its steps. repeated: ops whose input is the same at
    every step: their jobs after the first step have recurrent columns only. order: by stage and
    step, of (op, step); before: the op whose states an op waits for.
    """

    storage: Storage
    ops: tuple[Op, ...]
    folds: tuple[Fold, ...]
    kinds: tuple[Kind, ...]
    kind_of: tuple[int, ...]
    aligns: tuple[int, ...]
    routes: tuple[int, ...]
    make_jobs: Callable[[], tuple[Job, ...]]
    tiles: int
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

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs, by context, op, step and group."""
        return self.make_jobs()

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


@dataclass(frozen=True)
class _Cut:
    """A vector in chunks (:func:`~gatefold.gen.plan.layout.cut`), the first of them number 0:
    ``numbers``; ``lanes`` (chunks, simd), what they hold; ``keys``, each chunk's lanes as bytes."""

    numbers: np.ndarray
    lanes: np.ndarray
    keys: tuple[bytes, ...]


@dataclass(frozen=True)
class _Group:
    """A group of rows at a step: its ``number``; ``beats`` that it writes; its ``tiles``: (which of
    the chunks that the step meets, or -1 for any; weight word); its ``bias`` word."""

    number: int
    beats: int
    tiles: tuple[tuple[int, int], ...]
    bias: int


@dataclass(frozen=True)
class _Step:
    """An op at a step. met: of each part that it meets, (part, numbers of the chunks)."""

    op: int
    step: int
    met: tuple[tuple[int, np.ndarray], ...]
    groups: tuple[_Group, ...]


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
        self.needed: dict[tuple[int, int, int], np.ndarray] = {}  # columns of (op, part, group)
        self.cuts: dict[bytes, tuple[int, _Cut]] = {}
        self.found: dict[tuple, tuple[_Group, ...]] = {}

    def work(self) -> Work:
        ops = self.ops
        kinds: list[Kind] = []
        for op in ops:
            if op.kind not in kinds:
                kinds.append(op.kind)
        routes, self.first_route = _routes(self.folds, self.slots, self.simd)
        self.cells: dict[int, int] = {}
        depth = 0
        for op in ops:
            if op.cells is not None and op.cells not in self.cells:
                self.cells[op.cells] = depth
                depth += self.lowered.storage.words(op.size)
        self.repeated = frozenset(n for n, op in enumerate(ops) if op.repeated)
        self.steps = [self._step(n, step) for n, op in enumerate(ops)
                      for step in range(len(op.sizes))
                      if any(part.steps[step] is not None for part in op.parts)]
        self.aligns = self._aligns()
        leaving = frozenset(op for op, _ in self.places)
        steps = [out for (_, _), out in sorted(self.places.items())]
        return Work(
            storage=self.lowered.storage, ops=ops, folds=self.folds, kinds=tuple(kinds),
            kind_of=tuple(kinds.index(op.kind) for op in ops), aligns=self.aligns, routes=routes,
            make_jobs=self.jobs,
            tiles=sum(len(group.tiles) for step in self.steps for group in step.groups),
            weight_words=tuple(self.weight_words),
            bias_words=tuple(self.bias_words), cell_depth=max(1, depth),
            x_rows=self.lowered.x_rows, x_row=self.lowered.x_row, out_rows=self.out_rows,
            out_row=self.out_row, leaving=leaving,
            in_order=len(leaving) == 1 and steps == sorted(steps), repeated=self.repeated)

    def _aligns(self) -> tuple[int, ...]:
        """Shifts of products that any tile asks for."""
        fracs = np.array([chunk.frac for chunk in self.lowered.storage.chunks])
        read: dict[tuple[int, int], list[np.ndarray]] = {}
        for step in self.steps:
            for p, numbers in step.met:
                read.setdefault((step.op, p), []).append(numbers)
        return tuple(sorted({
            self._align(self.ops[n].parts[p], frac) for (n, p), numbers in read.items()
            for frac in np.unique(fracs[np.concatenate(numbers)]).tolist()}))

    @staticmethod
    def _align(part: Part, frac: int) -> int:
        return 0 if part.base is None else part.base - frac

    def _cut(self, vector: np.ndarray) -> tuple[int, _Cut, int]:
        """A vector in chunks: (which of the cuts, the cut, number of its first chunk)."""
        there = vector >= 0
        first = int(vector.min(where=there, initial=1 << 62)) // self.simd if there.any() else 0
        relative = np.where(there, vector - first * self.simd, NOWHERE)
        key = relative.tobytes()
        if key not in self.cuts:
            numbers, lanes = cut(relative, self.simd)
            self.cuts[key] = len(self.cuts), _Cut(
                numbers, lanes, tuple(held.tobytes() for held in lanes))
        return *self.cuts[key], first

    def _step(self, n: int, step: int) -> _Step:
        op, met, cuts, alike = self.ops[n], [], [], []
        for p, part in enumerate(op.parts):
            vector = part.steps[step]
            if vector is None or (p == 0 and n in self.repeated and step):
                continue
            which, found, first = self._cut(vector)
            met.append((p, found.numbers + first))
            cuts.append((p, found))
            alike.append((p, which))
        chunks = self.lowered.storage.words(op.sizes[step])
        begins = step == 0 and op.first_bias is not None
        key = (n, chunks, begins, *alike)
        if key not in self.found:
            self.found[key] = tuple(self._groups(n, chunks, begins, cuts))
        return _Step(n, step, tuple(met), self.found[key])

    def _groups(self, n: int, chunks: int, begins: bool,
                cuts: list[tuple[int, _Cut]]) -> Iterator[_Group]:
        """Groups that yield any of the ``chunks`` of a step's result."""
        for g, group in enumerate(self.folds[n].groups):
            beats = min(group.beats, chunks - group.first)
            if beats < 1:
                continue
            tiles: list[tuple[int, int]] = []
            begin = 0
            for p, found in cuts:
                tiles += [(begin + at, self._word(n, p, g, found.lanes[at], found.keys[at]))
                          for at in self._meets(n, p, g, found)]
                begin += len(found.lanes)
            if not tiles:  # nothing but a bias: some chunk must carry it
                nothing = np.full(self.simd, NOWHERE)
                tiles = [(-1, self._word(n, 0, g, nothing, nothing.tobytes()))]
            yield _Group(g, beats, tuple(tiles), self._bias(n, g, begins))

    def jobs(self) -> tuple[Job, ...]:
        """All the jobs, by op, step and group."""
        return tuple(job for step in self.steps for job in self._jobs(step))

    def _operands(self, step: _Step) -> list[tuple[Chunk, int, bool]]:
        """(chunk, align, carried) of everything that a step meets."""
        found, storage, op = [], self.lowered.storage, self.ops[step.op]
        for p, numbers in step.met:
            part = op.parts[p]
            carried = part.carried and step.step == 0
            for number in numbers.tolist():
                chunk = storage.chunks[number]
                found.append((storage.before(chunk) if carried else chunk,
                              self.aligns.index(self._align(part, chunk.frac)), carried))
        return found

    def _jobs(self, step: _Step) -> Iterator[Job]:
        n, op, storage = step.op, self.ops[step.op], self.lowered.storage
        met = self._operands(step)
        anything = met[0][0] if met else storage.chunks[0], 0, False
        cell = 0 if op.cells is None else self.cells[op.cells]
        begins = step.step == 0 and op.cells is not None
        out = self.places.get((n, step.step))
        h = None
        if op.written is not None:
            address = storage.chunks[op.written[step.step, 0] // self.simd].address
            h = address if address >= 0 else None
        for found in step.groups:
            group = self.folds[n].groups[found.number]
            operands = []
            for at, weight in found.tiles:
                chunk, align, carried = met[at] if at >= 0 else anything
                operands.append(Operand(chunk, weight, align, carried))
            yield Job(
                layer=n, step=step.step, group=found.number, operands=tuple(operands),
                bias=found.bias, first=group.first, beats=found.beats,
                h=None if h is None else h + group.first,
                out=None if out is None else out + group.first,
                cell=0 if op.cells is None else cell + group.first,
                fresh=begins and op.fresh, carried=begins and op.carried,
                complete=group.complete or found.beats < group.beats,
                route=self.first_route[group.rotation])

    def _meets(self, n: int, p: int, g: int, found: _Cut) -> list[int]:
        """The chunks in which a group's rows can be other than zero."""
        part = self.ops[n].parts[p]
        if part.pattern is None:
            return list(range(len(found.lanes)))
        if (n, p, g) not in self.needed:
            rows, per = self.folds[n].rows[g], self.ops[n].rows
            rows = rows[rows >= 0]
            columns = part.pattern[rows // per, rows % per].any(axis=0)
            self.needed[n, p, g] = np.append(columns, False)  # where a lane holds nothing, -1
        return np.flatnonzero(self.needed[n, p, g][found.lanes].any(axis=1)).tolist()

    def _word(self, n: int, p: int, g: int, held: np.ndarray, lanes: bytes) -> int:
        key = (n, p, g, lanes)
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
    h_depth = work.storage.h_depth
    storage = replace(work.storage, h_depth=contexts * h_depth, swaps=[
        (context * h_depth + address, words)
        for context in range(contexts) for address, words in work.storage.swaps])
    return replace(work, make_jobs=partial(_interleaved, work, contexts, x_depth),
                   tiles=contexts * work.tiles, cell_depth=contexts * work.cell_depth,
                   storage=storage, out_rows=contexts * work.out_rows,
                   x_rows=contexts * work.x_rows, in_order=False)


def _interleaved(work: Work, contexts: int, x_depth: int) -> tuple[Job, ...]:
    out_depth = work.out_rows * work.storage.words(work.out_row)
    h_depth, cell_depth = work.storage.h_depth, work.cell_depth

    def moved(operand: Operand, context: int) -> Operand:
        chunk = operand.chunk
        offset = context * (x_depth if chunk.from_x else h_depth)
        return replace(operand, chunk=replace(chunk, address=chunk.address + offset))

    return tuple(
        replace(job, context=context,
                operands=tuple(moved(operand, context) for operand in job.operands),
                h=None if job.h is None else job.h + context * h_depth,
                out=None if job.out is None else job.out + context * out_depth,
                cell=job.cell + context * cell_depth)
        for context in range(contexts) for job in work.jobs)
