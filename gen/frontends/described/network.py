"""Weights in one file, the network in a few lines of text beside them, or inside.

A torch ``state_dict`` in a ``.safetensors`` or ``.npz`` file names its arrays but not the network.
A description, in TOML (or the same as JSON), lists the layers in the order of the data::

    [input]
    shape = [30, 4]          # timesteps, features

    [[layer]]
    kind = "lstm"
    weights = "encoder"      # the state_dict's prefix: encoder.weight_ih_l0, ...
    units = 64
    num_layers = 2
    output = "last"          # of its steps: sequence (all), last, or hidden (h_n of each direction)

    [[layer]]
    kind = "linear"
    weights = "head"
    outputs = 1

It is given beside the weights (``--network net.toml``), or in the ``gatefold`` entry of a
safetensors file's metadata. Layers mean what torch's do, on values that are (timesteps, features)
throughout; :mod:`.layers` lists them with their options. The description must use every
array of the file, or list in ``ignore`` the prefixes that it leaves out.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.container import file_name, read_file
from gatefold.gen.frontends.cuts import Cut, begins_nowhere
from gatefold.gen.frontends.described.layers import KINDS, Chain
from gatefold.gen.frontends.described.options import INPUT, Options, choice, top
from gatefold.gen.frontends.described.weights_file import WeightsFile, read_weights
from gatefold.gen.network.graph import Network

__all__ = ["ENTRY", "parse"]

#: The entry of a safetensors file's metadata that may hold the description.
ENTRY = "gatefold"
#: Most bytes of a description, and of one of its lines: TOML readers are slow on dotted keys.
MAX_TEXT, MAX_LINE = 64 << 10, 1000


def parse(data: bytes, name: str, description: str | os.PathLike | None = None,
          cut: Cut | None = None) -> Network:
    """The network of a weights file's bytes and of the ``description`` file beside it.

    Parameters: ``name``, the weights file's, for messages; ``description``, a path, or None for the
    one in the file's metadata; ``cut``, where the model is cut. Raises :class:`UserError` if either
    is wrong.
    """
    begins_nowhere(cut, "describe the layers from there on")
    weights = read_weights(data, name)
    if description is not None:
        where, text = file_name(description), read_file(description)
    elif ENTRY in weights.metadata:
        where, text = f"the description in {name}", weights.metadata[ENTRY].encode()
    else:
        what = "NumPy archive" if weights.kind == "npz" else "safetensors file"
        raise UserError(f"{name} is a {what}, not a model: it holds weights without their network; "
                        "describe that in a few lines and give them with --network net.toml "
                        "(network= in Python), or export the model to ONNX")
    network = _network(_read(where, text), where, weights, cut)
    network.source["network_sha256"] = hashlib.sha256(text).hexdigest()
    return network


def _read(where: str, text: bytes) -> dict:
    """The description as a table."""
    if len(text) > MAX_TEXT or (not text.lstrip().startswith(b"{")
                                and max(map(len, text.split(b"\n"))) > MAX_LINE):
        raise UserError(f"{where} has {len(text)} bytes; a description has at most {MAX_TEXT}, and "
                        f"{MAX_LINE} in a line of TOML")
    try:
        parser = json.loads if text.lstrip().startswith(b"{") else tomllib.loads
        value = parser(text.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is no readable TOML or JSON ({quoted(error)}): write [input] "
                        "with shape, and a [[layer]] for each layer") from None
    return value


def _network(description: dict, where: str, weights: WeightsFile, cut: Cut | None) -> Network:
    whole = Options(where, description, top())
    shape = Options(f"{where}: input", whole["input"], INPUT)["shape"]
    chain = Chain(Builder(tuple(shape), cut=cut), weights)
    for n, entry in enumerate(whole["layer"]):
        layer, rest = f"{where}: layer {n + 1}", dict(entry)
        named = {"kind": rest.pop("kind")} if "kind" in rest else {}
        kind = Options(layer, named, {"kind": choice(*KINDS)})["kind"]
        known, build = KINDS[kind]
        chain.value = build(chain, Options(f"{layer} ({kind})", rest, known))
    _check_all_used(where, chain, whole["ignore"])
    return chain.builder.network({"format": weights.kind, "exporter": "described by its user"},
                                 [chain.value])


def _check_all_used(where: str, chain: Chain, ignore: list[str]) -> None:
    prefixes = tuple(f"{prefix.removesuffix('.')}." for prefix in ignore)
    for name in chain.weights.names:
        # torch counts batches beside BatchNorm's statistics; inference does not read that.
        if not (name in chain.used or name.startswith(prefixes) or name in ignore
                or name.endswith("num_batches_tracked")):
            raise UserError(f"{where} does not use {quoted(name)}, which the weights file holds: "
                            "describe the layer that it belongs to, correct num_layers, "
                            "bidirectional or bias, or list its prefix in ignore")
