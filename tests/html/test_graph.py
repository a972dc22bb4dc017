"""The layout of the boxes and lines of a drawn network."""

import re
from itertools import combinations

import pytest

from gatefold.gen.html.graph import MOST_SLOTS, Box, lay_out

WIDTH = 1000


def boxes(*reads: tuple[int, ...], wide: float = 120, high: float = 60) -> list[Box]:
    return [Box(wide, high, read) for read in reads]


GRAPHS = {
    "one": boxes(()),
    "chain": boxes((), *((n,) for n in range(5))),
    "chain of 30": boxes((), *((n,) for n in range(30))),
    "diamond": boxes((), (0,), (0,), (1, 2)),
    "skip": boxes((), (0,), (1,), (0, 2), (3,)),
    "long skips": boxes((), *((n,) if n % 4 else (n, n - n // 2) for n in range(20))),
    "star": boxes((), *((0,) for _ in range(8)), tuple(range(1, 9))),
    "late input": boxes((), (), (0,), (2,), (3, 1)),
    "two outputs": boxes((), (0,), (1,), (1,), (2,)),
    "read twice": boxes((), (0, 0)),
    "apart": boxes((), (), (0,), (1,)),
    "unread input": boxes((), (), (0,)),
    "dense block": boxes(*(tuple(range(n)) for n in range(9))),
}
graphs = pytest.mark.parametrize("nodes", GRAPHS.values(), ids=GRAPHS)


def ends(path: str) -> tuple[float, float]:
    """The last point of a line that arrives at a box: a curve with absolute coordinates."""
    numbers = [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return numbers[-2], numbers[-1]


@graphs
def test_boxes_lie_apart_and_inside(nodes):
    layout = lay_out(nodes, WIDTH)
    assert layout.width <= WIDTH
    spots = [(x, y, x + box.width, y + box.height)
             for box, (x, y) in zip(nodes, layout.places, strict=True)]
    for x, y, right, bottom in spots:
        assert x >= 0 and right <= layout.width + 0.01
        assert y >= -0.01 and bottom <= layout.height + 0.01
    for a, b in combinations(spots, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] < b[1] or b[3] < a[1], (a, b)


@graphs
def test_every_value_read_arrives_at_its_reader(nodes):
    layout = lay_out(nodes, WIDTH)
    arrived = {(value, node) for value, node, _ in layout.lines if node is not None}
    assert arrived == {(value, n) for n, box in enumerate(nodes) for value in box.reads}
    for _, node, path in layout.lines:
        if node is not None:
            x, y = ends(path)
            left, top = layout.places[node]
            assert x == pytest.approx(left, abs=0.02)
            assert top < y < top + nodes[node].height


@graphs
def test_a_reader_is_to_the_right_or_in_a_lower_band(nodes):
    layout = lay_out(nodes, WIDTH)
    for n, box in enumerate(nodes):
        for value in box.reads:
            (x, y), (from_x, from_y) = layout.places[n], layout.places[value]
            assert x >= from_x + nodes[value].width or y >= from_y + nodes[value].height


def test_a_chain_is_a_straight_line():
    layout = lay_out(GRAPHS["chain"], WIDTH)
    assert len({y for _, y in layout.places}) == 1


def test_a_long_chain_fills_few_bands_evenly():
    tops = [y for _, y in lay_out(GRAPHS["chain of 30"], WIDTH).places]
    counts = [tops.count(top) for top in sorted(set(tops))]
    assert len(counts) == 6 and max(counts) - min(counts) <= 1


def test_bands_break_where_few_lines_pass():
    """Two blocks with a skip around each: broken between them, not inside."""
    nodes = boxes((), (0,), (1,), (2, 0), (3,), (4,), (5, 3), wide=200)
    layout = lay_out(nodes, WIDTH)
    turns = [value for value, node, path in layout.lines if node is None and "q" in path]
    assert turns == [3]


def test_an_input_is_left_of_its_reader():
    layout = lay_out(GRAPHS["late input"], WIDTH)
    assert layout.places[1][0] == layout.places[3][0]


def test_it_is_the_same_every_time():
    assert lay_out(GRAPHS["long skips"], WIDTH) == lay_out(GRAPHS["long skips"], WIDTH)


def test_too_much_to_follow_is_not_laid_out():
    count = 60
    assert count * (count - 1) // 2 > MOST_SLOTS
    assert lay_out(boxes(*(tuple(range(n)) for n in range(count))), WIDTH) is None
