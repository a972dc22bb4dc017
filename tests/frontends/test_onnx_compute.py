"""ONNX operators in NumPy, as the host computes them, against onnx's reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.onnx.evaluate import evaluate
from tests.support.onnx_graphs import graph, node

RNG = np.random.default_rng(8)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X, IMAGE, SOUND = floats(2, 5, 6), floats(2, 3, 9, 8), floats(1, 4, 20)
GAIN, TABLE = floats(6), floats(7, 3)
#: Operator, inputs, attributes.
CASES = [
    *((kind, [X], {}) for kind in (
        "Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Sign", "Floor", "Ceil", "Round", "Reciprocal",
        "Sin", "Cos", "Erf", "Softplus", "Softsign", "HardSwish", "Selu", "Neg", "Identity",
        "Mish", "Gelu", "LogSoftmax", "Softmax", "Shape")),
    *((kind, [np.abs(X) + 0.1], {}) for kind in ("Log", "Sqrt")),
    ("HardSigmoid", [X], {"alpha": 0.3, "beta": 0.4}), ("LeakyRelu", [X], {"alpha": 0.2}),
    ("ThresholdedRelu", [X], {"alpha": 0.5}), ("Elu", [X], {"alpha": 0.7}),
    ("Celu", [X], {"alpha": 0.7}), ("Gelu", [X], {"approximate": "tanh"}),
    ("PRelu", [X, GAIN], {}), ("Pow", [X, np.float32([2])], {}), ("Softmax", [X], {"axis": 1}),
    ("LayerNormalization", [X, GAIN, GAIN], {"axis": -1, "epsilon": 1e-3}),
    ("InstanceNormalization", [IMAGE, floats(3), floats(3)], {"epsilon": 1e-3}),
    ("BatchNormalization", [IMAGE, floats(3), floats(3), floats(3), np.abs(floats(3))], {}),
    ("LpNormalization", [X], {"axis": -1, "p": 2}), ("CumSum", [X, np.array(1)], {}),
    ("ReduceMean", [X], {"axes": [1], "keepdims": 0}), ("ReduceMax", [X], {"axes": [-1]}),
    ("ReduceSum", [X, np.array([1])], {"keepdims": 0}), ("ReduceL2", [X], {"axes": [2]}),
    ("ArgMax", [X], {"axis": 2, "keepdims": 0}), ("Gather", [TABLE, np.array([[3, 0]])], {}),
    ("MatMul", [X, floats(6, 4)], {}), ("Gemm", [X[0], floats(4, 6), floats(4)], {"transB": 1}),
    ("Conv", [IMAGE, floats(4, 3, 3, 2), floats(4)], {"strides": [2, 1], "pads": [1, 0, 0, 2]}),
    ("Conv", [IMAGE, floats(6, 1, 3, 3)], {"group": 3, "auto_pad": "SAME_UPPER"}),
    ("Conv", [SOUND, floats(5, 4, 3)], {"dilations": [2], "strides": [3]}),
    ("MaxPool", [IMAGE], {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [1, 1, 0, 1]}),
    ("AveragePool", [IMAGE], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("AveragePool", [SOUND], {"kernel_shape": [3], "pads": [1, 1], "count_include_pad": 1}),
    ("GlobalAveragePool", [IMAGE], {}),
    ("Transpose", [X], {"perm": [2, 0, 1]}), ("Pad", [X[0], np.array([0, 1, 2, 0])], {}),
]


@pytest.mark.parametrize(("kind", "inputs", "attributes"), CASES,
                         ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_an_operator_is_that_of_the_standard(kind, inputs, attributes):
    names = [f"i{n}" for n in range(len(inputs))]
    opset = {"Mish": 18, "Gelu": 20}.get(kind, 17)
    made = node(kind, *names, **attributes)
    model = graph([made], opset=opset, inputs={name: None for name in names})
    (wanted,) = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    (found,) = evaluate(made, inputs, opset)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("kind", "inputs", "attributes", "words"), [
    ("Conv", [SOUND, floats(5, 4, 30)], {}, "shorter than its window (30,)"),
    ("Conv", [SOUND, floats(5, 3, 3)], {}, "do not fit an input of the shape (1, 4, 20)"),
    ("Conv", [SOUND, floats(5, 4, 3)], {"strides": [0]}, "are no sizes"),
    ("Tile", [X, np.array([1 << 20, 1 << 20, 1])], {}, "may hold at most"),
    ("Expand", [X[0, 0], np.array([1 << 30, 6])], {}, "may hold at most"),
    ("Relu", [], {}, "input 0 is missing"),
    ("Relu", [X], {"alpha": 2.0}, "attribute 'alpha'")])
def test_a_node_that_contradicts_its_inputs_is_refused(kind, inputs, attributes, words):
    names = [f"i{n}" for n in range(len(inputs))]
    with pytest.raises(UserError) as caught:
        evaluate(node(kind, *names, **attributes), inputs, 17)
    assert words in str(caught.value)
