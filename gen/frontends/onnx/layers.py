"""ONNX operators that compute on features or on every element: matrices, sums, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx

from gatefold.gen.frontends.curves import composed
from gatefold.gen.frontends.elements.compute import (
    Elements,
    activated,
    added,
    matrix,
    multiplied,
    reduced,
    scaled,
    softmax,
)
from gatefold.gen.frontends.elements.trace import Net
from gatefold.gen.frontends.onnx.ops import FLOATS
from gatefold.gen.frontends.onnx.proto import NodeError
from gatefold.gen.frontends.onnx.quantised import QUANTISED
from gatefold.gen.frontends.onnx.recurrent import RECURRENT
from gatefold.gen.frontends.onnx.site import Refused, Site, Steps, Value
from gatefold.gen.frontends.onnx.windows import WINDOWS

__all__ = ["LAYERS"]


# ---- matrices


def _dense(site: Site, ids: np.ndarray, weights: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """``ids`` (..., features) times ``weights`` (features, outputs) plus ``bias`` (outputs,)."""
    if weights.ndim != 2 or not weights.size:
        raise NodeError(f"the weights must be a matrix (features, outputs), not {weights.shape}")
    features, outputs = weights.shape
    if not ids.ndim or ids.shape[-1] != features:
        raise NodeError(f"the weights take {features} features, but the input has "
                        f"{ids.shape[-1] if ids.ndim else 'none'}: the file's weights contradict "
                        "its graph")
    b = np.zeros(outputs) if bias is None else bias
    return matrix(site.trace, ids, lambda value: site.builder.dense(
        value, w=weights.T, b=b, origin=site.origin), site.origin)


def _matmul(site: Site) -> list[Value]:
    if not isinstance(site.input(0), Net):  # W x: the same as x' W'
        weights, ids = _matrix(site.constant(0, "input 0 (the weights)")), site.net(1)
        return [Net(_dense(site, ids.swapaxes(-1, -2), weights.T, None).swapaxes(-1, -2))]
    return [Net(_dense(site, site.net(0), _matrix(site.constant(1, "input 1 (the weights)")),
                       None))]


def _matrix(weights: np.ndarray) -> np.ndarray:
    """Weights without leading axes of one element."""
    while weights.ndim > 2 and len(weights) == 1:
        weights = weights[0]
    return weights


def _gemm(site: Site) -> list[Value]:
    attributes = site.attributes
    alpha, beta = (np.float32(attributes.take(name, 1.0)) for name in ("alpha", "beta"))
    ids, weights = site.net(0), site.constant(1, "B (the weights)")
    if ids.ndim != 2 or weights.ndim != 2:
        raise NodeError("A and B must be matrices: export the model again")
    if attributes.int("transA", 0):
        ids = ids.T
    if attributes.int("transB", 0):
        weights = weights.T
    if alpha != 1:
        weights = weights * alpha
    after, outputs = site.input(2), weights.shape[1]
    if isinstance(after, np.ndarray) and after.size in (1, outputs) and after.ndim <= 2 and (
            after.shape[-1:] in ((), (1,), (outputs,))):
        bias = np.broadcast_to(site.constant(2, "C (the bias)").reshape(-1) * beta, outputs)
        return [Net(_dense(site, ids, weights, bias))]
    out = _dense(site, ids, weights, None)
    if after is None:
        return [Net(out)]
    if isinstance(after, Net):
        after = Net(np.broadcast_to(after.ids, out.shape))
    return _sum(site, [Net(out), after], [1.0, float(beta)])


# ---- element by element


def _scaled(site: Site, ids: np.ndarray, gain, offset) -> np.ndarray:
    return scaled(site.trace, ids, gain, offset, site.origin)


def _activated(site: Site, ids: np.ndarray, kind: str, **slope: float) -> np.ndarray:
    return activated(site.trace, ids, kind, site.origin, **slope)


def _operands(site: Site) -> list[Net | np.ndarray]:
    """The two inputs, of which one may be constant."""
    return [value if isinstance(value, Net) else site.constant(n, "the constant")
            for n, value in enumerate((site.input(0), site.input(1)))]


def _sum(site: Site, operands: Sequence[Net | np.ndarray], gains: list[float]) -> list[Value]:
    return [Net(added(site.trace, operands, gains, site.origin))]


def _multiply(site: Site) -> list[Value]:
    a, b = _operands(site)
    return [Net(multiplied(site.trace, a, b, site.origin))]


def _divide(site: Site) -> list[Value]:
    if not isinstance(site.input(0), Net) or isinstance(site.input(1), Net):
        raise NodeError("it divides by a computed value: only division by constants is "
                        "built")
    constant = site.constant(1, "the constant").astype(np.float64)
    if not constant.all():
        raise NodeError("it divides by zero: train or export the model again")
    return [Net(_scaled(site, site.net(0), 1 / constant, 0.0))]


def _of_all(site: Site, what: str) -> list[Value]:
    """Sum, Mean or Max of any number of tensors; Max of one and zeros is a relu."""
    if what == "Max" and len(site.inputs) == 2:
        for n in (0, 1):
            bound = site.input(n)
            if isinstance(bound, np.ndarray):
                ids = site.net(1 - n)
                if bound.any() or np.broadcast_shapes(bound.shape, ids.shape) != ids.shape:
                    raise NodeError("the larger of a value and a constant is built for zero alone: "
                                    "use relu")
                return [Net(_activated(site, ids, "relu"))]
    operands = [Net(site.net(n)) for n in range(len(site.inputs))]
    if len(operands) == 1:
        return [operands[0]]
    if what != "Max":
        gain = 1.0 if what == "Sum" else 1 / len(operands)
        return _sum(site, operands, [gain] * len(operands))
    stacked = np.stack(np.broadcast_arrays(*(one.ids for one in operands)), axis=-1)
    return [Net(reduced(site.trace, stacked, (stacked.ndim - 1,), False, site.origin)[..., 0])]


def _normalised(site: Site) -> list[Value]:
    """BatchNormalization: the channels are the second axis."""
    attributes, ids = site.attributes, site.net(0)
    epsilon = float(attributes.take("epsilon", 1e-5))
    attributes.take("momentum")  # of training
    attributes.only("training_mode", 0, "export the model with model.eval()")
    attributes.only("spatial", 1, "export the model again")
    scale, offset, mean, variance = (
        site.constant(n, what).astype(np.float64)
        for n, what in enumerate(("X", "scale", "B", "mean", "var")) if n)
    if ids.ndim < 2 or {v.shape for v in (scale, offset, mean, variance)} != {ids.shape[1:2]}:
        raise NodeError(f"its constants do not fit an input of the shape {ids.shape}: export the "
                        "model again")
    if not (variance + epsilon > 0).all():
        raise NodeError("its variance is negative: train or export the model again")
    gain = scale / np.sqrt(variance + epsilon)
    along = (-1, *(1,) * (ids.ndim - 2))
    return [Net(_scaled(site, ids, gain.reshape(along), (offset - mean * gain).reshape(along)))]


# ---- activations


def _activation(kind: str) -> Callable:
    return lambda site: [Net(_activated(site, site.net(0), kind))]


def _hard_sigmoid(site: Site) -> list[Value]:
    slope = {name: float(site.attributes.take(name, default))
             for name, default in (("alpha", 0.2), ("beta", 0.5))}
    return [Net(_activated(site, site.net(0), "hard_sigmoid", **slope))]


def _composed(kind: str, **defaults: float) -> Callable:
    """An activation of :mod:`~gatefold.gen.frontends.curves`; ``defaults``, of its attributes."""
    def read(site: Site) -> list[Value]:
        options = {name: float(site.attributes.take(name, default))
                   for name, default in defaults.items()}
        return [Net(composed(Elements(site.trace, site.origin), site.net(0), kind, **options))]
    return read


def _prelu(site: Site) -> list[Value]:
    slope, ids = site.constant(1, "the slope"), site.net(0)
    return [Net(composed(Elements(site.trace, site.origin), ids, "leaky_relu", alpha=slope))]


def _swish(site: Site) -> list[Value]:
    beta = float(site.attributes.take("alpha", 1.0))
    return [Net(composed(Elements(site.trace, site.origin), site.net(0), "silu", beta=beta))]


def _gelu(site: Site) -> list[Value]:
    approximate = str(site.attributes.take("approximate", "none"))
    return [Net(composed(Elements(site.trace, site.origin), site.net(0), "gelu",
                         approximate=approximate))]


def _clip(site: Site) -> list[Value]:
    bounds = []
    for index, name, missing in ((1, "min", -math.inf), (2, "max", math.inf)):
        given = site.attributes.take(name)
        if site.input(index) is not None:
            given = site.constant(index, "the bound").reshape(())
        given = missing if given is None else float(given)
        bounds.append(missing if abs(given) > 3e38 else given)
    low, high = bounds
    return [Net(composed(Elements(site.trace, site.origin), site.net(0), "clip", low=low,
                         high=high))]


def _power(site: Site) -> list[Value]:
    """x to the power of 1, 2 or 3."""
    exponent = site.input(1)
    if not isinstance(exponent, np.ndarray) or exponent.size != 1 or (
            exponent.reshape(()) not in (1, 2, 3)):
        raise NodeError("its exponent must be the constant 1, 2 or 3: normalise data before the "
                        "network")
    one = Net(site.net(0))
    found: Net = one
    for _ in range(int(exponent.reshape(())) - 1):
        found = Net(multiplied(site.trace, found, one, site.origin))
    return [found]


def _softmax(site: Site) -> list[Value]:
    ids = site.net(0)
    axis = site.attributes.int("axis", 1 if site.opset < 13 else -1)
    if not -ids.ndim <= axis < ids.ndim:
        raise NodeError(f"axis {axis} does not fit an input of {ids.ndim} axes")
    axis %= ids.ndim
    if site.opset < 13 and math.prod(ids.shape[axis + 1:]) == 1:
        pass  # before opset 13 the softmax was over all axes from this one on
    elif site.opset < 13 and axis != ids.ndim - 1:
        raise NodeError("before opset 13 it is taken over several axes at once: export with opset "
                        "17")
    return [Net(softmax(site.trace, ids, axis, site.origin))]


def _refused(why: str) -> Callable:
    def refuse(site: Site) -> list[Value]:
        raise NodeError(why)
    return refuse


# ---- operators that change nothing at inference


def _cast(site: Site) -> list[Value]:
    kind, value = site.attributes.int("to", 0), site.input(0)
    if kind not in FLOATS and not (isinstance(value, Steps) and kind == onnx.TensorProto.INT32):
        raise NodeError("the network's values may be cast to floats of 16, 32 or 64 bits only: "
                        "export the float32 model")
    site.attributes.only("saturate", 1, "it has a meaning for 8-bit floats only")
    assert isinstance(value, Net)
    return [value]


def _dropout(site: Site) -> list[Value]:
    site.attributes.take("ratio")  # without training it does nothing
    site.attributes.take("seed")
    training = site.input(2)
    if isinstance(training, Net) or (training is not None and training.any()):
        raise NodeError("training_mode must be false: export the model with model.eval()")
    return [Net(site.net(0)), Refused("the mask of a Dropout is used: export with model.eval()")]


#: Operators with a reader of their own when an input comes from the network, and how many inputs
#: that reader looks at.
LAYERS = {
    **RECURRENT, **WINDOWS, **QUANTISED,
    "MatMul": (_matmul, 2), "Gemm": (_gemm, 3), "BatchNormalization": (_normalised, 5),
    "Add": (lambda site: _sum(site, _operands(site), [1.0, 1.0]), 2),
    "Sub": (lambda site: _sum(site, _operands(site), [1.0, -1.0]), 2),
    "Mul": (_multiply, 2), "Div": (_divide, 2),
    "Neg": (lambda site: [Net(_scaled(site, site.net(0), -1.0, 0.0))], 1),
    **{name: (lambda site, name=name: _of_all(site, name), 64) for name in ("Sum", "Mean", "Max")},
    "Relu": (_activation("relu"), 1), "Sigmoid": (_activation("sigmoid"), 1),
    "Tanh": (_activation("tanh"), 1), "HardSigmoid": (_hard_sigmoid, 1), "Clip": (_clip, 3),
    "LeakyRelu": (_composed("leaky_relu", alpha=0.01), 1), "PRelu": (_prelu, 2),
    "Elu": (_composed("elu", alpha=1.0), 1), "Celu": (_composed("celu", alpha=1.0), 1),
    "Selu": (_composed("selu", alpha=1.67326319217681884765625,
                       gamma=1.05070102214813232421875), 1),
    "Softplus": (_composed("softplus"), 1), "Softsign": (_composed("softsign"), 1),
    "Mish": (_composed("mish"), 1), "Gelu": (_gelu, 1), "HardSwish": (_composed("hard_silu"), 1),
    "Swish": (_swish, 1), "Erf": (_activation("erf"), 1), "Abs": (_composed("abs"), 1),
    "Pow": (_power, 2),
    "Softmax": (_softmax, 1),
    "LogSoftmax": (_refused("a LogSoftmax is not built: end the model before it, or with Softmax, "
                            "which is left to the host"), 1),
    "Cast": (_cast, 1), "Dropout": (_dropout, 3),
}
