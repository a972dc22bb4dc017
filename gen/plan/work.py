"""What must be computed: one job for every group of rows at every step, and the words it uses.

A job is independent of the order in which it will run: the schedule decides that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...hdl.config import DenseKind, LstmKind
from ..errors import UserError
from ..quantized import QDense, QFlatten, QLstm, QRepeatVector, QuantizedNetwork
from .layout import Chunk, Storage, lay_out
from .rows import Fold, fold

__all__ = ["Job", "Operand", "Work", "break_down", "interleave"]


@dataclass(frozen=True)
class Operand:
    """One tile of a job: a chunk, the weight word that meets it, the shift of their products."""

    chunk: Chunk
    weight: int
    align: int


@dataclass(frozen=True)
class Job:
    """A group of rows of a layer at one step: what it reads and where its result goes.

    context, layer, step, group: which. operands: its tiles, input before recurrent ones. bias: its
    bias word. first, beats: chunks of the result that it writes. h, out: address of the first of
    them in the operand and the output memory, or None.
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
    context: int = 0


@dataclass(frozen=True)
class Work:
    """All jobs of a frame and the memories they refer to.

    kinds, aligns, routes: what the engine must be able to do. folds: rows of each computing layer.
    weight_words: (layer, recurrent?, group, chunk) for every word of the weight memory, in order.
    bias_words: (layer, group). cell_depth, h_depth: words. out_rows, out_row: shape of the output
    in rows of elements. last: the layer that makes it. repeated: LSTM layers whose input is the
    same at every step: their jobs after the first step have recurrent columns only.
    """

    storage: Storage
    folds: dict[int, Fold]
    kinds: tuple[LstmKind | DenseKind, ...]
    kind_of: dict[int, int]
    aligns: tuple[int, ...]
    routes: tuple[int, ...]
    jobs: tuple[Job, ...]
    weight_words: tuple[tuple[int, bool, int, int], ...]
    bias_words: tuple[tuple[int, int], ...]
    cell_depth: int
    out_rows: int
    out_row: int
    last: int
    repeated: frozenset[int]


def kind_of(layer: QLstm | QDense, qnet: QuantizedNetwork) -> LstmKind | DenseKind:
    """The shift amounts of a layer's finish (`docs/numbers.md`)."""
    a, fu = qnet.act_width, qnet.table.frac
    if isinstance(layer, QDense):
        shift = {"linear": layer.acc_frac - layer.y.frac, "relu": layer.acc_frac - layer.y.frac,
                 "sigmoid": layer.acc_frac + 1 - fu, "tanh": layer.acc_frac - fu}
        return DenseKind(layer.activation, shift[layer.activation])
    product_f, product_g = a + 1 + layer.c.frac, 2 * a + 1
    common = max(product_f, product_g)
    return LstmKind(gate=layer.acc_frac + 1 - fu, up_f=common - product_f,
                    up_g=common - product_g, cell=common - layer.c.frac,
                    cell_u=layer.c.frac - fu)


def _routes(folds: dict[int, Fold], slots: int, simd: int) -> tuple[tuple[int, ...],
                                                                     dict[int, int]]:
    """Slot offsets of lane 0, and for each rotation the index of its first route."""
    routes: list[int] = []
    first = {}
    for rotation in sorted({group.rotation for f in folds.values() for group in f.groups}):
        first[rotation] = len(routes)
        routes += [b * simd - rotation for b in range(-(-(rotation + slots) // simd))]
    return tuple(routes), first


def break_down(qnet: QuantizedNetwork, pe: int, simd: int) -> Work:
    """List the jobs of ``qnet`` on a pe x simd array, layer by layer, step by step, row-major."""
    last = max(qnet.computing)
    for layer in qnet.layers[last + 1:]:
        if isinstance(layer, QRepeatVector):
            raise UserError("RepeatVector must be followed by an LSTM or Dense layer, not end the "
                            "network: leave it out and repeat the output on the host")
        assert isinstance(layer, QFlatten)  # the stream is flat already

    storage = lay_out(qnet, simd)
    folds = {n: fold(layer, pe, simd) for n, layer in qnet.computing.items()}
    kinds: list[LstmKind | DenseKind] = []
    kind_index, aligns = {}, []
    for n, layer in qnet.computing.items():
        kind = kind_of(layer, qnet)
        if kind not in kinds:
            kinds.append(kind)
        kind_index[n] = kinds.index(kind)
        aligns += [layer.align_ih, layer.align_hh] if isinstance(layer, QLstm) else [0]
    distinct = tuple(sorted(set(aligns)))
    routes, first_route = _routes(folds, pe // 4, simd)

    jobs, weight_words, bias_words, repeated = [], [], [], set()
    cell_base = 0
    for n, layer in qnet.computing.items():
        laid = folds[n]
        source, target = storage.inputs[n], storage.outputs[n]
        steps = len(source.steps)
        if isinstance(layer, QLstm):
            is_lstm, sequences = True, layer.return_sequences
            align_x, align_h = (distinct.index(shift)
                                for shift in (layer.align_ih, layer.align_hh))
        else:
            is_lstm, sequences = False, True
            align_x, align_h = distinct.index(0), 0
        same = is_lstm and steps > 1 and all(step == source.steps[0] for step in source.steps)
        if same:
            repeated.add(n)

        # Words: for each group its input columns, then its recurrent ones.
        x_base, h_base, bias_base = [], [], []
        for r in range(len(laid.groups)):
            x_base.append(len(weight_words))
            weight_words += [(n, False, r, k) for k in range(len(source.steps[0]))]
            h_base.append(len(weight_words))
            if is_lstm:
                weight_words += [(n, True, r, k) for k in range(laid.chunks)]
            bias_base.append(len(bias_words))
            bias_words.append((n, r))

        for t in range(steps):
            for r, group in enumerate(laid.groups):
                operands = [Operand(chunk, x_base[r] + k, align_x)
                            for k, chunk in enumerate(source.steps[t])
                            if t == 0 or not same]
                # h starts at zero: nothing to multiply at the first step
                if is_lstm and target and t > 0:
                    operands += [Operand(chunk, h_base[r] + k, align_h)
                                 for k, chunk in enumerate(target.steps[t - 1])]
                leaves = n == last and (sequences or t == steps - 1)
                jobs.append(Job(
                    layer=n, step=t, group=r, operands=tuple(operands), bias=bias_base[r],
                    first=group.first, beats=group.beats,
                    h=target.steps[t][group.first].address if target else None,
                    out=((t * laid.chunks if sequences else 0) + group.first) if leaves else None,
                    cell=cell_base + group.first if is_lstm else 0, fresh=is_lstm and t == 0,
                    complete=group.complete, route=first_route[group.rotation]))
        if is_lstm:
            cell_base += laid.chunks

    shape = qnet.shapes[last + 1]
    return Work(
        storage=storage, folds=folds, kinds=tuple(kinds), kind_of=kind_index, aligns=distinct,
        routes=routes, jobs=tuple(jobs), weight_words=tuple(weight_words),
        bias_words=tuple(bias_words), cell_depth=max(1, cell_base),
        out_rows=shape[0] if len(shape) == 2 else 1, out_row=shape[-1], last=last,
        repeated=frozenset(repeated))


def interleave(work: Work, contexts: int, x_depth: int) -> Work:
    """The work of ``contexts`` independent sequences in one frame, each with memories of its own.

    ``x_depth``: input chunks of one sequence. Sequences follow one another in input and output.
    """
    out_depth = work.out_rows * work.folds[work.last].chunks
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
    return replace(work, jobs=jobs, cell_depth=contexts * cell_depth,
                   storage=replace(work.storage, h_depth=contexts * h_depth),
                   out_rows=contexts * work.out_rows)
