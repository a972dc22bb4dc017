"""Reads core.json of a folder that `gatefold build` wrote, and checks that its files are there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.options import LIMITS
from gatefold.sim.vectors import StreamFormat

__all__ = ["CoreInfo", "Guard", "TraceLayer", "Watched", "load_core_info"]

_MOST = 1 << 28  #: of anything that is counted
# The place of a register or a memory, which goes into the Verilog of test benches.
_PLACE = re.compile(r"[a-z]\w*(\[\d+\])?(\.[a-z]\w*(\[\d+\])?)*", re.ASCII | re.IGNORECASE)
_WIDEST = 1 << 14  #: bits of what a core that watches itself watches,
_MOST_WATCHED = 1 << 22  #: and of all of it
# A weight file's name in the Verilog: a parameter of a memory, or an argument of $readmemh.
_WEIGHT_FILE = re.compile(r'(?:\.\w+\(|`GATEFOLD_WEIGHTS\s*,)\s*"/?([^"/]+\.hex)"')


@dataclass(frozen=True)
class TraceLayer:
    """A layer whose values are traced: ``name``; ``units`` x ``steps`` of each of the ``states``,
    golden's names of its result and, where it has one, of the state behind it; ``sums``, golden's
    names of what the rows of an element sum up, in the order of the rows, each with the constant
    that the row adds."""

    name: str
    units: int
    steps: int
    states: tuple[str, ...]
    sums: Mapping[str, int] = field(default_factory=dict)

    def place(self, element: int) -> str:
        """An element of the layer's value in a message."""
        step, unit = divmod(int(element), self.units)
        return f"layer {self.name}, step {step}, unit {unit}"


@dataclass(frozen=True)
class Watched:
    """What a core that watches itself watches: the copy of a register, or a memory.

    Attributes: ``place`` in the module ``gatefold``; ``width``; ``tells``, the bit of the port
    ``fault``; ``depth``, words of a memory, 0: a register; ``first``, the address of its first.
    """

    place: str
    width: int
    tells: int
    depth: int = 0
    first: int = 0


@dataclass(frozen=True)
class Guard:
    """How a core watches itself: the ``patience`` of its watchdog, cycles; ``frames`` that its
    program is for; and what is ``watched``."""

    patience: int
    frames: int
    watched: tuple[Watched, ...]


@dataclass(frozen=True, kw_only=True)
class CoreInfo:
    """The contents of core.json: the properties of a core that a test bench needs.

    Attributes: ``stream``; ``n_in`` and ``n_out``, elements a frame; ``latency``, ``interval``
    and ``intervals`` (in turn, of which ``interval`` is the mean), cycles; ``start``, cycles after
    a reset in which no input is taken, 0: not known; ``multipliers``, of the array; ``dies`` that
    share it; ``lanes`` of a die, elements that its beat of results can carry;
    ``act_width``, ``cell_width`` and ``acc_width``, bits of a result, a state and an accumulator
    (0: the accumulators are not traced); ``chunk``, elements that go to the output stream at once;
    ``load_beats``, of the weights' stream, 0 without one; ``contexts``, sequences in a frame;
    ``stateful``, whether state goes on from frame to frame, and TUSER begins a sequence; ``spans``,
    frames of a sequence up to the first with a whole window;
    ``guard``, of a core that watches itself; ``layers``, traced; ``events``,
    (layer, first, count) of each beat of results of a frame, of each die in turn: its lanes
    l < count carry the elements ``first + l`` of the layer's value; layer -1 is none of golden's.
    """

    stream: StreamFormat
    n_in: int
    n_out: int
    latency: int
    interval: int
    intervals: tuple[int, ...]
    multipliers: int
    lanes: int
    act_width: int
    cell_width: int
    load_beats: int
    contexts: int
    stateful: bool
    layers: tuple[TraceLayer, ...]
    events: tuple[tuple[int, int, int], ...]
    guard: Guard | None = None
    start: int = 0
    dies: int = 1
    acc_width: int = 0
    chunk: int = 1
    spans: int = 1

    @property
    def beats_in(self) -> int:
        """Beats of an input frame."""
        return self.stream.beats(self.n_in)

    @property
    def beats_out(self) -> int:
        """Beats of an output frame."""
        return self.stream.beats(self.n_out)


def load_core_info(directory: Path) -> CoreInfo:
    """Read and check ``directory/core.json`` and that the files of the core are there.

    Raises :class:`UserError` naming the first file that is missing or unreadable. An edited
    Verilog or weight file is accepted: simulation finds the effect.
    """
    path = directory / "core.json"
    if not path.is_file():
        raise UserError(f"{_shown(directory)} holds no core.json: give a folder that "
                        "`gatefold build -o` made")
    try:
        info = _parse(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, IndexError, OSError, OverflowError,
            RecursionError) as error:
        raise UserError(f"{_shown(path)} is damaged ({type(error).__name__}: "
                        f"{quoted(error)}): build the folder again") from None
    _check_files(directory)
    return info


def _parse(data: dict) -> CoreInfo:
    stream = data["stream"]
    info = CoreInfo(
        stream=StreamFormat(**{key: _positive(stream[key]) for key in
                               ("element_bits", "container_bits", "beat_bits")}),
        n_in=_positive(data["input"]["elements"]),
        n_out=_positive(data["output"]["elements"]),
        latency=_positive(data["cycles"]["latency"]),
        interval=_positive(data["cycles"]["interval"]),
        intervals=_intervals(data["cycles"]),
        start=_positive(data["cycles"]["start"]) if "start" in data["cycles"] else 0,
        multipliers=_positive(data["array"]["pe"], LIMITS["macs"].hi) * _positive(
            data["array"]["simd"], LIMITS["simd"].hi),
        dies=_positive(data["array"].get("dies", 1), LIMITS["dies"].hi),
        lanes=_positive(data.get("lanes", data["simd"]), LIMITS["simd"].hi),
        chunk=_positive(data["simd"], LIMITS["simd"].hi) * _positive(
            data["array"].get("dies", 1), LIMITS["dies"].hi),
        act_width=_positive(data["act_width"]),
        cell_width=_positive(data["cell_width"]),
        acc_width=_positive(data["acc_width"]) if data.get("acc_width") else 0,
        load_beats=_positive(data["load_beats"]) if data.get("load_beats") else 0,
        contexts=_positive(data.get("contexts", 1), LIMITS["contexts"].hi),
        stateful=_flag(data["stateful"]),
        spans=_positive(data["window"]["frames"]) if "window" in data else 1,
        guard=_guard(data["guard"]) if _flag(data["array"].get("protect", False)) else None,
        layers=tuple(TraceLayer(str(layer["name"]), _positive(layer["units"]),
                                _positive(layer["steps"]), _states(layer["states"]),
                                _sums(layer.get("sums", {})))
                     for layer in data["trace"]["layers"]),
        events=tuple((int(layer), int(first), int(count))
                     for layer, first, count in data["trace"]["events"]))
    for layer, first, count in info.events:
        known = -1 <= layer < len(info.layers) and 0 <= count <= info.lanes
        if known and layer >= 0 and count:
            values = info.layers[layer].steps * info.layers[layer].units
            known = 0 <= first <= values - count
        if not known:
            raise ValueError(f"trace event [{layer}, {first}, {count}] names no layer")
    return info


def _guard(data: dict) -> Guard:
    watched = tuple(Watched(
        str(item["place"]), _positive(item["width"], _WIDEST), _below(item["tells"], 4),
        _below(item.get("depth", 0), _MOST), _below(item.get("first", 0), _MOST))
        for item in data["watched"])
    for item in watched:
        if not _PLACE.fullmatch(item.place):
            raise ValueError(f"{quoted(item.place)} where a place in the Verilog belongs")
    bits = sum(item.width for item in watched)
    if not 1 <= bits <= _MOST_WATCHED:
        raise ValueError(f"{bits} bits watched where 1..{_MOST_WATCHED} belong")
    return Guard(_positive(data["patience"]), _positive(data["frames"]), watched)


def _shown(path: Path) -> str:
    return quoted(path, limit=300)


def _positive(value, most: int = _MOST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{quoted(value)[1:-1]} where an integer in 1..{most} belongs")
    return value


def _below(value, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < most:
        raise ValueError(f"{quoted(value)[1:-1]} where an integer in 0..{most - 1} belongs")
    return value


def _flag(value) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} where true or false belongs")
    return value


def _intervals(cycles: dict) -> tuple[int, ...]:
    listed = cycles.get("intervals", [cycles["interval"]])  # older folders have one
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{quoted(listed)[1:-1]} where a list of intervals belongs")
    return tuple(map(_positive, listed))


def _states(names) -> tuple[str, ...]:
    if tuple(names) not in (("h", "c"), ("h",), ("y",)):
        raise ValueError(f"{names!r} where the states of a layer belong")
    return tuple(names)


def _sums(constants) -> dict[str, int]:
    if not isinstance(constants, dict) or len(constants) > 4:
        raise ValueError(f"{quoted(constants)[1:-1]} where the sums of a layer belong")
    return {name: int(constant) for name, constant in constants.items()}


def _check_files(directory: Path) -> None:
    sources = sorted((directory / "rtl").glob("*.v"))
    text = ""
    for source in sources:
        try:
            text += source.read_text()
        except (OSError, ValueError):
            raise UserError(f"{_shown(source)} can't be read as text: build the folder again"
                            ) from None
    if not re.search(r"^\s*module\s+gatefold\b", text, re.MULTILINE):
        raise UserError(f"{_shown(directory / 'rtl')} holds no Verilog file with the module "
                        "gatefold: build the folder again")
    for name in sorted(set(_WEIGHT_FILE.findall(text))):
        path = directory / "weights" / name
        try:
            words = path.read_text()
        except (OSError, ValueError):
            raise UserError(f"{_shown(path)} is missing or no text: build the folder again, or "
                            "write weights with `gatefold weights`") from None
        words = re.sub(r"//[^\n]*", "", words)
        if not words.strip() or re.search(r"[^0-9a-fA-F_@\s]", words):
            raise UserError(f"{_shown(path)} must hold hexadecimal words only: build the folder "
                            "again, or write weights with `gatefold weights`")
