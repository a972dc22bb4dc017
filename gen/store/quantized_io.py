"""A quantised network in one file (:mod:`gatefold.gen.store.stored`), and back, checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gatefold.gen.network.int8 import Affine
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import QLAYERS, QuantizedNetwork, Table
from gatefold.gen.store.quantized_check import check
from gatefold.gen.store.stored import (
    Stored,
    entries,
    expect,
    integer,
    integers,
    pack,
    read_stored,
    write_stored,
)

__all__ = ["load_quantized", "save_quantized"]

_FORMAT, _VERSION = "gatefold quantised network", 2
_WIDTHS = ("act_width", "weight_width", "cell_width", "acc_width")


def save_quantized(path: str | Path, qnet: QuantizedNetwork) -> None:
    """Write ``qnet``; the same network gives the same bytes."""
    arrays: dict = {}
    layers = [{"kind": layer.of.kind, **pack(layer, layer.name, arrays)}
              for layer in qnet.layers]
    head = {"format": _FORMAT, "version": _VERSION, "layers": layers,
            "table": pack(qnet.table, "table", arrays),
            "input_shapes": qnet.input_shapes, "outputs": qnet.outputs, "host": qnet.host,
            "input_formats": [[form.width, form.frac] for form in qnet.input_formats],
            "calibration": qnet.calibration, "zeros": qnet.zeros,
            "input_carries": qnet.input_carries, "window": qnet.window,
            "affine": [[[one.scale, one.zero] for one in side] for side in qnet.affine or ()],
            **{name: getattr(qnet, name) for name in _WIDTHS}}
    write_stored(path, head, arrays)


def load_quantized(path: str | Path) -> QuantizedNetwork:
    """Read a file of :func:`save_quantized` and check shapes, ranges and the accumulator width.

    Raises :class:`~gatefold.gen.errors.UserError` for a missing, foreign or damaged file.
    """
    with read_stored(path, "quantised network") as stored:
        qnet = _read(stored)
        check(qnet)
        return qnet


def _read(stored: Stored) -> QuantizedNetwork:
    head = stored.head
    expect(head["format"] == _FORMAT and head["version"] == _VERSION, "another format or version")
    expect(isinstance(head["calibration"], dict), "calibration")
    return QuantizedNetwork(
        layers=tuple(layer for _, layer in stored.layers(QLAYERS)),
        input_shapes=tuple(integers(shape) for shape in entries(head["input_shapes"])),
        outputs=integers(head["outputs"]),
        input_formats=tuple(QFormat(*integers(form)) for form in entries(head["input_formats"])),
        table=stored.unpack(Table, head["table"], "table"),
        host=tuple(map(str, entries(head["host"]))), calibration=head["calibration"],
        input_carries=head["input_carries"] is True, window=integer(head.get("window", 0)),
        **_borders(head), **_widths(head))


def _widths(head: Any) -> dict[str, Any]:
    return {name: integer(head[name]) for name in _WIDTHS}


def _borders(head: Any) -> dict[str, Any]:
    """Of a network in int8 the numbers of its inputs and outputs, and the zero points."""
    inside, outside = entries(head["zeros"])
    zeros = integers(inside), tuple(integers(one) for one in entries(outside))
    affine = tuple(tuple(_affine(one) for one in entries(side)) for side in entries(head["affine"]))
    expect([len(side) for side in zeros] == ([len(side) for side in affine] or [0, 0]), "zeros")
    expect(all(-128 <= zero <= 127 for side in (zeros[0], *zeros[1]) for zero in side), "zeros")
    return {"zeros": zeros, "affine": affine or None}


def _affine(value: object) -> Affine:
    scale, zero = entries(value)
    expect(type(scale) is float and 0 < scale < math.inf, "a scale")
    return Affine(scale, integer(zero))
