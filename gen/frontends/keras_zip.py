"""Keras ``.keras`` files: a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``.

Read without Keras. The layers are brought into the order in which data runs through them; the
weights of the n-th layer of a class lie in a group that Keras names after the class and n
(``layers/lstm``, ``layers/lstm_1``), not after the layer. Files of Keras 3 and of tf_keras
(Keras 2) have the same layout.
"""

from __future__ import annotations

import json
from collections import Counter

from ..errors import UserError, quoted
from ..network import Network
from .builder import Builder
from .container import Archive
from .keras_h5 import Weights
from .keras_layer import GROUPS, Settings, add_layer
from .limits import check_dim

__all__ = ["parse"]

_MAX_DEPTH = 8    # of models nested in models
_MAX_LAYERS = 256


def parse(data: bytes, name: str) -> Network:
    """The network in the bytes of a ``.keras`` file; ``name`` is the file's, for messages."""
    archive = Archive(data, name)
    _refuse_other_zips(archive, name)
    config = _json(archive, "config.json", name)
    metadata = _json(archive, "metadata.json", name) if "metadata.json" in archive.names else {}
    try:
        chain = _chain(config, "layers", 0)
        builder = Builder(_input_shape(chain))
        weights = Weights(archive.read("model.weights.h5"), name)
        try:
            for entry, group in chain:
                if entry["class_name"] == "InputLayer":
                    _check_input(entry, builder)
                else:
                    add_layer(builder, entry, weights, group)
        finally:
            weights.close()
    except RecursionError:
        raise UserError(f"{name}: config.json is nested too deeply: this is no model") from None
    version = quoted(metadata.get("keras_version", "unknown"), 24)[1:-1]
    return builder.network({"format": "keras", "exporter": f"keras {version}"})


def _refuse_other_zips(archive: Archive, name: str) -> None:
    names = archive.names
    if any(member.rsplit("/", 1)[-1] == "data.pkl" for member in names):
        raise UserError(f"{name} is a PyTorch pickle: PyTorch pickles are not read; export to ONNX "
                        "with torch.onnx")
    if "config.json" not in names:
        what = "a NumPy archive" if names and all(n.endswith(".npy") for n in names) else (
            "a zip without config.json")
        raise UserError(f"{name} is {what}, not a model: give a .keras or .onnx file")
    if "model.weights.h5" not in names:
        raise UserError(f"{name} has no model.weights.h5: save the whole model, in one piece, with "
                        'model.save("model.keras")')


def _json(archive: Archive, member: str, name: str) -> dict:
    try:
        value = json.loads(archive.read(member))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: its {member} is not readable JSON ({quoted(error)}): "
                        "save the model again") from None
    if not isinstance(value, dict):
        raise UserError(f"{name}: its {member} must hold an object: save the model again")
    return value


def _chain(model: dict, group: str, depth: int) -> list[tuple[dict, str]]:
    """Layers in data order, nested models in line, each with its group in the weights file.

    ``group`` is where the model's own layers lie: ``layers``, or ``layers/sequential/layers``.
    """
    settings = Settings(model)
    if settings.class_name not in ("Sequential", "Functional"):
        raise UserError(f"{settings.where} is the whole model; it must be Sequential or "
                        "Functional: wrap it in keras.Sequential")
    settings.drop("build_input_shape")  # the layers' own shapes decide
    layers = settings.take("layers")
    if not isinstance(layers, list) or not layers:
        raise UserError(f"{settings.where} has no layers: save the model again")
    if depth > _MAX_DEPTH or len(layers) > _MAX_LAYERS:
        raise UserError(f"{settings.where}: a model may have at most {_MAX_LAYERS} layers and "
                        f"{_MAX_DEPTH} levels of nesting")
    groups, counts = [], Counter()
    for entry in layers:
        stem = GROUPS[Settings(entry).class_name]  # refuses what is not supported
        # Keras's Sequential does not count its input layer, but nothing is read from that one.
        groups.append(f"{group}/{stem}_{counts[stem]}" if counts[stem] else f"{group}/{stem}")
        counts[stem] += 1
    order = range(len(layers))
    if settings.class_name == "Functional":
        order = _order(settings, layers)
    settings.done()
    chain = []
    for index in order:
        entry = layers[index]
        if entry["class_name"] in ("Sequential", "Functional"):
            chain += _chain(entry, f"{groups[index]}/layers", depth + 1)
        else:
            chain.append((entry, groups[index]))
    return chain


def _order(settings: Settings, layers: list[dict]) -> list[int]:
    """Indices of a Functional model's layers from input to output: they must form one chain."""
    inputs, outputs = (_ends(settings, key) for key in ("input_layers", "output_layers"))
    index = {str(entry.get("name")): n for n, entry in enumerate(layers)}
    if len(index) != len(layers):
        raise UserError(f"{settings.where}: layer names must be unique: save the model again")
    before = {name: _source(layers[n]) for name, n in index.items()}
    order, name = [], outputs
    while name is not None:
        if name not in index or index[name] in order:
            raise UserError(f"{settings.where}: layer {quoted(name)} is not in a chain from the "
                            "input to the output: the network must be sequential")
        order.insert(0, index[name])
        name = before[name]
    unused = [n for n in index if index[n] not in order]
    if unused:
        raise UserError(f"{settings.where}: layer {quoted(unused[0])} lies outside the chain from "
                        "input to output: the network must be sequential, without branches")
    if layers[order[0]].get("name") != inputs:
        raise UserError(f"{settings.where}: its input must be the layer {quoted(inputs)}, where "
                        "the chain of layers begins: save the model again")
    return order


def _ends(settings: Settings, key: str) -> str:
    value = settings.take(key)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)):
        number = len(value) if isinstance(value, list | dict) else 0
        raise UserError(f"{settings.where}: there must be one entry in {key}, not {number}: export "
                        "a model with one input and one output")
    return value[0]


def _source(entry: dict) -> str | None:
    """Name of the layer that feeds ``entry``; None for an input layer."""
    where = Settings(entry).where
    nodes = entry.get("inbound_nodes")
    if entry["class_name"] == "InputLayer" and not nodes:
        return None
    if not isinstance(nodes, list) or len(nodes) != 1:
        number = len(nodes) if isinstance(nodes, list) else 0
        raise UserError(f"{where} is used {number} times: every layer must be used once, "
                        "in a chain")
    node = nodes[0]
    if isinstance(node, list):  # Keras 2: [["name", node, tensor, {call arguments}]]
        inner = node[0] if len(node) == 1 else None
        named = isinstance(inner, list) and len(inner) == 4
        history, call = (inner[:3], inner[3]) if named and inner else (None, {})
    elif isinstance(node, dict):
        args, call = node.get("args"), node.get("kwargs") or {}
        tensor = args[0] if isinstance(args, list) and len(args) == 1 else None
        inner = tensor.get("config") if isinstance(tensor, dict) else None
        history = inner.get("keras_history") if isinstance(inner, dict) else None
    else:
        history, call = None, {}
    if not (isinstance(history, list) and len(history) == 3 and isinstance(history[0], str)
            and history[1:] == [0, 0] and isinstance(call, dict)):
        raise UserError(f"{where} must have one input, the output of the layer before it: the "
                        "network must be sequential")
    for key, value in call.items():
        if value is not None and (key, value) != ("training", False):
            raise UserError(f"{where} is called with {quoted(key)}: call it with its input alone")
    return history[0]


def _input_shape(chain: list[tuple[dict, str]]) -> tuple[int, ...]:
    """(timesteps, features) or (features,) that the first layer declares."""
    config = chain[0][0]["config"]
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    where = Settings(chain[0][0]).where
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise UserError(f"{where}: the model's input must be (timesteps, features) or (features,), "
                        f"not {quoted(shape)[1:-1]}: build it with keras.Input before saving")
    for what, n in zip(("timesteps", "features")[3 - len(shape):], shape[1:], strict=True):
        if n is None:
            raise UserError(f"{where}: the number of {what} is not fixed: build the model with "
                            "keras.Input((timesteps, features)) and save it again")
        check_dim(where, what, n)
    return tuple(shape[1:])


def _check_input(entry: dict, builder: Builder) -> None:
    """An input layer adds nothing, but must agree with the shape that reaches it."""
    settings = Settings(entry)
    shape = settings.take("batch_shape", settings.take("batch_input_shape"))
    if not isinstance(shape, list) or tuple(shape[1:]) != builder.shape:
        raise UserError(f"{settings.where}: its shape {quoted(shape)[1:-1]} contradicts what "
                        f"reaches it, {builder.shape}: save the model again")
    settings.only("sparse", False, "only dense tensors are read")
    settings.only("ragged", False, "every sequence must have the same number of timesteps")
    settings.drop("optional")
    settings.done()
