"""Layout of a drawn graph: boxes and lines in columns from left to right, and in bands below each
other if there are too many columns for the page.

After Sugiyama, Tagawa and Toda (1981): columns by the longest path, in each an order with few
crossings, then heights that keep lines straight. A value that is read farther on is carried through
the columns between, once for all its readers, so lines fork as late as they can.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatefold.gen.html.markup import num

__all__ = ["MOST_SLOTS", "Box", "Layout", "lay_out"]

#: More places in all columns than this are not laid out: the lines could not be followed.
MOST_SLOTS = 1500
_COLUMN, _ROW, _BAND = 44.0, 20.0, 34.0  # gaps: columns, boxes in one, bands
_LINE = 9.0  # between lines that run side by side
_SWEEPS = 6  # of sorting
_STEPS = 40  # of levelling


@dataclass(frozen=True)
class Box:
    """A node: its size, and the numbers of the nodes it reads, all before its own."""

    width: float
    height: float
    reads: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """places: upper left corner of each node. lines: of each, whose value it is, the node that it
    ends at (None: it goes on) and the commands of its path."""

    width: float
    height: float
    places: tuple[tuple[float, float], ...]
    lines: tuple[tuple[int, int | None, str], ...]


@dataclass(eq=False)
class _Slot:
    """A place in a column: a node, or (node None) a value on its way to a later column."""

    value: int
    node: int | None
    width: float
    height: float
    before: list[_Slot]
    x: float = 0.0
    y: float = 0.0  # of its middle

    @property
    def weight(self) -> float:
        return 1.0 if self.node is not None else 3.0  # lines rather straight than boxes level


_Column = list[_Slot]


def lay_out(boxes: Sequence[Box], width: float) -> Layout | None:
    """A layout at most ``width`` wide if possible; None beyond :data:`MOST_SLOTS`."""
    ranks = _ranks(boxes)
    last = list(ranks)  # column of each value's last reader
    for n, box in enumerate(boxes):
        for value in box.reads:
            last[value] = max(last[value], ranks[n])
    if sum(max(1, end - start) for start, end in zip(ranks, last, strict=True)) > MOST_SLOTS:
        return None
    breaks = _breaks(boxes, ranks, last, width)
    bands = []
    crossing: list[int] = []  # values that go on in the next band, from top to bottom
    for first, end in zip(breaks, breaks[1:], strict=False):
        columns = _columns(boxes, ranks, last, first, end, crossing)
        _order(columns)
        _level(columns)
        bands.append(columns)
        crossing = [slot.value for slot in columns[-1] if slot.node is None and end < breaks[-1]]
    return _placed(boxes, bands)


def _ranks(boxes: Sequence[Box]) -> list[int]:
    """Column of each node: right of all that it reads; a node without inputs is directly left of
    its reader."""
    ranks: list[int] = []
    for box in boxes:
        ranks.append(1 + max((ranks[value] for value in box.reads), default=-1))
    readers = defaultdict(list)
    for n, box in enumerate(boxes):
        for value in box.reads:
            readers[value].append(ranks[n])
    for n, box in enumerate(boxes):
        if not box.reads and readers[n]:
            ranks[n] = min(readers[n]) - 1
    return ranks


def _breaks(boxes: Sequence[Box], ranks: list[int], last: list[int], width: float) -> list[int]:
    """First column of each band, and one behind the last: few bands, evenly filled, and between
    them few lines."""
    count = max(ranks) + 1
    wide = [max(box.width for box, rank in zip(boxes, ranks, strict=True) if rank == column)
            for column in range(count)]
    over = [sum(start < column <= end for start, end in zip(ranks, last, strict=True))
            for column in range(count + 1)]
    costs: list[tuple[float, int]] = [(0.0, 0)]  # of all columns before, and where its band began
    for end in range(1, count + 1):
        best = None
        for first in range(end - 1, -1, -1):
            taken = sum(wide[first:end]) + _COLUMN * (end - first - 1)
            taken += sum(_COLUMN + _LINE * over[edge] for edge in (first, end) if over[edge])
            if taken > width and best:
                break
            slack = max(0.0, 1 - taken / width)
            cost = costs[first][0] + 4 + slack**2 + 0.4 * over[end]
            if best is None or cost < best[0]:
                best = cost, first
        assert best
        costs.append(best)
    breaks = [count]
    while breaks[-1]:
        breaks.append(costs[breaks[-1]][1])
    return breaks[::-1]


def _columns(boxes: Sequence[Box], ranks: list[int], last: list[int], first: int, end: int,
             entering: list[int]) -> list[_Column]:
    """The columns first..end of a band, with one before them for ``entering`` values, and one
    behind them for those that leave."""
    columns: list[_Column] = [[_Slot(value, None, 0, _LINE, []) for value in entering]]
    for rank in range(first, end + 1):
        known = {slot.value: slot for slot in columns[-1]}
        column = [_Slot(n, n, box.width, box.height, [known[value] for value in box.reads])
                  for n, box in enumerate(boxes) if ranks[n] == rank < end]
        for value, made in enumerate(ranks):
            if made < rank < last[value] + (rank == end):
                column.append(_Slot(value, None, 0, _LINE, [known[value]]))
        columns.append(column)
    return [column for column in columns if column]


def _order(columns: list[_Column]) -> None:
    """Slots in each column sorted so that few lines cross; those of the first stay where lines
    come in from another band."""
    fixed = 1 if all(slot.node is None for slot in columns[0]) else 0
    best = _crossings(columns)
    kept = [list(column) for column in columns]
    for sweep in range(_SWEEPS):
        if sweep % 2 == 0:
            for before, column in zip(columns, columns[1:], strict=False):
                _sort(column, before, lambda slot: slot.before)
        else:
            for place in range(len(columns) - 2, fixed - 1, -1):
                readers: dict[_Slot, list[_Slot]] = defaultdict(list)
                for slot in columns[place + 1]:
                    for source in slot.before:
                        readers[source].append(slot)
                _sort(columns[place], columns[place + 1], lambda slot, known=readers: known[slot])
        found = _crossings(columns)
        if found < best:
            best, kept = found, [list(column) for column in columns]
    for column, slots in zip(columns, kept, strict=True):
        column[:] = slots


def _sort(column: _Column, fixed: _Column, neighbours: Callable[[_Slot], list[_Slot]]) -> None:
    at = {slot: place for place, slot in enumerate(fixed)}
    middle = {}
    for place, slot in enumerate(column):
        places = [at[other] for other in neighbours(slot)]
        middle[slot] = sum(places) / len(places) if places \
            else place / max(1, len(column)) * len(fixed)
    column.sort(key=lambda slot: middle[slot])


def _crossings(columns: list[_Column]) -> int:
    count = 0
    for before, column in zip(columns, columns[1:], strict=False):
        at = {slot: place for place, slot in enumerate(before)}
        seen: list[int] = []
        for slot in column:
            ends = sorted(at[source] for source in slot.before)
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _level(columns: list[_Column]) -> None:
    """Heights: each slot as level with its neighbours as the others in its column allow."""
    readers: dict[_Slot, list[_Slot]] = defaultdict(list)
    for column in columns:
        for slot in column:
            for source in slot.before:
                readers[source].append(slot)
    for column in columns:
        y = 0.0
        for slot in column:
            slot.y = y + slot.height / 2
            y += slot.height + _ROW
        for slot in column:
            slot.y -= (y - _ROW) / 2
    for sweep in range(_STEPS):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            _move(column, [slot.before + readers[slot] for slot in column])
    for column in columns:  # at last, lines straight from where they come
        _move(column, [slot.before for slot in column])


def _move(column: _Column, near: list[_Column]) -> None:
    """Each slot towards the middle of those ``near`` it; a slot without any stays."""
    wanted = [sum(other.y for other in others) / len(others) if others else slot.y
              for slot, others in zip(column, near, strict=True)]
    for slot, y in zip(column, _apart(column, wanted), strict=True):
        slot.y = y


def _apart(column: _Column, wanted: list[float]) -> list[float]:
    """The heights nearest to the ``wanted`` ones (least squares) that keep order and distance."""
    offsets, at = [], 0.0
    for place, slot in enumerate(column):
        if place:
            at += (column[place - 1].height + slot.height) / 2 + _ROW
        offsets.append(at)
    pools: list[list[float]] = []  # mean, weight, members: pool adjacent violators
    for slot, want, offset in zip(column, wanted, offsets, strict=True):
        pools.append([want - offset, slot.weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight, members = pools.pop()
            pools[-1][0] = (pools[-1][0] * pools[-1][1] + mean * weight) / (pools[-1][1] + weight)
            pools[-1][1] += weight
            pools[-1][2] += members
    means = [mean for mean, _, members in pools for _ in range(int(members))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


# ---- coordinates -------------------------------------------------------------------------------


def _placed(boxes: Sequence[Box], bands: list[list[_Column]]) -> Layout:
    places: list[tuple[float, float]] = [(0.0, 0.0)] * len(boxes)
    lines: list[tuple[int, int | None, str]] = []
    right, top = 0.0, 0.0
    leaving: _Column = []
    for band, columns in enumerate(bands):
        slots = [slot for column in columns for slot in column]
        high = min(slot.y - slot.height / 2 for slot in slots)
        if leaving:
            top += _BAND + _LINE * (len(leaving) - 1)
        for slot in slots:
            slot.y += top - high
        lines += _turns(leaving, columns[0], top)
        x = _LINE * len(leaving)
        for column in columns:
            wide = max(slot.width for slot in column)
            for slot in column:
                if slot.node is None:
                    slot.width = wide
                slot.x = x + (wide - slot.width) / 2
                if slot.node is not None:
                    places[slot.node] = slot.x, slot.y - slot.height / 2
            x += wide + _COLUMN
        lines += [line for slot in slots for line in _arrivals(slot)]
        leaving = [slot for slot in columns[-1] if slot.node is None and band + 1 < len(bands)]
        right = max(right, x - _COLUMN + _LINE * len(leaving))
        top = max(slot.y + slot.height / 2 for slot in slots)
    return Layout(right, top, tuple(places), tuple(lines))


def _arrivals(slot: _Slot) -> list[tuple[int, int | None, str]]:
    """Lines to a slot, from the top down in the order of where they come from."""
    lines = []
    sources = sorted(slot.before, key=lambda source: source.y)
    spread = min(12.0, max(0.0, slot.height - 12) / max(1, len(sources) - 1))
    for place, source in enumerate(sources):
        y = slot.y + spread * (place - (len(sources) - 1) / 2)
        x = source.x + source.width
        middle = (x + slot.x) / 2
        path = (f"M{num(x)} {num(source.y)}C{num(middle)} {num(source.y)} {num(middle)} {num(y)} "
                f"{num(slot.x)} {num(y)}")
        lines.append((source.value, slot.node,
                      path if slot.node is not None else f"{path}h{num(slot.width)}"))
    return lines


def _turns(leaving: _Column, entering: _Column, top: float) -> list[tuple[int, int | None, str]]:
    """From the right end of a band around to the left end of the next, none crossing another."""
    lines = []
    for place, (out, into) in enumerate(zip(leaving, entering, strict=False)):
        side, r = _LINE * (len(leaving) - place), _LINE / 2
        x, left, y = out.x + side, side - _LINE, top - _BAND / 2 - _LINE * place
        into_x = _LINE * len(leaving)
        lines.append((out.value, None, (
            f"M{num(out.x)} {num(out.y)}H{num(x - r)}q{num(r)} 0 {num(r)} {num(r)}"
            f"V{num(y - r)}q0 {num(r)} {num(-r)} {num(r)}"
            f"H{num(left + r)}q{num(-r)} 0 {num(-r)} {num(r)}"
            f"V{num(into.y - r)}q0 {num(r)} {num(r)} {num(r)}H{num(into_x)}")))
    return lines
