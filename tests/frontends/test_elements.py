"""Any arrangement of elements becomes views that give it exactly; usual ones become few views."""

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.elements.views import ZERO, Arranger

#: Two values: a sequence and a vector, whose numbers differ by a thousand.
SHAPES = ((6, 4), (4,))
SEQUENCE, VECTOR = np.arange(24).reshape(6, 4), 1000 + np.arange(4)
OTHER = np.flip(SEQUENCE, 0)


def views(wanted: np.ndarray) -> list[str]:
    """The views that give ``wanted``, numbers of elements (-1: zero); checks that they do."""
    builder = Builder(*SHAPES)
    source = np.where(wanted < 0, ZERO, wanted // 1000)
    place = np.where(wanted < 0, 0, wanted % 1000)
    value = Arranger(builder).value(source, place, "test")
    values = [SEQUENCE[None], VECTOR[None]]
    for layer in builder.layers:
        values.append(layer.arrange(*(values[one] for one in layer.inputs), fill=-1))
    np.testing.assert_array_equal(values[value][0], wanted)
    return [layer.kind for layer in builder.layers]


@pytest.mark.parametrize(("wanted", "expected"), [
    (SEQUENCE, []), (VECTOR, []),
    (SEQUENCE[-1], ["slice"]), (SEQUENCE[2], ["slice"]), (SEQUENCE[:, 1], ["slice"]),
    (SEQUENCE[1:5], ["slice"]), (SEQUENCE[::2], ["slice"]), (SEQUENCE[:, ::-1], ["slice"]),
    (SEQUENCE[4:1:-1], ["slice"]), (SEQUENCE[:, 1:3], ["slice"]),
    (SEQUENCE[::-1], ["reverse"]), (SEQUENCE.T, ["permute"]), (SEQUENCE.ravel(), ["flatten"]),
    (SEQUENCE.T.ravel(), ["permute", "flatten"]),
    (SEQUENCE.reshape(3, 8), ["reshape"]), (SEQUENCE.reshape(3, 2, 4), ["reshape"]),
    (SEQUENCE[None], ["reshape"]), (SEQUENCE[2, 3:], ["slice", "slice"]),
    (SEQUENCE.reshape(3, 2, 4).transpose(1, 0, 2), ["reshape", "permute"]),
    (np.tile(VECTOR, (6, 1)), ["repeat_vector"]),
    (np.tile(VECTOR, (2, 3, 1)), ["repeat_vector", "reshape"]),
    (np.repeat(VECTOR[:, None], 3, 1), ["repeat_vector", "permute"]),
    (np.tile(SEQUENCE[-1], (6, 1)), ["slice", "repeat_vector"]),
    (np.concatenate([SEQUENCE, OTHER], 1), ["reverse", "concat"]),
    (np.concatenate([SEQUENCE, OTHER], 1).ravel(), ["reverse", "concat", "flatten"]),
    (np.stack([SEQUENCE[-1], VECTOR]), ["slice", "reshape", "reshape", "concat"]),
    (np.concatenate([VECTOR, SEQUENCE[0]]), ["slice", "concat"]),
    (np.pad(SEQUENCE, ((2, 1), (0, 0)), constant_values=-1), ["pad"]),
    (np.pad(SEQUENCE, ((0, 0), (0, 1)), constant_values=-1), ["permute", "pad", "permute"]),
    (np.pad(VECTOR, (1, 1), constant_values=-1), ["reshape", "pad", "flatten"]),
    (np.concatenate([SEQUENCE, SEQUENCE * 0 - 1, SEQUENCE]), ["pad", "concat"]),
    (SEQUENCE[np.arange(5)[:, None] + np.arange(2)], None),  # windows that overlap
    (SEQUENCE[[3, 0, 0, 5]], None), (np.array([[7]]), None),
])
def test_views_of_an_arrangement(wanted, expected):
    found = views(wanted)
    assert expected is None or found == expected


@pytest.mark.parametrize("seed", range(60))
def test_views_of_any_chain_of_moves(seed):
    random = np.random.default_rng(seed)
    moves = [
        lambda a: a.transpose(random.permutation(a.ndim)),
        lambda a: a.reshape(-1, *a.shape[2:]) if a.ndim > 1 else a[None],
        lambda a: a.reshape(2, -1) if a.size % 2 == 0 else a,
        lambda a: np.flip(a, random.integers(a.ndim)),
        lambda a: np.take(a, np.arange(0, a.shape[-1], 2), -1),
        lambda a: np.take(a, random.integers(0, a.shape[0], 3), 0),
        lambda a: np.repeat(a[:, None], 2, 1) if a.size < 100 else a,
        lambda a: np.concatenate([a, np.flip(a)]) if a.size < 100 else a,
        lambda a: np.concatenate([np.tile(VECTOR[:1], (*a.shape[:-1], 1)), a], -1),
        lambda a: np.pad(a, [(1, 0)] + [(0, 0)] * (a.ndim - 1), constant_values=-1),
    ]
    wanted = SEQUENCE
    for index in random.integers(0, len(moves), 4):
        wanted = moves[index](wanted)
    views(wanted)


def test_equal_arrangements_are_made_once():
    builder = Builder(*SHAPES)
    arranger = Arranger(builder)
    place = SEQUENCE[::-1]
    first = arranger.value(np.zeros_like(place), place, "a")
    assert arranger.value(np.zeros_like(place), place.copy(), "b") == first
    assert len(builder.layers) == 1


@pytest.mark.parametrize(("wanted", "words"), [
    (np.full((2, 2), -1), "nothing but zeros"),
    (np.random.default_rng(0).permutation(10_000), "more than 4096 slices"),
])
def test_an_arrangement_is_refused(wanted, words):
    with pytest.raises(UserError, match=words):
        Arranger(Builder((10_000,))).value(np.where(wanted < 0, ZERO, 0), wanted, "test")
