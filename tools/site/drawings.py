"""The drawings of docs/engine.md, made from real plans: docs/engine/*.svg.

``python tools/site/drawings.py`` writes them. They are narrow, so that they are legible on a phone,
and have a background of their own, light or dark as the reader's system wants it.
"""

from __future__ import annotations

from pathlib import Path

import gatefold as gf
from gatefold.gen.html import markup
from gatefold.gen.html.markup import Markup, num, tag, text_tag
from gatefold.gen.plan.latency import stages
from gatefold.gen.plan.plan import Plan
from gatefold.gen.plan.stretches import Tile
from gatefold.hdl.dies import place, sources
from gatefold.hdl.isa import Start, Stop
from gatefold.hdl.mac_array import MacArray
from gatefold.hdl.relay import levels
from gatefold.hdl.row_router import RowRouter

__all__ = ["PLACE", "dies", "drawings", "parked", "relays", "step", "tail"]

PLACE = Path(__file__).resolve().parents[2] / "docs/engine"
_WIDE = 380  #: units of every drawing; a phone shows them as about as many pixels
_SHOWN = 600  #: pixels of every drawing where there is room
#: The light and the dark colours of report pages.
_COLOURS = (Path(markup.__file__).parent / "page.css").read_text().split("* {")[0]
_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  fill: var(--ink); }
.soft { fill: var(--soft); } .strong { font-weight: 600; } .middle { text-anchor: middle; }
.end { text-anchor: end; }
rect { fill: var(--track); stroke: var(--line); }
.card { fill: var(--card); stroke: var(--line); } .flat { stroke: none; }
.s0 { fill: var(--c0); } .s1 { fill: var(--c1); } .s2 { fill: var(--c2); }
.s0 + .in, .s1 + .in, .s2 + .in { fill: #fff; }
line, path { stroke: var(--soft); fill: none; } .way { stroke: var(--c0); stroke-width: 2; }
"""
_SECONDS = 2  #: that each moment of a step stands out
#: Moments stand out in turn, three times; then, or where the reader wants no motion, all are shown.
_TURNS = """
@media (prefers-reduced-motion: no-preference) {
  .moment { animation: turn SECONDSs 3; }
  @keyframes turn { 0%, PART% { opacity: 1; } PART.1%, 100% { opacity: 0.3; } }
}
"""


def _picture(title: str, description: str, high: float, *parts: Markup) -> str:
    """The file of a drawing."""
    return tag(
        "svg", tag("title", title), tag("desc", description),
        tag("style", Markup(_COLOURS + _STYLE)),
        _rect(-11, -11, _WIDE + 22, high + 22, "card", rx=12), *parts,
        xmlns="http://www.w3.org/2000/svg", role="img", width=_SHOWN,
        height=num(_SHOWN * (high + 24) / (_WIDE + 24)),
        viewBox=f"-12 -12 {_WIDE + 24} {num(high + 24)}") + "\n"


def _rect(x: float, y: float, wide: float, high: float, kind: str | None = None,
          rx: int = 2) -> Markup:
    return tag("rect", x=num(x), y=num(y), width=num(wide), height=num(high), rx=rx, class_=kind)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str | None = None) -> Markup:
    return tag("path", d=f"M{num(x1)} {num(y1)}L{num(x2)} {num(y2)}", class_=kind)


def _box(x: float, y: float, wide: float, high: float, text: str,
         kind: str | None = None) -> list[Markup]:
    """A box with its text in the middle."""
    return [_rect(x, y, wide, high, kind),
            text_tag(x + wide / 2, y + high / 2 + 4, text, class_="middle in")]


def _axis(left: float, top: float, last: int, every: int, per: float) -> list[Markup]:
    """Cycles below a drawing."""
    return [text_tag(left + per * (at + 0.5), top, str(at), class_="middle soft")
            for at in range(0, last + 1, every)]


def _tiles(plan: Plan, number: int) -> list[Tile]:
    """The tiles of a step of the first op."""
    return [tile for tile in plan.tiles if (tile.job.op, tile.job.step) == (0, number)]


# ---- one step ----------------------------------------------------------------------------------


def step(plan: Plan) -> str:
    """Six moments on the way of the tile that finishes the first group of step 1."""
    config, distance = plan.config, plan.latencies
    last = next(tile for tile in _tiles(plan, 1) if tile.finishes is not None)
    after = next(tile for tile in plan.tiles if tile.operand.chunk.origin[:2] == (0, 1))
    assert after.issue == last.issue + distance.tail
    lane = distance.array + RowRouter.latency(config)
    parts = dict(stages(config))
    cell = lane + parts["lane: gates"] + parts["lane: f*c + i*g"]
    chunk = last.operand.chunk.origin[2]
    moments = [
        (0, {"memory"},
         f"chunk {chunk} of h is addressed:", f"{config.simd} elements, the last chunk"),
        (MacArray.way_out(config), {"array"},
         f"{config.pe} rows multiply it", "by weights of their own"),
        (distance.array, {"sums"},
         "each row adds its products", "to its sum, which is complete"),
        (lane, {"sums", "lanes"},
         "four rows, the gates of a unit,", f"go to a lane: {config.lanes} units a beat"),
        (cell, {"lanes"},
         "the lanes have made", "gates and new cell states c"),
        (distance.tail, {"lanes", "memory"},
         "h = o tanh(c) goes back, and", "step 2 begins with it"),
    ]
    once = _SECONDS * len(moments)
    turns = _TURNS.replace("SECONDS", str(once)).replace("PART", str(100 // len(moments)))
    drawn = [tag("style", Markup(turns)),
             text_tag(8, 12, f"h memory, multipliers (8 of {config.pe} rows), sums, lanes",
                      class_="soft")]
    for n, (later, active, *words) in enumerate(moments):
        x, y = 8 + n % 2 * 194, 30 + n // 2 * 166
        drawn.append(tag(
            "g", text_tag(x, y + 12, f"{n + 1}", class_="strong"),
            text_tag(x + 14, y + 12, f"cycle {last.issue + later}", class_="soft"),
            *_engine(x, y + 20, active, chunk, n == len(moments) - 1),
            *(text_tag(x, y + 128 + 15 * k, line) for k, line in enumerate(words)),
            class_="moment", style=f"animation-delay: {_SECONDS * n - once}s"))
    return _picture("One step in six pictures", "; ".join(
        f"cycle {last.issue + later}: {' '.join(words)}" for later, _, *words in moments), 510,
        *drawn)


def _engine(x: float, y: float, active: set[str], chunk: int, back: bool) -> list[Markup]:
    """The engine in small: the h memory, rows of multipliers, their sums, lanes. ``active`` parts
    have a colour, and a way between two of them; with ``back`` a new chunk is written."""
    def kind(part: str) -> str | None:
        return "s0" if part in active else None

    here = 0 if back else chunk
    memory = [_rect(x, y + 11 * n, 26, 10, kind("memory") if n == here else None) for n in range(8)]
    array = [_rect(x + 54 + 12 * k, y + 11 * n, 11, 10, kind("array"))
             for n in range(8) for k in range(4)]
    sums = [_rect(x + 106, y + 11 * n, 11, 10, kind("sums")) for n in range(8)]
    lanes = [_rect(x + 146, y + 22 * n, 26, 21, kind("lanes")) for n in range(4)]
    way = "way" if len(active) == 2 else None
    return [*memory, *array, *sums, *lanes,
            _line(x + 28, y + 11 * chunk + 5, x + 52, y + 11 * chunk + 5,
                  "way" if "memory" in active and not back else None),
            *(_line(x + 119, y + 22 * n + 11, x + 144, y + 22 * n + 11, way if not back else None)
              for n in range(4)),
            tag("path", d=f"M{x + 159} {y + 89}v6h-168v-90h7", class_=way if back else None)]


# ---- the tail ----------------------------------------------------------------------------------

_WORDS = {"broadcast": "chunk to the rows", "multipliers": "DSP slices", "router": "rows to lanes"}


def tail(plan: Plan) -> str:
    """The parts of the tail, a line each, in their cycles."""
    left, high, at, drawn = 136, 22, 0, []
    per = (_WIDE - left - 8) / (plan.latencies.tail + 1)
    parts = stages(plan.config)
    for n, (name, cycles) in enumerate(parts.items()):
        drawn += [text_tag(0, n * high + 15, _WORDS.get(name, name).replace("*", "·")),
                  _rect(left, n * high + 2, per * (plan.latencies.tail + 1), high - 4),
                  _rect(left + per * at, n * high + 2, per * cycles, high - 4, f"s{n % 2}")]
        at += cycles
    end = len(parts) * high
    drawn += [text_tag(0, end + 15, "step 2 begins", class_="strong"),
              _rect(left, end + 2, per * (at + 1), high - 4),
              _rect(left + per * at, end + 2, per, high - 4, "s2"),
              *_axis(left, end + high + 14, at, 1 if per > 14 else 5, per),
              text_tag(left - 8, end + high + 14, "cycle", class_="end soft")]
    return _picture("The tail", f"{at} cycles: " + ", ".join(
        f"{name} {cycles}" for name, cycles in parts.items()), end + high + 22, *drawn)


# ---- parked sums -------------------------------------------------------------------------------


def _use(tile: Tile) -> str:
    """The colour of a tile: its sums are parked, begin from parked ones, both, or neither."""
    if tile.start == Start.PARKED:
        return "s2"
    return "s1" if tile.stop & Stop.PARK else "s0"


def parked(plan: Plan) -> str:
    """Every tile by its group of rows; a line from each that parks to the one that goes on."""
    groups = sorted({(tile.job.op, tile.job.step, tile.job.group) for tile in plan.tiles})
    left, high = 104, 20
    per = (_WIDE - left) / (plan.tiles[-1].issue + 1)
    drawn = []
    for n, group in enumerate(groups):
        tiles = [tile for tile in plan.tiles
                 if (tile.job.op, tile.job.step, tile.job.group) == group]
        name = f"step {group[1]}, group {group[2]}" if group[0] == 0 else "Dense"
        drawn += [text_tag(0, n * high + 14, name),
                  _rect(left, n * high + 2, _WIDE - left, high - 4)]
        for tile, later in zip(tiles, [*tiles[1:], None], strict=True):
            if tile.stop & Stop.PARK and later is not None:
                drawn.append(_line(left + per * tile.issue, n * high + high / 2,
                                   left + per * later.issue, n * high + high / 2))
        drawn += [_rect(left + per * tile.issue, n * high + 3, per, high - 6,
                        f"{_use(tile)} flat", rx=0) for tile in tiles]
    end = len(groups) * high
    drawn += [*_axis(left, end + 14, plan.tiles[-1].issue, 20, per),
              text_tag(left - 8, end + 14, "cycle", class_="end soft")]
    for x, kind, words in ((0, "s1", "its sum is parked"), (314, "s0", "neither"),
                           (128, "s2", "goes on from a parked sum")):
        drawn += [_rect(x, end + 28, 12, 12, kind), text_tag(x + 17, end + 38, words)]
    return _picture("Parked sums", "The tiles of each step and group of rows, over the cycles of a "
                    "frame; lines are sums that wait in the parking memory.", end + 44, *drawn)


# ---- the tree of registers ---------------------------------------------------------------------


def relays(plan: Plan) -> str:
    """The way of a chunk from the operand memory to the rows."""
    config = plan.config
    places = len(config.regions)
    columns = [1, *levels(places, config.relays - 1), places]
    high, wide, gap = 24, 66, 24
    total = places * high

    def y(column: int, n: int) -> float:
        return total * (n + 0.5) / columns[column]

    drawn = []
    for column, count in enumerate(columns):
        x = column * (wide + gap)
        for n in range(count):
            if column:
                source = n * columns[column - 1] // count
                drawn.append(_line(x - gap, y(column - 1, source), x, y(column, n)))
            text = "relay" if column else "memory"
            drawn += _box(x, y(column, n) - 9, wide, 18, text, f"s{min(column, 1)}")
    x = len(columns) * (wide + gap)
    for n, rows in enumerate(config.regions):
        drawn += [_line(x - gap, y(len(columns) - 1, n), x, y(len(columns) - 1, n)),
                  *_box(x, y(len(columns) - 1, n) - 9, _WIDE - x, 18,
                        f"rows {rows.start} to {rows.stop - 1}")]
    drawn += [text_tag(column * (wide + gap) + wide / 2, total + 14, f"+ {column} cycles"
                       if column != 1 else "+ 1 cycle", class_="middle soft")
              for column in range(1, len(columns))]
    return _picture("The tree of registers", f"A chunk passes {len(columns) - 1} levels of relays, "
                    f"{', '.join(map(str, columns[1:]))} of them, to {places} regions of rows.",
                    total + 20, *drawn)


# ---- several dies ------------------------------------------------------------------------------


def dies(plan: Plan) -> str:
    """The dies in their stack; and whose chunks each multiplies in the first cycles of a step."""
    config, high = plan.config, 60
    order = sorted(range(config.dies), key=lambda die: -place(die, config.dies))
    drawn = []
    for n, die in enumerate(order):
        y = n * (high + 30)
        drawn += [_rect(0, y, _WIDE, high), _rect(8, y + 8, 12, 12, f"s{die}"),
                  text_tag(26, y + 19, f"die {die}", class_="strong"),
                  text_tag(66, y + 19, f"{config.rows} rows of {config.pe}, {config.lanes} lanes, "
                           "memories"),
                  text_tag(8, y + 45, "sequencer and streams: the hub" if die == 0 else
                           f"obeys the hub, {config.way_there} cycles away", class_="soft")]
        if n:
            drawn += [tag("path", d=f"M40 {y - 30}v30M60 {y - 30}v30", class_="way"),
                      text_tag(72, y - 11, f"finished chunks of h, {config.cross} cycles")]
    top = len(order) * (high + 30) + 4
    tiles = [tile for tile in _tiles(plan, 2) if not tile.operand.chunk.from_x]
    first = tiles[0].issue
    left, line = 52, 22
    per = (_WIDE - left) / len(tiles)
    drawn.append(text_tag(0, top, f"Whose chunks each die multiplies in step 2, from cycle {first} "
                          "on:"))
    for n, die in enumerate(order):
        y = top + 10 + n * line
        drawn.append(text_tag(0, y + 15, f"die {die}"))
        for tile in tiles:
            bank = tile.operand.bank
            of = bank if tile.operand.absolute else sources(die, config.dies)[bank]
            drawn.append(_rect(left + per * (tile.issue - first), y + 2, per, line - 4, f"s{of}",
                               rx=0))
    end = top + 10 + len(order) * line
    drawn += [*_axis(left, end + 14, len(tiles) - 1, 6, per),
              text_tag(left - 8, end + 14, "cycle", class_="end soft")]
    return _picture("Several dies", f"{config.pe} rows on {config.dies} dies; die 0 is the hub.",
                    end + 20, *drawn)


def drawings() -> dict[str, str]:
    """The files of :data:`PLACE` by name. The first core has two groups of rows."""
    net = gf.initialise(units=32, features=8, timesteps=4, dense=1)
    small = gf.compile(net, pe=64, simd=4, reach=1).plan
    far = gf.compile(net, pe=128, simd=2, reach=2).plan
    wide = gf.compile(gf.initialise(units=96, features=8, timesteps=4, dense=1), board="u280",
                      pe=192, simd=8, dies=3).plan
    return {"step.svg": step(small), "tail.svg": tail(small), "parked.svg": parked(small),
            "relays.svg": relays(far), "dies.svg": dies(wide)}


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for file, text in drawings().items():
        (PLACE / file).write_text(text, encoding="utf-8")
