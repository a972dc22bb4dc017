"""Layers to ops: what each layer asks of the array.

A view asks nothing: it is applied to the addresses of the elements. Everything else becomes one or
more :class:`~gatefold.gen.plan.ops.Op`. Here and nowhere else is a layer's kind looked at.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.plan.blocks import Block, blocks, choose, joint_taps
from gatefold.gen.plan.kinds import dense_kind, emit_kind, gru_kind, lstm_kind, reset_kind
from gatefold.gen.plan.layout import NOWHERE, Storage
from gatefold.gen.plan.ops import Op, Part
from gatefold.gen.quantized import (
    QCellState,
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QRnn,
    QuantizedNetwork,
    QView,
)
from gatefold.hdl.kinds import DenseKind, Kind, LoadKind, MergeKind

__all__ = ["Lowered", "lower"]

#: Weight words that blocks of convolutions may take, where a plan names no other number.
BLOCK_WORDS = 2048


class Lowered:
    """The ops of a network on a pe x simd array, and where everything lies.

    Attributes: ``ops``; ``storage``; ``values``, addresses of every value's elements;
    ``x_rows``, ``x_row``: rows of the input frame and elements of a row.
    """

    def __init__(self, qnet: QuantizedNetwork, pe: int, simd: int, block_words: int,
                 keep: bool):
        self.qnet, self.pe, self.simd, self.keep = qnet, pe, simd, keep
        self.storage = Storage(simd)
        self.ops: list[Op] = []
        self.fracs = qnet.fracs
        self.shapes = qnet.shapes
        self.computing = qnet.computing
        self.stage = 0
        self.values: list[np.ndarray] = []
        self._read_by = _readers(qnet)
        self.blocks = self._choose_blocks(block_words)
        self._inputs()
        for n, layer in enumerate(qnet.layers):
            self._layer(n, layer)

    # ---- inputs ---------------------------------------------------------------------------------

    def _inputs(self):
        """Rows of the frame: timesteps, or where only windows look at it, all of it at once."""
        shapes = self.qnet.input_shapes
        sizes = [int(np.prod(shape)) for shape in shapes]
        row = shapes[0][-1]
        windowed = all(self._only_windows(value) for value in range(len(shapes)))
        if windowed or any(shape[-1] != row for shape in shapes):
            row = sum(sizes)
        self.x_row, self.x_rows = row, sum(sizes) // row
        fracs = np.concatenate([self.fracs[n].ravel() for n in range(len(shapes))])
        frame = self.storage.input_rows(self.x_rows, row, fracs.reshape(self.x_rows, row)).ravel()
        ends = np.cumsum(sizes)
        self.values = [part.reshape(shape) for part, shape in zip(
            np.split(frame, ends[:-1]), shapes, strict=True)]

    def _only_windows(self, value: int) -> bool:
        """Whether a value is read by convolutions only."""
        readers = [self.qnet.layers[n] for n in self._read_by[value]]
        return bool(readers) and all(isinstance(layer, QDense) and layer.window
                                     and layer.pattern is None for layer in readers)

    # ---- a layer --------------------------------------------------------------------------------

    def _layer(self, n: int, layer: QLayer):
        read = [self.values[value] for value in layer.inputs]
        self.stage += 1
        if isinstance(layer, QView):
            value = layer.view.arrange(*(part[None] for part in read), fill=NOWHERE)[0]
        elif isinstance(layer, QRnn | QLstm):
            value = self._recurrent(n, layer, read)
        elif isinstance(layer, QGru):
            value = self._gru(n, layer, read)
        elif isinstance(layer, QDense):
            value = self._dense(n, layer, read[0])
        elif isinstance(layer, QMaxPool):
            value = self._max_pool(n, layer, read[0])
        elif isinstance(layer, QMultiply):
            value = self._multiply(n, layer, read)
        else:
            assert isinstance(layer, QCellState)
            value = self._cell_state(n, layer, read[0])
        self.values.append(value)

    def _is_read(self, n: int) -> bool:
        """Whether another op reads what layer n makes."""
        return self.keep or bool(self._read_by[self.qnet.value(n)])

    def _result(self, n: int, steps: int, size: int, frac: int) -> np.ndarray:
        """Room for the results of the next op, the last of layer n."""
        kept = steps if self._is_read(n) else 0
        return self.storage.result(len(self.ops), steps, size, frac, kept)

    def _dense(self, n: int, layer: QDense, x: np.ndarray) -> np.ndarray:
        shape = self.shapes[self.qnet.value(n)]
        kind = dense_kind(layer, self.qnet.table)
        base = layer.acc_frac - layer.w_format.frac
        if n in self.blocks:
            return self._blocked(n, layer, x, kind, base, self.blocks[n])
        vectors = layer.gather(x, NOWHERE).reshape(-1, layer.features)
        pattern = None if layer.pattern is None else layer.pattern[:, None, :]
        written = self._result(n, len(vectors), layer.outputs, layer.y.frac)
        self.ops.append(Op(
            layer=n, kind=kind, size=layer.outputs, sizes=(layer.outputs,) * len(vectors),
            parts=(Part(matrix=layer.w[:, None, :], steps=tuple(vectors), base=base,
                        pattern=pattern),),
            bias=layer.b[:, None], written=written, stage=self.stage,
            traced=np.arange(written.size).reshape(written.shape)))
        return written.reshape(shape)

    def _choose_blocks(self, words: int) -> dict[int, Block]:
        """How many windows of each convolution to compute together, where more than one."""
        ways: dict[int, tuple[Block, ...]] = {}
        for n, layer in enumerate(self.qnet.layers):
            value = self.qnet.value(n)
            if (not isinstance(layer, QDense) or layer.window is None
                    or layer.pattern is not None or self._leaves(value)):
                continue
            shape = self.shapes[layer.inputs[0]]
            pitch = layer.outputs
            if not self._only_windows(value) and pitch > 1:
                pitch = self.storage.words(pitch) * self.simd
            ways[n] = blocks(outputs=layer.outputs, features=shape[-1], windows=layer.window.steps(
                shape[-2]), window=layer.window, pe=self.pe, simd=self.simd,
                packed=self._only_windows(layer.inputs[0]), pitch=pitch)
        chosen = choose(list(ways.values()), words)
        return {n: block for n, block in zip(ways, chosen, strict=True) if block.steps > 1}

    def _blocked(self, n: int, layer: QDense, x: np.ndarray, kind: Kind, base: int,
                 block: Block) -> np.ndarray:
        window, (timesteps, features) = layer.window, x.shape[-2:]
        assert window
        windows, size = window.steps(timesteps), block.steps * block.pitch
        count = -(-windows // block.steps)
        taps = joint_taps(window, block.steps)
        matrix = np.zeros((block.steps, block.pitch, len(taps), features), np.int64)
        pattern = np.zeros(matrix.shape, bool)
        w = layer.w.reshape(layer.outputs, window.size, features)
        for j in range(block.steps):
            at = np.searchsorted(taps, j * window.stride + np.arange(window.size) * window.dilation)
            matrix[j, :layer.outputs, at] = w.transpose(1, 0, 2)
            pattern[j, :layer.outputs, at] = True
        bias = np.zeros((block.steps, block.pitch), np.int64)
        bias[:, :layer.outputs] = layer.b

        sequences = x.reshape(-1, timesteps, features)
        first = np.arange(count) * block.steps * window.stride
        reach = int(first[-1] + taps[-1]) + 1
        padded = np.pad(sequences, ((0, 0), (window.left, max(0, reach - timesteps - window.left)),
                                    (0, 0)), constant_values=NOWHERE)
        vectors = padded[:, first[:, None] + taps].reshape(len(sequences) * count, -1)
        written = self._result(n, len(vectors), size, layer.y.frac)
        left = np.minimum(windows - np.arange(count) * block.steps, block.steps)
        sizes = np.tile((left - 1) * block.pitch + layer.outputs, len(sequences))

        # Which window and output each element is.
        j, output = np.divmod(np.arange(size), block.pitch)
        at = np.arange(count)[:, None] * block.steps + j
        index = np.arange(len(sequences))[:, None, None] * windows + at
        real = (at < windows) & (output < layer.outputs)
        traced = np.where(real, index * layer.outputs + output, -1).reshape(len(vectors), size)
        self.ops.append(Op(
            layer=n, kind=kind, size=size, sizes=tuple(sizes.tolist()),
            parts=(Part(matrix=matrix.reshape(size, 1, -1), steps=tuple(vectors), base=base,
                        pattern=pattern.reshape(size, 1, -1)),),
            bias=bias.reshape(size, 1), written=written, stage=self.stage, traced=traced))
        value = np.empty(int(traced.max()) + 1, np.int64)
        value[traced[traced >= 0]] = written[traced >= 0]
        return value.reshape(self.shapes[self.qnet.value(n)])

    # ---- recurrent layers -----------------------------------------------------------------------

    def _history(self, n: int, layer: QRecurrent, steps: int, op: int) -> np.ndarray:
        """Room for h: of all steps where they are read, else of two in turn."""
        if layer.stateful:
            kept = max(2, steps) if layer.return_sequences and self._is_read(n) else 2
        elif self._is_read(n):
            kept = steps if layer.return_sequences else min(2, steps)
        else:
            kept = min(2, steps) if steps > 1 else 0
        before = self.storage.h_depth
        written = self.storage.result(op, steps, layer.units, layer.h.frac, kept)
        if layer.stateful and (steps - 1) % kept == 0:
            # Step 0 would overwrite what it reads: the two words change places every frame.
            self.storage.swaps.append((before, self.storage.words(layer.units)))
        return written

    def _previous(self, layer: QRecurrent, written: np.ndarray,
                  given: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
        """Addresses of h before each step."""
        return (written[-1] if layer.stateful else given, *written[:-1])

    def _recurrent(self, n: int, layer: QRnn | QLstm, read: list[np.ndarray]) -> np.ndarray:
        x, *states = read
        gates, u = (4, layer.units) if isinstance(layer, QLstm) else (1, layer.units)

        def blocks_of(matrix: np.ndarray) -> np.ndarray:  # gates beside each other, per element
            return matrix.reshape(gates, u, *matrix.shape[1:]).swapaxes(0, 1)

        after = None
        if isinstance(layer, QLstm):
            kind: Kind = lstm_kind(layer, self.qnet.table)
            after = self._load(n, layer.c0, states[1] if states else None, gru=False,
                               frac=layer.c.frac, width=layer.c.width)
        else:
            kind = dense_kind(layer, self.qnet.table)
        op = len(self.ops)
        written = self._history(n, layer, len(x), op)
        previous = self._previous(layer, written, states[0] if states else None)
        self.ops.append(Op(
            layer=n, kind=kind, size=u, sizes=(u,) * len(x),
            parts=(
                Part(matrix=blocks_of(layer.w_ih), steps=tuple(x),
                     base=layer.acc_frac - layer.w_ih_format.frac),
                Part(matrix=blocks_of(layer.w_hh), steps=previous,
                     base=layer.acc_frac - layer.w_hh_format.frac, carried=layer.stateful)),
            bias=blocks_of(layer.b), first_bias=_first_bias(layer, layer.h0, blocks_of),
            written=written, stage=self.stage, cells=n if isinstance(layer, QLstm) else None,
            fresh=not layer.stateful and after is None, carried=layer.stateful, after=after,
            traced=np.arange(written.size).reshape(written.shape)))
        return written if layer.return_sequences else written[-1]

    def _gru(self, n: int, layer: QGru, read: list[np.ndarray]) -> np.ndarray:
        x, *states = read
        u, table = layer.units, self.qnet.table
        w_ih, w_hh = layer.w_ih.reshape(3, u, -1), layer.w_hh.reshape(3, u, u)
        b = layer.b.reshape(3, u)
        start = layer.h0
        given = bool(states) or layer.stateful or start is not None
        after = self._load(n, start, states[0] if states else None, gru=True,
                           frac=layer.c.frac, width=layer.c.width)
        h0 = None
        if start is not None:  # s0; h is rounded from it
            shift = layer.c.frac - layer.h.frac
            h0 = (start + (1 << shift - 1)) >> shift if shift > 0 else start << -shift
            h0 = np.clip(h0, layer.h.lo, layer.h.hi)
        x_base = layer.acc_frac - layer.w_ih_format.frac
        h_base = layer.acc_frac - layer.w_hh_format.frac
        none, none_x = np.zeros_like(w_hh[0]), np.zeros_like(w_ih[0])
        zero = np.zeros(u, np.int64)
        common = {"layer": n, "size": u, "sizes": (u,) * len(x), "stage": self.stage, "cells": n,
                  "fresh": not given, "carried": layer.stateful, "after": after}

        def rows(*blocks_: np.ndarray) -> np.ndarray:
            return np.stack(blocks_, axis=1)

        def first(matrix: np.ndarray, bias: np.ndarray) -> np.ndarray | None:
            return None if h0 is None else bias + ((matrix @ h0) << layer.align_hh)

        main = len(self.ops) + (not layer.reset_after)
        written = self._history(n, layer, len(x), main)
        previous = self._previous(layer, written, states[0] if states else None)
        traced = np.arange(written.size).reshape(written.shape)
        if layer.reset_after:
            matrix, bias = rows(w_hh[0], w_hh[1], none, w_hh[2]), rows(*b, layer.b_n)
            self.ops.append(Op(
                **common, kind=gru_kind(layer, table), written=written, traced=traced, bias=bias,
                first_bias=first(matrix, bias),
                parts=(Part(matrix=rows(w_ih[0], w_ih[1], w_ih[2], none_x), steps=tuple(x),
                            base=x_base),
                       Part(matrix=matrix, steps=previous, base=h_base,
                            carried=layer.stateful))))
            return written if layer.return_sequences else written[-1]

        # First r * s, then the rest: two ops that take turns.
        q = self.storage.result(len(self.ops), len(x), u, layer.h.frac, min(2, len(x)))
        begins = 0 if given else 1  # of a zero state there is nothing to reset

        def from_start(vectors) -> tuple[np.ndarray | None, ...]:
            return tuple(v if t >= begins else None for t, v in enumerate(vectors))

        matrix, bias = rows(w_hh[0], none, none, none), rows(b[0], zero, zero, zero)
        self.ops.append(Op(
            **common, kind=reset_kind(layer, table), written=q, bias=bias,
            first_bias=first(matrix, bias),
            parts=(Part(matrix=rows(w_ih[0], none_x, none_x, none_x), steps=from_start(x),
                        base=x_base),
                   Part(matrix=matrix, steps=previous, base=h_base, carried=layer.stateful))))
        matrix, bias = rows(none, w_hh[1], none, none), rows(zero, b[1], b[2], zero)
        self.ops.append(Op(
            **common, kind=gru_kind(layer, table), written=written, traced=traced, bias=bias,
            first_bias=first(matrix, bias),
            parts=(Part(matrix=rows(none_x, w_ih[1], w_ih[2], none_x), steps=tuple(x),
                        base=x_base),
                   Part(matrix=matrix, steps=previous, base=h_base, carried=layer.stateful),
                   Part(matrix=rows(none, none, w_hh[2], none), steps=from_start(q),
                        base=h_base))))
        return written if layer.return_sequences else written[-1]

    def _load(self, n: int, constant: np.ndarray | None, given: np.ndarray | None, *, gru: bool,
              frac: int, width: int) -> int | None:
        """An op that fills a layer's states before its first step; its number, or None."""
        if given is not None:
            units = len(given)
            form = int(self.storage.chunks[given[0] // self.simd].frac)
            bias, matrix = np.zeros((units, 4), np.int64), _diagonal(units, 4, {0: units})
            part = Part(matrix=matrix, steps=(given,), base=None, pattern=matrix != 0)
            kind = LoadKind(gru, form - frac, width)
        elif constant is not None:
            units = len(constant)
            bias = np.zeros((units, 4), np.int64)
            bias[:, 0] = constant
            # A tile meets some operand; here its weights are zero.
            part = Part(matrix=np.zeros((units, 4, 1), np.int64),
                        steps=(self.values[0].ravel()[:1],), base=None)
            kind = LoadKind(gru, 0, width)
        else:
            return None
        self.ops.append(Op(layer=n, kind=kind, size=units, sizes=(units,), parts=(part,), bias=bias,
                           written=None, stage=self.stage, cells=n))
        self.stage += 1
        return len(self.ops) - 1

    # ---- the rest -------------------------------------------------------------------------------

    def _max_pool(self, n: int, layer: QMaxPool, x: np.ndarray) -> np.ndarray:
        """Four taps at a time; where there are more, their maxima again."""
        features = x.shape[-1]
        taps = layer.window.arrange(x, NOWHERE).reshape(-1, layer.window.size, features)
        # Padding takes no part: a tap that is there stands in for it.
        present = taps[:, :, 0] >= 0
        stand_in = np.argmax(present, axis=1)
        taps = np.where(present[:, :, None], taps, taps[np.arange(len(taps)), stand_in][:, None])
        shift, base = layer.x.frac - layer.y.frac, layer.x.frac
        while True:
            count = taps.shape[1]
            quads = -(-count // 4)
            index = np.minimum(np.arange(4 * quads), count - 1)
            vectors = taps[:, index].reshape(len(taps) * quads, 4 * features)
            last = quads == 1
            kept = len(vectors) if self._is_read(n) or not last else 0
            written = self.storage.result(len(self.ops), len(vectors), features, layer.y.frac, kept)
            matrix = _diagonal(features, 4, {k: 4 * features for k in range(4)}, spread=features)
            self.ops.append(Op(
                layer=n, kind=MergeKind("max", (0, 0), shift, layer.y.width), size=features,
                sizes=(features,) * len(vectors), written=written, stage=self.stage,
                parts=(Part(matrix=matrix, steps=tuple(vectors), base=base,
                            pattern=matrix != 0),),
                bias=np.zeros((features, 4), np.int64),
                traced=np.arange(written.size).reshape(written.shape) if last else None))
            if last:
                return written.reshape(self.shapes[self.qnet.value(n)])
            taps = written.reshape(len(taps), quads, features)
            shift, base = 0, layer.y.frac
            self.stage += 1

    def _multiply(self, n: int, layer: QMultiply, read: list[np.ndarray]) -> np.ndarray:
        features = read[0].shape[-1]
        vectors = np.concatenate([part.reshape(-1, features) for part in read], axis=1)
        matrix = _diagonal(features, 4, {k: 2 * features for k in range(2)}, spread=features)
        written = self._result(n, len(vectors), features, layer.y.frac)
        kind = MergeKind("mul", (0, 0), layer.a.frac + layer.b.frac - layer.y.frac, layer.y.width)
        self.ops.append(Op(
            layer=n, kind=kind, size=features, sizes=(features,) * len(vectors), written=written,
            parts=(Part(matrix=matrix, steps=tuple(vectors), base=None, pattern=matrix != 0),),
            bias=np.zeros((features, 4), np.int64), stage=self.stage,
            traced=np.arange(written.size).reshape(written.shape)))
        return written.reshape(self.shapes[self.qnet.value(n)])

    def _cell_state(self, n: int, layer: QCellState, x: np.ndarray) -> np.ndarray:
        """c of an LSTM, once its last h is there (which meets zeros)."""
        source = layer.inputs[0] - len(self.qnet.input_shapes)
        last = x if x.ndim == 1 else x[-1]
        written = self._result(n, 1, layer.units, layer.y.frac)
        self.ops.append(Op(
            layer=n, kind=emit_kind(layer), size=layer.units, sizes=(layer.units,),
            parts=(Part(matrix=np.zeros((layer.units, 4, len(last)), np.int64), steps=(last,),
                        base=None),),
            bias=np.zeros((layer.units, 4), np.int64), written=written, stage=self.stage,
            cells=source, fresh=False, traced=np.arange(layer.units)[None]))
        return written[0]

    # ---- outputs --------------------------------------------------------------------------------

    def _leaves(self, value: int) -> bool:
        """Whether a value, perhaps rearranged, is an output of the network."""
        if value in self.qnet.outputs:
            return True
        return any(isinstance(layer, QView) and value in layer.inputs
                   and self._leaves(self.qnet.value(n)) for n, layer in enumerate(self.qnet.layers))

    def gather(self, row: int) -> None:
        """One more op: the output frame put together in rows of ``row`` elements."""
        frame = self.frame().reshape(-1, row)
        self.stage += 1
        matrix = _diagonal(row, 1, {0: row})
        width = self.qnet.act_width
        self.ops.append(Op(
            layer=-1, kind=DenseKind("linear", 0, 0, width), size=row, sizes=(row,) * len(frame),
            parts=(Part(matrix=matrix, steps=tuple(frame), base=None, pattern=matrix != 0),),
            bias=np.zeros((row, 1), np.int64), stage=self.stage,
            written=self.storage.result(len(self.ops), len(frame), row, 0, 0)))
        self.gathered = self.ops[-1].written

    gathered: np.ndarray | None = None

    def frame(self) -> np.ndarray:
        """Addresses of the output frame's elements, (elements,)."""
        if self.gathered is not None:
            return self.gathered.ravel()
        return np.concatenate([self.values[value].ravel() for value in self.qnet.outputs])


def lower(qnet: QuantizedNetwork, pe: int, simd: int, block_words: int = BLOCK_WORDS, *,
          keep: bool = False) -> Lowered:
    """The ops of ``qnet`` on a pe x simd array, its convolutions' blocks in at most
    ``block_words`` weight words where that is possible. ``keep``: every result stays in the operand
    memory, also one that no op reads, for :meth:`Lowered.gather`."""
    return Lowered(qnet, pe, simd, block_words, keep)


def _readers(qnet: QuantizedNetwork) -> dict[int, set[int]]:
    """Of every value the computing layers that read it, through views."""
    count = len(qnet.input_shapes) + len(qnet.layers)
    found: dict[int, set[int]] = {value: set() for value in range(count)}
    for n in range(len(qnet.layers) - 1, -1, -1):
        layer = qnet.layers[n]
        behind = found[qnet.value(n)] if isinstance(layer, QView) else {n}
        for value in layer.inputs:
            found[value] |= behind
    return found


def _diagonal(size: int, rows: int, columns: dict[int, int], spread: int = 0) -> np.ndarray:
    """(size, rows, columns): row k of each element picks the element's column, ``k * spread``
    further on; of the rows named only."""
    matrix = np.zeros((size, rows, max(columns.values())), np.int64)
    each = np.arange(size)
    for k in columns:
        matrix[each, k, k * spread + each] = 1
    return matrix


def _first_bias(layer: QRecurrent, h0: np.ndarray | None, arranged) -> np.ndarray | None:
    """Bias of step 0 with the products of a constant h0 in it."""
    if h0 is None:
        return None
    return arranged(layer.b + ((layer.w_hh @ h0) << layer.align_hh))

