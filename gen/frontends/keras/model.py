"""A Keras model's configuration to a network: the graph of its layers, models within models.

The same for a ``.keras`` file, an ``.h5`` file and a model in memory, of Keras 3 and Keras 2: each
gives a configuration and :class:`~gatefold.gen.frontends.keras.weights.Weights`. A layer whose
class has no reader is refused by name; nothing from the file is executed or looked up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Builder, every_refusal
from gatefold.gen.frontends.cuts import Cut, CutError
from gatefold.gen.frontends.hosting import Given
from gatefold.gen.frontends.keras import host, ops, rnn
from gatefold.gen.frontends.keras.arguments import (
    MAX_LAYERS,
    Reference,
    arguments_of,
    model_ends,
    references,
    resolved,
)
from gatefold.gen.frontends.keras.call import Call, Tensor
from gatefold.gen.frontends.keras.classes import (
    MODELS,
    READERS,
    REFUSED,
    is_operator,
    settings_of,
)
from gatefold.gen.frontends.keras.inputs import check_inputs, declared, input_shapes
from gatefold.gen.frontends.keras.masks import MASKING, true_masks
from gatefold.gen.frontends.keras.settings import Settings, shown
from gatefold.gen.frontends.keras.stand_ins import UNKNOWN, stand_in
from gatefold.gen.frontends.keras.weights import SharedWeights, Weights
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.frontends.sizes import AS_DECLARED, Dim, Sizes
from gatefold.gen.network.graph import Network
from gatefold.gen.network.states import PORTS

__all__ = ["read_model"]

_MAX_DEPTH = 8    # of models nested in models


def read_model(entry: dict, weights: Weights, keras: int, source: dict,
               sizes: Sizes = AS_DECLARED, every: bool = False,
               cut: Cut | None = None) -> Network:
    """The network of a whole model.

    ``entry``, its configuration (``class_name``, ``config``); ``keras``, the major version that
    wrote it, 0 if unknown; ``source`` becomes the network's; ``sizes``, of open dimensions of the
    inputs; ``cut``, where the model is cut. Raises :class:`UserError`; with ``every`` or ``cut``,
    :class:`Incomplete` for every refusal.
    """
    try:
        every = every or cut is not None
        settings = Settings(entry, keras, any_type=every)
        refusals = Refusals() if every else None
        with every_refusal(refusals):
            if settings.class_name not in MODELS or settings.custom:
                raise UserError(f"{settings.where} is the whole model; it must be Sequential or "
                                "Functional, not a class of its own: wrap it in keras.Sequential, "
                                "or build it with keras.Model(inputs, outputs)")
            builder = Builder(*input_shapes(_inputs(entry, keras, 0, every), sizes),
                              refusals=refusals, cut=cut)
            inputs = list(range(len(builder.input_shapes)))
            outputs = _model(builder, entry, weights, keras, inputs, 0, 0)
            return builder.network(source | _ports(entry, keras), outputs)
    except RecursionError:
        raise UserError("the model's configuration is nested too deeply: this is no model"
                        ) from None


def _ports(entry: dict, keras: int) -> dict:
    """The entry of a network's source with the names of the inputs and outputs; empty of a
    Sequential model, which has one of each."""
    settings = Settings(entry, keras, any_type=True)
    if settings.class_name == "Sequential":
        return {}
    return {PORTS: {"inputs": [ref.layer for ref in model_ends(settings, "input_layers")],
                    "outputs": [ref.layer + (f"/{ref.tensor}" if ref.tensor else "")
                                for ref in model_ends(settings, "output_layers")]}}


# ---- one layer -----------------------------------------------------------------------------------


def _layer(builder: Builder, entry: dict, weights: Weights, keras: int, args: list, lead: int,
           depth: int) -> list[int]:
    """The values of one use of a layer, or of a model within the model.

    Where every refusal is wanted, a layer that is refused gives a stand-in, or :data:`UNKNOWN`.
    """
    refusals = builder.refusals
    if refusals is None:
        return _read(builder, entry, weights, keras, args, lead, depth)
    settings = Settings(entry, keras, any_type=True)
    if builder.cut is not None and builder.cut.begin == settings.origin:
        args = [_given(builder, entry, settings, args, lead)]
    values = [value for value in _flat(args) if isinstance(value, Tensor)]
    if any(value.value == UNKNOWN for value in values):
        refusals.pass_over(settings.origin, settings.class_name in rnn.READERS)
        return [UNKNOWN]
    try:
        results = _read(builder, entry, weights, keras, args, lead, depth)
        if UNKNOWN not in results:
            builder.results.setdefault(settings.origin, []).extend(results)
        return results
    except UserError as error:
        if builder.cut is not None and settings.class_name in host.READERS and not settings.custom:
            try:
                hosted = settings_of(entry, keras, True)
                made = host.READERS[settings.class_name](Call(builder, hosted, weights, args, lead))
                hosted.drop("batch_input_shape", "input_shape")
                hosted.done()
                return [made]
            except UserError as beside:  # why not even the host, where hardware has no such class
                error = beside if settings.class_name in REFUSED else error
        refusals.add(settings.origin, settings.class_name, error)
        return stand_in(builder, settings, values, lead)


def _given(builder: Builder, entry: dict, settings: Settings, args: list, lead: int) -> Tensor:
    """What the user gives to the layer with which the model begins: its shape is that with which
    Keras 3 built the layer."""
    build = entry.get("build_config")
    built = build.get("input_shape") if isinstance(build, dict) else None
    if lead or len(_flat(args)) != 1 or not isinstance(built, list) or (
            not 2 <= len(built) <= 5 or None in built[1:]):
        raise CutError(f"--from: the file does not say of which shape the input of layer "
                       f"{quoted(settings.origin)} is ({shown(built)}): save the model with Keras "
                       "3 and a fixed shape, or begin elsewhere")
    names = ["axis 1", "axis 2", "timesteps", "features"][1 - len(built):]
    shape = tuple(check_dim(settings.where, what, n)
                  for what, n in zip(names, built[1:], strict=True))
    return Tensor(builder.add(Given(inputs=(), shape=shape, origin=settings.origin)))


def _flat(args: object) -> list:
    """The arguments of a call, those in lists too."""
    return [one for arg in args for one in _flat(arg)] if isinstance(args, list) else [args]


def _read(builder: Builder, entry: dict, weights: Weights, keras: int, args: list, lead: int,
          depth: int) -> list[int]:
    """The values of one use of a layer that is supported; UserError for others."""
    settings = settings_of(entry, keras)
    call = Call(builder, settings, weights, args, lead)
    if settings.class_name in MODELS:
        return _model(builder, entry, weights, keras, call.values, lead, depth + 1)
    settings.drop("batch_input_shape", "input_shape")  # Keras 2: of a model's first layer
    if settings.class_name == "InputLayer":
        raise UserError(f"{settings.where}: {REFUSED['InputLayer']}")
    if settings.class_name == "TimeDistributed":
        result = _time_distributed(call, depth)
    elif is_operator(settings, len(args)):
        result = ops.READERS[settings.class_name](call)
    else:
        result = READERS[settings.class_name](call)
    settings.done()
    return result if isinstance(result, list) else [result]


def _time_distributed(call: Call, depth: int) -> list[int]:
    """The layer inside, with the timesteps a batch to it."""
    if len(call.shape) < 2:
        raise call.refuse(f"it takes (timesteps, features), but its input has the shape "
                          f"{call.shape}: put return_sequences or RepeatVector before it")
    inner = call.settings.take("layer")
    settings = settings_of(inner, call.settings.keras, call.builder.refusals is not None)
    if depth > _MAX_DEPTH:
        raise call.refuse(f"there may be at most {_MAX_DEPTH} levels of nesting")
    return _layer(call.builder, inner, call.weights.inside("layer", settings.origin),
                  call.settings.keras, [Tensor(call.x)], call.lead + 1, depth + 1)


# ---- models --------------------------------------------------------------------------------------


def _layers(settings: Settings, depth: int) -> list[dict]:
    """The entries of a model's layers, not yet checked."""
    settings.drop("build_input_shape")  # the layers' own shapes decide
    layers = settings.take("layers")
    if not isinstance(layers, list) or not layers:
        raise UserError(f"{settings.where} has no layers: save the model again")
    if depth > _MAX_DEPTH or len(layers) > MAX_LAYERS:
        raise UserError(f"{settings.where}: a model may have at most {MAX_LAYERS} layers and "
                        f"{_MAX_DEPTH} levels of nesting")
    return layers


def _model(builder: Builder, entry: dict, weights: Weights, keras: int, inputs: list[int],
           lead: int, depth: int) -> list[int]:
    """The values that a model gives for the values ``inputs``."""
    settings = settings_of(entry, keras)
    layers = _layers(settings, depth)
    lenient = builder.refusals is not None
    # Refuses unsupported layers before anything else.
    every = [settings_of(layer, keras, lenient) for layer in layers]
    places, counts = [], Counter()
    for one in every:
        # Keras names a layer's place after its class, and counts; it does not count operators,
        # nor a Sequential's input, from which nothing is read.
        stem = _stem(one.class_name)
        places.append(f"layers/{stem}_{counts[stem]}" if counts[stem] else f"layers/{stem}")
        counts[stem] += 1
    own = [weights.inside(place, one.origin) for place, one in zip(places, every, strict=True)]
    if settings.class_name != "Sequential":
        return _Functional(builder, settings, layers, own, keras, lead, depth).run(inputs)
    settings.done()
    values = inputs
    for layer, one, held in zip(layers, every, own, strict=True):
        if one.class_name == "InputLayer":
            check_inputs(builder, [one], values, lead)
        else:
            args = [Tensor(value) for value in values]
            values = _layer(builder, layer, held, keras, args, lead, depth)
    return values


def _stem(class_name: str) -> str:
    """The name that Keras derives from a class: ``TimeDistributed`` to ``time_distributed``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", class_name).lower()


class _Functional:
    """A functional model: its layers run as soon as their arguments are computed."""

    def __init__(self, builder: Builder, settings: Settings, layers: list[dict],
                 weights: list[Weights], keras: int, lead: int, depth: int):
        self._builder, self._settings, self._layers = builder, settings, layers
        self._weights, self._keras, self._lead, self._depth = weights, keras, lead, depth
        self._values: dict[tuple[str, int], list[int]] = {}
        self._names = [str(entry.get("name")) for entry in layers]
        if len(set(self._names)) != len(layers):
            raise UserError(f"{settings.where}: layer names must be unique: save the model again")

    def run(self, inputs: list[int]) -> list[int]:
        """The values of its outputs."""
        starts = model_ends(self._settings, "input_layers")
        outputs = model_ends(self._settings, "output_layers")
        self._settings.done()
        if len(starts) != len(inputs):
            raise UserError(f"{self._settings.where} has {len(starts)} inputs and is called with "
                            f"{len(inputs)}")
        for n in range(len(self._layers)):
            one = self._entry(n)
            if one.class_name == "InputLayer":
                places = [m for m, ref in enumerate(starts) if ref.layer == self._names[n]]
                if len(places) != 1:
                    raise UserError(f"{one.where} is not among the model's inputs, or twice: save "
                                    "the model again")
                check_inputs(self._builder, [one], [inputs[places[0]]], self._lead)
                self._values[self._names[n], 0] = [inputs[places[0]]]
        waiting = self._uses(outputs)
        while waiting:
            still = [use for use in waiting if not self._ready(*use)]
            if len(still) == len(waiting):
                raise self._stuck(waiting)
            waiting = still
        return [self._value(ref, self._settings.where) for ref in outputs]

    def _entry(self, n: int) -> Settings:
        return settings_of(self._layers[n], self._keras, self._builder.refusals is not None)

    def _uses(self, outputs: Sequence[Reference]) -> list[tuple[int, int, list]]:
        """The uses of layers to run: the layer, its use, its arguments. Where a model that is cut
        has masks, without what nothing but a mask depends on."""
        if self._builder.cut is None:
            return self._called(frozenset())
        masks = true_masks(self._layers, self._keras)
        uses = self._called(masks)
        if not masks:
            return uses
        read = {ref.layer for ref in outputs}
        while more := {ref.layer for n, _, args in uses if self._names[n] in read
                       for ref in references(args)} - read:
            read |= more
        # A layer that does not run gives the host no timesteps to refuse.
        masks = true_masks([entry for entry, name in zip(self._layers, self._names, strict=True)
                            if name in read or entry.get("class_name") not in MASKING], self._keras)
        return [use for use in self._called(masks) if self._names[use[0]] in read]

    def _called(self, masks: frozenset[Reference]) -> list[tuple[int, int, list]]:
        """Every use of a layer that is no input; ``masks``, those that are true everywhere."""
        uses = []
        for n, entry in enumerate(self._layers):
            one = self._entry(n)
            if one.class_name == "InputLayer":
                continue
            nodes = entry.get("inbound_nodes")
            if not isinstance(nodes, list) or not nodes or len(nodes) > MAX_LAYERS:
                number = len(nodes) if isinstance(nodes, list) else 0
                raise UserError(f"{one.where} is used {number} times: every layer must be called "
                                "with something")
            uses += [(n, m, arguments_of(one, node, masks)) for m, node in enumerate(nodes)]
        return uses

    def _ready(self, n: int, use: int, arguments: list) -> bool:
        """Run a use of a layer if all its arguments are computed."""
        entry = self._layers[n]
        if not all(self._found(ref) for ref in references(arguments)):
            return False
        where = Settings(entry, self._keras, any_type=True).where
        shared = len(entry["inbound_nodes"]) > 1
        weights = SharedWeights() if shared else self._weights[n]
        args = resolved(arguments, lambda ref: Tensor(self._value(ref, where)))
        self._values[self._names[n], use] = _layer(self._builder, entry, weights, self._keras, args,
                                                   self._lead, self._depth)
        return True

    def _found(self, ref: Reference) -> list[int] | None:
        found = self._values.get((ref.layer, ref.node))
        if found is None and ref.node == 1 and (ref.layer, 1) not in self._values:
            # Keras 2 counts a model's own making as its first use.
            n = self._names.index(ref.layer) if ref.layer in self._names else -1
            if n >= 0 and self._layers[n].get("class_name") in MODELS:
                found = self._values.get((ref.layer, 0))
        return found

    def _value(self, ref: Reference, where: str) -> int:
        found = self._found(ref)
        if found is None:
            raise UserError(f"{where}: use {shown(ref.node)} of layer {quoted(ref.layer)} does not "
                            "exist: save the model again")
        if found == [UNKNOWN]:
            return UNKNOWN
        if not 0 <= ref.tensor < len(found):
            raise UserError(f"{where}: layer {quoted(ref.layer)} has {len(found)} outputs, there "
                            f"is no number {shown(ref.tensor)}: set return_state")
        return found[ref.tensor]

    def _stuck(self, waiting: list) -> UserError:
        """The error about uses of layers whose arguments are missing or depend on each other."""
        uses = {(self._names[n], use) for n, use, _ in waiting}
        for n, _, arguments in waiting:
            where = Settings(self._layers[n], self._keras, any_type=True).where
            for ref in references(arguments):
                if not self._found(ref) and (ref.layer, ref.node) not in uses:
                    try:
                        self._value(ref, where)
                    except UserError as error:
                        return error
        return UserError(f"{self._settings.where}: layer {quoted(self._names[waiting[0][0]])} "
                         "depends on layers after it: save the model again")


# ---- inputs --------------------------------------------------------------------------------------


def _inputs(entry: object, keras: int, depth: int, every: bool
            ) -> list[tuple[Settings, tuple[Dim, ...]]]:
    """What declares each input of a model, and its dimensions without the batch."""
    settings = settings_of(entry, keras, every)
    assert isinstance(entry, dict)
    built = settings.take("build_input_shape")
    layers = _layers(settings, depth)
    if settings.class_name != "Sequential":
        by_name = {str(one.get("name")): one for one in layers if isinstance(one, dict)}
        starts = [by_name.get(ref.layer) for ref in model_ends(settings, "input_layers")]
        if None in starts:
            raise UserError(f"{settings.where}: its inputs are not among its layers: save the "
                            "model again")
        return [declared(settings_of(one, keras, every)) for one in starts]
    first = settings_of(layers[0], keras, every)
    if first.class_name in MODELS:
        return _inputs(layers[0], keras, depth + 1, every)
    if built is None and isinstance(entry.get("build_config"), dict):
        built = entry["build_config"].get("input_shape")
    return [declared(first, built)]
