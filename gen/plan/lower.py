"""Layers to ops: what each layer asks of the array.

A view asks nothing: it is applied to the addresses of the elements. Every other layer becomes one
or more :class:`~gatefold.gen.plan.ops.Op`. Only the modules that lower (`lower*.py`, `kinds.py`)
look at the kind of a layer, and `demand.py`, which counts before there are ops.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.network.views import History
from gatefold.gen.numbers.quantized import (
    QCellState,
    QDense,
    QGru,
    QInt8Lstm,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRnn,
    QuantizedNetwork,
    QView,
)
from gatefold.gen.plan.array import BLOCK_WORDS
from gatefold.gen.plan.blocks import Block
from gatefold.gen.plan.layout import NOWHERE
from gatefold.gen.plan.lower_dense import blocked, choose_blocks, dense
from gatefold.gen.plan.lower_history import history
from gatefold.gen.plan.lower_merge import max_pool, multiply
from gatefold.gen.plan.lower_recurrent import cell_state, gru, int8_lstm, recurrent
from gatefold.gen.plan.lowered import Lowered

__all__ = ["lower"]


def lower(qnet: QuantizedNetwork, pe: int, simd: int, block_words: int = BLOCK_WORDS, *,
          keep: bool = False, dies: int = 1) -> Lowered:
    """The ops of ``qnet`` on a pe x simd array of so many ``dies``, its convolutions' blocks in at
    most ``block_words`` weight words where that is possible. ``keep``: every result stays in the
    operand memory, also one that no op reads, for
    :meth:`~gatefold.gen.plan.lowered.Lowered.gather`."""
    to = Lowered(qnet, pe, simd, keep, dies)
    blocks = choose_blocks(to, block_words)
    for n, layer in enumerate(qnet.layers):
        to.stage += 1
        to.values.append(_lower(to, n, layer, blocks.get(n)))
    return to


def _lower(to: Lowered, n: int, layer: QLayer, block: Block | None) -> np.ndarray:
    """The addresses of the value of layer ``n``, whose ops are appended."""
    read = [to.values[value] for value in layer.inputs]
    if isinstance(layer, QView) and isinstance(layer.view, History):
        return history(to, layer.inputs[0], layer.view)
    if isinstance(layer, QView):
        return layer.view.arrange(*(value[None] for value in read), fill=NOWHERE)[0]
    if isinstance(layer, QInt8Lstm):
        return int8_lstm(to, n, layer, read[0])
    if isinstance(layer, QRnn | QLstm):
        return recurrent(to, n, layer, *read)
    if isinstance(layer, QGru):
        return gru(to, n, layer, *read)
    if isinstance(layer, QDense):
        return blocked(to, n, layer, read[0], block) if block else dense(to, n, layer, read[0])
    if isinstance(layer, QMaxPool):
        return max_pool(to, n, layer, read[0])
    if isinstance(layer, QMultiply):
        return multiply(to, n, layer, read)
    assert isinstance(layer, QCellState)
    return cell_state(to, n, layer, read[0])
