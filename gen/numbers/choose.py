"""Formats of every tensor of a network: from calibration, or for weights that come later.

Each kind of layer has a method, which gives the formats that are fields of the quantised layer.
``docs/numbers.md`` defines what the formats mean.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.frames import input_names
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layer import CURVES
from gatefold.gen.network.layers import (
    CellState,
    Dense,
    Gru,
    Layer,
    Lstm,
    MaxPool,
    Multiply,
    Recurrent,
    Rnn,
)
from gatefold.gen.network.views import View
from gatefold.gen.numbers.calibrate import Calibration
from gatefold.gen.numbers.formats import Seen, at_most, peak_of
from gatefold.gen.numbers.integers import scaled_weights
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import ABSENT, argument
from gatefold.gen.numbers.qlayer import column_shifts as _columns
from gatefold.gen.numbers.quantized import Table
from gatefold.gen.numbers.settings import Settings
from gatefold.gen.numbers.weight_formats import WeightFormats

__all__ = ["Chooser", "Mixed", "check_clip"]

_GUARD = 8  # bits of a product kept below the LSB of the result: finer weights change nothing
_HEADROOM = 2.0  # states: what calibration saw may not be the worst
_BOUNDED = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", *CURVES)  # within -1..1
#: Integer bits, sign included, of a core whose weights come later.
_ANY = {"x": 4, "h": 4, "y": 4, "c": 6, "m": 6, "hr": 4, "g": 4, "n": 4, "tc": 6}


class Mixed(Exception):
    """An operand that must have one format has several: of the values ``sources``."""

    def __init__(self, where: str, sources: set[int]):
        super().__init__(where)
        self.where, self.sources = where, sources


class Chooser:
    """Formats of a network's tensors, layer by layer. ``split``: the operands that each element of
    the input becomes; the formats of the input and of the weights that it meets are those of one.

    Attributes, one entry a value so far: ``fracs``, fractional bits of its elements (arrays of its
    shape); ``widths``, bits of the widest; ``sources``, the inputs and layers (as values) that make
    its elements.
    """

    def __init__(self, network: Network, settings: Settings, table: Table,
                 seen: Calibration | None, split: int = 1):
        self.network, self.settings, self.table, self.seen = network, settings, table, seen
        self.weights = WeightFormats(settings, seen is not None)
        self.split = split
        self.shapes = network.shapes
        self.fracs: list[np.ndarray] = []
        self.widths: list[int] = []
        self.sources: list[set[int]] = []
        self.cells: dict[int, QFormat] = {}  # formats of c by an LSTM's value

    def inputs(self) -> tuple[QFormat, ...]:
        """Formats of the network's inputs."""
        found = []
        for n, name in enumerate(input_names(self.network)):
            found.append(self._pick(name, "x", self.seen and self.seen.inputs[n]))
            self._value(n, found[-1])
        return tuple(found)

    def layer(self, n: int, name: str, layer: Layer) -> dict:
        """The numbers of layer ``n``: its formats by field, and ``x_align`` where it has one."""
        value = self.network.value(n)
        if isinstance(layer, View):  # takes its elements' formats along
            parts = [self.fracs[one][None] for one in layer.inputs]
            self.fracs.append(layer.arrange(*parts, fill=ABSENT)[0])
            self.widths.append(max(self.widths[one] for one in layer.inputs))
            self.sources.append(set().union(*(self.sources[one] for one in layer.inputs)))
            return {}
        if any((self.fracs[one] == ABSENT).all() for one in layer.inputs):
            raise UserError(f"{name}: an input of it is padding alone, always zero: leave the "
                            "layer out of the model, or let it read other timesteps")
        numbers = {Lstm: self._lstm, Gru: self._gru, Rnn: self._rnn, Dense: self._dense,
                   MaxPool: self._max_pool, Multiply: self._multiply,
                   CellState: self._cell_state}[type(layer)](name, layer)
        self._value(value, numbers[layer.result])
        if "c" in layer.states:
            self.cells[value] = numbers["c"]
        return numbers

    # ---- kinds -------------------------------------------------------------------------------

    def _lstm(self, name: str, layer: Lstm) -> dict:
        bounded, one = layer.activation in _BOUNDED, self.table.out_frac + 1
        c_in = self._initial(name, layer, 2)
        start = _reach(c_in) if c_in else peak_of(_or_zero(layer.c0))
        steps = float(self.shapes[layer.inputs[0]][0])
        # |c| grows by less than 1 a step where |g| < 1.
        most = start + steps if bounded and not layer.stateful else np.inf
        g = self._candidate(name, "g", layer.activation)
        seen = self._of(name, "c")
        if seen is not None:
            check_clip(name, layer, seen.peak)
        c = self._pick(name, "c", seen, headroom=_HEADROOM, most=most, covers=start,
                       finest=min(self._width(name, "c") - 1, one + g.frac))
        tc = self._candidate(name, "tc", layer.activation, seen, finest=c.frac)
        h = self._state_out(name, layer.activation, layer.h0, finest=one + tc.frac)
        projection = self._projection(name, layer, h)
        numbers = self._matrices(name, layer, h, self._gate_frac(
            layer.recurrent_activation, argument(layer.activation, self.table, g).frac),
            projection["hr"])
        g = self._candidate(name, "g", layer.activation, finest=numbers.pop("acc_frac"))
        rounds = one + tc.frac > h.frac and not layer.stateful
        w_p = None
        if layer.w_p is not None:
            argued = self._gate_frac(layer.recurrent_activation, 0)
            w_p = self.weights.of_one(name, "w_p", layer.w_p[None], _finest(c, argued))
        return numbers | projection | {"c": c, "g": g, "tc": tc, "c_in": c_in, "w_p_format": w_p,
                          "carries": self._carrying_steps(layer) if rounds else 0}

    def _projection(self, name: str, layer: Lstm, h: QFormat) -> dict[str, QFormat | None]:
        """The formats of a projection, None where the layer has none."""
        if layer.w_hr is None:
            return {"hr": None, "w_hr_format": None}
        most = float(np.abs(layer.w_hr).sum(axis=1).max()) * _reach(h)
        hr = self._pick(name, "hr", self._of(name, "hr"), headroom=_HEADROOM, most=most)
        return {"hr": hr, "w_hr_format": self.weights.of_one(name, "w_hr", layer.w_hr,
                                                             _finest(h, hr.frac))}

    def _gru(self, name: str, layer: Gru) -> dict:
        bounded, width = layer.activation in _BOUNDED, self._width(name, "c")
        n = self._candidate(name, "n", layer.activation)
        h_in = self._initial(name, layer, 1)
        start = _reach(h_in) if h_in else peak_of(_or_zero(layer.h0))
        if bounded and start <= 1:  # a state between what it was and n stays within -1..1
            given = self.settings.of(name, "c")
            c = given if isinstance(given, QFormat) else QFormat(width, width - 1)
        else:
            c = self._pick(name, "c", self._of(name, "h"), headroom=_HEADROOM,
                           most=start if bounded else np.inf, covers=start,
                           finest=width - 1 if bounded else self.table.out_frac + 1 + n.frac)
        h = self._state_out(name, layer.activation, layer.h0, wide=start > 1, finest=c.frac)
        argued = argument(layer.activation, self.table, n).frac
        numbers = self._matrices(name, layer, h, self._gate_frac(layer.recurrent_activation,
                                                                 argued))
        acc_frac = numbers.pop("acc_frac")
        n = self._candidate(name, "n", layer.activation, finest=acc_frac)
        m = c if not layer.reset_after else self._pick(
            name, "m", self._of(name, "m"), headroom=_HEADROOM, width=c.width,
            finest=min(acc_frac, argued + _GUARD))
        return numbers | {"c": c, "n": n, "m": m}

    def _rnn(self, name: str, layer: Rnn) -> dict:
        h = self._state_out(name, layer.activation, layer.h0, clamps=True)
        numbers = self._matrices(name, layer, h, self._result_frac(layer.activation, h))
        return numbers | {"h": _finished(layer.activation, h, numbers.pop("acc_frac"))}

    def _dense(self, name: str, layer: Dense) -> dict:
        value = layer.inputs[0]
        x = self._finest(value)
        y = self._state_out(name, layer.activation, None, tensor="y", clamps=True)
        (form,), scales = self._weights(name, layer, [("w", x)],
                                        self._result_frac(layer.activation, y))
        # Windows of formats are large, and mostly of one format.
        fracs = self.fracs[value]
        if len(np.unique(fracs)) > 1:
            fracs = layer.gather(fracs[None], ABSENT)[0]
        else:
            fracs = np.full(layer.features, x.frac)
        split = self._split(layer)
        return {"x": x, "x_align": _columns(x, np.repeat(fracs, split, axis=-1)), "split": split,
                "w_format": form, "scales": scales,
                "y": _finished(layer.activation, y, form.frac + x.frac)}

    def _max_pool(self, name: str, layer: MaxPool) -> dict:
        x = self._finest(layer.inputs[0])
        fracs = self.fracs[layer.inputs[0]]
        coarsest = int(fracs[fracs != ABSENT].min())
        y = self._pick(name, "y", self._of(name, "y"), finest=x.frac,
                       any_frac=coarsest + self._width(name, "y") - x.width)
        return {"x": x, "y": y}

    def _multiply(self, name: str, layer: Multiply) -> dict:
        a, b = (self._only(value, f"{name}: an operand") for value in layer.inputs)
        width = self._width(name, "y")
        y = self._pick(name, "y", self._of(name, "y"), finest=a.frac + b.frac,
                       any_frac=width + 1 - (a.width - a.frac) - (b.width - b.frac))
        return {"a": a, "b": b, "y": y}

    def _cell_state(self, name: str, layer: CellState) -> dict:
        c = self.cells[layer.inputs[0]]
        y = self._pick(name, "y", self._of(name, "y"), finest=c.frac,
                       any_frac=self._width(name, "y") - (c.width - c.frac))
        return {"c": c, "y": y}

    # ---- tensors -----------------------------------------------------------------------------

    def _pick(self, name: str, tensor: str, seen: Seen | None, *, headroom: float = 1.0,
              most: float = np.inf, covers: float = 0.0, finest: float = np.inf,
              any_frac: int | None = None, width: int | None = None) -> QFormat:
        """A tensor's format: that of the settings, or one of the width that they give (of ``width``
        where no other will do).

        ``covers``: magnitude that it must hold at least; ``finest``: fractional bits beyond which
        it would gain nothing; ``any_frac``: those where nothing was seen.
        """
        given = self.settings.of(name, tensor)
        if isinstance(given, QFormat):
            if width not in (None, given.width):
                raise UserError(f"{name}: {tensor} must have {width} bits, not {given.width}, as c "
                                "has")
            return given
        given = width or given
        if seen is None:
            form = QFormat(given, given - _ANY[tensor] if any_frac is None else any_frac)
        else:
            form = self.settings.rule_of(name, tensor).choose(given, seen, headroom=headroom,
                                                              most=most)
            if tensor != "x":  # other weights do not change the network's inputs
                form = _reserved(form, self.settings.headroom, most)
        if covers:
            form = at_most(form, QFormat.covering(given, covers).frac)
        return at_most(form, finest)

    def _state_out(self, name: str, activation: str, h0: np.ndarray | None, *, tensor: str = "h",
                   wide: bool = False, clamps: bool = False,
                   finest: float = np.inf) -> QFormat:
        """Format of h or y: the unit interval where the activation is bounded and the initial
        state too (``wide``: it is not), else from calibration. ``clamps``: a hard activation
        has no table, and clips where this format ends or at 1."""
        start = peak_of(_or_zero(h0))
        width = self._width(name, tensor)
        bounded = activation in _BOUNDED
        if bounded and start <= 1 and not wide:
            given = self.settings.of(name, tensor)
            form = given if isinstance(given, QFormat) else QFormat(width, width - 1)
        else:
            form = self._pick(name, tensor, self._of(name, tensor), covers=start,
                              finest=min(finest, width - 1) if bounded else finest)
        if clamps and activation.startswith("hard_") and form.frac >= form.width:
            raise UserError(f"{name}: {tensor} must be Q1.{form.width - 1}, or coarser, not "
                            f"{form}: {activation} comes to 1")
        return form

    def _candidate(self, name: str, tensor: str, activation: str, seen: Seen | None = None, *,
                   finest: float = np.inf) -> QFormat:
        """Format of an activated candidate or cell state, T + 1 bits."""
        width = self.table.out_frac + 1
        if activation in ("tanh", "hard_tanh"):
            return QFormat(width, width - 1)
        return self._pick(name, tensor, seen or self._of(name, tensor), finest=finest,
                          headroom=_HEADROOM if tensor == "tc" else 1.0)

    def _matrices(self, name: str, layer: Recurrent, h: QFormat, result_frac: int,
                  recurs: QFormat | None = None) -> dict:
        """What all recurrent layers have: x, x_align, h, h_in, both weights'; and ``acc_frac``.
        ``recurs``: the format of what w_hh multiplies, where that is not h."""
        recurs = recurs or h
        value = layer.inputs[0]
        x, h_in = self._finest(value), self._initial(name, layer, 1)
        (w_ih, w_hh), scales = self._weights(name, layer, [("w_ih", x), ("w_hh", recurs)],
                                             result_frac)
        h_frac = max(recurs.frac, h_in.frac) if h_in else recurs.frac
        split = self._split(layer)
        return {"x": x, "x_align": _columns(x, np.repeat(self.fracs[value], split, axis=-1)),
                "split": split, "h": h, "h_in": h_in, "w_ih_format": w_ih, "w_hh_format": w_hh,
                "scales": scales, "acc_frac": max(w_ih.frac + x.frac, w_hh.frac + h_frac)}

    def _weights(self, name: str, layer: Dense | Recurrent, met: list[tuple[str, QFormat]],
                 result_frac: int) -> tuple[list[QFormat], np.ndarray | None]:
        """Formats of a layer's matrices, and the scales of their rows or None. ``met``: each
        matrix and the format of its operand."""
        bits = [self._split(layer).bit_length() - 1, 0]  # that the parts of a weight have less
        forms, scales = self.weights.of_rows(
            name, [tensor for tensor, _ in met],
            [scaled_weights(layer, getattr(layer, tensor)) for tensor, _ in met],
            [_finest(x, result_frac) for _, x in met], bits, getattr(layer, "pattern", None))
        return [QFormat(form.width - more, form.frac)
                for form, more in zip(forms, bits, strict=False)], scales

    def _gate_frac(self, gate: str, candidate: int) -> int:
        """Fractional bits that the finest of a step's arguments has."""
        return max(self.table.frac if gate == "sigmoid" else self.table.out_frac, candidate)

    def _split(self, layer: Layer) -> int:
        """The columns of an element of the layer's x: those of the network's input are split."""
        return self.split if self.sources[layer.inputs[0]] == {0} else 1

    def _result_frac(self, activation: str, y: QFormat) -> int:
        return self.table.frac if activation in ("sigmoid", "tanh", *CURVES) else y.frac

    def _carrying_steps(self, layer: Lstm) -> int:
        """The steps before which h of the next layer takes over remainders. These make h right on
        average over the steps, so where the last h alone leaves the layer, that one has none."""
        if self.settings.carry == "none":
            return 0
        every = self.settings.carry == "every"
        value, steps = len(self.fracs), self.shapes[layer.inputs[0]][0]
        last = steps - 1
        if not layer.return_sequences:
            return last
        shape = (1, *self.shapes[value])
        step_of = np.broadcast_to(np.arange(steps)[:, None], shape)
        for reader in self.network.layers:
            if value not in reader.inputs or reader.reads_cell:
                continue
            read = [step_of if one == value else np.full((1, *self.shapes[one]), last)
                    for one in reader.inputs]
            if not isinstance(reader, View) or (reader.arrange(*read, fill=last) != last).any():
                return steps * every
        return steps * every if value in self.network.outputs else last

    # ---- operands ----------------------------------------------------------------------------

    def _value(self, value: int, form: QFormat) -> None:
        self.fracs.append(np.full(self.shapes[value], form.frac))
        self.widths.append(form.width)
        self.sources.append({value})

    def _finest(self, value: int) -> QFormat:
        """The finest format among a value's elements."""
        return QFormat(self.widths[value], int(self.fracs[value].max()))

    def _only(self, value: int, where: str) -> QFormat:
        """The format of all elements of a value; raises :class:`Mixed`."""
        fracs = self.fracs[value]
        if len(np.unique(fracs[fracs != ABSENT])) > 1:
            raise Mixed(where, self.sources[value])
        return self._finest(value)

    def _initial(self, name: str, layer: Recurrent, n: int) -> QFormat | None:
        """Format of the n-th initial state (1: h) that an input brings."""
        if len(layer.inputs) == 1:
            return None
        return self._only(layer.inputs[n], f"{name}: an initial state")

    def _of(self, name: str, tensor: str) -> Seen | None:
        return self.seen.layers[name].get(tensor) if self.seen else None

    def _width(self, name: str, tensor: str) -> int:
        given = self.settings.of(name, tensor)
        return given.width if isinstance(given, QFormat) else given


def check_clip(name: str, layer: Lstm, peak: float) -> None:
    """Raise :class:`UserError` where |c|, which reaches ``peak`` on some data, meets a clip."""
    if layer.c_clip and peak >= layer.c_clip:
        raise UserError(f"{name}: its cell state reaches {layer.c_clip:g} on the calibration data, "
                        "to which the file clips it, and only full-integer cores clip cell states: "
                        "convert the model as full integer")


def _finest(operand: QFormat, result_frac: int) -> int:
    """Fractional bits of weights beyond which those of a product with ``operand`` change nothing in
    a result with ``result_frac``."""
    return operand.width - 1 + result_frac + _GUARD - operand.frac


def _reserved(form: QFormat, bits: int, most: float) -> QFormat:
    """``form`` with ``bits`` more integer bits, or as many as ``most``, the largest value that is
    possible, can need."""
    frac = form.frac - bits
    if np.isfinite(most):
        frac = max(frac, QFormat.covering(form.width, most).frac)
    return at_most(form, frac)


def _finished(activation: str, form: QFormat, acc_frac: int) -> QFormat:
    """``form`` of a result that an accumulator with ``acc_frac`` fractional bits comes to.

    Finer than the accumulator it would only gain zeros. A bounded activation keeps its format all
    the same: a table has bits of its own, and a hard one clips where this format ends.
    """
    return form if activation in _BOUNDED else at_most(form, acc_frac)


def _reach(form: QFormat) -> float:
    """The largest magnitude of a format."""
    return -form.lo * form.step


def _or_zero(constant: np.ndarray | None) -> np.ndarray:
    return np.zeros(1) if constant is None else constant
