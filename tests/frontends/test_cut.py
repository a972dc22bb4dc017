"""Models cut around their recurrent layers: core and host together give what the model gives."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import gatefold as gf
from gatefold.gen.cut.folder import load_host, save_host
from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.measure.host import finish
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import split
from tests.support.damage import damaged
from tests.support.onnx_graphs import graph, node, recurrent_weights

RNG = np.random.default_rng(14)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CONSTANTS = recurrent_weights() | {
    "zero": np.array([0]), "one": np.array([1]), "last": np.array(5), "table": floats(50, 3),
    "D": floats(7, 2), "gain": np.ones(7, np.float32), "offset": floats(7), "K": floats(3, 1, 3, 1),
    "to": np.array([1, 6, 3]), "W2": floats(1, 28, 7),
    "K8": RNG.integers(-128, 128, (3, 1, 3, 1)).astype(np.int8), "sixteen": np.array(16),
    "W3": floats(1, 28, 2), "S": floats(3, 3), "gain3": floats(3)}
TURN = node("Transpose", "e", output="xt", name="turn", perm=[1, 0, 2])
LSTM = node("LSTM", "xt", "W", "R", "B", output=["Y", "h"], hidden_size=7, name="lstm")
HEAD = [node("Squeeze", "h", "zero", output="s", name="squeeze"),
        node("MatMul", "s", "D", output="y", name="head")]
EMBEDDING = node("Gather", "table", "x", output="e", name="embedding")
SQUARE = node("Sin", "x", output="e", name="square")
NORM = [node("Squeeze", "h", "zero", output="s", name="squeeze"),
        node("LayerNormalization", "s", "gain", "offset", output="n", name="norm"),
        node("MatMul", "n", "D", output="d", name="head"),
        node("LogSoftmax", "d", output="y", name="scores")]
IMAGE = [node("Conv", "x", "K", output="c", name="conv", pads=[1, 0, 1, 0]),
         node("Cos", "c", output="r", name="soft"),
         node("ReduceMax", "r", output="m", name="pool", axes=[3], keepdims=0),
         node("Transpose", "m", output="e", name="channels", perm=[0, 2, 1])]


def onnx_file(folder, nodes, shape=("batch", 6, 3), integers=False, outputs=("y",), **more):
    model = graph(nodes, shape=shape, constants=CONSTANTS, outputs=outputs, **more)
    if integers:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def whole(network, x):
    """The model's own outputs, the core computed in floats."""
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    made = finish(split(forward(network, frames), network.output_shapes), network.host)
    return host.behind(made, kept)


#: Name: nodes, shape of the input, whether it holds integers, what the host computes before and
#: behind the core.
CASES = {
    "an embedding in front": ([EMBEDDING, TURN, LSTM, *HEAD], ("b", 6), True, ["embedding"], []),
    "normalised behind": ([EMBEDDING, TURN, LSTM, *NORM], ("b", 6), True, ["embedding"],
                          ["norm", "head", "scores"]),
    "an image in front": ([*IMAGE, TURN, LSTM, *HEAD], ("b", 1, 6, 4), False,
                          ["conv", "soft", "pool", "channels"], []),
    "past the core": ([SQUARE, TURN, LSTM, node("Squeeze", "h", "zero", output="s"),
                       node("ReduceMean", "e", output="m", name="mean", axes=[1], keepdims=0),
                       node("Concat", "s", "m", output="j", axis=1),
                       node("Sin", "j", output="y", name="soft")],
                      ("b", 6, 3), False, ["square"], ["soft"]),
    "a factor between steps of the core": (
        [node("MatMul", "x", "S", output="e", name="first"), TURN, LSTM,
         node("Mul", "e", "gain3", output="m", name="times"),
         node("MatMul", "x", "S", output="d", name="other"),
         node("Concat", "d", "m", output="j", name="join", axis=2),
         node("Sin", "j", output="w", name="soft"), node("Flatten", "w", output="f", name="flat"),
         node("Squeeze", "h", "zero", output="s", name="squeeze"),
         node("Concat", "s", "f", name="all", axis=1)], ("b", 6, 3), False, [],
        ["soft", "flat", "all"]),
    "a softmax over the timesteps": (
        [node("Identity", "x", output="e"), TURN, LSTM, node("Squeeze", "Y", "one", output="s"),
         node("Transpose", "s", output="q", perm=[1, 0, 2]),
         node("Softmax", "q", name="soft", axis=1)], ("b", 6, 3), False, [], ["soft"]),
    "a softmax in front": ([node("Softmax", "x", output="e", name="soft", axis=1), TURN, LSTM,
                            *HEAD], ("b", 6, 3), False, ["soft"], []),
    "nothing": ([node("Identity", "x", output="e"), TURN, LSTM, *HEAD], ("b", 6, 3), False, [], []),
}


@pytest.mark.parametrize("case", CASES)
def test_core_and_host_together_are_the_model(tmp_path, case):
    nodes, shape, integers, before, behind = CASES[case]
    path = onnx_file(tmp_path, nodes, shape, integers)
    network = gf.load(path, cut="auto")
    x = RNG.integers(0, 50, (4, *shape[1:])) if integers else floats(4, *shape[1:])
    wanted = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})[0]
    (found,) = whole(network, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert [row.origin for row in network.around.rows_before] == before
    assert [row.origin for row in network.around.rows_behind if row.origin in behind] == behind
    assert [layer.kind for layer in network.layers].count("lstm") == 1


def test_a_model_of_float16_is_cut(tmp_path):
    """Its inputs and outputs are of half precision too."""
    halves = {name: value.astype(np.float16) for name, value in CONSTANTS.items()
              if value.dtype == np.float32}
    model = graph([SQUARE, TURN, LSTM, *HEAD[:1], node("Sin", "s")], constants=CONSTANTS | halves)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    network = gf.load(path, cut="auto")
    x = floats(4, 6, 3)
    wanted = ReferenceEvaluator(model).run(None, {"x": x.astype(np.float16)})[0]
    np.testing.assert_allclose(whole(network, x)[0], wanted, atol=3e-3)
    save_host(tmp_path, network.around)
    kept = load_host(tmp_path)
    assert kept is not None and kept.out_of == network.around.out_of


def test_the_parts_are_onnx_models_of_one_sample(tmp_path):
    network = gf.load(onnx_file(tmp_path, [EMBEDDING, TURN, LSTM, *NORM], ("b", 6), True),
                      cut="auto")
    for part in (network.around.before, network.around.behind):
        onnx.checker.check_model(onnx.load_model_from_string(part))
    x = np.array([[3, 1, 4, 1, 5, 9]])
    made = ReferenceEvaluator(onnx.load_model_from_string(network.around.before)).run(
        None, {"x": x})[0]
    np.testing.assert_array_equal(made, CONSTANTS["table"][x])
    save_host(tmp_path, network.around)
    loaded = load_host(tmp_path)
    assert loaded is not None and loaded.before == network.around.before
    assert loaded.inputs == network.around.inputs and loaded.out_of == network.around.out_of


@pytest.mark.parametrize(("first", "last", "before", "behind"), [
    ("turn", None, ["square"], []), (None, "squeeze", [], ["head"]),
    ("lstm", "lstm", ["square", "turn"], ["squeeze", "head"]), ("xt", "h", ["square"],
                                                                ["squeeze", "head"])])
def test_a_cut_by_names(tmp_path, first, last, before, behind):
    path = onnx_file(tmp_path, [node("Add", "x", "x", output="e", name="square"), TURN, LSTM,
                                *HEAD])
    network = gf.load(path, cut=(first, last))
    x = floats(3, 6, 3)
    wanted = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})[0]
    np.testing.assert_allclose(whole(network, x)[0], wanted, rtol=1e-4, atol=1e-5)
    around = network.around
    if first == "xt":  # the name of a tensor is that of its node
        before = ["square"]
    assert [row.origin for row in around.rows_before] == before
    assert [row.origin for row in around.rows_behind] == behind


SECOND = [node("Transpose", "Y", output="a", perm=[2, 0, 1, 3]),
          node("Reshape", "a", "flat", output="f"), node("Sin", "f", output="g", name="soft"),
          node("Transpose", "g", output="gt", perm=[1, 0, 2]),
          node("LSTM", "gt", "W2", "R", "B", output=["", "h2"], hidden_size=7, name="second"),
          node("Squeeze", "h2", "zero", output="y")]


@pytest.mark.parametrize(("options", "words"), [
    ({"cut": "middle"}, "--cut must be auto or none, not 'middle'"),
    ({"cut": ("nowhere", None)}, "--from: there is no layer or node 'nowhere': there are square"),
    ({"cut": (None, "nowhere")}, "--to: there is no layer or node 'nowhere'"),
    ({"cut": ("head", "square")}, "cross, since the second does not depend on the first"),
    ({"cut": ("head", None)}, "leave the recurrent layer 'lstm' to the host"),
    ({"cut": "auto", "timesteps": 9}, "but the file fixes the shape of its input"),
    ({"cut": "auto", "sizes": {"q": 2}}, "'q' is no open dimension"),
    ({"cut": ("", "")}, "cut must be 'auto', the names")])
def test_a_cut_that_is_none_is_refused(tmp_path, options, words):
    path = onnx_file(tmp_path, [SQUARE, TURN, LSTM, *HEAD])
    with pytest.raises(UserError) as caught:
        gf.load(path, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("ahead, batch, taken", [
    ([], "batch", 6), ([SQUARE], "batch", 6), ([SQUARE], 1, 6)])
def test_a_core_takes_one_sequence(tmp_path, ahead, batch, taken):
    """An LSTM of ONNX takes the steps first: without a turn it would run over the batch."""
    lstm = node("LSTM", ("x", "e", "xt")[len(ahead)], "W", "R", "B", output=["Y", "h"],
                hidden_size=7)
    path = onnx_file(tmp_path, [*ahead, lstm, *NORM], (batch, 6, 3))
    with pytest.raises(UserError, match=f"takes a batch of {taken} sequences, .* check batch_fir"):
        gf.load(path, cut="auto")


def test_what_lies_between_recurrent_layers_names_both(tmp_path):
    nodes = [node("Identity", "x", output="e"), TURN, LSTM, *SECOND]
    model = graph(nodes, shape=("b", 6, 3), constants=CONSTANTS | {"flat": np.array([-1, 6, 7])})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError) as caught:
        gf.load(path, cut="auto")
    assert "between the recurrent layers 'lstm' and 'second'" in str(caught.value)
    found = gf.inspect(path)
    assert found.options is None and [one.kind for one in found.blockers] == ["Sin", "cut"]


def test_of_a_softmax_between_recurrent_layers_both_are_named(tmp_path):
    path = onnx_file(tmp_path, [
        node("Identity", "x", output="e"), TURN, LSTM,
        node("Squeeze", "Y", "one", output="s"), node("Softmax", "s", output="q", name="soft"),
        node("LSTM", "q", "W2", "R", "B", output=["Y2", "h2"], hidden_size=7, name="second"),
        node("Squeeze", "h2", "zero")])
    with pytest.raises(UserError, match="a Softmax is left to the host.* between the recurrent "
                                        "layers 'lstm' and 'second'"):
        gf.load(path, cut="auto")


def test_what_is_refused_of_a_model_that_is_cut_does_not_say_to_cut_it(tmp_path):
    lstm = node("LSTM", "xt", "W", "R", "B", output=["Y", "h"], hidden_size=7, name="lstm",
                activations=["Sigmoid", "Tanh", "Elu"])
    path = onnx_file(tmp_path, [node("Identity", "x", output="e"), TURN, lstm, node("Sin", "h")])
    with pytest.raises(UserError, match="build with --cut auto"):
        gf.load(path, cut=("lstm", None))
    with pytest.raises(UserError, match="'lstm' .* Elu") as caught:
        gf.load(path, cut="auto")
    assert "--cut" not in str(caught.value)


def test_a_model_without_recurrent_layers_is_not_cut(tmp_path, monkeypatch):
    """And it is not run in NumPy for that: it may take long."""
    monkeypatch.setattr("gatefold.gen.frontends.onnx.inputs.flat_of", None)
    path = onnx_file(tmp_path, [node("Sin", "x")])
    with pytest.raises(UserError, match="the model has no recurrent layer"):
        gf.load(path, cut="auto")


def test_of_an_operator_that_is_not_known_the_file_must_state_the_shape(tmp_path):
    """A Scan in front; a name of its body is that of a tensor outside."""
    pytest.importorskip("onnxruntime")

    def of(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    body = helper.make_graph([node("Add", "s", "v", output="t"), node("Identity", "t", output="o")],
                             "body", [of("s", 1, 3), of("v", 1, 3)], [of("t", 1, 3), of("o", 1, 3)])
    scan = helper.make_node("Scan", ["gain1", "turned"], ["end", "xt"], name="scan", body=body,
                            num_scan_inputs=1)
    turn = node("Transpose", "x", output="turned", name="turn", perm=[1, 0, 2])
    model = graph([turn, scan, LSTM, *HEAD], shape=(1, 6, 3),
                  constants=CONSTANTS | {"gain1": np.ones((1, 3), np.float32)})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="out of node 'scan' .* is not known: save the model with "):
        gf.load(path, cut="auto")
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    network = gf.load(path, cut="auto")
    assert [row.origin for row in network.around.rows_before] == ["turn", "scan"]
    x = floats(1, 6, 3)
    wanted = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})[0]
    np.testing.assert_allclose(whole(network, x)[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_single_number_is_fixed_and_its_branch_taken(tmp_path):
    def branch(kind, name):
        return onnx.helper.make_graph([node(kind, "x", output=name, name=name)], name, [], [
            onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    nodes = [node("Equal", "rate", "sixteen", output="is"),
             onnx.helper.make_node("If", ["is"], ["e"], name="choice",
                                   then_branch=branch("Sin", "fast"),
                                   else_branch=branch("Cos", "slow")), TURN, LSTM, *HEAD]
    path = onnx_file(tmp_path, nodes, inputs={"rate": []})
    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="--set rate=N"):
        gf.load(path, cut="auto")
    x = floats(2, 6, 3)
    for rate, kind in ((16, "Sin"), (8, "Cos")):
        network = gf.load(path, cut="auto", sizes={"rate": rate})
        assert network.around.rows_before[0].kind == kind
        wanted = ReferenceEvaluator(model).run(None, {"x": x, "rate": np.array(rate)})[0]
        np.testing.assert_allclose(whole(network, x)[0], wanted, rtol=1e-4, atol=1e-5)
    assert gf.inspect(path).options == ("--set", "rate=16", "--cut", "auto")


def test_a_single_number_that_decides_nothing_need_not_be_given(tmp_path):
    path = onnx_file(tmp_path, [SQUARE, TURN, LSTM, *HEAD], inputs={"rate": []})
    assert gf.inspect(path).options == ("--cut", "auto")
    assert [port.name for port in gf.load(path, cut="auto").around.inputs] == ["x"]


QUANTISED = [node("DynamicQuantizeLinear", "x", output=["q", "xs", "z"], name="measure"),
             node("ConvInteger", "q", "K8", "z", output="c", name="conv", pads=[1, 0, 1, 0]),
             node("Cast", "c", output="c.", to=1, name="cast"),
             node("Mul", "c.", "xs", output="r", name="scale"), *IMAGE[2:]]


def test_the_host_computes_integers_as_onnx_does(tmp_path):
    """An image whose convolution a quantiser made; the scale of its input is measured."""
    path = onnx_file(tmp_path, [*QUANTISED, TURN, LSTM, *HEAD], ("b", 1, 6, 4))
    network, x = gf.load(path, cut="auto"), floats(4, 1, 6, 4)
    assert [row.kind for row in network.around.rows_before] == [
        "DynamicQuantizeLinear", "ConvInteger", "Cast", "Mul", "ReduceMax", "Transpose"]
    evaluator = ReferenceEvaluator(onnx.load(path))
    for one, found in zip(x, whole(network, x)[0], strict=True):  # a scale of each
        np.testing.assert_allclose(found[None], evaluator.run(None, {"x": one[None]})[0],
                                   rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gain, before", [
    (1, ["square"]), (3e4, ["square", "large", "positive", "small"])])
def test_layers_ahead_whose_rounding_costs_much_go_to_the_host(tmp_path, gain, before):
    """A product of large numbers whose differences count."""
    spread = np.array([[gain, 1, 0], [gain, 2, 1], [gain, 0, 1]], np.float32)
    nodes = [SQUARE, node("MatMul", "e", "V", output="a", name="large"),
             node("Relu", "a", output="p", name="positive"),  # else the two become one matrix
             node("MatMul", "p", "U", output="d", name="small"),
             node("Transpose", "d", output="xt", name="turn", perm=[1, 0, 2]), LSTM, *HEAD]
    model = graph(nodes, shape=("b", 6, 3), constants=CONSTANTS | {
        "V": spread, "U": np.linalg.inv(spread).astype(np.float32)})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    network = gf.load(path, cut="auto")
    assert [row.origin for row in network.around.rows_before] == before


def test_what_the_core_reads_as_it_is_is_not_turned_as_well(tmp_path):
    """The second direction of two, its steps reversed before it."""
    nodes = [EMBEDDING, TURN, LSTM, node("Slice", "xt", "minus", "least", "zero", "minus",
                                         output="back", name="back"),
             node("LSTM", "back", "W", "R", "B", output=["Y2", "h2"], hidden_size=7),
             node("Concat", "h", "h2", output="hh", axis=2),
             node("Squeeze", "hh", "zero", output="y")]
    model = graph(nodes, shape=("b", 6), constants=CONSTANTS | {
        "minus": np.array([-1]), "least": np.array([-99])})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    network, x = gf.load(path, cut="auto"), RNG.integers(0, 50, (2, 6))
    assert network.input_shapes == ((6, 3),)
    np.testing.assert_allclose(whole(network, x)[0], ReferenceEvaluator(model).run(
        None, {"x": x})[0], rtol=1e-4, atol=1e-5)


def test_inputs_may_keep_the_batch_of_one(tmp_path):
    network = gf.load(onnx_file(tmp_path, [EMBEDDING, TURN, LSTM, *HEAD], ("b", 6), True),
                      cut="auto")
    host, x = Host(network.around), RNG.integers(0, 50, (4, 6))
    np.testing.assert_array_equal(host.inputs(x[:, np.newaxis])[0], host.inputs(x)[0])
    with pytest.raises(UserError, match="holds 'rate' beside the inputs of this core"):
        host.inputs({"x": x, "rate": np.array(16000)})


def masked_loop():
    """What Keras exports of an RNN behind an embedding with a mask: steps of the token 0 keep h."""
    def info(name, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, None)
    body = helper.make_graph([
        node("Add", "at", "1", output="at2"), node("Less", "at2", "6", output="go2"),
        node("Gather", "xt", "at", output="xi"), node("Gather", "mt", "at", output="mi"),
        node("Cast", "mi", output="m", to=1), node("Not", "mi", output="ni"),
        node("Cast", "ni", output="n", to=1), node("MatMul", "xi", "Wl", output="a"),
        node("MatMul", "h0", "Rl", output="b"), node("Add", "a", "b", output="z"),
        node("Tanh", "z", output="t"), node("Mul", "t", "m", output="new"),
        node("Mul", "h0", "n", output="old"), node("Add", "new", "old", output="h2"),
        node("Add", "new", "old", output="copy2"), node("Identity", "h2", output="scan")],
        "body", [info("turn", TensorProto.INT64), info("go", TensorProto.BOOL),
                 info("at", TensorProto.INT64), info("h0"), info("copy")],
        [info("go2", TensorProto.BOOL), info("at2", TensorProto.INT64), info("h2"), info("copy2"),
         info("scan")])
    return [node("Equal", "x", "0", output="is0"), node("Not", "is0", output="mask"),
            node("Unsqueeze", "mask", "two", output="m3"),
            node("Transpose", "m3", output="mt", perm=[1, 0, 2]),
            EMBEDDING, TURN, node("Loop", "", "yes", "0", "state", "state", body=body, name="loop",
                                  output=["end", "h", "c", "Y"]), node("Sin", "c", output="y")]


LOOP = {"0": np.array(0), "1": np.array(1), "6": np.array(6), "yes": np.array(True),
        "state": np.zeros((1, 4), np.float32), "Wl": floats(3, 4), "Rl": floats(4, 4),
        "two": np.array([2])}


def test_what_a_loop_masks_is_refused_when_it_runs(tmp_path):
    model = graph(masked_loop(), shape=(1, 6), constants={**CONSTANTS, **LOOP},
                  outputs=("y", "Y"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = gf.load(tmp_path / "m.onnx", cut="auto")
    x = RNG.integers(1, 50, (2, 1, 6))
    for sample, y, h in zip(x, *whole(network, x), strict=True):
        want = ReferenceEvaluator(model).run(None, {"x": sample})
        np.testing.assert_allclose(y.reshape(1, 4), want[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(h.reshape(6, 4), want[1].reshape(6, 4), rtol=1e-5, atol=1e-6)
    x[1, 0, 4:] = 0
    save_host(tmp_path, network.around)
    host = Host(load_host(tmp_path))
    with pytest.raises(UserError, match="sample 1: the model skips timesteps"):
        host.before(host.inputs(x))


def test_lengths_of_sequences_must_be_all_timesteps(tmp_path):
    lstm = node("LSTM", "xt", "W", "R", "B", "lengths", output=["Y", "h"], hidden_size=7)
    model = graph([EMBEDDING, TURN, lstm, *HEAD], shape=("n", 6), constants=CONSTANTS,
                  inputs={"lengths": ("n",)})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT32
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = gf.load(tmp_path / "m.onnx", cut="auto")
    x = RNG.integers(0, 50, (3, 6))
    lengths = np.full(3, 6, np.int32)
    plain = graph([EMBEDDING, TURN, LSTM, *HEAD], shape=("n", 6), constants=CONSTANTS)
    plain.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    np.testing.assert_allclose(whole(network, [x, lengths])[0],
                               ReferenceEvaluator(plain).run(None, {"x": x})[0], rtol=1e-4,
                               atol=1e-5)
    with pytest.raises(UserError, match="'lengths' is not 6 everywhere"):
        whole(network, [x, lengths - [0, 0, 2]])


def test_a_mask_is_true_and_false(tmp_path):
    nodes = [node("Cast", "mask", output="m", to=1), node("Mul", "x", "m", output="e"), TURN, LSTM,
             *HEAD]
    model = graph(nodes, shape=("n", 6, 3), constants=CONSTANTS, inputs={"mask": ("n", 6, 1)})
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.BOOL
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    network = gf.load(tmp_path / "m.onnx", cut="auto")
    x, mask = floats(4, 6, 3), RNG.integers(0, 2, (4, 6, 1)).astype(bool)
    np.savez(tmp_path / "x.npz", x=x, mask=mask)
    given = Host(network.around).read(tmp_path / "x.npz")
    want = ReferenceEvaluator(model).run(None, {"x": x, "mask": mask})[0]
    np.testing.assert_allclose(whole(network, given)[0], want, rtol=1e-4, atol=1e-5)


def test_inputs_outside_a_table_are_refused(tmp_path):
    network = gf.load(onnx_file(tmp_path, [EMBEDDING, TURN, LSTM, *HEAD], ("b", 6), True),
                      cut="auto")
    for x, words in ((np.full((1, 6), 50), "takes integers in 0..49"),
                     (np.full((1, 6), 0.5), "takes integers, not fractions"),
                     (np.zeros((1, 5)), "must have the shape (samples, 6)")):
        with pytest.raises(UserError) as caught:
            Host(network.around).inputs(x)
        assert words in str(caught.value)


def test_damaged_models_are_cut_or_refused(tmp_path):
    path = onnx_file(tmp_path, [EMBEDDING, TURN, LSTM, *NORM], ("b", 6), True)
    for broken in damaged(path.read_bytes(), 150, bytes_each=3):
        path.write_bytes(broken)
        try:
            network = gf.load(path, cut="auto")
            whole(network, np.ones((1, 6)))
            json.dumps(gf.inspect(path).as_dict())
        except UserError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize(("nodes", "shape", "integers", "steps"), [
    ([EMBEDDING, TURN, LSTM], (1, "length"), True, 8),
    ([EMBEDDING, TURN, LSTM], ("n", "length"), True, 8),
    ([SQUARE, TURN, LSTM], (1, "length", 3), False, 8),
    ([*IMAGE, TURN, LSTM], (1, 1, "width", 4), False, 8),
    ([EMBEDDING, node("LSTM", "e", "W", "R", "B", output=["Y", "h"], hidden_size=7)],
     ("length", 1), True, 8),
    ([EMBEDDING, node("LSTM", "e", "W", "R", "B", output=["Y", "h"], hidden_size=7)],
     (1, "n"), True, 1),
])
def test_the_axis_along_which_the_recurrent_layers_step_is_no_batch(tmp_path, nodes, shape,
                                                                    integers, steps):
    path = onnx_file(tmp_path, nodes, shape, integers, outputs=("Y",))
    if steps > 1:
        with pytest.raises(UserError, match="--timesteps"):
            gf.load(path, cut="auto")
    network = gf.load(path, cut="auto", timesteps=None if steps == 1 else steps)
    assert [row.shape for row in network.rows() if row.kind == "lstm"] == [(steps, 7)]


def test_an_lstm_may_have_the_batch_first(tmp_path):
    lstm = node("LSTM", "e", "W", "R", "B", output=["Y", "h"], hidden_size=7, layout=1)
    path = onnx_file(tmp_path, [EMBEDDING, lstm, node("Sin", "Y", output="y")], ("n", 6), True)
    network = gf.load(path, cut="auto")
    x = RNG.integers(0, 50, (3, 6))
    assert whole(network, x)[0].shape == (3, 6, 1, 7)
