"""Recurrent layers written out, as Loops or step by step: recognised by proof, or not at all.

Every operator of the files is changed in turn. The result must be refused, or compute the same as
the changed file: a near miss is never taken for the layer.
"""

from __future__ import annotations

import contextlib

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
from gatefold.gen.network.forward import forward
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
    """The outputs of the onnx package's evaluator; the batch, second in these files, is an axis."""
    with np.errstate(all="ignore"):
        found = ReferenceEvaluator(model, new_ops=[Loop]).run(None, given)
    return [one if BATCH in one.shape else one.reshape(-1, BATCH, one.shape[-1]) for one in found]


def right_or_refused(model: onnx.ModelProto, folder) -> list[str]:
    """The layers of the network if the model is read; then it must compute the same."""
    try:
        network = loaded(model, folder)
    except UserError:
        return []
    with contextlib.suppress(RuntimeTypeError):  # integers of two sizes, which no file adds
        check(model, network, reference)
    return kinds(network)


def changes(graph: onnx.GraphProto, index: int):
    """Changes of one node, as functions of a graph like this one."""
    node = graph.node[index]
    for kind in OTHERS.get(node.op_type, ()):
        def other(graph, kind=kind):
            graph.node[index].op_type = kind
            del graph.node[index].input[2 if kind in ("Add", "Sub", "Mul") else 1:]
        yield other
    earlier = [value.name for value in graph.input]
    earlier += [name for one in graph.node[:index] for name in one.output]
    wrong = [(place, name) for place in range(min(2, len(node.input))) for name in earlier
             if node.op_type in OTHERS and name != node.input[place]]
    for place, name in np.random.default_rng(index).permutation(wrong)[:4].tolist():
        def operand(graph, place=int(place), name=name):
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


def body_changed(fixture: str, change) -> onnx.ModelProto:
    """A fixture, its steps changed in place."""
    model = model_of(fixture)
    change(steps(model))
    return model


def of_kind(graph: onnx.GraphProto, kind: str) -> onnx.NodeProto:
    """The first node of a kind."""
    return next(node for node in graph.node if node.op_type == kind)


def set_kind(old: str, new: str):
    def change(graph):
        of_kind(graph, old).op_type = new
    return change


def set_scalar(value: float):
    def change(graph):
        of_kind(graph, "Sub").input[0] = "other"
        graph.initializer.append(numpy_helper.from_array(np.float32(value), "other"))
    return change


def backwards_every_second(graph):
    """The counter takes steps of two."""
    constant = next(one for one in graph.initializer if one.name.endswith("add/y:0"))
    constant.CopyFrom(numpy_helper.from_array(np.int32(2), constant.name))


def always_the_first(graph):
    of_kind(graph, "Gather").input[1] = "zero"
    graph.initializer.append(numpy_helper.from_array(np.int32(0), "zero"))


def counted_in(graph):
    """The number of the turn is added to x."""
    node = of_kind(graph, "MatMul")
    graph.node.insert(0, helper.make_node("Cast", [graph.input[0].name], ["turn"], to=1))
    index = next(n for n, one in enumerate(graph.node) if one.output[0] == node.output[0])
    graph.node.insert(index + 1, helper.make_node("Add", ["product", "turn"], [node.output[0]]))
    node.output[0] = "product"


@pytest.mark.parametrize(("fixture", "change"), [
    ("loop_gru", set_kind("Tanh", "Sigmoid")), ("loop_gru", set_kind("Sigmoid", "Tanh")),
    ("loop_gru", set_kind("Sub", "Add")), ("loop_lstm", set_kind("Tanh", "Sigmoid")),
    ("loop_gru_before", set_kind("Mul", "Add")), ("loop_gru", set_scalar(0.999)),
    ("loop_gru_before", set_scalar(2.0)), ("loop_gru", counted_in), ("loop_rnn", counted_in),
    ("loop_rnn", always_the_first), ("loop_rnn", set_kind("Tanh", "Erf")),
], ids=lambda one: getattr(one, "__name__", one))
def test_a_loop_that_computes_something_else_is_refused(tmp_path, fixture, change):
    text = refusal(body_changed(fixture, change), tmp_path)
    assert "it is no Loop of a GRU, SimpleRNN or LSTM" in text and "save the Keras model" in text


def gates_turned(graph):
    first, second, *rest = of_kind(graph, "Split").output
    of_kind(graph, "Split").output[:] = [second, first, *rest]


@pytest.mark.parametrize(("fixture", "change", "first"), [
    ("loop_rnn", set_kind("Tanh", "Sigmoid"), "rnn/last"),
    ("loop_rnn", set_kind("Tanh", "Neg"), "rnn/last"),
    ("loop_gru_before", gates_turned, "gru"), ("loop_gru", set_kind("Tanh", "Relu"), "gru/last"),
    ("loop_lstm", gates_turned, "lstm/last"),
    ("loop_rnn", backwards_every_second, "slice"),
], ids=lambda one: getattr(one, "__name__", one))
def test_a_loop_of_another_layer_is_read_as_that(tmp_path, fixture, change, first):
    model = body_changed(fixture, change)
    assert right_or_refused(model, tmp_path)[0] == first


# --- cells, by the formulas of one step

UNITS = 4


class Step:
    """One step of x and two states, in the words of a paper."""

    def __init__(self, units: int = UNITS, states: int = 1, features: int = 3):
        self.builder = Builder((features,), *[(units,)] * states)
        self.units, self.random = units, np.random.default_rng(units)
        self.x, self.h, self.c = 0, 1, 2

    def weighted(self, value: int, *, w=None) -> int:
        """W value + b."""
        width = self.builder.shapes[value][0]
        w = self.random.normal(size=(self.units, width)) if w is None else w
        return self.builder.dense(value, w=w, b=self.random.normal(size=self.units))

    def sum(self, *values: int, gains=None) -> int:
        return self.builder.add_values(values, gains)

    def affine(self, *values: int) -> int:
        return self.sum(*(self.weighted(value) for value in values or (self.x, self.h)))

    def act(self, value: int, kind: str = "sigmoid") -> int:
        return self.builder.activation(value, kind)

    def gate(self) -> int:
        return self.act(self.affine())

    def times(self, a: int, b: int) -> int:
        return self.builder.multiply(a, b)

    def less(self, value: int) -> int:
        """1 - value."""
        return self.builder.scale(value, -np.ones(self.units), np.ones(self.units))

    def reset(self, before: bool = False, w=None) -> int:
        """The argument of the activation of a GRU's n."""
        r = self.gate()
        inside = (self.weighted(self.times(r, self.h), w=w) if before
                  else self.times(r, self.weighted(self.h, w=w)))
        return self.sum(self.weighted(self.x), inside)

    def gru(self, n: int | None = None) -> int:
        z, n = self.gate(), self.act(self.reset(), "tanh") if n is None else n
        return self.sum(self.times(z, self.h), self.times(self.less(z), n))

    def lstm(self, *, c=None, act="tanh", g=None) -> tuple[int, int]:
        f, i, o = (self.gate() for _ in range(3))
        g = self.act(self.affine(), "tanh") if g is None else g
        c = self.sum(self.times(f, self.c), self.times(i, g)) if c is None else c
        return self.times(o, self.act(c, act)), c

    def cell(self, *after: int):
        formulas = Formulas(self.builder)
        return cell(formulas, [formulas.values[value] for value in after])

    def check(self, *after: int, kind: str) -> dict:
        """Assert that the step is a cell, and that the layer's first step is the step's."""
        found = self.cell(*after)
        assert found is not None and found.kind == kind
        layer = Builder((1, self.builder.shapes[0][0]), *self.builder.shapes[1:len(after) + 1])
        states = [1 + n for n in found.states]
        value = getattr(layer, kind)(0, *states, return_sequences=False, **found.fields)
        ends = [value] if kind != "lstm" else [value, layer.cell_state(value)]
        given = np.random.default_rng(0).normal(size=(9, sum(
            np.prod(shape) for shape in self.builder.input_shapes)))
        np.testing.assert_allclose(
            forward(layer.network({}, ends), given),
            forward(self.builder.network({}, [after[n] for n in found.states]), given), atol=1e-6)
        return found.fields


@pytest.mark.parametrize("units", [1, UNITS])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("features", [1, 3])
def test_a_gru_however_it_is_written(units, before, features):
    def step():
        made = Step(units, features=features)
        return made, made.gate(), made.act(made.reset(before), "tanh")
    one, z, n = step()
    fields = one.check(one.sum(one.times(z, one.h), one.times(one.less(z), n)), kind="gru")
    assert units == 1 or fields["reset_after"] == (not before)
    two, z, n = step()
    two.check(two.sum(n, two.times(z, two.sum(two.h, n, gains=(1.0, -1.0)))), kind="gru")
    three, z, n = step()
    three.check(three.sum(three.times(n, three.less(z)), three.times(three.h, z)), kind="gru")


def test_a_gru_whose_matrix_is_a_diagonal():
    for before in (False, True):
        step = Step()
        n = step.act(step.reset(before, w=np.diag([0.5, -1.0, 2.0, 0.25])), "tanh")
        step.check(step.gru(n), kind="gru")


@pytest.mark.parametrize("act", ["tanh", "relu", "linear", "hard_tanh"])
def test_an_lstm_with_each_activation(act):
    step = Step(states=2)
    h, c = step.lstm(act=act, g=step.act(step.affine(), act))
    assert step.check(h, c, kind="lstm")["activation"] == act
    assert step.check(h, c, kind="lstm").keys() >= {"w_ih", "w_hh", "b"}


def test_a_step_without_h_or_bias():
    step = Step()
    step.check(step.act(step.weighted(step.x), "tanh"), kind="rnn")


NEAR = {
    "gates exchanged": lambda s: [s.sum(s.times(s.less(z := s.gate()), s.h),
                                        s.times(z, s.act(s.reset(), "tanh")))],
    "z is not 1 - z": lambda s: [s.sum(s.times(s.gate(), s.h), s.times(
        s.less(s.gate()), s.act(s.reset(), "tanh")))],
    "a bias that r does not know": lambda s: [s.gru(s.act(s.sum(
        s.reset(), s.weighted(s.gate(), w=np.eye(UNITS))), "tanh"))],
    "r + h": lambda s: [s.gru(s.act(s.sum(s.weighted(s.x), s.weighted(s.sum(s.gate(), s.h))),
                                    "tanh"))],
    "r twice": lambda s: [s.gru(s.act(s.sum(s.weighted(s.x), s.times(r := s.gate(), s.times(
        r, s.weighted(s.h)))), "tanh"))],
    "r of x too": lambda s: [s.gru(s.act(s.times(s.gate(), s.affine()), "tanh"))],
    "h beside the reset": lambda s: [s.gru(s.act(s.sum(s.reset(), s.weighted(s.h)), "tanh"))],
    "both resets": lambda s: [s.gru(s.act(s.sum(
        s.times(r := s.gate(), s.weighted(s.h)), s.weighted(s.times(r, s.h))), "tanh"))],
    "a gate with tanh": lambda s: [s.sum(s.times(z := s.act(s.affine(), "tanh"), s.h), s.times(
        s.less(z), s.act(s.reset(), "tanh")))],
    "gates of two kinds": lambda s: [s.sum(s.times(z := s.act(s.affine(), "hard_sigmoid"), s.h),
                                           s.times(s.less(z), s.act(s.reset(), "tanh")))],
    "h clipped": lambda s: [s.act(s.gru(), "hard_tanh")],
    "h scaled": lambda s: [s.builder.scale(s.gru(), np.full(UNITS, 0.5), np.zeros(UNITS))],
    "two layers": lambda s: [s.act(s.weighted(s.act(s.affine(), "tanh")), "tanh")],
    "a residual": lambda s: [s.sum(s.h, s.act(s.affine(), "tanh"))],
    "a product of states": lambda s: [s.act(s.weighted(s.times(s.h, s.h)), "tanh")],
}
NEAR_LSTM = {
    "peepholes": lambda s: s.lstm(g=s.act(s.affine(s.x, s.h, s.c), "tanh")),
    "coupled gates": lambda s: s.lstm(c=s.sum(s.times(f := s.gate(), s.c), s.times(
        s.less(f), s.act(s.affine(), "tanh")))),
    "no input gate": lambda s: s.lstm(c=s.sum(s.times(s.gate(), s.c), s.act(s.affine(), "tanh"))),
    "the c before": lambda s: (s.times(s.gate(), s.act(s.c, "tanh")), s.lstm()[1]),
    "another c": lambda s: (s.lstm()[0], s.lstm()[1]),
    "two activations": lambda s: s.lstm(act="relu"),
    "no activation": lambda s: s.lstm(act="linear"),
    "c clipped": lambda s: s.lstm(c=s.act(s.sum(s.times(s.gate(), s.c), s.times(
        s.gate(), s.act(s.affine(), "tanh"))), "hard_tanh")),
    "h given on": lambda s: (s.h, s.lstm()[1]),
}


@pytest.mark.parametrize(("near", "states"), [
    *((one, 1) for one in NEAR.values()), *((one, 2) for one in NEAR_LSTM.values())],
    ids=[*NEAR, *NEAR_LSTM])
def test_a_step_that_is_nearly_a_cell_is_none(near, states):
    step = Step(states=states)
    assert step.cell(*near(step)) is None
