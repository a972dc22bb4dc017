"""Checks on a quantised network from a file: golden and the plan rely on all of them.

Sizes are checked before any memory is allocated for them.
"""

from __future__ import annotations

import math

import numpy as np

from gatefold.gen.network.graph import HOST
from gatefold.gen.network.layers import Dense, Window
from gatefold.gen.numbers.accumulator import accumulator_width, layer_bits
from gatefold.gen.numbers.integers import INT64
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import MOST_SCALE, SPLITS
from gatefold.gen.numbers.quantized import ABSENT, QLayer, QuantizedNetwork, QView, Table
from gatefold.gen.numbers.settings import WIDTHS
from gatefold.gen.store.stored import expect

__all__ = ["check"]

_LAYERS = 4096  # most layers
_ELEMENTS, _IN_ALL = 1 << 24, 1 << 26  # most elements of a value, and of all
_FRAC = 1200  # largest |fractional bits|: float64 has no more


def check(qnet: QuantizedNetwork) -> None:
    """Raise ``Damage`` if shapes, formats, integers or wiring do not fit together."""
    for width in (qnet.act_width, qnet.weight_width, qnet.cell_width):
        expect(width in WIDTHS, "widths")
    expect(2 <= qnet.acc_width <= INT64, "acc_width")
    _table(qnet.table)
    expect(1 <= len(qnet.input_shapes) == len(qnet.input_formats) <= _LAYERS, "inputs")
    expect(qnet.split in SPLITS, "split")
    for form in qnet.read_formats:
        _format(form, qnet.act_width, "input_formats")
    _graph(qnet)
    expect(bool(qnet.window) == any(isinstance(layer, QView) and layer.stateful
                                     for layer in qnet.layers)
           and qnet.window >= 0
           and (not qnet.window or [len(shape) for shape in qnet.input_shapes] == [2]), "window")
    _size((qnet.window, *qnet.input_shape[1:]))
    meet = qnet.meet_input or set()
    expect(all(getattr(layer, "split", 1) == (qnet.split if n in meet else 1)
               for n, layer in enumerate(qnet.layers)), "split")
    expect(qnet.affine is None or [len(side) for side in qnet.affine]
           == [len(qnet.input_shapes), len(qnet.outputs)], "affine")
    expect(all(len(one) in (1, math.prod(shape)) for one, shape in
               zip(qnet.zeros[1], qnet.output_shapes, strict=False)), "zeros")
    fracs = qnet.fracs
    for n, layer in qnet.computing.items():
        _layer(qnet, layer, qnet.value(n), fracs)
    expect(accumulator_width(qnet) <= qnet.acc_width, "acc_width")


def _table(table: Table) -> None:
    n0, n1, n2 = table.n0, table.n1, table.n2
    expect(n0 >= 1 and n1 >= 0 and n2 >= 0 and table.frac <= 20 and n0 + n1 + n2 == 3 + table.frac
           and 1 <= table.out_frac <= 24, "the table's split")
    half = 1 << (n0 + n2 - 1) if n2 else 0
    expect(table.t0.shape == (1 << (n0 + n1),) and table.t1.shape == (half,), "table")
    for entries in (table.t0, table.t1):
        expect(entries.min(initial=0) >= 0 and entries.max(initial=0) < 1 << table.out_frac,
               "table")


def _format(form: QFormat | None, width: int, what: str) -> None:
    expect(form is not None and 4 <= form.width <= width and abs(form.frac) <= _FRAC, what)


def _graph(qnet: QuantizedNetwork) -> None:
    """Check wiring and sizes, so that the network's ``shapes`` and ``fracs`` can be computed."""
    expect(1 <= len(qnet.layers) <= _LAYERS and qnet.computing, "layers")
    shapes: list[tuple[int, ...]] = []
    total = 0
    for shape in qnet.read_shapes:
        expect(1 <= len(shape) <= 4 and min(shape) >= 1, "input_shapes")
        shapes.append(shape)
        total += _size(shape)
    for layer in qnet.layers:
        expect(layer.inputs and all(0 <= value < len(shapes) for value in layer.inputs), layer.name)
        into = [shapes[value] for value in layer.inputs]
        total += _grown(layer, into)
        expect(total <= _IN_ALL, "sizes")
        expect(layer.fits(*into), layer.name)
        if layer.of.reads_cell:
            source = layer.inputs[0] - len(qnet.input_shapes)
            expect(source >= 0 and _same_cell(layer, qnet.layers[source]), layer.name)
        shapes.append(layer.output_shape(*into))  # a view checks itself
        _size(shapes[-1])
        expect(1 <= len(shapes[-1]) <= 4 and min(shapes[-1]) >= 1, layer.name)
    expect(1 <= len(qnet.outputs) <= _LAYERS, "outputs")
    expect(all(0 <= value < len(shapes) for value in qnet.outputs), "outputs")
    expect(len(qnet.host) == len(qnet.outputs) and set(qnet.host) <= set(HOST), "host")


def _size(shape: tuple[int, ...]) -> int:
    size = math.prod(shape)
    expect(size <= _ELEMENTS, "sizes")
    return size


def _grown(layer: QLayer, shapes: list[tuple[int, ...]]) -> int:
    """The most elements that the layer makes, checked before it makes them."""
    window: Window | None = getattr(layer, "window", None)
    if window:
        _window(window, shapes[0], layer.name)
    size = layer.elements(*shapes)
    # Windows are computed in parts: only the layer's value must fit.
    expect(size <= (_ELEMENTS << 6 if window else _ELEMENTS), f"{layer.name}: sizes")
    return 0 if window else size


def _window(window: Window, shape: tuple[int, ...], where: str) -> None:
    numbers = (window.size, window.stride, window.dilation, window.left, window.right)
    expect(max(numbers) <= 1 << 20 and len(shape) >= 2, where)
    window.check(where, shape)


def _same_cell(layer, lstm) -> bool:
    """Whether a CellState ``layer`` has the units and the format of the cell that it reads."""
    return "c" in lstm.of.states and lstm.units == layer.units and lstm.c == layer.c


def _layer(qnet: QuantizedNetwork, layer: QLayer, value: int,
           fracs: tuple[np.ndarray, ...]) -> None:
    """Check that the formats of the layer that makes ``value`` are those of its operands, that its
    integers fit them, and that its sums fit int64."""
    name, act = layer.name, qnet.act_width
    into = [fracs[value] for value in layer.inputs]
    window: Window | None = getattr(layer, "window", None)
    if layer.finest:
        _format(layer.finest, act, name)
        present = into[0][into[0] != ABSENT]
        expect(layer.finest.frac == into[0].max()
               and layer.finest.frac - present.min() <= INT64, name)
    if window and len(np.unique(into[0])) > 1:
        expect(window.elements(into[0].shape) <= _ELEMENTS, name)
    expect(layer.aligned(into), name)
    last = layer.result is not None and layer.of is Dense and not qnet.readers[value]
    _format(layer.result, WIDTHS[-1] if last else act, name)
    expect(layer.row_scales.min(initial=0) >= 0
           and layer.row_scales.max(initial=0) <= MOST_SCALE, name)
    for tensor, form in layer.weights.items():
        _format(form, qnet.weight_width, name)
        _within(getattr(layer, tensor), form, name)
    for cell in layer.cells:
        _format(getattr(layer, cell), qnet.cell_width, name)
    for tensor in layer.activated:
        form, t = getattr(layer, tensor), qnet.table.out_frac  # T + 1 bits, of tanhs T fractional
        expect(form.width == t + 1 and abs(form.frac) <= _FRAC
               and (getattr(layer, "activation", "") not in ("tanh", "hard_tanh")
                    or form.frac == t), name)
    for constant, form in layer.constants.items():
        _within(getattr(layer, constant), getattr(layer, form), name)
    for place, form in layer.operands.items():
        _operand(getattr(layer, form), into[place:], act, name)
    expect(layer.widest(qnet.table, layer_bits(layer, qnet.table)) <= INT64, name)


def _within(values: np.ndarray | None, form: QFormat, where: str) -> None:
    expect(values is None or (values.min(initial=0) >= form.lo
                              and values.max(initial=0) <= form.hi), where)


def _operand(form: QFormat | None, fracs: list[np.ndarray], width: int, where: str) -> None:
    """An operand of one format."""
    if form is None:
        return
    _format(form, width, where)
    present = fracs[0][fracs[0] != ABSENT]
    expect((present == form.frac).all(), where)
