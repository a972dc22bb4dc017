"""Keras' recurrent layers, plain, from cells, and in both directions.

Keras kernels are (features, blocks of units): an LSTM's blocks i, f, c, o are our i, f, g, o, a
GRU's z, r, h are brought to our r, z, n here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.keras.call import Call, Tensor
from gatefold.gen.frontends.keras.settings import Activation, Settings, shown
from gatefold.gen.frontends.keras.weights import Weights
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.network.graph import (
    ACTIVATIONS,
    CELL_ACTIVATIONS,
    GATE_ACTIVATIONS,
    scaled_for_hard_sigmoid,
)

__all__ = ["READERS"]

#: Our method, by Keras' layer and cell; number of states.
_KINDS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn",
          "LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn"}
_STATES = {"lstm": 2, "gru": 1, "rnn": 1}
_BLOCKS = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class _Cell:
    """The computation of one step."""

    kind: str
    where: str
    units: int
    activation: Activation
    gate: Activation
    use_bias: bool
    reset_after: bool


@dataclass(frozen=True)
class _Loop:
    """How a layer runs over the steps."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool


def _cell(settings: Settings) -> _Cell:
    kind = _KINDS[settings.class_name]
    legal = ACTIVATIONS if kind == "rnn" else CELL_ACTIVATIONS
    return _Cell(
        kind, settings.where, settings.dim("units"),
        settings.activation("activation", "tanh", legal),
        settings.activation("recurrent_activation", "sigmoid", GATE_ACTIVATIONS)
        if kind != "rnn" else Activation("linear"),
        settings.flag("use_bias", True),
        settings.flag("reset_after", settings.keras == 3) if kind == "gru" else False)


def _loop(settings: Settings) -> _Loop:
    settings.only("time_major", False, "put the batch first")
    return _Loop(*(settings.flag(key, False) for key in
                   ("return_sequences", "return_state", "go_backwards", "stateful")))


def _fields(cell: _Cell, weights: Weights, features: int) -> dict:
    """The cell's weights as our layer has them, and its activations."""
    units, blocks = cell.units, _BLOCKS[cell.kind]
    rows = blocks * units
    check_elements(cell.where, (rows, features + units))
    shapes: dict = {"kernel": (features, rows), "recurrent_kernel": (units, rows)}
    if cell.use_bias:
        shapes["bias"] = (2, rows) if cell.reset_after else (rows,)
    kernel, recurrent, *rest = weights.arrays(cell.where, shapes)
    w_ih, w_hh = kernel.T, recurrent.T
    bias = rest[0] if rest else np.zeros(shapes.get("bias", rows), np.float32)
    fields: dict = {"activation": cell.activation.name}
    if cell.kind == "gru":
        order = np.r_[units:2 * units, 0:units, 2 * units:3 * units]  # z, r, h to r, z, n
        w_ih, w_hh, bias = w_ih[order], w_hh[order], bias[..., order]
        fields |= {"reset_after": cell.reset_after}
        if cell.reset_after and cell.use_bias:
            bias, inner = bias[0].copy(), bias[1]
            bias[:2 * units] += inner[:2 * units]  # r and z add both; n has one in the product
            fields |= {"b_n": inner[2 * units:]}
    gates = {"lstm": np.r_[0:2 * units, 3 * units:4 * units], "gru": np.arange(2 * units),
             "rnn": np.arange(units)}[cell.kind]
    gate = cell.activation if cell.kind == "rnn" else cell.gate
    if gate.name == "hard_sigmoid":
        w_ih, w_hh, bias = (array.astype(np.float64) for array in (w_ih, w_hh, bias))
        w_hh[gates], _ = scaled_for_hard_sigmoid(w_hh[gates], bias[gates], gate.alpha)
        w_ih[gates], bias[gates] = scaled_for_hard_sigmoid(w_ih[gates], bias[gates], gate.alpha)
    if cell.kind != "rnn":
        fields |= {"recurrent_activation": cell.gate.name}
    return fields | {"w_ih": w_ih, "w_hh": w_hh, "b": bias}


def _run(builder: Builder, x: int, cell: _Cell, fields: dict, loop: _Loop, states: list,
         origin: str) -> list[int]:
    """The values that a recurrent layer gives: its output, and with return_state its states."""
    count = _STATES[cell.kind]
    if states and len(states) != count:
        raise UserError(f"{cell.where}: initial_state must be {count} value(s), not {len(states)}")
    given = [state.value for state in states if isinstance(state, Tensor)]
    if given and len(given) < len(states):
        raise UserError(f"{cell.where}: initial_state must be outputs of layers or constants, not "
                        "both")
    if states and not given:
        constants = [_constant(cell, state) for state in states]
        fields = fields | dict(zip(("h0", "c0"), constants, strict=False))
    if loop.go_backwards:
        x = builder.reverse(x, origin=origin)
    add = {"lstm": builder.lstm, "gru": builder.gru, "rnn": builder.rnn}[cell.kind]
    y = add(x, *given, origin=origin, return_sequences=loop.return_sequences,
            stateful=loop.stateful, **fields)
    if not loop.return_state:
        return [y]
    h = builder.last_step(y, origin=origin) if loop.return_sequences else y
    return [y, h, *([builder.cell_state(y, origin=origin)] if cell.kind == "lstm" else [])]


def _constant(cell: _Cell, value: object) -> np.ndarray:
    """A constant initial state, (1, units) or equal for all of a batch, as (units,)."""
    if isinstance(value, list):  # as Keras 2 writes it
        try:
            value = np.array(value, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{cell.where}: initial_state must be numbers, not {shown(value)}"
                            ) from None
    if not (isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == cell.units
            and len(value) and (value == value[0]).all()):
        raise UserError(f"{cell.where}: initial_state must be of the shape (1, {cell.units}), the "
                        f"same for every sample, not {shown(getattr(value, 'shape', value))}")
    return value[0]


def _arguments(call: Call) -> tuple[int, list]:
    """The arguments of a recurrent layer: x, and initial states."""
    call.whole("a recurrent layer takes the timesteps itself")
    flat = [one for arg in call.args for one in (arg if isinstance(arg, list) else [arg])]
    flat = [one for one in flat if one is not None]
    first = Call(call.builder, call.settings, call.weights, flat[:1])
    first.sequence()
    return first.x, flat[1:]


def _recurrent(call: Call) -> list[int]:
    x, states = _arguments(call)
    cell, loop = _cell(call.settings), _loop(call.settings)
    fields = _fields(cell, call.weights.inside("cell"), call.builder.shapes[x][1])
    return _run(call.builder, x, cell, fields, loop, states, call.origin)


def _inner(call: Call, entry: object, legal: tuple[str, ...]) -> Settings:
    """Settings of a layer within this one, whose class must be among the ``legal``."""
    settings = Settings(entry, call.settings.keras)
    if settings.custom or settings.class_name not in legal:
        raise call.refuse(f"the layer inside must be {' or '.join(legal)}, not "
                          f"{quoted(settings.class_name)}: put one of these in it")
    return settings


def _cells(call: Call) -> list[int]:
    """RNN: one cell, or several on top of each other in every step, which is several layers."""
    x, states = _arguments(call)
    loop, plain = _loop(call.settings), ("LSTMCell", "GRUCell", "SimpleRNNCell")
    outer = _inner(call, call.settings.take("cell"), (*plain, "StackedRNNCells"))
    weights = call.weights.inside("cell", outer.origin)
    if outer.class_name in plain:
        cell = _cell(outer)
        outer.done()
        fields = _fields(cell, weights, call.builder.shapes[x][1])
        return _run(call.builder, x, cell, fields, loop, states, call.origin)
    entries = outer.take("cells")
    if not isinstance(entries, list) or not entries or loop.return_state or states:
        raise call.refuse("several cells must be a list, without return_state and initial_state: "
                          "use one layer for each cell")
    outer.only("reverse_state_order", False, "the order of the states is lost")
    outer.done()
    counts: dict[str, int] = {}
    for n, entry in enumerate(entries):
        settings = _inner(call, entry, plain)
        stem = {"lstm": "lstm_cell", "gru": "gru_cell", "rnn": "simple_rnn_cell"}[
            _KINDS[settings.class_name]]
        place = f"{stem}_{counts[stem]}" if stem in counts else stem
        counts[stem] = counts.get(stem, 0) + 1
        cell = _cell(settings)
        settings.done()
        fields = _fields(cell, weights.inside(f"cells/{place}", settings.origin),
                         call.builder.shapes[x][1])
        first, last = n == 0, n == len(entries) - 1
        (x,) = _run(call.builder, x, cell, fields, replace(
            loop, go_backwards=loop.go_backwards and first,
            return_sequences=loop.return_sequences or not last), [], call.origin)
    return [x]


def _bidirectional(call: Call) -> list[int]:
    x, states = _arguments(call)
    settings, builder = call.settings, call.builder
    mode = settings.one_of("merge_mode", "concat", ("concat", "sum", "mul", "ave", None),
                           "use one of these")
    entry = settings.take("layer")
    forward = _inner(call, entry, ("LSTM", "GRU", "SimpleRNN"))
    given = settings.take("backward_layer")
    backward = _inner(call, entry if given is None else given, ("LSTM", "GRU", "SimpleRNN"))
    cells, loops = [_cell(forward), _cell(backward)], [_loop(forward), _loop(backward)]
    if given is None:
        loops[1] = replace(loops[1], go_backwards=not loops[1].go_backwards)
    if loops[1] != replace(loops[0], go_backwards=not loops[0].go_backwards):
        raise call.refuse("one of its layers must have go_backwards=True, the other "
                          "go_backwards=False, and both the same return_sequences, return_state "
                          "and stateful")
    halves = []
    for cell, side, one in zip(cells, ("forward", "backward"), (forward, backward), strict=True):
        one.done()
        # Keras 3 writes the names that the halves have, Keras 2 those that they were made with.
        weights = call.weights.inside(f"{side}_layer", f"{side}_{one.origin}", one.origin)
        halves.append((cell, _fields(cell, weights.inside("cell"), builder.shapes[x][1])))
    half = len(states) // 2
    (y, *states_forward), (back, *states_back) = (
        _run(builder, x, cell, fields, loop, some, call.origin)
        for (cell, fields), loop, some in zip(halves, loops, (states[:half], states[half:]),
                                              strict=True))
    if loops[0].return_sequences:  # Keras turns the second result, whichever layer runs backwards
        back = builder.reverse(back, origin=call.origin)
    outputs = [y, back] if mode is None else [builder.merge(mode, y, back, origin=call.origin)]
    return [*outputs, *states_forward, *states_back]


#: The reader of each class, which returns the call's values.
READERS = {"LSTM": _recurrent, "GRU": _recurrent, "SimpleRNN": _recurrent, "RNN": _cells,
           "Bidirectional": _bidirectional}
