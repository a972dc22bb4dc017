"""Integers to stream beats and back."""

import json

import numpy as np
import pytest

from gatefold.sim.vectors import StreamFormat, write_vectors

#: element, container and beat bits; elements; beats; the first frame of -1, 2, 3, ... packed.
PACKED = [
    (16, 16, 64, 4, [0x0004_0003_0002_FFFF]),
    (16, 16, 64, 5, [0x0004_0003_0002_FFFF, 0x0005]),
    (8, 8, 32, 3, [0x0003_02FF]),
    (12, 16, 32, 3, [0x0002_FFFF, 0x0003]),
    (18, 32, 64, 3, [0x0000_0002_FFFF_FFFF, 0x0003]),
    (16, 16, 16, 2, [0xFFFF, 0x0002]),
]


@pytest.mark.parametrize("element, container, beat, elements, beats", PACKED)
def test_elements_lie_in_beats(element, container, beat, elements, beats):
    stream = StreamFormat(element_bits=element, container_bits=container, beat_bits=beat)
    frame = [-1, *range(2, elements + 1)]
    assert stream.beats(elements) == len(beats)
    assert stream.pack([frame]) == [beats]
    np.testing.assert_array_equal(stream.unpack(beats, elements), frame)


@pytest.mark.parametrize("element, container", [(4, 8), (8, 8), (13, 16), (16, 16), (18, 32)])
@pytest.mark.parametrize("beat", [64, 128, 512])
@pytest.mark.parametrize("elements", [1, 7, 8, 33])
def test_pack_and_unpack_are_inverse(element, container, beat, elements):
    stream = StreamFormat(element_bits=element, container_bits=container, beat_bits=beat)
    low, high = -(1 << element - 1), (1 << element - 1) - 1
    x = np.random.default_rng(1).integers(low, high + 1, (3, elements))
    x[0], x[1] = low, high
    for frame, beats in zip(x, stream.pack(x), strict=True):
        np.testing.assert_array_equal(stream.unpack(beats, elements), frame)


@pytest.mark.parametrize("change, message", [
    (dict(container_bits=18), "container_bits must be 8, 16, 32 or 64, not 18"),
    (dict(element_bits=17), r"element_bits must be in 1..16 \(container_bits\), not 17"),
    (dict(beat_bits=72), r"beat_bits must be a positive multiple of container_bits \(16\), not 72"),
])
def test_other_formats_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        StreamFormat(**(dict(element_bits=16, container_bits=16, beat_bits=64) | change))


def test_values_must_fit():
    stream = StreamFormat(element_bits=12, container_bits=16, beat_bits=64)
    with pytest.raises(ValueError, match=r"values must be in -2048..2047 \(12 bits\), not 0..2048"):
        stream.pack([[0, 2048]])


@pytest.mark.parametrize("beats, message", [
    ([1, 2], "3 elements take 1 beats, not 2"),
    ([1 << 48], "the bits after the last element must be zero, not 0x1"),
])
def test_damaged_frames_are_refused(beats, message):
    stream = StreamFormat(element_bits=16, container_bits=16, beat_bits=64)
    with pytest.raises(ValueError, match=message):
        stream.unpack(beats, 3)


def test_vectors_are_plain_json(tmp_path):
    write_vectors(tmp_path / "vectors.json", np.array([[1, -2], [3, 4]]), np.array([[5], [-6]]),
                  np.array([True, False]), {1: np.array([-6])}, [[7, -8]])
    assert json.loads((tmp_path / "vectors.json").read_text()) == {
        "input": [[1, -2], [3, 4]], "output": [[5], [-6]], "fresh": [1, 0],
        "cut": {"1": [-6]}, "sums": [[7, -8]]}
