"""A model file, inspected."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from gatefold.boards import BOARDS
from gatefold.boards import get as get_board
from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends import examine, load
from gatefold.gen.frontends.builder import Builder, Incomplete
from gatefold.gen.frontends.cuts import Cut, CutError, NeverCutError
from gatefold.gen.frontends.host_layers import HostOnlyError
from gatefold.gen.frontends.hosting import end_without
from gatefold.gen.frontends.refusals import Refusal, Refusals, StandIn
from gatefold.gen.frontends.sizes import LIKELY, OpenError, Sizes
from gatefold.gen.inspect.estimate import Estimate, quick_estimate
from gatefold.gen.inspect.proposal import cut_proposed, small_scores
from gatefold.gen.network.graph import Network, Shape
from gatefold.gen.network.recurrent import Recurrent
from gatefold.gen.network.summary import Row, rows

__all__ = ["Inspection", "Part", "inspect"]

#: Layers behind a refused one with which a model may begin, of which so many are tried.
_BEGINNINGS = 4
#: Kinds of refusals that are none of a layer.
_NO_LAYERS = ("input", "InputLayer", "softmax", "model")


@dataclass(frozen=True)
class Part:
    """Layers that follow one another, all of which hardware can do (``hardware``) or none: the
    names of the first and the last in the file, their parameters and multiplications (None where
    one is not known)."""

    hardware: bool
    first: str
    last: str
    layers: int
    parameters: int | None
    multiplications: int | None


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect` finds.

    Attributes: ``source``, where the model comes from, as of :class:`Network`; shapes of the
    ``inputs`` and ``outputs``; ``layers``; ``blockers``, all that keeps the model from being built
    as it is; ``not_examined``, names of layers behind a blocker whose result has no certain shape;
    ``options``, for ``gatefold build``: with them the model is built, None where none help;
    ``estimate``, None where the model cannot be read as a network.
    """

    source: dict
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    layers: tuple[Row, ...]
    blockers: tuple[Refusal, ...]
    not_examined: tuple[str, ...]
    options: tuple[str, ...] | None
    estimate: Estimate | None

    @property
    def parts(self) -> list[Part]:
        """The layers in parts, by what hardware can do."""
        found = []
        for hardware, group in itertools.groupby(self.layers, lambda row: row.hardware):
            some = list(group)
            found.append(Part(
                hardware, some[0].origin, some[-1].origin, len(some),
                _sum(row.parameters for row in some), _sum(row.multiplications for row in some)))
        return found

    def as_dict(self) -> dict:
        """For JSON."""
        return {
            "source": {key: self.source[key] for key in ("format", "exporter", "sha256", "bytes")
                       if key in self.source},
            "inputs": self.inputs, "outputs": self.outputs,
            "layers": [asdict(row) for row in self.layers],
            "parts": [asdict(part) for part in self.parts],
            "blockers": [one.as_dict() for one in self.blockers],
            "not_examined": self.not_examined, "options": self.options,
            "estimate": None if self.estimate is None else asdict(self.estimate)}


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


def inspect(path: str | os.PathLike, *, board: str | None = None,
            network: str | os.PathLike | None = None, timesteps: int | None = None,
            sizes: Mapping[str, int] | None = None,
            cut: Cut | str | tuple[str | None, ...] | None = None) -> Inspection:
    """What is in the model file at ``path``, and what keeps it from being built.

    Parameters: ``board``, for the estimate; ``cut``, to inspect the model as it is cut; without it
    a cut is proposed where nothing else lets the model in; the others as of :func:`gatefold.load`.
    Raises :class:`UserError` for a file that is no model, for a board that there is not, and for
    sizes that contradict the model.
    """
    if board is not None:
        get_board(board)
    given, blockers = Sizes(timesteps, sizes or {}), []
    wanted = Cut.given(cut)
    if wanted is not None:
        found = load(path, network=network, timesteps=timesteps, sizes=sizes, cut=wanted)
        return _read(found, [], (*_described(network), *given.words, *wanted.words), board)
    try:
        while True:
            try:
                found = examine(path, network=network, sizes=given)
                return _read(found, blockers, (*_described(network), *given.words), board)
            except OpenError as error:
                guessed = given.guessed(error)
                if guessed is None:
                    raise
                blockers.append(Refusal("", "input", str(error)))
                given = guessed
    except OpenError as error:
        one = Refusal("", "input", str(error))
        refused = _refused(None, list(dict.fromkeys([*blockers, one])), Refusals())
    except Incomplete as error:
        refused = _refused(error.builder, blockers, error.refusals)
    except HostOnlyError as error:
        found = load(path, network=network, cut="auto")
        return _read(found, [Refusal("", "model", str(error))],
                     (*_described(network), *Cut().words), board)
    return refused if network is not None else _cut(
        path, Sizes(timesteps, sizes or {}), refused, board)


def _described(network: str | os.PathLike | None) -> list[str]:
    return [] if network is None else ["--network", os.fspath(network)]


def _cut(path: str | os.PathLike, sizes: Sizes, refused: Inspection,
         board: str | None) -> Inspection:
    """What is found of a model that is let in when it is cut, else ``refused``."""
    found, sizes, why = cut_proposed(path, sizes, Cut())
    if found is not None:
        open_ = [one for one in refused.blockers if one.kind == "input"]
        blockers = list(refused.blockers)
        if sizes.timesteps not in (None, LIKELY[0]):  # others may fit the model's windows
            try:
                whole = examine(path, sizes=sizes)
                return _read(whole, open_, tuple(sizes.words), board)
            except Incomplete as error:
                blockers = list(dict.fromkeys([*open_, *error.refusals.found]))
            except UserError:
                pass  # a number that the reader of the whole does not take: those of before
        if why is not None:
            blockers.append(Refusal("", "model", str(why)))
        return _read(found, blockers, (*sizes.words, *Cut().words), board)
    if isinstance(why, Incomplete) and why.builder is not None:
        found, options, end = _as_far_as_possible(path, sizes, why.builder, why.refusals)
        if end is not None:
            refused = replace(refused, blockers=(*refused.blockers, end))
        if found is not None:
            return _read(found, [*refused.blockers], options, board)
    more = (why.refusals.found if isinstance(why, Incomplete) else
            [] if why is None or isinstance(why, NeverCutError) else
            [Refusal("", "cut", str(why))])
    return replace(refused, blockers=tuple(dict.fromkeys([*refused.blockers, *(
        one for one in more
        if one not in [replace(known, advice="") for known in refused.blockers])])))


def _as_far_as_possible(
        path: str | os.PathLike, sizes: Sizes, builder: Builder, refusals: Refusals,
        ) -> tuple[Network | None, tuple[str, ...], Refusal | None]:
    """The network of a model without what lies ahead of its recurrent layers, or behind them, and
    neither hardware nor the host computes, the options that make it, and that this is so; None
    where there is none, and why where that can be said."""
    if refusals.recurrent and not any(isinstance(one, Recurrent) for one in builder.layers):
        first = refusals.behind.index(refusals.recurrent[0]) + 1  # no recurrent one is left out
        for name in refusals.behind[:min(first, _BEGINNINGS)]:
            try:
                cut = Cut(begin=name)
                found = load(path, timesteps=sizes.timesteps, sizes=sizes.named, cut=cut)
            except UserError:
                continue
            return found, (*sizes.words, *cut.words), Refusal("", "cut", (
                "what is refused lies ahead of the recurrent layers, and the host cannot compute "
                f"it either: with --cut auto --from {quoted(name)[1:-1]} your program gives what "
                "this layer reads"))
    try:
        end = end_without(len(builder.input_shapes), builder.layers, refusals)
        if end is None:
            return None, (), None
        cut = Cut(end=end)
        found = load(path, timesteps=sizes.timesteps, sizes=sizes.named, cut=cut)
    except CutError as error:
        return None, (), Refusal("", "cut", str(error))
    except UserError:  # of what was refused already
        return None, (), None
    return found, (*sizes.words, *cut.words), Refusal("", "cut", (
        "what is refused lies behind the recurrent layers, and the host cannot compute it either: "
        f"with --cut auto --to {quoted(end)[1:-1]} the result is that of this layer, and your "
        "program computes the rest"))


def _refused(builder: Builder | None, open_: list[Refusal], refusals: Refusals) -> Inspection:
    """Of a model that is no network that can be built; ``open_``, blockers beside the refusals."""
    blockers = [*open_, *refusals.found]
    if refusals.more:
        blockers.append(Refusal("", "more", f"and {refusals.more} more layers are refused"))
    kinds = {one.origin: one.kind for one in refusals.found if one.kind not in _NO_LAYERS}
    layers: dict[object, Row] = {}  # one for each layer that is refused, and all others
    if builder is not None:
        for n, (layer, row) in enumerate(zip(
                builder.layers, rows(builder.layers, builder.shapes), strict=True)):
            kind = kinds.get(row.origin)
            if isinstance(layer, StandIn):
                layers.setdefault(row.origin, replace(
                    row, name="", kind=kind or row.kind, parameters=None, multiplications=None,
                    hardware=False))
            elif kind is None:  # others are what a layer made before it was refused
                layers[n] = replace(row, name="")
        for origin, kind in kinds.items():
            layers.setdefault(origin, Row("", kind, origin, (), None, None, None, False))
    return Inspection({}, () if builder is None else builder.input_shapes, (),
                      tuple(layers.values()), tuple(blockers), tuple(refusals.behind), None, None)


def _read(network: Network, blockers: list[Refusal], options: tuple[str, ...],
          board: str | None) -> Inspection:
    """Of a model that is a network when it is built with ``options``."""
    estimate = quick_estimate(network, board)
    if small_scores(network):
        options = (*options, "--logits")
    letting_in: tuple[str, ...] | None = options
    if not estimate.fits:
        blockers = [*blockers, Refusal("", "size", estimate.why)]
        larger = next((name for name in BOARDS
                       if board is None and quick_estimate(network, name).fits), None)
        letting_in = (*options, "--board", larger) if larger else None
    layers, inputs, outputs = tuple(network.rows()), network.input_shapes, network.output_shapes
    around = network.around
    if around is not None:
        layers = (*around.rows_before, *layers, *around.rows_behind)
        inputs, outputs = (tuple(port.shape for port in ports)
                           for ports in (around.inputs, around.outputs))
    return Inspection(network.source, inputs, outputs, layers, tuple(blockers), (), letting_in,
                      estimate)
