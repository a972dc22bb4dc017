"""The size of an open batch in an ONNX graph: for shapes it is right, as a number it is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from gatefold.gen.cut.parts import Host
from gatefold.gen.frontends import load
from gatefold.gen.frontends.onnx import axes
from gatefold.gen.inspect import inspect
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import split
from tests.support.onnx_graphs import graph, loaded, node, recurrent_weights, refusal

CONSTANTS = recurrent_weights() | {
    "0": np.array(0), "1": np.array(1), "4": np.array(4), "[0]": np.array([0]),
    "[1]": np.array([1]),
    "[2]": np.array([2]), "[7]": np.array([7]), "[6,3]": np.array([6, 3]),
    "[1,2]": np.array([1, 2]), "zeros": np.zeros((1, 6, 3), np.float32)}
#: "b": the size of the batch; "[b]": the same as a vector.
SIZE = [node("Shape", "x", output="shape"), node("Gather", "shape", "0", output="b", name="size"),
        node("Unsqueeze", "b", "[0]", output="[b]"), node("Cast", "b", output="b.", to=1)]
TURN = node("Transpose", "e", output="xt", perm=[1, 0, 2])
LSTM = node("LSTM", "xt", "W", "R", "B", output=["Y", "h"], hidden_size=7)
END = node("Squeeze", "h", "[0]")
SAME = node("Identity", "x", output="e")
STATES = [node("Concat", "[1]", "[b]", "[7]", output="hs", axis=0),
          node("ConstantOfShape", "hs", output="h0"), SAME, TURN,
          node("LSTM", "xt", "W", "R", "B", "", "h0", "h0", output=["Y", "h"], hidden_size=7)]


def after(*nodes):
    """Nodes that make ``e`` of ``x``, before an LSTM."""
    return [*SIZE, *nodes, TURN, LSTM, END]


def branches(**kinds):
    """An If on whether the batch is one, of branches that hold one node each."""
    graphs = {name: onnx.helper.make_graph([one], name, [], [onnx.helper.make_tensor_value_info(
        one.output[0], onnx.TensorProto.FLOAT, None)]) for name, one in kinds.items()}
    return [node("Equal", "b", "1", output="one"), node("If", "one", output="e", **graphs)]


@pytest.mark.parametrize("nodes", [
    [*SIZE, *STATES, END],
    after(node("Concat", "[b]", "[6,3]", output="to", axis=0), node("Reshape", "x", "to",
                                                                    output="e")),
    after(node("Slice", "x", "[0]", "[b]", "[0]", output="e")),
    after(node("Concat", "[b]", "[6,3]", output="to", axis=0),
          node("Expand", "zeros", "to", output="z"), node("Add", "x", "z", output="e")),
    after(*branches(then_branch=node("Identity", "x", output="t"),
                    else_branch=node("Reshape", "x", "shape", output="f"))),
], ids=["states", "Reshape", "Slice of all", "Expand", "If"])
@pytest.mark.parametrize("cut", [None, "auto"])
def test_the_size_of_the_batch_may_decide_shapes(tmp_path, nodes, cut):
    network = loaded(graph(nodes, constants=CONSTANTS), tmp_path, cut=cut)
    assert network.input_shapes == ((6, 3),) and network.output_shape == (7,)


@pytest.mark.parametrize(("shape", "nodes"), [
    ((3, "time", 3), [SAME, TURN]), (("time", 5, 3), [node("Identity", "x", output="xt")])],
    ids=["first", "second"])
def test_beside_open_timesteps_a_fixed_axis_is_the_batch(tmp_path, shape, nodes):
    model = graph([*nodes, LSTM, END], constants=CONSTANTS, shape=shape)
    assert loaded(model, tmp_path, timesteps=6).input_shape == (6, 3)


def test_inputs_have_one_batch(tmp_path):
    model = graph([SAME, TURN, LSTM, END], constants=CONSTANTS, shape=("b", 6, 3),
                  inputs={"z": ("t", "u", "b")})
    text = refusal(model, tmp_path)
    assert "its inputs, (b, 6, 3) and (t, u, b), have no batch in common" in text


def test_of_many_inputs_few_shapes_are_shown(tmp_path):
    model = graph([SAME, TURN, LSTM, END], constants=CONSTANTS, shape=("b", 6, 3), inputs={
        f"z{n}": (2 * n + 5, 2 * n + 6, 3) for n in range(40)})
    text = refusal(model, tmp_path)
    assert "its inputs, (b, 6, 3) and (5, 6, 3) and (7, 8, 3) and (9, 10, 3) and ..., have" in text


@pytest.mark.parametrize(("most", "found"), [(4096, [((0,), 2), ((1,), 3)]), (1, [((0,), 2)])])
def test_the_choices_of_all_sizes_of_the_batch_have_one_limit(monkeypatch, most, found):
    monkeypatch.setattr(axes, "_MAX_CHOICES", most)
    assert [*axes.batch_choices([(2, 3, 4)], [[0, 1]])] == found


#: Name of the node that is refused, and the nodes.
NUMBERS = {
    "index": ("pick", after(node("Gather", "x", "b", output="g", axis=1, name="pick"),
                            node("Unsqueeze", "g", "[1]", output="e"))),
    "last index": ("pick", after(node("Slice", "x", "[0]", "[2]", "[1]", output="two"),
                                 node("Gather", "two", "b", output="g", axis=1, name="pick"),
                                 node("Unsqueeze", "g", "[1]", output="e"))),
    "a condition on many": ("choose", after(
        node("Greater", "b", "4", output="many"),
        node("If", "many", output="e", name="choose", **{
            name: onnx.helper.make_graph([node(kind, "x", output=f"{name}/e")], name, [], [
                onnx.helper.make_tensor_value_info(
                    f"{name}/e", onnx.TensorProto.FLOAT, None)])
            for name, kind in (("then_branch", "Relu"), ("else_branch", "Identity"))}))),
    "factor": ("times", after(node("Mul", "x", "b.", output="e", name="times"))),
    "behind the LSTM": ("times", [*SIZE, SAME, TURN, LSTM, node("Squeeze", "h", "[0]", output="s"),
                                  node("Div", "s", "b.", name="times")]),
    "Range": ("plus", after(node("Range", "0", "b", "1", output="r"),
                            node("Cast", "r", output="r.", to=1),
                            node("Unsqueeze", "r.", "[1,2]", output="rows"),
                            node("Add", "x", "rows", output="e", name="plus"))),
    "Slice": ("some", after(node("Slice", "x", "[0]", "[b]", "[1]", output="e", name="some"))),
    "Tile": ("again", after(node("Concat", "[1]", "[b]", "[1]", output="n", axis=0),
                            node("Tile", "x", "n", output="e", name="again"))),
    "Where": ("either", after(node("Equal", "b", "1", output="one"),
                              node("Where", "one", "x", "zeros", output="e", name="either"))),
    "If": ("the If", after(*branches(then_branch=node("Identity", "x", output="t"),
                                     else_branch=node("Relu", "x", output="f")))),
    "on the host": ("times", after(node("Mul", "x", "b.", output="m", name="times"),
                                   node("Sin", "m", output="e"))),
}


@pytest.mark.parametrize("cut", [None, "auto"])
@pytest.mark.parametrize("case", NUMBERS)
def test_the_size_of_the_batch_must_not_decide_values(tmp_path, case, cut):
    name, nodes = NUMBERS[case]
    text = refusal(graph(nodes, constants=CONSTANTS, shape=("N", 6, 3)), tmp_path, cut=cut)
    assert f"ONNX node {name!r} " in text and "depends on the size of the batch (N)" in text
    assert "fix it with --set N=1" in text


QUERY = [TURN, LSTM, node("Squeeze", "h", "[0]", output="q")]


@pytest.mark.parametrize(("tensor", "nodes"), [
    ("y", [SAME, *QUERY, node("Softmax", "q", axis=0)]),
    ("y", [SAME, *QUERY, node("ReduceMean", "q", output="m", axes=[0]), node("Sub", "q", "m")]),
    ("y", [SAME, *QUERY, node("Transpose", "q", output="k", perm=[1, 0]),
           node("MatMul", "q", "k")]),
    ("xt", [node("ReduceMean", "x", output="m", axes=[0]), node("Sub", "x", "m", output="e"),
            TURN, LSTM, END])],
    ids=["Softmax", "mean", "attention over the batch", "ahead of the LSTM"])
def test_the_host_must_not_mix_samples(tmp_path, tensor, nodes):
    model = graph(nodes, constants=CONSTANTS, shape=("N", 6, 3))
    text = refusal(model, tmp_path, cut="auto")
    assert f"the tensor {tensor!r} mixes the samples of a batch (N)" in text
    assert "fix it with --set N=1" in text
    assert loaded(model, tmp_path, cut="auto", sizes={"N": 1}).input_shape == (6, 3)


@pytest.mark.parametrize("mixes", [True, False])
@pytest.mark.parametrize("integers", ["rows of a table", "a mask"])
def test_the_host_must_not_mix_samples_of_integers(tmp_path, integers, mixes):
    """Which are not all 0: samples of equal integers would look as if they were kept apart."""
    table = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    made = ([node("Gather", "table", "x", output="e0")] if integers == "rows of a table" else
            [node("Cast", "x", output="x.", to=1), node("Mul", "x.", "row", output="e0")])
    nodes = [*made, node("ReduceMax", "e0", output="m", axes=[0 if mixes else 2]),
             node("Sub", "e0", "m", output="e"), TURN, LSTM, END]
    model = graph(nodes, shape=("N", 6) if integers == "rows of a table" else ("N", 6, 3),
                  constants=CONSTANTS | {"table": table, "row": table[:1]})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    if mixes:
        assert "the tensor 'xt' mixes the samples of a batch (N)" in refusal(model, tmp_path,
                                                                            cut="auto")
    else:
        assert loaded(model, tmp_path, cut="auto").input_shape == (6, 3)


@pytest.mark.parametrize("nodes", [
    [SAME, *QUERY, node("Softmax", "q", axis=-1)],
    [SAME, *QUERY, node("Transpose", "q", output="k", perm=[1, 0]), node("Softmax", "k", axis=0)],
    [SAME, TURN, LSTM, node("Sin", "Y", output="s"), node("Reshape", "s", "[-1,7]")],
    [node("Cos", "x", output="e"), *QUERY, node("Concat", "q", "q", axis=0)]],
    ids=["features", "turned", "timesteps and batch in one axis", "twice"])
def test_samples_that_the_host_keeps_apart_are_let_in(tmp_path, nodes):
    network = loaded(graph(nodes, constants=CONSTANTS | {"[-1,7]": np.array([-1, 7])}), tmp_path,
                     cut="auto")
    assert network.input_shape == (6, 3)


TIME = [node("Shape", "x", output="shape"), node("Gather", "shape", "1", output="t"),
        node("Cast", "t", output="t.", to=1), node("Div", "x", "t.", output="e")]


@pytest.mark.parametrize("ahead", [[node("Sin", "x", output="e")], TIME],
                         ids=["a function", "divided by the number of timesteps"])
@pytest.mark.parametrize("timesteps", [6, None])
def test_beside_a_batch_of_two_open_timesteps_are_no_batch(tmp_path, ahead, timesteps):
    model = graph([*ahead, TURN, LSTM, END], constants=CONSTANTS, shape=(2, "time", 3))
    text = refusal(model, tmp_path, cut="auto", timesteps=timesteps)
    assert "takes a batch of 2 sequences, but a core takes one at a time" in text


def test_inspect_proposes_to_fix_the_batch(tmp_path):
    model = graph(NUMBERS["factor"][1], constants=CONSTANTS, shape=("N", 6, 3))
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    found = inspect(path)
    assert found.options == ("--set", "N=1") and "size of the batch" in found.blockers[0].text
    assert load(path, sizes={"N": 1}).input_shape == (6, 3)


def test_inspect_proposes_a_batch_of_one_where_the_host_would_mix_samples(tmp_path):
    """As of a Squeeze of every axis of one, which a batch of one loses as well."""
    nodes = [node("Sin", "x", output="e"), TURN, LSTM, node("Squeeze", "h", output="q"),
             node("Softmax", "q", axis=0)]
    path = tmp_path / "m.onnx"
    path.write_bytes(graph(nodes, shape=("N", 6, 3), constants=CONSTANTS).SerializeToString())
    found = inspect(path)
    assert found.options == ("--set", "N=1", "--cut", "auto")
    assert "mixes the samples of a batch (N)" in found.blockers[-1].text
    assert load(path, sizes={"N": 1}, cut="auto").input_shape == (6, 3)


THREE = {"[3,6,3]": np.array([3, 6, 3]), "[18,3]": np.array([18, 3]), "[3,-1]": np.array([3, -1]),
         "h03": np.zeros((1, 3, 7), np.float32), "of h": np.array([1, 3, 7])}
SINE = node("Sin", "x", output="e0")
LITERAL = [SINE, node("Reshape", "e0", "[18,3]", output="e1"),
           node("Cos", "e1", output="e2"), node("Reshape", "e2", "[3,6,3]", output="e"), TURN]
FROM_H = [node("Expand", "h03", "of h", output="h0"),
          node("LSTM", "xt", "W", "R", "B", "", "h0", "h0", output=["Y", "h"], hidden_size=7)]
FLAT = [node("Transpose", "h", output="t", perm=[1, 0, 2]), node("Reshape", "t", "[3,-1]")]


@pytest.mark.parametrize("nodes", [
    [node("Sin", "x", output="e"), TURN, LSTM, END], [*LITERAL, *FROM_H, *FLAT],
    [node("Sin", "x", output="e"), TURN, LSTM, node("LogSoftmax", "h", output="s"),
     node("Squeeze", "s", "[0]")]],
    ids=["ahead", "the size in shapes and states", "behind"])
def test_a_batch_that_the_file_fixes_becomes_one(tmp_path, nodes):
    model = graph(nodes, constants=CONSTANTS | THREE, shape=(3, 6, 3))
    network = loaded(model, tmp_path, cut="auto")
    assert network.around is not None and network.around.inputs[0].shape == (6, 3)
    x = np.random.default_rng(2).standard_normal((3, 6, 3)).astype(np.float32)
    wanted, = ReferenceEvaluator(model).run(None, {"x": x})  # type: ignore[misc]
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    (found,) = host.behind(split(forward(network, frames), network.output_shapes), kept)
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-5)


#: Mixtures that leave the first sample as it is alone, and one along the batch as a whole.
LESS_THE_FIRST = [node("Slice", "x", "[0]", "[1]", "[0]", output="f"),
                  node("Sub", "x", "f", output="e"), TURN, LSTM, END]
RUNNING = [node("CumSum", "x", "0", output="e"), TURN, LSTM, END]
BEHIND = [node("Sin", "x", output="e"), TURN, LSTM, node("Squeeze", "h", "[0]", output="q"),
          node("CumSum", "q", "0")]
OF_THE_LARGEST = [node("ReduceMax", "x", output="m", axes=[0]), node("Sub", "x", "m", output="e"),
                  TURN, LSTM, END]
MIXTURES = {"less the first": LESS_THE_FIRST, "running sum": RUNNING, "behind": BEHIND,
            "of the largest": OF_THE_LARGEST}


@pytest.mark.parametrize("batch", [3, "N"])
@pytest.mark.parametrize("nodes", MIXTURES.values(), ids=MIXTURES)
def test_every_sample_is_compared(tmp_path, nodes, batch):
    words = refusal(graph(nodes, constants=CONSTANTS, shape=(batch, 6, 3)), tmp_path, cut="auto")
    assert ("takes a batch of 3 sequences" if batch == 3 else
            "mixes the samples of a batch (N)") in words


@pytest.mark.parametrize("batch", [3, "N"])
@pytest.mark.parametrize("last", [node("Identity", "m"), node("Softmax", "m", axis=0)],
                         ids=["the largest", "one"])
def test_one_result_of_a_batch_is_not_one_of_each_sample(tmp_path, last, batch):
    """Also where it is the same as that of each."""
    nodes = [node("Sin", "x", output="e"), TURN, LSTM, node("Squeeze", "h", "[0]", output="q"),
             node("ReduceMax", "q", output="m", axes=[0]), last]
    words = refusal(graph(nodes, constants=CONSTANTS, shape=(batch, 6, 3)), tmp_path, cut="auto")
    assert ("takes a batch of 3 sequences" if batch == 3 else
            "mixes the samples of a batch (N)") in words


def test_a_mean_over_the_batch_is_no_sample(tmp_path):
    """One sequence of all samples, with the axis of the batch kept."""
    model = graph([node("ReduceMean", "x", output="e", axes=[0]), TURN, LSTM, END],
                  constants=CONSTANTS, shape=("N", 6, 3))
    assert "mixes the samples of a batch (N)" in refusal(model, tmp_path, cut="auto")


def test_floats_differ_where_no_integers_but_0_are_legal(tmp_path):
    nodes = [node("Add", "i", "[0]", output="j"), node("Gather", "row", "j", output="g"),
             node("ReduceMean", "x", output="m", axes=[0]), node("Sub", "x", "m", output="d"),
             node("Add", "d", "g", output="e"), TURN, LSTM, END]
    model = graph(nodes, shape=("N", 6, 3), inputs={"i": ("N", 6)},
                  constants=CONSTANTS | {"row": np.ones((1, 3), np.float32)})
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert "mixes the samples of a batch (N)" in refusal(model, tmp_path, cut="auto")
