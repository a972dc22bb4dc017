"""Dense layers and convolutions to ops."""

from __future__ import annotations

import numpy as np

from gatefold.gen.network.layers import Window
from gatefold.gen.numbers.quantized import QDense, QInt8Dense
from gatefold.gen.plan.blocks import Block, blocks, choose, joint_taps
from gatefold.gen.plan.kinds import dense_kind
from gatefold.gen.plan.layout import NOWHERE
from gatefold.gen.plan.lowered import Lowered
from gatefold.gen.plan.ops import Part
from gatefold.hdl.int8_dense_lane import MANTISSA

__all__ = ["blocked", "choose_blocks", "dense"]


def dense(to: Lowered, n: int, layer: QDense, x: np.ndarray) -> np.ndarray:
    """A Dense layer, a pool of averages, or a convolution window by window: a step a vector."""
    vectors = layer.gather(x, NOWHERE).reshape(-1, layer.features)
    pattern = None if layer.pattern is None else layer.pattern[:, None, :]
    written = to.result(n, len(vectors), layer.outputs, layer.y.frac)
    part = Part(matrix=layer.w[:, None, :], steps=tuple(vectors), base=_base(layer),
                pattern=pattern)
    to.add(n, dense_kind(layer, to.qnet.table), (part,), written, bias=layer.b[:, None],
           scales=None if layer.scales is None else layer.scales[:, None],
           factors=_factors(layer))
    return written.reshape(to.qnet.shapes[to.qnet.value(n)])


def _factors(layer: QDense) -> np.ndarray | None:
    """For each output its word of the lanes' factors, of a layer in int8."""
    if not isinstance(layer, QInt8Dense):
        return None
    return layer.exponent << MANTISSA | layer.multiplier


def _base(layer: QDense) -> int:
    return layer.acc_frac - layer.w_format.frac


def choose_blocks(to: Lowered, words: int) -> dict[int, Block]:
    """How many windows of each convolution to compute together, where more than one; the blocks
    take at most so many weight ``words`` where that is possible."""
    ways: dict[int, tuple[Block, ...]] = {}
    even: dict[int, tuple[Block, ...]] = {}  # those that leave no holes between frames in a ring
    for n, layer in enumerate(to.qnet.layers):
        value = to.qnet.value(n)
        if (not isinstance(layer, QDense) or layer.window is None
                or layer.pattern is not None or to.leaves(value)):
            continue
        shape = to.qnet.shapes[layer.inputs[0]]
        pitch = layer.outputs
        if not to.only_windows(value) and pitch > 1:
            pitch = to.storage.chunks_of(pitch) * to.simd
        windows = layer.window.steps(shape[-2])
        ways[n] = blocks(outputs=layer.outputs, features=shape[-1], windows=windows,
                         window=layer.window, pe=to.pe, simd=to.simd,
                         packed=to.only_windows(to.made(layer.inputs[0])), pitch=pitch,
                         dies=to.storage.dies)
        even[n] = tuple(block for block in ways[n]
                        if value not in to.places or windows % block.steps == 0)
    chosen = choose(list(even.values()), words)
    if sum(block.words for block in chosen) > words:
        chosen = choose(list(ways.values()), words)
    return {n: block for n, block in zip(ways, chosen, strict=True) if block.steps > 1}


def blocked(to: Lowered, n: int, layer: QDense, x: np.ndarray, block: Block) -> np.ndarray:
    """A convolution in blocks (:mod:`gatefold.gen.plan.blocks`): a step a block of windows."""
    window = layer.window
    assert window
    timesteps, features = x.shape[-2:]
    sequences = x.reshape(-1, timesteps, features)
    windows = window.steps(timesteps)
    count = -(-windows // block.steps)
    matrix, pattern = _block_matrix(layer, window, features, block)
    vectors = _block_vectors(sequences, window, block, count)
    traced = _block_values(layer.outputs, windows, block, len(sequences))
    written = to.result(n, len(vectors), block.steps * block.pitch, layer.y.frac)
    left = np.minimum(windows - np.arange(count) * block.steps, block.steps)
    sizes = np.tile((left - 1) * block.pitch + layer.outputs, len(sequences))
    part = Part(matrix=matrix, steps=tuple(vectors), base=_base(layer), pattern=pattern)
    factors = _factors(layer)
    if factors is not None:
        factors = np.tile(np.pad(factors, (0, block.pitch - layer.outputs)), block.steps)
    to.add(n, dense_kind(layer, to.qnet.table), (part,), written, sizes=tuple(sizes.tolist()),
           bias=_block_rows(layer.b, block), traced=traced,
           scales=None if layer.scales is None else _block_rows(layer.scales, block),
           factors=factors)
    value = np.empty(int(traced.max()) + 1, np.int64)
    value[traced[traced >= 0]] = written[traced >= 0]
    return value.reshape(to.qnet.shapes[to.qnet.value(n)])


def _block_matrix(layer: QDense, window: Window, features: int,
                  block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and pattern (size, 1, taps * features) of a block."""
    taps = joint_taps(window, block.steps)
    matrix = np.zeros((block.steps, block.pitch, len(taps), features), np.int64)
    pattern = np.zeros(matrix.shape, bool)
    w = layer.w.reshape(layer.outputs, window.size, features)
    for j in range(block.steps):
        at = np.searchsorted(taps, j * window.stride + np.arange(window.size) * window.dilation)
        matrix[j, :layer.outputs, at] = w.transpose(1, 0, 2)
        pattern[j, :layer.outputs, at] = True
    size = block.steps * block.pitch
    return matrix.reshape(size, 1, -1), pattern.reshape(size, 1, -1)


def _block_rows(values: np.ndarray, block: Block) -> np.ndarray:
    """A value for each output (outputs,) as one for each row of a block, (size, 1)."""
    rows = np.zeros((block.steps, block.pitch), np.int64)
    rows[:, :len(values)] = values
    return rows.reshape(-1, 1)


def _block_vectors(sequences: np.ndarray, window: Window, block: Block,
                   count: int) -> np.ndarray:
    """Addresses (sequences * count, taps * features) that each of ``count`` blocks meets."""
    timesteps = sequences.shape[1]
    taps = joint_taps(window, block.steps)
    first = np.arange(count) * block.steps * window.stride
    reach = int(first[-1] + taps[-1]) + 1
    padded = np.pad(sequences, ((0, 0), (window.left, max(0, reach - timesteps - window.left)),
                                (0, 0)), constant_values=NOWHERE)
    return padded[:, first[:, None] + taps].reshape(len(sequences) * count, -1)


def _block_values(outputs: int, windows: int, block: Block, sequences: int) -> np.ndarray:
    """For each element of each block's result (sequences * blocks, size) its index in the layer's
    value, flat; -1 for what lies between or behind the windows."""
    j, output = np.divmod(np.arange(block.steps * block.pitch), block.pitch)
    at = np.arange(-(-windows // block.steps))[:, None] * block.steps + j  # number of the window
    index = np.arange(sequences)[:, None, None] * windows + at
    real = (at < windows) & (output < outputs)
    return np.where(real, index * outputs + output, -1).reshape(-1, block.steps * block.pitch)
