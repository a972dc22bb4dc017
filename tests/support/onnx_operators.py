"""Graphs of every ONNX operator that is read, as data: against ONNX' own reference evaluator in the
ordinary tests, against ONNX Runtime where that is installed.

``CASES``: name to (nodes from ``x`` (batch, 6, 3) to ``y``, or keywords of :func:`graph`).
"""

from __future__ import annotations

import numpy as np

from tests.support.onnx_graphs import graph, node, recurrent_weights

__all__ = ["BEYOND", "CASES", "case"]


def draw(*shape: int, low: float | None = None) -> np.ndarray:
    """Seeded float32 numbers; not below ``low``."""
    values = np.random.default_rng(sum(shape)).normal(0, 0.7, size=shape)
    return (values if low is None else np.abs(values) + low).astype(np.float32)


CONSTANTS = {
    "w": draw(3, 4), "w4": draw(4, 2), "wt": draw(4, 3), "b3": draw(3), "b4": draw(4),
    "b6": draw(6, 1), "all": draw(6, 3), "two": np.float32(2), "divisor": draw(3, low=0.3),
    "row6": draw(2, 6), "axis0": np.array([0]), "axis1": np.array([1]), "axis2": np.array([2]),
    "axes12": np.array([1, 2]), "last": np.array([-1]), "flat": np.array([0, -1]),
    "far": np.array([-100]), "i5": np.array(5), "i0": np.array(0), "some": np.array([4, 1, 1]),
    "shape33": np.array([0, 2, 3, 3]), "shape9": np.array([0, 2, 9]), "to6": np.array([-1, 6, 3]),
    "start1": np.array([1]), "stop5": np.array([5]), "step2": np.array([2]),
    "parts": np.array([1, 5]), "reps": np.array([1, 2, 1]), "wide": np.array([1, 6, 3]),
    "pads": np.array([0, 2, 0, 0, 1, 0]), "pads2": np.array([0, 0, 1, 0, 0, 0]),
    "cut": np.array([0, -2, 0, 0, 0, 0]), "zero3": np.zeros((1, 1, 3), np.float32),
    "lengths": np.full(5, 6), "k3": draw(4, 3, 3), "k3b": draw(4), "k2": draw(4, 3, 1, 2),
    "gain": draw(3, low=0.5), "shift": draw(3), "mean": draw(3), "var": draw(3, low=0.2),
    "min": np.float32(-1), "max": np.float32(1), "zero": np.float32(0), "six": np.float32(6),
    "k1": draw(3, 1, 3), "k1b": draw(6, 1, 3), "k3bias": draw(6),
    "yes": np.arange(6).reshape(6, 1) % 2 == 0,
}
TURN = node("Transpose", "x", output="t", perm=[0, 2, 1])  # (batch, channels, timesteps)


def pooled(kind: str, **attributes) -> list:
    """A pooling of the turned input."""
    return [TURN, node(kind, "t", **attributes)]


def recurrent(kind: str, *more: str, gates: int, directions: int = 1, outputs=("y",), extra=None,
              **attributes) -> dict:
    """A recurrent node on the time-first input; what it gives are the outputs."""
    weights = recurrent_weights(gates, 7, 3, directions)
    direction = {1: "forward", 2: "bidirectional"}[directions]
    attributes = {"hidden_size": 7, "direction": direction, **attributes}
    first = [] if attributes.get("layout") else [node("Transpose", "x", output="xt",
                                                      perm=[1, 0, 2])]
    return {"nodes": [*first, node(kind, "xt" if first else "x", "W", "R", "B", *more,
                                   output=outputs, **attributes)],
            "constants": {**weights, **(extra or {})},
            "outputs": tuple(name for name in outputs if name)}


def state(directions: int, seed: int) -> np.ndarray:
    """A constant initial state, the same for each of 5 samples."""
    values = np.random.default_rng(seed).normal(size=(directions, 1, 7)).astype(np.float32)
    return np.repeat(values, 5, axis=1)


H0C0 = {"h0": state(1, 1), "c0": state(1, 2)}
BOTH = {"h0": state(2, 3), "c0": state(2, 4)}
OPEN = {"h0": (1, "batch", 7), "c0": (1, "batch", 7)}

RECURRENT = {
    "lstm": recurrent("LSTM", gates=4),
    "lstm, all outputs": recurrent("LSTM", gates=4, outputs=("y", "h", "c")),
    "lstm, last h": recurrent("LSTM", gates=4, outputs=("", "y")),
    "lstm, last c": recurrent("LSTM", gates=4, outputs=("", "", "y")),
    "lstm, both ways": recurrent("LSTM", gates=4, directions=2, outputs=("y", "h", "c")),
    "lstm, backwards": recurrent("LSTM", gates=4, direction="reverse", outputs=("y", "h", "c")),
    "lstm, constant states": recurrent("LSTM", "", "h0", "c0", gates=4, extra=H0C0),
    "lstm, constant states both ways": recurrent("LSTM", "", "h0", "c0", gates=4, directions=2,
                                                 extra=BOTH, outputs=("y", "h", "c")),
    "lstm, states given": {**recurrent("LSTM", "", "h0", "c0", gates=4, outputs=("y", "h", "c")),
                           "inputs": OPEN},
    "lstm, h given": {**recurrent("LSTM", "", "h0", "c0", gates=4,
                                  extra={"c0": H0C0["c0"]}), "inputs": {"h0": OPEN["h0"]}},
    "gru": recurrent("GRU", gates=3),
    "gru, reset after": recurrent("GRU", gates=3, linear_before_reset=1, outputs=("y", "h")),
    "gru, both ways": recurrent("GRU", gates=3, directions=2, outputs=("y", "h")),
    "gru, backwards, reset after": recurrent("GRU", gates=3, direction="reverse",
                                             linear_before_reset=1, outputs=("y", "h")),
    "gru, constant state": recurrent("GRU", "", "h0", gates=3, extra={"h0": state(1, 5)}),
    "gru, state given": {**recurrent("GRU", "", "h0", gates=3), "inputs": {"h0": OPEN["h0"]}},
    "rnn": recurrent("RNN", gates=1),
    "rnn, both ways, last": recurrent("RNN", gates=1, directions=2, outputs=("", "y")),
}
#: Operators that the reference evaluator does not know, or computes wrongly.
BEYOND = {
    "rnn, relu": recurrent("RNN", gates=1, activations=["Relu"]),
    "largest of all": pooled("GlobalMaxPool"),
    "padded by less than nothing": [node("Pad", "x", "cut", output="p"), node("MatMul", "p", "w")],
    "lstm, hard sigmoid": recurrent("LSTM", gates=4, activations=["HardSigmoid", "Tanh", "Tanh"]),
    "lstm, hard sigmoid of a slope": recurrent(
        "LSTM", gates=4, activations=["HardSigmoid", "Relu", "Relu"], activation_alpha=[0.3],
        activation_beta=[0.4]),
    "lstm, a slope each way": recurrent(
        "LSTM", gates=4, directions=2, activations=["HardSigmoid", "Tanh", "Tanh"] * 2,
        activation_alpha=[0.3, 0.15], activation_beta=[0.4, 0.5]),
    "gru, hard sigmoid, reset after": recurrent(
        "GRU", gates=3, activations=["HardSigmoid", "Relu"], linear_before_reset=1),
    "gru, hard sigmoid": recurrent("GRU", gates=3, activations=["hardsigmoid", "tanh"]),
    "rnn, hard sigmoid": recurrent("RNN", gates=1, activations=["HardSigmoid"]),
    "rnn, sigmoid": recurrent("RNN", gates=1, activations=["Sigmoid"]),
    "gru, same lengths": recurrent("GRU", "lengths", gates=3,
                                   extra={"lengths": np.full(5, 6, np.int32)}),
}

CASES = {
    # operators that only move values
    "identity": [node("Identity", "x", output="i"), node("Relu", "i")],
    "transposed": [node("Transpose", "x", output="t", perm=[0, 2, 1]), node("Tanh", "t")],
    "flattened": [node("Flatten", "x", output="f"), node("Relu", "f")],
    "reshaped": [node("Reshape", "x", "shape33", output="r"), node("Relu", "r")],
    "split and turned": [node("Reshape", "x", "shape33", output="r"),
                         node("Transpose", "r", output="t", perm=[0, 3, 1, 2]),
                         node("Relu", "t")],
    "merged with the batch": [node("Reshape", "x", "last3", output="r"),
                              node("MatMul", "r", "w", output="m"),
                              node("Reshape", "m", "back", output="y")],
    "last step": [node("Gather", "x", "i5", output="s", axis=1), node("MatMul", "s", "w")],
    "first step": [node("Gather", "x", "i0", output="s", axis=1), node("MatMul", "s", "w")],
    "picked features": [node("Gather", "x", "axes12", output="s", axis=2), node("Relu", "s")],
    "picked steps": [node("Gather", "x", "some", output="s", axis=1), node("MatMul", "s", "w")],
    "sliced": [node("Slice", "x", "start1", "stop5", "axis1", output="s"),
               node("MatMul", "s", "w")],
    "every second step": [node("Slice", "x", "start1", "stop6", "axis1", "step2", output="s"),
                          node("MatMul", "s", "w")],
    "backwards": [node("Slice", "x", "last", "far", "axis1", "last", output="s"),
                  node("MatMul", "s", "w")],
    "features backwards": [node("Slice", "x", "last", "far", "axis2", "last", output="s"),
                           node("MatMul", "s", "w")],
    "split and joined": [node("Split", "x", "parts", output=("a", "b"), axis=1),
                         node("Concat", "b", "a", output="c", axis=1), node("MatMul", "c", "w")],
    "joined with what was computed": [node("Tanh", "x", output="t"),
                                      node("Concat", "x", "t", "x", output="y", axis=2)],
    "tiled": [node("Tile", "x", "reps", output="s"), node("MatMul", "s", "w")],
    "expanded": [node("Gather", "x", "last", output="s", axis=1),
                 node("Expand", "s", "wide", output="e"), node("MatMul", "e", "w")],
    "padded": [node("Pad", "x", "pads", output="p"), node("MatMul", "p", "w")],
    "a padded feature": [node("Pad", "x", "pads2", output="p"), node("MatMul", "p", "w4")],
    "edges repeated": [node("Pad", "x", "pads", "", output="p", mode="edge"),
                       node("MatMul", "p", "w")],
    "joined with zeros": [node("Slice", "x", "start1", "stop5", "axis1", output="s"),
                          node("Mul", "s", "zero", output="z"),
                          node("Concat", "s", "z", "s", output="c", axis=1),
                          node("MatMul", "c", "w")],
    "reversed sequence": [node("Transpose", "x", output="t", perm=[1, 0, 2]),
                          node("ReverseSequence", "t", "lengths", output="r", time_axis=0,
                               batch_axis=1), node("MatMul", "r", "w")],
    "steps chosen": [node("Tanh", "x", output="t"), node("Where", "yes", "x", "t", output="c"),
                     node("MatMul", "c", "w")],
    "squeezed": [node("Unsqueeze", "x", "axis1", output="u"), node("Relu", "u", output="r"),
                 node("Squeeze", "r", "axis1")],
    # matrices
    "matmul and bias": [node("MatMul", "x", "w", output="m"), node("Add", "m", "b4")],
    "matmul from the left": [node("MatMul", "row6", "x")],
    "gemm of the last step": [node("Gather", "x", "i5", output="s", axis=1),
                              node("Gemm", "s", "wt", "b4", transB=1, alpha=2.0, beta=0.5)],
    "gemm with a computed addend": [node("Gather", "x", "i5", output="s", axis=1),
                                    node("Gather", "x", "i0", output="c", axis=1),
                                    node("MatMul", "c", "w", output="d"),
                                    node("Gemm", "s", "w", "d", beta=0.5)],
    # element by element
    "two values added": [node("MatMul", "x", "w", output="m"), node("Tanh", "m", output="t"),
                         node("Add", "m", "t")],
    "two values subtracted": [node("Tanh", "x", output="t"), node("Sub", "x", "t")],
    "two values multiplied": [node("Sigmoid", "x", output="t"), node("Mul", "x", "t")],
    "a vector added to every step": [node("Gather", "x", "last", output="s", axis=1),
                                     node("Add", "s", "x")],
    "different arrangements added": [TURN, node("Tanh", "t", output="u"),
                                     node("Transpose", "u", output="v", perm=[0, 2, 1]),
                                     node("Sub", "x", "v")],
    "three added": [node("Tanh", "x", output="t"), node("Sum", "x", "t", "x")],
    "the mean of two": [node("Tanh", "x", output="t"), node("Mean", "x", "t")],
    "the larger of it and zero": [node("Max", "x", "zero")],
    "the larger of zero and it": [node("Max", "zero", "x")],
    "the larger of two": [node("Tanh", "x", output="t"), node("Max", "x", "t")],
    "standardised": [node("Sub", "x", "mean", output="s"), node("Div", "s", "divisor")],
    "constant minus value": [node("Sub", "two", "x")],
    "a constant for every step": [node("Add", "x", "b6")],
    "a constant for every element": [node("Mul", "x", "all")],
    "negative": [node("Neg", "x")],
    "batch normalisation": [TURN, node("BatchNormalization", "t", "gain", "shift", "mean", "var",
                                       epsilon=1e-3)],
    # activations
    "relu": [node("Relu", "x")], "sigmoid": [node("Sigmoid", "x")], "tanh": [node("Tanh", "x")],
    "hard sigmoid": [node("HardSigmoid", "x")],
    "hard sigmoid of a slope": [node("HardSigmoid", "x", alpha=0.3, beta=0.1)],
    "hard tanh": [node("Clip", "x", "min", "max")],
    "clipped from below": [node("Clip", "x", "min")],
    "clipped from above": [node("Clip", "x", "", "max")],
    "leaky": [node("MatMul", "x", "w", output="m"), node("LeakyRelu", "m", alpha=0.2)],
    "a slope each": [node("PRelu", "x", "b3")], "elu": [node("Elu", "x", alpha=0.7)],
    "celu": [node("Celu", "x", alpha=1.3)], "selu": [node("Selu", "x")],
    "softplus": [node("Softplus", "x")], "softsign": [node("Softsign", "x")],
    "hard swish": [node("HardSwish", "x")], "erf": [node("Erf", "x")], "abs": [node("Abs", "x")],
    "swish": [node("Sigmoid", "x", output="s"), node("Mul", "x", "s")],
    "square": [node("Pow", "x", "two")],
    "depthwise": [TURN, node("Conv", "t", "k1", group=3)],
    "groups": [TURN, node("Conv", "t", "k1b", "k3bias", group=3)],
    "relu6": [node("Clip", "x", "zero", "six")], "clipped from zero": [node("Clip", "x", "zero")],
    "softmax at the output": [node("MatMul", "x", "w", output="m"), node("Softmax", "m")],
    "softmax over steps, squeezed": [node("Gather", "x", "last", output="s", axis=1),
                                     node("MatMul", "s", "w", output="m"),
                                     node("Softmax", "m", output="f", axis=2),
                                     node("Squeeze", "f", "axis1")],
    # windows
    "convolution": [TURN, node("Conv", "t", "k3", "k3b")],
    "convolution, padded": [TURN, node("Conv", "t", "k3", "k3b", pads=[2, 1], strides=[2])],
    "convolution, dilated": [TURN, node("Conv", "t", "k3", dilations=[2])],
    "convolution, same": [TURN, node("Conv", "t", "k3", auto_pad="SAME_UPPER", strides=[2])],
    "convolution of two axes": [node("Transpose", "x", output="t", perm=[0, 2, 1]),
                                node("Unsqueeze", "t", "axis2", output="u"),
                                node("Conv", "u", "k2", kernel_shape=[1, 2])],
    "largest": pooled("MaxPool", kernel_shape=[2], strides=[2]),
    "largest, padded": pooled("MaxPool", kernel_shape=[3], pads=[1, 1], strides=[2]),
    "largest, rounded up": pooled("MaxPool", kernel_shape=[4], strides=[4], ceil_mode=1),
    "average": pooled("AveragePool", kernel_shape=[2], strides=[2]),
    "average, padding counted": pooled("AveragePool", kernel_shape=[3], pads=[1, 1],
                                       count_include_pad=1),
    "average, windows that hold fewer timesteps": pooled("AveragePool", kernel_shape=[3],
                                                         pads=[1, 1]),
    "average, strides over fewer timesteps": pooled("AveragePool", kernel_shape=[4], strides=[2],
                                                    pads=[1, 2]),
    "average of all": pooled("GlobalAveragePool"),
    "mean over time": [node("ReduceMean", "x", axes=[1], keepdims=0)],
    "mean over features": [node("ReduceMean", "x", axes=[-1])],
    "largest over time": [node("ReduceMax", "x", axes=[1], keepdims=1)],
    "mean of everything": [node("ReduceMean", "x", axes=[1, 2], keepdims=0)],
    # operators that change nothing
    "dropout": [node("Dropout", "x", output="d"), node("Relu", "d")],
    "double and back": [node("Cast", "x", output="d", to=11), node("Cast", "d", output="f", to=1),
                        node("Relu", "f")],
    "shape arithmetic": [node("Shape", "x", output="s"), node("Slice", "s", "i0v", "axis1",
                                                              output="n"),
                         node("Concat", "n", "eighteen", output="to", axis=0),
                         node("Reshape", "x", "to", output="r"), node("Tanh", "r")],
    **RECURRENT,
}
CONSTANTS |= {"last3": np.array([-1, 3]), "back": np.array([-1, 6, 4]), "stop6": np.array([6]),
              "i0v": np.array([0]), "eighteen": np.array([18])}


def case(name: str):
    """The model of a case."""
    found = {**CASES, **BEYOND}[name]
    if isinstance(found, list):
        found = {"nodes": found}
    read = {tensor for one in found["nodes"] for tensor in one.input}
    for index, one in enumerate(found["nodes"]):
        one.name = f"node {index}"
    constants = {key: value for key, value in CONSTANTS.items()
                 if key in read and key not in found.get("inputs", {})}
    return graph(found["nodes"], constants={**constants, **found.get("constants", {})},
                 **{key: value for key, value in found.items()
                    if key not in ("nodes", "constants")})
