"""The arguments of the layers in a Keras model: references to other layers, and constants.

Keras 3 writes a call as nested objects, Keras 2 as lists; both come out as nested lists here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.keras.settings import Settings, shown
from gatefold.gen.frontends.limits import MAX_DIM

__all__ = ["MAX_LAYERS", "Reference", "arguments_of", "model_ends", "references", "resolved"]

#: Most layers of a model, and most uses of one.
MAX_LAYERS = 512

#: Arguments of a call that change nothing where they are false.
_OFF = ("training", "use_causal_mask", "return_attention_scores")
_OF_MASKS = (", or let an Embedding with mask_zero or a Masking layer that reads the model's input "
             "make the mask (--cut auto, for whole sequences)")


@dataclass(frozen=True)
class Reference:
    """An output of a use of a layer: of which layer, which use, which output."""

    layer: str
    node: int
    tensor: int


def model_ends(settings: Settings, key: str) -> list[Reference]:
    """The layers that are a model's inputs or outputs."""
    value = settings.take(key)
    if isinstance(value, dict):  # Keras sorts named ones by their names
        value = [value[name] for name in sorted(value)]
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        value = [value]
    refs = [_ref(one) for one in value] if isinstance(value, list) else []
    if not refs or None in refs or len(refs) > MAX_LAYERS:
        raise UserError(f"{settings.where}: {key} must be a list of layers: save the model again")
    return [ref for ref in refs if ref]


def _ref(value: object) -> Reference | None:
    """["layer", use, output, ...] as a reference."""
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and (
            type(value[1]) is int and type(value[2]) is int):
        return Reference(value[0], value[1], value[2])
    return None


def arguments_of(settings: Settings, node: object,
                 masks: Collection[Reference] = ()) -> list:
    """The arguments of a use of a layer, a :class:`Reference` for each value; initial_state is
    the last. ``masks``: those that are true everywhere, which change nothing. Raises UserError for
    any other argument that differs from its default."""
    if isinstance(node, list):  # Keras 2: [["layer", use, output, {call arguments}], ...]
        refs = [_ref(one) for one in node]
        named: dict = {}
        for one in node:
            if isinstance(one, list) and len(one) == 4 and isinstance(one[3], dict):
                named |= one[3]
        if not refs or None in refs:
            raise _not_called(settings)
        args: list = refs if len(refs) == 1 else [refs]
    elif isinstance(node, dict) and isinstance(node.get("args"), list):
        args = [_argument(settings, one) for one in node["args"]]
        named = node.get("kwargs") or {}
    else:
        raise _not_called(settings)
    if not isinstance(named, dict) or not any(True for _ in references(args)):
        raise _not_called(settings)
    state = named.get("initial_state")
    for key, value in named.items():
        given = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
        plain = not given or (value is False and key in _OFF) or (
            key == "mask" and len(masks) > 0
            and all(isinstance(ref, Reference) and ref in masks
                    for ref in (_argument(settings, one) for one in given)))
        if not plain and key != "initial_state":
            raise UserError(f"{settings.where} is called with {quoted(key)}: call it with its "
                            "inputs alone" + _OF_MASKS * (key == "mask"))
    return args if state is None else [*args, _argument(settings, state)]


def _not_called(settings: Settings) -> UserError:
    return UserError(f"{settings.where} must have one input or several, outputs of other layers: "
                     "save the model again")


def _argument(settings: Settings, value: object) -> object:
    """One argument of Keras 3: values, constants, slices, and lists of them."""
    if isinstance(value, list):
        return [_argument(settings, one) for one in value]
    if value is None or isinstance(value, int | float):
        return value
    kind = value.get("class_name") if isinstance(value, dict) else None
    inner = value.get("config") if isinstance(value, dict) else None
    if kind == "__keras_tensor__" and isinstance(inner, dict):
        ref = _ref(inner.get("keras_history"))
        if ref:
            return ref
    if kind in ("__numpy__", "__tensor__") and isinstance(inner, dict):
        try:
            constant = np.array(inner.get("value"), np.float64)
        except (TypeError, ValueError, OverflowError):
            constant = np.full(1, np.nan)
        if np.isfinite(constant).all():
            return constant
    if kind == "__slice__" and isinstance(inner, dict):
        bounds = [inner.get(key) for key in ("start", "stop", "step")]
        if all(n is None or (type(n) is int and abs(n) <= MAX_DIM) for n in bounds):
            return slice(*bounds)
    if isinstance(value, dict) and "class_name" not in value:
        raise UserError(f"{settings.where} is called with a dictionary: call it with a list of its "
                        "inputs")
    raise UserError(f"{settings.where} is called with {shown(value)}: call it with its inputs "
                    "alone")


def references(arguments: object) -> Iterator[Reference]:
    """The references in arguments."""
    if isinstance(arguments, Reference):
        yield arguments
    elif isinstance(arguments, list):
        for one in arguments:
            yield from references(one)


def resolved(arguments: list, value: Callable[[Reference], object]) -> list:
    """Arguments with ``value(ref)`` for each reference."""
    return [value(one) if isinstance(one, Reference) else resolved(one, value)
            if isinstance(one, list) else one for one in arguments]
