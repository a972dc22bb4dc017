"""What saturated on some data and was lost by it, and what data say too little about formats.

Not everything that golden clamps is a loss: where a sigmoid, tanh or hard activation is flat, its
argument may be clamped, and its result is off by one last bit at most.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.network.frames import input_names
from gatefold.gen.network.layer import CURVES
from gatefold.gen.numbers.quantized import QuantizedNetwork

__all__ = ["below_step", "clamped_inputs", "doubts", "lost", "in_words"]

_BOUNDED = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", *CURVES)
_FEW, _ROWS = 8, 256  # samples, and rows (steps) of all of them, below which data are a handful
_SMALL = 0.05  # part of the outputs that may be smaller than a step
_NAMED = 6  # tensors that a message names


def clamped_inputs(qnet: QuantizedNetwork, clipped: list[tuple[int, int]]) -> dict:
    """As golden's counts: of each input, values beyond its format and values."""
    return {name: {"x": {"count": count, "total": total}}
            for name, (count, total) in zip(input_names(qnet), clipped, strict=True)}


def lost(qnet: QuantizedNetwork, saturations: dict) -> list[dict]:
    """The values that saturated and should not have, of golden's ``saturations`` by layer (or
    input) and tensor: ``{"layer", "tensor", "format", "count", "total"}``, ready for JSON."""
    found = []
    for name, form in zip(input_names(qnet), qnet.ends[0], strict=True):
        found += _lost(name, "x", form, saturations)
    for layer in qnet.computing.values():
        bounded = getattr(layer, "activation", "") in _BOUNDED
        for tensor in saturations.get(layer.name, {}):
            form = getattr(layer, "h" if tensor == "q" else tensor, None)
            if tensor == "u" or form is None or isinstance(form, np.ndarray):
                continue  # a flat activation's argument; weights, which have a count of their own
            if bounded and tensor in ("h", "y", "q") and form.frac < form.width:
                continue
            found += _lost(layer.name, tensor, form, saturations)
    return found


def _lost(name: str, tensor: str, form, saturations: dict) -> list[dict]:
    counted = saturations.get(name, {}).get(tensor)
    return [{"layer": name, "tensor": tensor, "format": str(form), **counted}] \
        if counted and counted["count"] else []


def in_words(losses: list[dict]) -> str:
    """``losses`` in words: ``l0_lstm.c 12 of 4096 beyond Q4.14, ...``; those with the largest share
    first."""
    order = sorted(losses, key=lambda one: -one["count"] / one["total"])
    words = [f"{one['layer']}.{one['tensor']} {one['count']} of {one['total']} beyond "
             f"{one['format']}" for one in order[:_NAMED]]
    more = len(order) - len(words)
    return ", ".join(words + ([f"and {more} tensors more"] if more else []))


def below_step(error: dict) -> str:
    """What the report of an ``error`` says about outputs too small for their format; empty where
    these are few."""
    small = [(n, one) for n, one in enumerate(error.get("below_step", []))
             if one["count"] > _SMALL * one["total"]]
    if not small:
        return ""
    n, one = small[0]
    which = "outputs" if len(error["below_step"]) == 1 else f"values of output {n}"
    return (f"{one['count']} of {one['total']} {which} are smaller than one step "
            f"({one['step']:.2g}) and lose their digits: leave a final sigmoid to the host with "
            "--logits, or take a larger --act-width")


def doubts(x: np.ndarray) -> list[str]:
    """Why formats of calibration data ``x`` (samples, *input_shape) may not fit other data."""
    values = len(x) * int(np.prod(x.shape[1:-1]))
    if not x.any():
        return ["the calibration data are zeros alone: inputs get the format of -1..1 and layers "
                "those of what their biases come to, and larger values saturate: give "
                "representative inputs"]
    if x.size > 1 and (x == x.flat[0]).all():
        return [f"the calibration data are {x.flat[0]:.4g} throughout: formats fit what this one "
                "value comes to, and larger values saturate: give representative inputs"]
    if len(x) > 1 and (x == x[:1]).all():
        return [f"the {len(x)} samples of calibration data are all the same: formats fit this one, "
                "and what is larger saturates: give representative inputs"]
    if len(x) < _FEW and values < _ROWS:
        return [f"{len(x)} sample{'s' * (len(x) > 1)} of calibration data are few: formats fit "
                "these, and what is larger in others saturates: give some tens of them"]
    return []
