"""From a network to the work: every job, and the words, kinds and routes that jobs refer to.

The jobs themselves are made when somebody looks at them: an array that is only drafted needs no
more than their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.dies import spread
from gatefold.gen.plan.layout import Chunk
from gatefold.gen.plan.lower import lower
from gatefold.gen.plan.lowered import Lowered
from gatefold.gen.plan.ops import Op, Part
from gatefold.gen.plan.output import output_places
from gatefold.gen.plan.riders import find_rides
from gatefold.gen.plan.rows import list_routes
from gatefold.gen.plan.tiling import StepTiles, Tiling
from gatefold.gen.plan.work import Job, Operand, Work

__all__ = ["Breakdown", "break_down"]

#: The most elements of a row of the output frame that an op of its own puts together.
_GATHERED = 512


def break_down(qnet: QuantizedNetwork, pe: int, simd: int, block_words: int,
               dies: int = 1, parts: int = 1) -> Breakdown:
    """The jobs of ``qnet`` on a pe x simd array of so many ``dies``, op by op, step by step, group
    by group. ``parts``: beats of a chunk of results.

    ``block_words``: see :func:`gatefold.gen.plan.lower.lower`.
    Raises :class:`UserError` for an output that is nothing but padding.
    """
    lowered = lower(qnet, pe, simd, block_words, dies=dies)
    places = output_places(lowered)
    added = qnet.output_zeros - qnet.output_zeros[0]  # the writer adds the first to all
    if places is None or added.any():  # the output is not whole results: an op puts it together
        if qnet.out_width > qnet.act_width:
            raise UserError(f"this output is put together by the array, which takes "
                            f"{qnet.act_width} bits, not {qnet.out_width}: give --output-width "
                            f"{qnet.act_width}")
        lowered = lower(qnet, pe, simd, block_words, keep=True, dies=dies)
        frame = lowered.frame()
        if (frame < 0).all():
            raise UserError("the network's output is nothing but padding: there is nothing to "
                            "build")
        lowered.gather(_row(added))
        places = output_places(lowered)
        assert places is not None
    return Breakdown(lowered, parts, *places)


def _row(added: np.ndarray) -> int:
    """The elements of a row of the output frame that an op puts together, adding the same numbers
    to each row: ``added``, (elements,)."""
    elements = len(added)
    rows = [n for n in range(1, min(elements, _GATHERED) + 1)
            if elements % n == 0 and (added.reshape(-1, n) == added[:n]).all()]
    if not rows:
        raise UserError(f"the outputs have several zero points and {elements} elements, of which "
                        f"at most {_GATHERED} are put together at once: give the model outputs of "
                        "one zero point, a layer behind them for example")
    return max(rows)


class Breakdown:
    """The work of lowered ops: its outline, and all of it. ``places``, ``out_rows``, ``out_row``:
    see :func:`~gatefold.gen.plan.output.output_places`."""

    def __init__(self, lowered: Lowered, parts: int, places: dict[tuple[int, int], int],
                 out_rows: int, out_row: int):
        self.lowered, self.parts, self.places = lowered, parts, places
        self.out_rows, self.out_row = out_rows, out_row
        self.storage, self.ops = lowered.storage, tuple(lowered.ops)
        dies = self.storage.dies
        self.folds = tuple(spread(op.size, op.rows, lowered.pe, lowered.simd, dies, parts)
                           for op in self.ops)
        self.repeated = frozenset(n for n, op in enumerate(self.ops) if op.repeated)
        read = frozenset(n for n, op in enumerate(self.ops) if lowered.feeds(op.layer))
        self.rides = find_rides(self.ops, self.folds, read, self.repeated, lowered.needs)
        self.folds = tuple(fold.moved(self.rides[n][0].row) if n in self.rides else fold
                           for n, fold in enumerate(self.folds))
        self.routes, self.first_route = list_routes(self.folds, lowered.simd // parts)
        scaled = any(op.scales is not None for op in self.ops)
        words = np.cumsum([0] + [self._beats(op) * scaled for op in self.ops])
        self.scales: list[int] = words.tolist()  # of each op the first word of its row scales
        self.cells: dict[int, int] = {}  # of each layer with states, the first of its words
        self.cell_depth = 0
        for op in self.ops:
            if op.cells is not None and op.cells not in self.cells:
                self.cells[op.cells] = self.cell_depth
                self.cell_depth += self._beats(op)
        self.factors: dict[int, int] = {}  # of each op with factors, the first of its words
        self.factor_depth = 0
        for n, op in enumerate(self.ops):
            if op.factors is not None:
                self.factors[n] = self.factor_depth
                self.factor_depth += self._beats(op)

    def _beats(self, op: Op) -> int:
        """Beats of an op's whole result: so many words each lane has for it."""
        return self.parts * self.storage.words(op.size)

    @cached_property
    def tiling(self) -> Tiling:
        """The tiles of all steps."""
        return Tiling(self.lowered, self.folds, self.repeated, self.rides, self.parts)

    def work(self) -> Work:
        """All of it."""
        tiles = sum(len(group.tiles) for step in self.tiling.steps for group in step.groups)
        return replace(self.outline(), aligns=self.aligns, tiles=tiles,
                       weight_words=tuple(self.tiling.weight_words),
                       bias_words=tuple(self.tiling.bias_words))

    def outline(self) -> Work:
        """All that is known before the tiles are."""
        finishes = [op.finishes() for op in self.ops]
        kinds = list(dict.fromkeys(kind for runs in finishes for kind, _ in runs))
        leaving = frozenset(op for op, _ in self.places)
        words_out = [word for _, word in sorted(self.places.items())]
        return Work(
            storage=self.storage, parts=self.parts, ops=self.ops, folds=self.folds,
            kinds=tuple(kinds), aligns=(),
            kind_of=tuple(sum(((kinds.index(kind),) * steps for kind, steps in runs), ())
                          for runs in finishes),
            routes=self.routes, make_jobs=self.jobs, tiles=0, weight_words=(), bias_words=(),
            cell_depth=max(1, self.cell_depth), scale_depth=self.scales[-1],
            x_rows=self.lowered.x_rows, x_row=self.lowered.x_row, out_rows=self.out_rows,
            out_row=self.out_row, leaving=leaving,
            in_order=(len(leaving) == 1 and words_out == sorted(words_out)
                      and not any(self._partly(n) for n in leaving)),
            repeated=self.repeated,
            rides=self.rides, factors=self.factors, factor_depth=self.factor_depth)

    @cached_property
    def aligns(self) -> tuple[int, ...]:
        """The shifts of products that any tile asks for."""
        fracs = self.storage.chunks.column("frac")
        read: dict[tuple[int, int], list[np.ndarray]] = {}
        for step in self.tiling.steps:
            for n, p, numbers in step.met:
                read.setdefault((n, p), []).append(numbers)
        return tuple(sorted({
            _align(self.ops[n].parts[p], frac) for (n, p), numbers in read.items()
            for frac in np.unique(fracs[np.concatenate(numbers)]).tolist()}))

    def jobs(self) -> tuple[Job, ...]:
        """All the jobs, by op, step and group."""
        chunks = list(self.storage.chunks)
        return tuple(job for step in self.tiling.steps for job in self._jobs(step, chunks))

    def _operands(self, step: StepTiles, chunks: list[Chunk]) -> list[tuple[Chunk, int]]:
        """(chunk, align) of everything that a step meets, of all ``chunks``."""
        found = []
        for n, p, numbers in step.met:
            part = self.ops[n].parts[p]
            carried = part.carried and step.step == 0
            for number in numbers.tolist():
                chunk = chunks[number]
                found.append((self.storage.before(chunk) if carried else chunk,
                              self.aligns.index(_align(part, chunk.frac))))
        return found

    def _jobs(self, step: StepTiles, chunks: list[Chunk]) -> Iterator[Job]:
        n, op = step.op, self.ops[step.op]
        met = self._operands(step, chunks)
        anything = met[0][0] if met else chunks[0], 0
        begins = step.step == 0 and op.cells is not None
        out = self.places.get((n, step.step))
        h = None
        if op.written is not None:
            address = chunks[op.written[step.step, 0] // self.lowered.simd].address
            h = address if address >= 0 else None
        for found in step.groups:
            group = self.folds[n].groups[found.number]
            operands = []
            for tile in found.tiles:
                chunk, align = met[tile.at] if tile.at >= 0 else anything
                operands.append(Operand(chunk, tile.weight, align, tile.bank, tile.absolute,
                                        tile.away))
            yield Job(
                op=n, step=step.step, group=found.number, operands=tuple(operands),
                bias=found.bias, first=group.first, beats=found.beats,
                h=None if h is None else self.parts * h + group.first,
                out=None if out is None else self.parts * out + group.first,
                scale=self.scales[n] + group.first if self.scales[-1] else 0,
                cell=self._cell(n, op, group.first),
                fresh=begins and op.fresh, carried=begins and op.carried,
                complete=group.complete or found.beats < group.beats,
                route=self.first_route[op.rows, group.rotation],
                after=(n, 0, found.number) if n in self.repeated and step.step else None,
                rides=self._rides(n, step.step))

    def _cell(self, n: int, op: Op, word: int) -> int:
        """The lanes' word for a word of an op's result: of its states, or of its factors; 0 where
        it has neither."""
        if op.cells is not None:
            return self.cells[op.cells] + word
        return self.factors[n] + word if n in self.factors else 0

    def _rides(self, n: int, step: int) -> tuple[int, int, int] | None:
        """The job on which an op rides at a step, or None."""
        return next(((ride.carrier, ride.steps[step], ride.group)
                     for ride in self.rides.get(n, ()) if step in ride.steps), None)

    def _partly(self, n: int) -> bool:
        """Whether an op rides on the two directions of a layer, so that its steps are finished in
        another order."""
        return any(len(ride.columns) < self.ops[n].parts[0].matrix.shape[2]
                   for ride in self.rides.get(n, ()))


def _align(part: Part, frac: int) -> int:
    return 0 if part.base is None else part.base - frac
