"""Rows on the array and vectors in memory: every row once, every element in its place."""

from typing import Any

import numpy as np
import pytest

from gatefold.gen.plan import make_plan
from gatefold.gen.plan.images import image_widths, pack_words
from gatefold.gen.plan.layout import columns, lay_out
from gatefold.gen.plan.rows import fold

from .hdl_harness import pack
from .networks import NETWORKS, quantized

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 33]
ARRAYS = [(4, 1), (4, 5), (8, 2), (8, 3), (12, 4), (20, 3), (32, 4), (16, 7), (64, 16)]


def layer_of(kind: str, size: int) -> Any:
    """Just enough of a layer to be folded."""
    spec = ((2, 2), (f"L{size}",)) if kind == "lstm" else ((2,), (f"D{size}",))
    return quantized(spec).layers[0]


@pytest.mark.parametrize("kind", ["lstm", "dense"])
@pytest.mark.parametrize("size", SIZES)
def test_fold_places_every_row_once(kind, size):
    layer = layer_of(kind, size)
    for pe, simd in ARRAYS:
        laid = fold(layer, pe, simd)
        used = laid.rows[laid.rows >= 0]
        assert sorted(used) == list(range(4 * size if kind == "lstm" else size))
        assert laid.rows.shape == (len(laid.groups), pe) and laid.chunks == -(-size // simd)


@pytest.mark.parametrize("size", SIZES)
def test_fold_interleaves_gates(size):
    # Row 4 j + k of a slot is gate k of one unit: rows unit, size + unit, 2 size + unit, ...
    for pe, simd in ARRAYS:
        rows = fold(layer_of("lstm", size), pe, simd).rows.reshape(-1, 4)
        for unit, slot in enumerate(rows):
            want = unit + size * np.arange(4) if unit < size else np.full(4, -1)
            np.testing.assert_array_equal(slot, want)


@pytest.mark.parametrize("kind", ["lstm", "dense"])
@pytest.mark.parametrize("size", SIZES)
def test_the_beats_of_a_fold_write_every_element_to_its_lane(kind, size):
    # Followed by hand from slots through rotation and beats to (chunk, lane).
    layer = layer_of(kind, size)
    for pe, simd in ARRAYS:
        laid, slots = fold(layer, pe, simd), pe // 4
        where, complete = {}, []
        for group, rows in zip(laid.groups, laid.rows.reshape(-1, slots, 4), strict=True):
            span = 1 if kind == "lstm" else 4
            for beat in range(group.beats):
                for lane in range(simd):
                    slot = beat // span * simd - group.rotation + lane
                    if 0 <= slot < slots:
                        row = rows[slot][0 if kind == "lstm" else beat % 4]
                        if row >= 0:
                            assert row not in where
                            where[row] = (group.first + beat, lane)
                if group.complete or beat // span != (group.beats - 1) // span:
                    complete.append(group.first + beat)
        assert where == {n: divmod(n, simd) for n in range(size)}
        assert complete == list(range(laid.chunks))


# ---- memories ------------------------------------------------------------------------------------

# network, simd, words of h memory: sequences keep every step, else two, a last Dense none
DEPTHS = [("lstm-dense", 3, 2 * 2), ("last h", 2, 2 * 2), ("every h", 5, 2 * 1),
          ("stack", 2, 4 * 2 + 4 * 2 + 2 * 3), ("autoencoder", 3, 4 * 2 + 2 * 1 + 4 * 1 + 4 * 2),
          ("flatten", 4, 3 * 1 + 2 + 1), ("dense over time", 4, 3 * 1 + 3 * 2 + 3 * 1),
          ("dense only", 4, 2), ("dense per step", 1, 1), ("one timestep", 3, 1 * 2 + 1)]


@pytest.mark.parametrize(("name", "simd", "depth"), DEPTHS)
def test_h_memory_depth(name, simd, depth):
    assert lay_out(quantized(name), simd).h_depth == depth


@pytest.mark.parametrize("simd", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_element_of_a_value_has_one_place(name, simd):
    qnet = quantized(name)
    storage = lay_out(qnet, simd)
    for layer, shape, value in zip(qnet.layers, qnet.shapes, storage.inputs, strict=False):
        assert (len(value.steps), value.size) == (shape[0] if len(shape) == 2 else 1, shape[-1])
        for chunks in value.steps:
            elements = [chunk.first + n for chunk in chunks for n in range(chunk.count)]
            assert elements == list(range(value.size)), layer.name
            assert all(1 <= chunk.count <= simd for chunk in chunks)
            assert len({(chunk.from_x, chunk.address) for chunk in chunks}) == len(chunks)
    written = [value for value in storage.outputs if value]
    places = [{chunk.address for chunks in value.steps for chunk in chunks} for value in written]
    assert sum(map(len, places)) == len(set().union(*places))  # no two layers share a word
    assert max(set().union(*places), default=0) < storage.h_depth


def test_columns_meet_their_lanes():
    value = lay_out(quantized("flatten"), 3).inputs[2].steps[0]  # three steps of 4 in chunks of 3
    matrix = np.arange(1, 25).reshape(2, 12)
    np.testing.assert_array_equal(columns(value, matrix, 3)[0], [
        [1, 2, 3], [4, 0, 0], [5, 6, 7], [8, 0, 0], [9, 10, 11], [12, 0, 0]])


@pytest.mark.parametrize("width", [1, 4, 7, 16, 18, 48])
def test_pack_words(width):
    rng = np.random.default_rng(width)
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), (20, 5))
    assert pack_words(values, width) == [pack(row, width) for row in values]


@pytest.mark.parametrize("name", NETWORKS)
def test_images_fit_their_memories(name):
    plan = make_plan(quantized(name), pe=8, simd=3)
    images, widths, c = plan.images(), image_widths(plan.config), plan.config
    assert set(images) == set(widths)
    for image, words in images.items():
        assert all(0 <= word < 1 << widths[image] for word in words), image
    depths = {image: len(words) for image, words in images.items()}
    assert {depths[f"weights_{row:03d}"] for row in range(c.pe)} == {c.weight_depth}
    assert (depths["bias"], depths["program"], depths["segments"]) == (
        c.bias_depth, c.program_depth, c.segments)
