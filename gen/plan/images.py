"""Memory contents: what stands in every ``weights/*.hex`` file.

An image is a list of words (Python integers, unsigned). Weights, bias and tables depend on the
numbers; program and segments only on the plan.
"""

from __future__ import annotations

import numpy as np

from ...hdl.arith import half
from ...hdl.config import DenseKind, EngineConfig
from ...hdl.isa import instruction_layout, pack, segment_layout
from ..quantized import QLstm, QuantizedNetwork
from .layout import columns
from .program import Program
from .work import Work

__all__ = ["image_widths", "load_image", "number_images", "pack_words",
           "program_images"]


def pack_words(values: np.ndarray, width: int) -> list[int]:
    """Words (n, elements) of signed ``width``-bit integers as unsigned integers, element 0 low."""
    bits = (values[..., None] >> np.arange(width)) & 1
    packed = np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def number_images(qnet: QuantizedNetwork, work: Work, config: EngineConfig) -> dict[str, list[int]]:
    """Weights (an image a row), bias (with the rounding constants of the finish) and tables."""
    blocks, biases = [], []
    for n, layer in qnet.computing.items():
        rows, value = work.folds[n].rows, work.storage.inputs[n].steps[0]
        from_input = layer.w_ih if isinstance(layer, QLstm) else layer.w
        matrices = [columns(value, from_input, config.simd)]
        h = work.storage.outputs[n]
        if isinstance(layer, QLstm) and h:
            matrices.append(columns(h.steps[0], layer.w_hh, config.simd))
        matrix = np.concatenate(matrices, axis=1)  # (matrix rows, words of a group, simd)
        block = np.where((rows >= 0)[:, :, None, None], matrix[rows], 0)
        blocks.append(block.transpose(0, 2, 1, 3).reshape(-1, config.pe, config.simd))

        kind = config.kinds[work.kind_of[n]]
        constant = np.full(rows.shape, half(kind.shift) if isinstance(kind, DenseKind)
                           else half(kind.gate))
        if not isinstance(kind, DenseKind):
            constant[:, 2::4] = half(kind.gate - 1)  # g
        biases.append(np.where(rows >= 0, layer.b[rows], 0) + constant)
    weights = np.concatenate(blocks)
    images = {f"weights_{row:03d}": pack_words(weights[:, row], config.weight_width)
              for row in range(config.pe)}
    images["bias"] = pack_words(np.concatenate(biases), config.acc_width)
    images["tanh_t0"] = [int(v) for v in qnet.table.t0]
    if qnet.table.n2:
        images["tanh_t1"] = [int(v) for v in qnet.table.t1]
    return images


def program_images(program: Program, config: EngineConfig) -> dict[str, list[int]]:
    """The program memory and its segment table."""
    layout, segment = instruction_layout(config), segment_layout(config)
    finish = [name for name, _ in layout["finish"].shape]
    words = []
    for fields in program.instructions:
        fields = dict(fields)
        fields["finish"] = {name: fields.pop(name) for name in finish}
        words.append(pack(layout, fields))
    table = [pack(segment, {"end": s.end, "count": s.repeats - 1,
                            **{f"step_{n}": stride for n, stride in enumerate(s.strides, 1)}})
             for s in program.segments]
    return {"program": words, "segments": table}


def load_image(images: dict[str, list[int]], config: EngineConfig) -> list[int]:
    """The beats that fill a loadable core, in the order of
    :class:`gatefold.hdl.weight_loader.WeightLoader`: each row's words, then the bias words."""
    beat = config.beat * config.container
    mask = (1 << beat) - 1
    beats: list[int] = []
    rows = [(f"weights_{row:03d}", config.simd * config.weight_width) for row in range(config.pe)]
    for name, width in (*rows, ("bias", config.pe * config.acc_width)):
        for word in images[name]:
            beats += [word >> at & mask for at in range(0, width, beat)]
    return beats


def image_widths(config: EngineConfig) -> dict[str, int]:
    """Bits of a word of every image."""
    if config.loadable:
        widths = {"load": config.beat * config.container}
    else:
        widths = {f"weights_{row:03d}": config.simd * config.weight_width
                  for row in range(config.pe)}
        widths["bias"] = config.pe * config.acc_width
    widths["tanh_t0"] = config.table.out_frac
    if config.table.n2:
        widths["tanh_t1"] = config.table.t1_width
    widths["program"] = instruction_layout(config).size
    widths["segments"] = segment_layout(config).size
    return widths
