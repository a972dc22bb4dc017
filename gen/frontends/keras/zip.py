"""Keras ``.keras`` files: a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``.

Read without Keras; files of Keras 3 and of tf_keras (Keras 2) have the same layout.
"""

from __future__ import annotations

import json

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.container import GIVE, SAFETENSORS, Archive
from gatefold.gen.frontends.cuts import Cut
from gatefold.gen.frontends.keras.h5 import MAX_TEXT, File
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.frontends.keras.weights import PlacedWeights
from gatefold.gen.frontends.sizes import AS_DECLARED, Sizes
from gatefold.gen.network.graph import Network

__all__ = ["major", "parse", "parsed_json"]


def parse(data: bytes, name: str, sizes: Sizes = AS_DECLARED,
          every: bool = False, cut: Cut | None = None) -> Network:
    """The network in the bytes of a ``.keras`` file; ``name`` is the file's, for messages.

    ``sizes``, of open dimensions of its inputs; ``every`` and ``cut``, as of :func:`read_model`.
    """
    archive = Archive(data, name)
    _refuse_other_zips(archive, name)
    config = _member(archive, "config.json", name)
    metadata = _member(archive, "metadata.json", name) if "metadata.json" in archive.names else {}
    version = str(metadata.get("keras_version", "unknown"))
    # Keras does not compress it; others might, but weights shrink little.
    weights = archive.read("model.weights.h5", max(16 << 20, 8 * len(data)))
    file = File(weights, name, "model.weights.h5")
    return read_model(config, PlacedWeights(file), major(version), {
        "format": "keras", "exporter": f"keras {quoted(version, 24)[1:-1]}"}, sizes, every, cut)


def major(version: str) -> int:
    """The major version of Keras in a version's text, 0 where it is none that is known."""
    return int(version[0]) if version[:2] in ("2.", "3.") else 0


def _refuse_other_zips(archive: Archive, name: str) -> None:
    names = archive.names
    if any(member.rsplit("/", 1)[-1] == "data.pkl" for member in names):
        raise UserError(f"{name} is a PyTorch pickle: PyTorch pickles are not read; {SAFETENSORS}")
    if "config.json" not in names:
        what = "a NumPy archive" if names and all(n.endswith(".npy") for n in names) else (
            "a zip without config.json")
        raise UserError(f"{name} is {what}, not a model: {GIVE}")
    if "model.weights.h5" not in names:
        raise UserError(f"{name} has no model.weights.h5: save the whole model, in one piece, with "
                        'model.save("model.keras")')


def _member(archive: Archive, member: str, name: str) -> dict:
    return parsed_json(archive.read(member, MAX_TEXT), f"{name}: its {member}")


def parsed_json(data: bytes | str, what: str) -> dict:
    """The object in a JSON text; ``what`` it is, for messages."""
    if len(data) > MAX_TEXT:
        raise UserError(f"{what} has {len(data)} bytes; a model's description may have at most "
                        f"{MAX_TEXT}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} is not readable JSON ({quoted(error)}): "
                        "save the model again") from None
    if not isinstance(value, dict):
        raise UserError(f"{what} must hold an object: save the model again")
    return value
