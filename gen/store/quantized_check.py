"""Whether a quantised network is one: everything that golden and plan rely on.

For networks out of a file. Sizes are looked at before anything of them is allocated.
"""

from __future__ import annotations

import math

import numpy as np

from gatefold.gen.network.graph import HOST
from gatefold.gen.network.layers import Window
from gatefold.gen.network.views import Pad, RepeatVector
from gatefold.gen.numbers.accumulator import (
    accumulator_bits,
    accumulator_bounds,
    accumulator_width,
    widest_sum,
)
from gatefold.gen.numbers.integers import INT64
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantized import (
    ABSENT,
    QCellState,
    QDense,
    QGru,
    QLayer,
    QLstm,
    QMaxPool,
    QMultiply,
    QRecurrent,
    QRnn,
    QuantizedNetwork,
    QView,
    Table,
    alignment,
)
from gatefold.gen.numbers.wishes import WIDTHS
from gatefold.gen.store.stored import expect

__all__ = ["check"]

_LAYERS = 4096  # most layers
_ELEMENTS, _IN_ALL = 1 << 24, 1 << 26  # most elements of a value, and of all
_FRAC = 1200  # largest |fractional bits|: float64 has no more

_DENSE_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "hard_tanh", "hard_sigmoid")
_CELL_ACTIVATIONS = ("linear", "relu", "tanh", "hard_tanh")
_GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")


def check(qnet: QuantizedNetwork) -> None:
    """Raise ``Damage`` where shapes, formats, integers or wiring do not fit together."""
    for width in (qnet.act_width, qnet.weight_width, qnet.cell_width):
        expect(width in WIDTHS, "widths")
    expect(2 <= qnet.acc_width <= INT64, "acc_width")
    _table(qnet.table)
    expect(1 <= len(qnet.input_shapes) == len(qnet.input_formats) <= _LAYERS, "inputs")
    for form in qnet.input_formats:
        _format(form, qnet.act_width, "input_formats")
    _graph(qnet)
    fracs = qnet.fracs
    for n, layer in enumerate(qnet.layers):
        if not isinstance(layer, QView):
            _layer(qnet, n, layer, fracs)
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
    """Wiring and sizes: from here on, ``shapes`` and ``fracs`` may be asked for."""
    expect(1 <= len(qnet.layers) <= _LAYERS, "layers")
    expect(any(not isinstance(layer, QView) for layer in qnet.layers), "layers")
    shapes: list[tuple[int, ...]] = []
    total = 0
    for shape in qnet.input_shapes:
        expect(1 <= len(shape) <= 4 and min(shape) >= 1, "input_shapes")
        shapes.append(shape)
        total += _size(shape)
    for n, layer in enumerate(qnet.layers):
        expect(layer.inputs and all(0 <= value < len(shapes) for value in layer.inputs), layer.name)
        into = [shapes[value] for value in layer.inputs]
        total += _grown(layer, into)
        expect(total <= _IN_ALL, "sizes")
        if not isinstance(layer, QView):
            _fits(layer, into, qnet.layers[:n], len(qnet.input_shapes))
        shapes.append(layer.output_shape(*into))  # a view checks itself
        expect(1 <= len(shapes[-1]) <= 4 and min(shapes[-1]) >= 1, layer.name)
    expect(1 <= len(qnet.outputs) <= _LAYERS, "outputs")
    expect(all(0 <= value < len(shapes) for value in qnet.outputs), "outputs")
    expect(len(qnet.host) == len(qnet.outputs) and set(qnet.host) <= set(HOST), "host")


def _size(shape: tuple[int, ...]) -> int:
    size = math.prod(shape)
    expect(size <= _ELEMENTS, "sizes")
    return size


def _grown(layer: QLayer, shapes: list[tuple[int, ...]]) -> int:
    """At most so many elements has what the layer makes; checked before it is made."""
    size = sum(map(math.prod, shapes))
    if isinstance(layer, QView):
        view = layer.view
        if isinstance(view, RepeatVector):
            expect(view.timesteps >= 1, layer.name)
            size *= view.timesteps
        elif isinstance(view, Pad):
            expect(min(view.left, view.right) >= 0, layer.name)
            size *= 1 + view.left + view.right
    elif isinstance(layer, (QDense, QMaxPool)):
        steps = 1
        if layer.window:
            _window(layer.window, shapes[0], layer.name)
            steps = layer.window.steps(shapes[0][-2])
            size = size // shapes[0][-2] * steps * layer.window.size  # as gathered
        if isinstance(layer, QDense):
            size = max(size, math.prod(shapes[0][:-1]) * steps * layer.outputs)
    elif isinstance(layer, QRecurrent):
        size = max(size, shapes[0][0] * layer.units)
    # Windows are computed in parts: only what they make must fit.
    limit = _ELEMENTS << 6 if getattr(layer, "window", None) else _ELEMENTS
    expect(size <= limit, f"{layer.name}: sizes")
    return 0 if getattr(layer, "window", None) else size


def _window(window: Window, shape: tuple[int, ...], where: str) -> None:
    numbers = (window.size, window.stride, window.dilation, window.left, window.right)
    expect(max(numbers) <= 1 << 20 and len(shape) >= 2, where)
    window.check(where, shape)


def _fits(layer: QLayer, shapes: list[tuple[int, ...]], before: tuple[QLayer, ...],
          inputs: int) -> None:
    """Arrays of the right shapes, functions that there are, as many operands as it takes."""
    x, name = shapes[0], layer.name
    if isinstance(layer, QRecurrent):
        gates = {QLstm: 4, QGru: 3, QRnn: 1}[type(layer)]
        states = 2 if isinstance(layer, QLstm) else 1
        u, rows = layer.units, gates * layer.units
        expect(u >= 1 and len(x) == 2 and layer.w_ih.shape == (rows, x[1])
               and layer.w_hh.shape == (rows, u) and layer.b.shape == (rows,)
               and layer.x_align.shape == (x[1],), name)
        expect(len(shapes) in (1, 1 + states) and all(s == (u,) for s in shapes[1:]), name)
        given = len(shapes) > 1
        expect((layer.h_in is not None) == given, name)
        constants = [layer.h0] + ([layer.c0] if isinstance(layer, QLstm) else [])
        expect(all(v is None or v.shape == (u,) for v in constants), name)
        expect(not (layer.stateful and (given or any(v is not None for v in constants))), name)
        if isinstance(layer, QRnn):
            expect(layer.activation in _DENSE_ACTIVATIONS, name)
        else:
            assert isinstance(layer, (QLstm, QGru))
            expect(layer.activation in _CELL_ACTIVATIONS
                   and layer.recurrent_activation in _GATE_ACTIVATIONS, name)
        if isinstance(layer, QLstm):
            expect((layer.c_in is not None) == given, name)
        if isinstance(layer, QGru):
            expect(layer.b_n.shape == (u,), name)
    elif isinstance(layer, QDense):
        taps = layer.window.size if layer.window else 1
        expect(len(shapes) == 1 and layer.w.ndim == 2 and layer.w.shape[1] == taps * x[-1]
               and layer.b.shape == layer.w.shape[:1] and len(layer.b)
               and layer.x_align.shape == layer.w.shape[1:]
               and layer.activation in _DENSE_ACTIVATIONS, name)
        if layer.pattern is not None:
            expect(layer.pattern.shape == layer.w.shape and not layer.w[~layer.pattern].any(), name)
    elif isinstance(layer, QMaxPool):
        taps = layer.window.steps(x[-2]) * layer.window.size
        expect(len(shapes) == 1 and taps <= _ELEMENTS, name)
        padding = layer.window.arrange(np.zeros((x[-2], 1), np.int8), fill=1)
        expect(not padding.all(axis=-2).any(), name)  # a window wholly in the padding
    elif isinstance(layer, QMultiply):
        expect(len(shapes) == 2 and shapes[0] == shapes[1], name)
    elif isinstance(layer, QCellState):
        source = layer.inputs[0] - inputs
        expect(len(shapes) == 1 and source >= 0, name)
        lstm = before[source]
        expect(isinstance(lstm, QLstm) and lstm.units == layer.units and lstm.c == layer.c, name)


def _layer(qnet: QuantizedNetwork, n: int, layer: QLayer, fracs: tuple[np.ndarray, ...]) -> None:
    """Formats that are those of the operands, integers within their formats, sums that fit."""
    name, act = layer.name, qnet.act_width
    into = [fracs[value] for value in layer.inputs]
    if isinstance(layer, (QRecurrent, QDense, QMaxPool)):
        _format(layer.x, act, name)
        present = into[0][into[0] != ABSENT]
        expect(layer.x.frac == into[0].max() and layer.x.frac - present.min() <= INT64, name)
    if isinstance(layer, (QRecurrent, QDense)):
        met = into[0]
        if isinstance(layer, QDense) and len(np.unique(met)) > 1:
            size = met.shape[0] * layer.features if layer.window else 0
            expect(size <= _ELEMENTS, name)
            met = layer.gather(met[None], ABSENT)[0]
        elif isinstance(layer, QDense):
            met = np.full(layer.features, layer.x.frac)
        wanted = alignment(layer.x, met).reshape(-1, met.shape[-1]).max(axis=0)
        expect(np.array_equal(layer.x_align, wanted), name)
    result = layer.result
    _format(result, act, name)
    if isinstance(layer, QRecurrent):
        _weights(layer.w_ih, layer.w_ih_format, qnet.weight_width, name)
        _weights(layer.w_hh, layer.w_hh_format, qnet.weight_width, name)
        state = layer.h
        if isinstance(layer, (QLstm, QGru)):
            _format(layer.c, qnet.cell_width, name)
            state = layer.c if isinstance(layer, QGru) else layer.h
        if isinstance(layer, QLstm):
            _activated(layer.activation, (layer.g, layer.tc), qnet.table, name)
            _within(layer.c0, layer.c, name)
            _operand(layer.c_in, into[2:], act, name)
        if isinstance(layer, QGru):
            _format(layer.m, qnet.cell_width, name)
            _activated(layer.activation, (layer.n,), qnet.table, name)
        _within(layer.h0, state, name)
        _operand(layer.h_in, into[1:], act, name)
    elif isinstance(layer, QDense):
        _weights(layer.w, layer.w_format, qnet.weight_width, name)
    elif isinstance(layer, QMultiply):
        _operand(layer.a, into, act, name)
        _operand(layer.b, into[1:], act, name)
    bits = 2
    if isinstance(layer, (QRecurrent, QDense)):
        bits = max(accumulator_bits(accumulator_bounds(layer, qnet.table)))
    expect(widest_sum(layer, qnet.table, bits) <= INT64, name)


def _weights(w: np.ndarray, form: QFormat, width: int, where: str) -> None:
    _format(form, width, where)
    _within(w, form, where)


def _within(values: np.ndarray | None, form: QFormat, where: str) -> None:
    expect(values is None or (values.min(initial=0) >= form.lo
                              and values.max(initial=0) <= form.hi), where)


def _activated(activation: str, forms: tuple[QFormat, ...], table: Table, where: str) -> None:
    """Results of T + 1 bits, of tanh and hard_tanh with T fractional ones."""
    for form in forms:
        expect(form.width == table.out_frac + 1 and abs(form.frac) <= _FRAC
               and (activation not in ("tanh", "hard_tanh") or form.frac == table.out_frac), where)


def _operand(form: QFormat | None, fracs: list[np.ndarray], width: int, where: str) -> None:
    """An operand of one format."""
    if form is None:
        return
    _format(form, width, where)
    present = fracs[0][fracs[0] != ABSENT]
    expect((present == form.frac).all(), where)
