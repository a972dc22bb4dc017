"""Where vectors live: chunks of ``simd`` elements in the input memory or the h memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..quantized import QDense, QFlatten, QLstm, QRepeatVector, QuantizedNetwork

__all__ = ["Chunk", "Storage", "Value", "columns", "lay_out"]


@dataclass(frozen=True)
class Chunk:
    """One memory word: elements ``first .. first + count - 1`` of a vector, from lane 0 up.

    origin: (layer, step, index) of what writes it; layer -1 is the input.
    """

    from_x: bool
    address: int
    first: int
    count: int
    origin: tuple[int, int, int]


@dataclass(frozen=True)
class Value:
    """A vector at every step: ``steps[t]`` are its chunks, in order of their elements."""

    steps: tuple[tuple[Chunk, ...], ...]
    size: int


@dataclass(frozen=True)
class Storage:
    """``inputs[n]``: the value layer n reads; ``outputs[n]``: the value it writes, step by step
    (an LSTM also writes the h that only it reads); ``h_depth``: words of the h memory."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value | None, ...]
    h_depth: int


def _word_count(elements: int, simd: int) -> int:
    return -(-elements // simd)


def _vector(layer: int, step: int, base: int, size: int, simd: int) -> tuple[Chunk, ...]:
    return tuple(Chunk(layer < 0, base + n, n * simd, min(simd, size - n * simd), (layer, step, n))
                 for n in range(_word_count(size, simd)))


def lay_out(qnet: QuantizedNetwork, simd: int) -> Storage:
    """Give every vector its place.

    A sequence that a later layer reads keeps all its steps; an LSTM of which only the last h is
    read keeps two, written in turn. RepeatVector and Flatten move nothing: they are other views of
    chunks that are there already. The last layer's result goes to the output memory; a Dense there
    has no place here.
    """
    shape = qnet.input_shape
    steps, size = (shape[0], shape[1]) if len(shape) == 2 else (1, shape[0])
    words = _word_count(size, simd)
    value = Value(tuple(_vector(-1, t, t * words, size, simd) for t in range(steps)), size)
    depth = 0
    inputs, outputs = [], []
    last = max(qnet.computing)
    for n, layer in enumerate(qnet.layers):
        inputs.append(value)
        written = None
        if isinstance(layer, QRepeatVector):
            value = Value(value.steps * layer.timesteps, value.size)
        elif isinstance(layer, QFlatten):
            flat = tuple(replace(chunk, first=t * value.size + chunk.first)
                         for t, vector in enumerate(value.steps) for chunk in vector)
            value = Value((flat,), value.size * len(value.steps))
        elif isinstance(layer, (QLstm, QDense)):
            is_lstm = isinstance(layer, QLstm)
            size = layer.units if is_lstm else layer.outputs
            words = _word_count(size, simd)
            kept = len(value.steps)
            if is_lstm and (not layer.return_sequences or n == last):
                kept = min(2, kept)
            if not is_lstm and n == last:
                kept = 0
            if kept:
                written = Value(tuple(_vector(n, t, depth + t % kept * words, size, simd)
                                      for t in range(len(value.steps))), size)
                depth += kept * words
                value = Value(written.steps if not is_lstm or layer.return_sequences
                              else written.steps[-1:], size)
        outputs.append(written)
    return Storage(tuple(inputs), tuple(outputs), max(depth, 1))


def columns(value: tuple[Chunk, ...], matrix: np.ndarray, simd: int) -> np.ndarray:
    """``matrix`` (rows, features) cut into the chunks' columns: (rows, chunks, simd), zero padded.

    A lane that holds nothing of the vector meets a zero weight.
    """
    cut = np.zeros((matrix.shape[0], len(value), simd), dtype=np.int64)
    for n, chunk in enumerate(value):
        cut[:, n, : chunk.count] = matrix[:, chunk.first:chunk.first + chunk.count]
    return cut
