"""Memory contents: what every ``weights/*.hex`` file holds.

An image is a list of words (unsigned Python integers). Weights, bias and tables come from the
network's numbers; program and segments from the plan alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatefold.gen.numbers.int8_table import reciprocal_table
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan.kinds import cell_table
from gatefold.gen.plan.program import Program
from gatefold.gen.plan.work import Work
from gatefold.hdl.config import SCALE_BITS, EngineConfig
from gatefold.hdl.int8_dense_lane import EXPONENT, MANTISSA
from gatefold.hdl.isa import instruction_layout, pack, segment_layout
from gatefold.hdl.mac_pair import borrowed
from gatefold.hdl.recip_table import BASE, LINE, REMAINDER

__all__ = ["image_widths", "load_image", "load_padding", "number_images", "pack_words",
           "program_images", "with_parity"]


def pack_words(values: np.ndarray, width: int) -> list[int]:
    """Words as unsigned integers, from their elements (words, elements): signed integers of
    ``width`` bits, element 0 in the low bits."""
    bits = (values[..., None] >> np.arange(width)) & 1
    packed = np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def number_images(qnet: QuantizedNetwork, work: Work, config: EngineConfig) -> dict[str, list[int]]:
    """Weights (an image for each row), bias with the kinds' rounding constants (an image for each
    region), row scales (an image for each die) and tables."""
    weights = np.zeros((len(work.weight_words), config.pe, config.simd), np.int64)
    alike: dict[tuple[tuple[int, ...], int, int], list[int]] = {}  # words by ops, part and group
    for n, word in enumerate(work.weight_words):
        alike.setdefault((word.ops, word.part, word.group), []).append(n)
    for (ops, part, group), numbers in alike.items():
        lanes = np.stack([work.weight_words[n].lanes for n in numbers])  # (words, dies, simd)
        riders = [(n, 0, 0, ride.columns.start) for n, rides in work.rides.items()
                  for ride in rides if (ride.carrier, ride.part, ride.group)
                  == (ops[0], part, group)]
        for n, p, g, first in (*((op, part, group, 0) for op in ops), *riders):
            rows, per = work.folds[n].rows[g], work.ops[n].rows
            matrix = work.ops[n].parts[p].matrix[rows // per, rows % per]  # (pe, columns)
            for die in range(config.dies):
                mine, there = slice(die * config.rows, (die + 1) * config.rows), lanes[:, die]
                # (rows, words, simd)
                block = np.where(there >= 0, matrix[mine][:, first + there], 0)
                weights[numbers, mine] += np.where(rows[mine, None, None] >= 0, block, 0
                                                   ).swapaxes(0, 1)
    biases = np.zeros((len(work.bias_words), config.pe), np.int64)
    for n, (number, group, first) in enumerate(work.bias_words):
        riders = [(rider, 0) for rider, rides in work.rides.items()
                  if (number, group) in {(ride.carrier, ride.group) for ride in rides}]
        for other, g in ((number, group), *riders):
            op = work.ops[other]
            rows = work.folds[other].rows[g]
            words = op.first_bias if first and op.first_bias is not None else op.bias
            constants = np.array(op.kind.constants)
            if op.scales is not None:  # what rounds by the scale, then what rounds the result
                constants = (constants << op.scales) + ((1 << op.scales) >> 1)
            words = words + constants
            biases[n] += np.where(rows >= 0, words[rows // op.rows, rows % op.rows], 0)
    if config.packed:
        weights[:, 1::2] = borrowed(weights[:, ::2], weights[:, 1::2])
    images = {f"weights_{row:03d}": pack_words(weights[:, row], config.weight_width)
              for row in range(config.pe)}
    images |= {f"bias_{n:02d}": pack_words(biases[:, rows], config.acc_width)
               for n, rows in enumerate(config.regions)}
    images |= {f"scales_{die}": words for die, words in enumerate(_scale_words(work, config))}
    for name, table in {"tanh": qnet.table, **qnet.curves}.items():
        images[f"{name}_t0"] = [int(v) for v in table.t0]
        if table.n2:
            images[f"{name}_t1"] = [int(v) for v in table.t1]
    return images | _int8_images(qnet, work, config)


def _int8_images(qnet: QuantizedNetwork, work: Work,
                 config: EngineConfig) -> dict[str, list[int]]:
    """Of LiteRT's arithmetic: factors of each lane's elements, and tables."""
    images: dict[str, list[int]] = {}
    if config.factor_depth:
        lanes = config.dies * config.lanes
        factors = np.zeros((config.factor_depth, lanes), np.int64)
        for n, first in work.factors.items():
            of_op = work.ops[n].factors
            assert of_op is not None
            filled = _by_beats(of_op, work, config)
            factors[first:first + len(filled)] = filled.reshape(-1, lanes)
        images |= {f"factors_{lane:03d}": factors[:, lane].tolist() for lane in range(lanes)}
    tables = {"gates": reciprocal_table((12,)), "cell": cell_table(qnet)} if config.recips else {}
    for name, table in tables.items():
        lines = table.slope << BASE | table.base & (1 << BASE) - 1
        images |= {f"recip_{name}_lines": lines.tolist(),
                   f"recip_{name}_remainders": table.remainder.tolist()}
    return images


def _scale_words(work: Work, config: EngineConfig) -> list[list[int]]:
    """The words of row scales of each die, op by op."""
    if not config.scale_depth:
        return []
    found: list[np.ndarray] = []
    for op in work.ops:
        scales = np.zeros((op.size, config.row_places), np.int64)
        if op.scales is not None:
            scales[:, :op.rows] = op.scales
        found.append(_by_beats(scales, work, config))
    return [pack_words(words, SCALE_BITS) for words in np.concatenate(found).swapaxes(0, 1)]


def _by_beats(values: np.ndarray, work: Work, config: EngineConfig) -> np.ndarray:
    """What belongs to the elements of a result (elements, ...), as (beats, dies, values of a die's
    lanes): of the chunks that each die makes. A last chunk that is alone in its word is made by
    every die."""
    size, dies, parts = len(values), config.dies, config.parts
    words = work.storage.words(size)
    chunks = np.zeros((words * dies, config.simd, *values.shape[1:]), np.int64)
    chunks.reshape(-1, *values.shape[1:])[:size] = values
    if work.storage.chunks_of(size) % dies == 1:
        chunks[-dies:] = chunks[-dies]
    return chunks.reshape(words, dies, parts, -1).swapaxes(1, 2).reshape(words * parts, dies, -1)


def program_images(program: Program, config: EngineConfig) -> dict[str, list[int]]:
    """The program memory and its segment table."""
    layout, segment = instruction_layout(config), segment_layout(config)
    finish = [name for name, _ in layout["finish"].shape]
    words = []
    for fields in program.instructions:
        own = {name: fields[name] for name, _ in layout if name != "finish"}
        words.append(pack(layout, own | {"finish": {name: fields[name] for name in finish}}))
    table = [pack(segment, {"end": s.end, "count": s.repeats - 1,
                            **{f"step_{n}": stride for n, stride in enumerate(
                                s.strides[:config.offsets], 1)}})
             for s in program.segments]
    return {"program": words, "segments": table}


def load_image(images: dict[str, list[int]], config: EngineConfig) -> list[int]:
    """The beats that fill a loadable core, in the order in which
    :class:`gatefold.hdl.weight_loader.WeightLoader` takes them: each row's words, then the bias
    words, each of them for all rows, then those of row scales, each for all dies."""
    beat = config.beat * config.container
    mask = (1 << beat) - 1
    words = [(config.simd * config.weight_width, word) for row in range(config.pe)
             for word in images[f"weights_{row:03d}"]]
    of_regions = zip(*(images[f"bias_{n:02d}"] for n in range(len(config.regions))), strict=True)
    words += [(config.pe * config.acc_width, sum(
        part << rows.start * config.acc_width
        for rows, part in zip(config.regions, parts, strict=True))) for parts in of_regions]
    if config.scale_depth:
        width = config.scale_width
        of_dies = zip(*(images[f"scales_{die}"] for die in range(config.dies)), strict=True)
        words += [(config.dies * width, sum(part << die * width for die, part in enumerate(parts)))
                  for parts in of_dies]
    return [word >> at & mask for width, word in words for at in range(0, width, beat)]


def load_padding(images: dict[str, list[int]], config: EngineConfig) -> list[int]:
    """The bits of each beat of :func:`load_image` that belong to no word: they mean nothing."""
    widths = image_widths(replace(config, loadable=False, uram_rows=0, protect=False))
    ones = {name: [(1 << widths[name]) - 1] * len(words) for name, words in images.items()
            if name in widths}
    everything = (1 << config.beat * config.container) - 1
    return [everything & ~beat for beat in load_image(ones, config)]


#: Images whose words have a bit of parity in a core that watches itself.
_CHECKED = ("weights_", "bias_", "program", "segments")


def with_parity(images: dict[str, list[int]], config: EngineConfig) -> dict[str, list[int]]:
    """The images of a core that watches itself: the highest bit of a checked word makes the number
    of its ones even."""
    widths = image_widths(config)
    return {name: [word | word.bit_count() % 2 << widths[name] - 1 for word in words]
            if name.startswith(_CHECKED) else words for name, words in images.items()}


def image_widths(config: EngineConfig) -> dict[str, int]:
    """The bits of a word of each image."""
    if config.loadable:
        widths = {"load": config.beat * config.container}
    else:
        widths = {f"weights_{row:03d}": config.simd * config.weight_width
                  for row in range(config.pe)}
        widths |= {f"bias_{n:02d}": len(rows) * config.acc_width
                   for n, rows in enumerate(config.regions)}
        if config.scale_depth:
            widths |= {f"scales_{die}": config.scale_width for die in range(config.dies)}
    if config.factor_depth:
        widths |= {f"factors_{lane:03d}": MANTISSA + EXPONENT
                   for lane in range(config.dies * config.lanes)}
    for name in ("gates", "cell") if config.recips else ():
        widths |= {f"recip_{name}_lines": LINE, f"recip_{name}_remainders": REMAINDER}
    for name in ("tanh", *config.curves):
        table = config.table_of(name)
        widths[f"{name}_t0"] = table.out_frac
        if table.n2:
            widths[f"{name}_t1"] = table.t1_width
    widths["program"] = instruction_layout(config).size
    widths["segments"] = segment_layout(config).size
    if config.protect:
        widths |= {name: width + 1 for name, width in widths.items() if name.startswith(_CHECKED)}
    return widths
