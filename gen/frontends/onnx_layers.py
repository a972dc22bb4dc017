"""ONNX operators that compute with tensors of the network: LSTM, MatMul, Gemm, Add, activations.

Each adds stages to a :class:`~.onnx_trace.Trace` and gives the numbers of its outputs' elements.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from .onnx_proto import Attributes, NodeError
from .onnx_trace import Net, Trace

__all__ = ["LAYERS", "UNROLLED", "Refused", "Site"]

_ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
#: ONNX keeps an LSTM's gates as i, o, f, c: the block of each of ours, i, f, g, o.
_GATES = [0, 2, 3, 1]
UNROLLED = ("an LSTM written out step by step is not recognised: export nn.LSTM rather than "
            "nn.LSTMCell, and a Keras LSTM with unroll=False, on the TensorFlow backend")


@dataclass(frozen=True)
class Refused:
    """An output that must not be used, with the reason."""

    reason: str


Value = np.ndarray | Net | Refused


@dataclass
class Site:
    """One node at work: its trace, attributes, inputs (None where left out) and its name."""

    trace: Trace
    attributes: Attributes
    inputs: list[np.ndarray | Net | None]
    origin: str
    digests: dict[int, tuple[np.ndarray, bytes]] = field(default_factory=dict)

    def input(self, index: int) -> np.ndarray | Net | None:
        """An input, None where it was left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int, what: str) -> np.ndarray:
        """An input that must be constant floats."""
        value = self.input(index)
        if isinstance(value, Net):
            raise NodeError(f"{what} must be constant, but the network computes it; {UNROLLED}")
        if value is None or value.dtype != np.float32:
            raise NodeError(f"{what} must be float32, not "
                            f"{'missing' if value is None else value.dtype}: export the float32 "
                            "model")
        return value

    def net(self, index: int) -> Net:
        """An input that must come from the network."""
        value = self.input(index)
        if not isinstance(value, Net):
            raise NodeError(f"input {index} is constant, but it must come from the network's input"
                            f"; {UNROLLED}")
        return value

    def digest(self, *arrays: np.ndarray) -> tuple:
        """What tells these constants from others, for comparing stages."""
        for array in arrays:
            if id(array) not in self.digests:
                data = np.ascontiguousarray(array).tobytes()
                self.digests[id(array)] = (array, hashlib.sha256(data).digest())
        return tuple((array.shape, self.digests[id(array)][1]) for array in arrays)


def _lstm(site: Site) -> list[Value]:
    attributes, trace = site.attributes, site.trace
    attributes.only("direction", "forward", "only forward LSTMs are built")
    attributes.only("clip", None, "the cell has no clipping")
    attributes.only("input_forget", 0, "coupled gates are not built")
    attributes.only("activation_alpha", None, "sigmoid and tanh take no parameters")
    attributes.only("activation_beta", None, "sigmoid and tanh take no parameters")
    activations = attributes.take("activations") or ("Sigmoid", "Tanh", "Tanh")
    if tuple(str(a).lower() for a in activations) != ("sigmoid", "tanh", "tanh"):
        raise NodeError(f"activations must be Sigmoid, Tanh, Tanh, not "
                        f"{', '.join(ascii(a)[:30] for a in activations[:6])}: no other is built")
    layout = attributes.int("layout", 0)
    if layout not in (0, 1):
        raise NodeError(f"layout must be 0 or 1, not {layout}")
    if site.input(4) is not None:
        raise NodeError("sequence_lens is given, but every sequence must have the same length: "
                        "export without packed or masked sequences")
    if site.input(7) is not None:
        raise NodeError("P (peephole weights) is given: peepholes are not built")
    units, w_ih, w_hh, b = _lstm_weights(site)
    for index, what in ((5, "initial_h"), (6, "initial_c")):
        state = None if site.input(index) is None else site.constant(index, what)
        if state is not None and state.any():
            raise NodeError(f"{what} must be zero: the state starts at zero for every sequence")
        if state is not None and (state.ndim != 3 or state.shape[-1] != units):
            raise NodeError(f"{what} has the shape {state.shape}, which contradicts the {units} "
                            "units: export without projections (proj_size)")
    x = site.net(0).ids
    if x.ndim != 3:
        raise NodeError(f"X must have 3 axes, not {x.ndim}: export the model again")
    stage = trace.sequence(Net(x.swapaxes(0, 1) if layout else x))
    if stage.shape[-1] != w_ih.shape[1]:
        raise NodeError(f"W takes {w_ih.shape[1]} features, but the input has {stage.shape[-1]}: "
                        "the file's weights contradict its graph")
    lstm = trace.stage("lstm", stage, (stage.shape[0], units),
                       {"w_ih": w_ih, "w_hh": w_hh, "b": b},
                       key=site.digest(w_ih, w_hh, b), origin=site.origin)
    y = trace.whole(lstm)[np.newaxis]  # (1, batch, timesteps, units)
    last = y[:, :, -1]
    cell = Refused("Y_c, the cell state of an LSTM, is used: only its outputs h can be used")
    if layout:
        return [Net(y.transpose(1, 2, 0, 3)), Net(last.transpose(1, 0, 2)), cell]
    return [Net(y.transpose(2, 0, 1, 3)), Net(last), cell]


def _lstm_weights(site: Site) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Units, and the weights with the gates in our order and the two biases merged."""
    w, r = site.constant(1, "W"), site.constant(2, "R")
    units = r.shape[-1] if r.ndim == 3 else 0
    declared = site.attributes.int("hidden_size", units)
    b = np.zeros((1, 8 * units), np.float32) if site.input(3) is None else site.constant(3, "B")
    wanted = ((1, 4 * units, w.shape[-1] if w.ndim else 0), (1, 4 * units, units), (1, 8 * units))
    if units < 1 or declared != units or (w.shape, r.shape, b.shape) != wanted:
        raise NodeError(f"hidden_size {declared} and the shapes of W {w.shape}, R {r.shape} and B "
                        f"{b.shape} contradict each other: export the model again")

    def gates(value: np.ndarray) -> np.ndarray:
        return value.reshape(4, units, *value.shape[1:])[_GATES].reshape(value.shape)

    both = b[0].astype(np.float64)
    merged = (both[:4 * units] + both[4 * units:]).astype(np.float32)
    return units, gates(w[0]), gates(r[0]), gates(merged)


def _dense(site: Site, net: Net, weights: np.ndarray) -> Net:
    """``net`` times ``weights`` (features, outputs)."""
    if weights.ndim != 2 or not weights.size:
        raise NodeError(f"the weights must be a matrix (features, outputs), not {weights.shape}")
    stage, rows = site.trace.rows(net)
    if stage.shape[-1] != weights.shape[0]:
        raise NodeError(f"the weights take {weights.shape[0]} features, but the input has "
                        f"{stage.shape[-1]}: the file's weights contradict its graph")
    outputs = weights.shape[1]
    following = site.trace.stage("dense", stage, (*stage.shape[:-1], outputs), {"w": weights.T},
                                 key=site.digest(weights), origin=site.origin)
    return Net(following.base + rows[..., np.newaxis] * outputs + np.arange(outputs))


def _bias(site: Site, net: Net, values: np.ndarray) -> Net:
    """``net`` plus constants that must depend on nothing but the feature."""
    stage, local = site.trace.source(net)
    if np.broadcast_shapes(local.shape, values.shape) != local.shape:
        raise NodeError(f"the constant of shape {values.shape} does not fit the input's shape "
                        f"{local.shape}: export the model again")
    spread = np.broadcast_to(values, local.shape).astype(np.float32)
    if not np.isfinite(spread).all():
        raise NodeError("its constant holds NaN or infinite weights: train or export it again")
    feature = local % stage.shape[-1]
    bias = np.full(stage.shape[-1], np.nan, np.float32)
    bias[feature] = spread
    if np.isnan(bias).any() or (bias[feature] != spread).any():
        raise NodeError("its constant is no bias: there must be one value for each feature, the "
                        "same at every timestep")
    return site.trace.elementwise(net, "bias", {"b": bias}, key=site.digest(bias),
                                  origin=site.origin)


def _matmul(site: Site) -> list[Value]:
    return [_dense(site, site.net(0), site.constant(1, "input 1 (the weights)"))]


def _gemm(site: Site) -> list[Value]:
    attributes = site.attributes
    alpha, beta = (np.float32(attributes.take(name, 1.0)) for name in ("alpha", "beta"))
    net, weights = site.net(0), site.constant(1, "B (the weights)")
    if net.ids.ndim != 2 or weights.ndim != 2:
        raise NodeError("A and B must be matrices: export the model again")
    if attributes.int("transA", 0):
        net = Net(net.ids.T)
    if attributes.int("transB", 0):
        weights = weights.T
    out = _dense(site, net, weights if alpha == 1 else weights * alpha)
    if site.input(2) is None:
        return [out]
    bias = site.constant(2, "C (the bias)")
    return [_bias(site, out, bias if beta == 1 else bias * beta)]


def _add(site: Site) -> list[Value]:
    a, b = site.input(0), site.input(1)
    if isinstance(a, Net) and isinstance(b, Net):
        raise NodeError("two tensors of the network are added: the network must be sequential, "
                        "without branches or skip connections; " + UNROLLED)
    return [_bias(site, a if isinstance(a, Net) else site.net(1),
                  site.constant(1 if isinstance(a, Net) else 0, "the constant"))]


def _activation(kind: str):
    def apply(site: Site) -> list[Value]:
        return [site.trace.elementwise(site.net(0), "activation", {"kind": kind}, key=(kind,),
                                       origin=site.origin)]
    return apply


def _cast(site: Site) -> list[Value]:
    if site.attributes.int("to", 0) != 1:
        raise NodeError("the network's values may be cast to float32 only: export the float32 "
                        "model")
    site.attributes.only("saturate", 1, "it has a meaning for 8-bit floats only")
    return [site.net(0)]


def _dropout(site: Site) -> list[Value]:
    site.attributes.take("ratio")  # without training it does nothing
    site.attributes.take("seed")
    training = site.input(2)
    if isinstance(training, Net) or (training is not None and training.any()):
        raise NodeError("training_mode must be false: export the model with model.eval()")
    return [site.net(0), Refused("the mask of a Dropout is used: export with model.eval()")]


#: Operators with a reader of their own when an input comes from the network, and how many inputs
#: that reader looks at.
LAYERS = {
    "LSTM": (_lstm, 8), "MatMul": (_matmul, 2), "Gemm": (_gemm, 3), "Add": (_add, 2),
    "Cast": (_cast, 1), "Dropout": (_dropout, 3),
    **{name: (_activation(kind), 1) for name, kind in _ACTIVATIONS.items()},
}
