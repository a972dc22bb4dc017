"""torch's layers on values of the network, from named arrays: for live modules and described files.

This module alone defines torch's conventions: gates i, f, g, o (LSTM) and r, z, n (GRU, the reset
after the product), two biases that are only ever added, except n's; a convolution's weights as
(outputs, features, taps). Values are (timesteps, features).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.limits import check_dim, check_elements
from gatefold.gen.network.graph import Concat, Shape, Window

__all__ = ["Parameters", "Recurrence", "RecurrentOptions", "Start", "clipped", "conv1d",
           "linear", "normalised", "padded_window"]

#: The array of a name and a shape, checked.
Parameters = Callable[[str, Shape], np.ndarray]
#: The initial state of a layer and direction: values, constants (h, and c of an LSTM), or nothing.
Start = tuple[int | np.ndarray, ...]

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """Options of nn.LSTM, nn.GRU and nn.RNN under torch's names; ``kind``: lstm, gru or rnn.
    ``proj_size``, of an LSTM: h has so many elements, 0 for ``hidden_size``."""

    kind: str
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    nonlinearity: str = "tanh"
    proj_size: int = 0

    @property
    def outputs(self) -> int:
        """Elements of h."""
        return self.proj_size or self.hidden_size

    @property
    def directions(self) -> int:
        """2 where ``bidirectional``."""
        return 1 + self.bidirectional

    @property
    def names(self) -> list[str]:
        """Every array that torch keeps for such a layer."""
        what = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias
        what += ["weight_hr"] * (self.proj_size > 0)
        return [f"{name}_l{layer}{end}" for layer in range(self.num_layers)
                for end in ("", "_reverse")[:self.directions] for name in what]


class Recurrence:
    """A stack of recurrent layers, put into the network.

    Parameters: ``x``, a value (timesteps, features); ``parameters`` gives the arrays under torch's
    names (``weight_ih_l0``, ..., ``bias_hh_l1_reverse``); ``starts``, for each layer and direction
    in torch's order its initial state, by default nothing (zero).
    Raises :class:`UserError` for sizes over the limits.
    """

    def __init__(self, builder: Builder, x: int, options: RecurrentOptions, parameters: Parameters,
                 *, origin: str = "", starts: Sequence[Start] = ()):
        self._builder, self._options, self._origin = builder, options, origin
        self._ends: list[int] = []  # every h of each layer and direction, as it ran,
        self._cells: list[int] = []  # and the values of the layers with their c
        where = f"{options.kind} layer {origin!a}"
        check_dim(where, "hidden_size", options.hidden_size)
        check_dim(where, "num_layers", options.num_layers)
        if len(builder.shapes[x]) != 2:
            raise UserError(f"{where} takes (timesteps, features), but its input has the shape "
                            f"{builder.shapes[x]}")
        for layer in range(options.num_layers):
            x = x if layer == 0 else self._joined()
            for reverse in range(options.directions):
                start = starts[len(self._ends)] if starts else ()
                source = builder.reverse(x, origin=origin) if reverse else x
                self._ends.append(self._run(source, layer, reverse, parameters, start))

    def _run(self, x: int, layer: int, reverse: int, parameters: Parameters, start: Start) -> int:
        options, builder = self._options, self._builder
        units, gates = options.hidden_size, _GATES[options.kind]
        rows, features = gates * units, builder.shapes[x][-1]
        check_elements(f"{options.kind} layer {self._origin!a}", (rows, features + units))

        def array(name: str, *shape: int) -> np.ndarray:
            name = f"{name}_l{layer}{'_reverse' if reverse else ''}"
            return np.asarray(parameters(name, shape), np.float32)

        w_ih, w_hh = array("weight_ih", rows, features), array("weight_hh", rows, options.outputs)
        values = [state for state in start if isinstance(state, int)]
        constants = [state for state in start if not isinstance(state, int)]
        if values and constants:
            raise UserError(f"{options.kind} layer {self._origin!a}: h_0 and c_0 must both be "
                            "constants, or both be computed")
        w_hr = None
        if options.proj_size:
            w_hr = array("weight_hr", options.proj_size, units)
            if start:
                w_hh, values, constants = self._unprojected(w_hr, w_hh, values, constants)
        b_ih = b_hh = np.zeros(rows, np.float32)
        if options.bias:
            b_ih, b_hh = array("bias_ih", rows), array("bias_hh", rows)
        fields = dict(zip(("h0", "c0"), constants, strict=False))
        fields |= {"w_ih": w_ih, "w_hh": w_hh, "origin": self._origin, "return_sequences": True}
        if options.kind == "gru":
            inside = 2 * units  # one of n's two biases is inside the product with r
            bias = np.concatenate([(b_ih + b_hh)[:inside], b_ih[inside:]])
            return builder.gru(x, *values, **fields, b=bias, b_n=b_hh[inside:], reset_after=True)
        if options.kind == "rnn":
            return builder.rnn(x, *values, **fields, b=b_ih + b_hh,
                               activation=options.nonlinearity)
        if w_hr is not None and not start:
            lstm, result = builder.projected_lstm(x, w_ih=w_ih, w_hh=w_hh, w_hr=w_hr,
                                                  b=b_ih + b_hh, origin=self._origin)
        else:
            lstm = result = builder.lstm(x, *values, **fields, b=b_ih + b_hh)
            if w_hr is not None:
                result = builder.dense(lstm, w=w_hr, b=np.zeros(len(w_hr), np.float32),
                                       origin=self._origin)
        self._cells.append(lstm)
        return result

    def _unprojected(self, w_hr: np.ndarray, w_hh: np.ndarray, values: list[int],
                     constants: list[np.ndarray]) -> tuple:
        """w_hh, values and constants of the LSTM without the projection h = w_hr m: it multiplies
        its own m by w_hh w_hr, and begins with the least m that w_hr makes the initial h of."""
        w_hr = w_hr.astype(np.float64)
        if values or constants:
            if np.linalg.matrix_rank(w_hr) < len(w_hr):
                raise UserError(f"lstm layer {self._origin!a}: its projection has no full rank, so "
                                "an initial h cannot be traced back: leave the initial state out")
            back = np.linalg.pinv(w_hr)
            if values:
                values = [self._builder.dense(values[0], w=back, b=np.zeros(len(back)),
                                              origin=self._origin), *values[1:]]
            else:
                constants = [back @ constants[0], *constants[1:]]
        return w_hh.astype(np.float64) @ w_hr, values, constants

    def _joined(self) -> int:
        """Every h of the last layer so far, its directions side by side in the order of time."""
        if not self._options.bidirectional:
            return self._ends[-1]
        forward, backward = self._ends[-2:]
        backward = self._builder.reverse(backward, origin=self._origin)
        return self._builder.view((forward, backward), Concat, axis=1, origin=self._origin)

    def sequence(self) -> int:
        """torch's ``output``: (timesteps, directions * the elements of h)."""
        return self._joined()

    def hidden(self) -> list[int]:
        """The rows of torch's h_n: the last h of each layer and direction."""
        return [self._builder.last_step(end, origin=self._origin) for end in self._ends]

    def cell(self) -> list[int]:
        """The rows of torch's c_n, of an LSTM."""
        return [self._builder.cell_state(end, origin=self._origin) for end in self._cells]


def linear(builder: Builder, x: int, outputs: int, parameters: Parameters, *, bias: bool,
           origin: str = "") -> int:
    """nn.Linear."""
    features = builder.shapes[x][-1]
    check_elements(f"linear layer {origin!a}", (outputs, features))
    w = parameters("weight", (outputs, features))
    b = parameters("bias", (outputs,)) if bias else np.zeros(outputs, np.float32)
    return builder.dense(x, w=w, b=b, origin=origin)


def conv1d(builder: Builder, x: int, outputs: int, window: Window, parameters: Parameters, *,
           bias: bool, groups: int = 1, origin: str = "") -> int:
    """nn.Conv1d on (timesteps, features)."""
    features = builder.shapes[x][-1] // groups
    check_elements(f"conv1d layer {origin!a}", (outputs, features, window.size))
    w = parameters("weight", (outputs, features, window.size))
    b = parameters("bias", (outputs,)) if bias else np.zeros(outputs, np.float32)
    return builder.conv1d(x, w=np.asarray(w).transpose(0, 2, 1), b=b, window=window,
                          groups=groups, origin=origin)


def normalised(parameters: Parameters, features: int, *, eps: float,
               affine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of each feature that nn.BatchNorm1d is at inference."""
    shape = (features,)
    mean, variance = (np.asarray(parameters(name, shape), np.float64)
                      for name in ("running_mean", "running_var"))
    weight = parameters("weight", shape) if affine else np.ones(shape)
    bias = parameters("bias", shape) if affine else np.zeros(shape)
    with np.errstate(all="ignore"):  # the layer refuses weights that are not finite
        gain = weight / np.sqrt(variance + eps)
    return gain, bias - mean * gain


def clipped(builder: Builder, x: int, low: float, high: float, *, slope: float = 1.0,
            offset: float = 0.0, origin: str = "") -> int:
    """clip(slope x + offset, low, high)."""
    if (low, high, slope, offset) == (-1.0, 1.0, 1.0, 0.0):
        return builder.activation(x, "hard_tanh", origin=origin)
    if not np.isfinite([low, high, slope, offset]).all() or not low < high:
        raise UserError(f"layer {origin!a}: clipping needs a lower and a higher bound, not {low} "
                        f"and {high}")
    features, span = builder.shapes[x][-1], high - low
    hard = builder.activation(x, "hard_sigmoid", alpha=slope / span, beta=(offset - low) / span,
                              origin=origin)
    if (low, high) == (0.0, 1.0):
        return hard
    return builder.scale(hard, np.full(features, span), np.full(features, low), origin=origin)


def padded_window(where: str, steps: int, *, kernel: int, stride: int | None = None,
                  padding: int | str = 0, dilation: int = 1, ceil: bool = False) -> Window:
    """The window of a convolution or pooling over ``steps`` timesteps, its numbers checked.

    ``padding`` is a number, ``same`` or ``valid``; ``stride`` None is the kernel's size.
    """
    stride = kernel if stride is None else stride
    for what, n in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        check_dim(where, what, n)
    reach = dilation * (kernel - 1)
    left = right = 0
    if padding == "same":
        if stride != 1:
            raise UserError(f"{where}: padding 'same' needs stride 1, not {stride}")
        left = reach // 2
        right = reach - left
    elif isinstance(padding, int) and not isinstance(padding, bool) and padding >= 0:
        left = right = padding and check_dim(where, "padding", padding)
    elif padding != "valid":
        raise UserError(f"{where}: padding must be a number, 'same' or 'valid', not {padding!a}")
    rest = (steps + left + right - reach - 1) % stride
    if ceil and rest:
        raise UserError(f"{where}: ceil_mode leaves a partial window over {rest} timesteps: use "
                        "ceil_mode=False, or a length that the windows fill")
    return Window(kernel, stride, dilation, left, right)
