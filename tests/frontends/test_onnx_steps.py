"""Recurrent layers written out, as Loops or step by step: recognised by proof, or not at all.

Every operator of the files is changed in turn. What comes of it must be refused, or compute what
the changed file does: a near miss is never taken for the layer.
"""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import RuntimeTypeError
from onnx.reference.ops import op_loop

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.onnx.cells import cell
from gatefold.gen.frontends.onnx.formulas import Formulas
from gatefold.gen.network.layers import Rnn
from tests.support.onnx_graphs import BATCH, check, kinds, loaded, refusal
from tests.support.places import FIXTURES

LOOPS = ("loop_gru", "loop_gru_before", "loop_rnn", "loop_lstm")
UNROLLED = "torch_rnn.dynamo"

#: Operators that take the place of one another.
OTHERS = {"Add": ("Sub", "Mul"), "Sub": ("Add", "Mul"), "Mul": ("Add",),
          "Sigmoid": ("Tanh", "Relu"), "Tanh": ("Sigmoid", "Relu", "Neg"), "Clip": ("Identity",)}


def model_of(fixture: str) -> onnx.ModelProto:
    return onnx.load(FIXTURES / f"{fixture}.onnx")


def steps(model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph in which the steps are: the body of a Loop, or the whole."""
    return next((node.attribute[0].g for node in model.graph.node if node.op_type == "Loop"),
                model.graph)


class Loop(op_loop.Loop):
    """The reference's Loop, which joins what it should stack."""

    def _run(self, *args, **kwargs):
        found = super()._run(*args, **kwargs)
        return (*found[:self.N], *(scan.reshape(-1, BATCH, scan.shape[-1])
                                   for scan in found[self.N:]))


def reference(model: onnx.ModelProto, given: dict) -> list:
    """What the onnx package says."""
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model, new_ops=[Loop]).run(None, given)


def right_or_refused(model: onnx.ModelProto, folder) -> list[str]:
    """What the network holds, if the model is read: then it must compute the same."""
    try:
        network = loaded(model, folder)
    except UserError:
        return []
    with contextlib.suppress(RuntimeTypeError):  # integers of two sizes, which no file adds
        check(model, network, reference)
    return kinds(network)


def changes(graph: onnx.GraphProto, index: int):
    """What may be changed at one node, as functions of a graph like this one."""
    node = graph.node[index]
    for kind in OTHERS.get(node.op_type, ()):
        def other(graph, kind=kind):
            graph.node[index].op_type = kind
            del graph.node[index].input[2 if kind in ("Add", "Sub", "Mul") else 1:]
        yield other
    floats = [n for n in graph.node if n.op_type in ("Add", "Sub", "Mul", "Sigmoid", "Tanh",
                                                     "Relu", "Clip", "MatMul", "Slice", "Split")]
    names = [v.name for v in graph.input] + [name for n in floats for name in n.output]
    earlier = [name for n in graph.node[:index] for name in n.output] + [v.name for v in graph.input]
    for place, name in itertools.product(range(min(2, len(node.input))), names):
        if node.op_type in OTHERS and name in earlier and name != node.input[place]:
            def operand(graph, place=place, name=name):
                graph.node[index].input[place] = name
            yield operand
    if node.op_type in OTHERS:
        def clipped(graph):
            end = graph.node[index].output[0]
            graph.node[index].output[0] = "unclipped"
            graph.initializer.extend([numpy_helper.from_array(np.float32(x), n)
                                      for x, n in ((-0.4, "low"), (0.4, "high"))])
            graph.node.insert(index + 1, helper.make_node("Clip", ["unclipped", "low", "high"],
                                                          [end]))
        yield clipped
    if node.op_type == "Split":
        def turned(graph):
            first, second, *rest = graph.node[index].output
            del graph.node[index].output[:]
            graph.node[index].output.extend([second, first, *rest])
        yield turned


@pytest.mark.parametrize(("fixture", "index"), [
    (fixture, index) for fixture in (*LOOPS, UNROLLED)
    for index in range(len(steps(model_of(fixture)).node))])
def test_a_file_with_one_change_is_refused_or_read_as_it_is(fixture, index, tmp_path):
    for change in changes(steps(model_of(fixture)), index):
        model = model_of(fixture)
        change(steps(model))
        right_or_refused(model, tmp_path)
