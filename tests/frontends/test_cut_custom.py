"""Layers of the user's own in a Keras model, which neither hardware nor the host computes: what can
be built without them, and why not."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends.cuts import Cut, with_around
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.network.forward import forward
from tests.frontends.test_keras_attention import Seeded, layer
from tests.support.onnx_graphs import graph, loaded, node, recurrent_weights

FIXTURES = Path(__file__).parents[1] / "fixtures"


def with_custom(folder: Path, model: str, *names: str, ahead: bool = False, **built) -> Path:
    """The fixture ``model`` in which these layers are of a class of the user's own, or which begins
    with such a layer (``ahead``); ``built``, of layers by name, what the file says of how they were
    built."""
    path = folder / "m.keras"
    with zipfile.ZipFile(FIXTURES / model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                for one in config["config"]["layers"]:
                    if one["config"]["name"] in names:
                        one |= {"class_name": "Mine", "registered_name": "mine>Mine",
                                "module": None}
                    if one["config"]["name"] in built:
                        one["build_config"] = built[one["config"]["name"]]
                if ahead:
                    config["config"]["layers"].insert(1, {
                        "class_name": "Mine", "registered_name": "mine>Mine", "module": None,
                        "config": {"name": "mine"}})
                data = json.dumps(config).encode()
            new.writestr(name, data)
    return path


def layers_of(model: str) -> list[str]:
    """The names of the fixture's layers, in order."""
    with zipfile.ZipFile(FIXTURES / model) as file:
        config = json.loads(file.read("config.json"))["config"]
    return [one["config"]["name"] for one in config["layers"]]


def test_behind_the_recurrent_layers_the_model_is_taken_as_far_as_it_goes(tmp_path):
    *_, last, own = layers_of("keras_stack.keras")
    path = with_custom(tmp_path, "keras_stack.keras", own)
    found = gf.inspect(path)
    assert found.options == ("--cut", "auto", "--to", last)
    assert "'Mine' is not supported" in found.blockers[0].text
    assert "your program computes the rest" in found.blockers[-1].text
    network = gf.load(path, cut=("auto", None, last))
    whole = gf.load(FIXTURES / "keras_stack.keras", cut=(None, last))
    x = np.random.default_rng(0).standard_normal((3, *network.input_shape))
    np.testing.assert_array_equal(forward(network, x), forward(whole, x))


def test_ahead_of_the_recurrent_layers_the_model_is_taken_from_behind_it(tmp_path):
    path = with_custom(tmp_path, "keras_stack.keras", ahead=True)
    found = gf.inspect(path)
    assert found.options == ("--cut", "auto", "--from", "lstm_1")
    assert "your program gives what this layer reads" in found.blockers[-1].text
    network, whole = gf.load(path, cut=("auto", "lstm_1", None)), gf.load(
        FIXTURES / "keras_stack.keras")
    assert network.around is not None and network.around.before == b""
    x = np.random.default_rng(0).standard_normal((3, *network.input_shape))
    np.testing.assert_array_equal(forward(network, x), forward(whole, x))


@pytest.mark.parametrize("built", [
    None, {}, {"input_shape": [None, None, 5]}, {"input_shape": "5"}, {"input_shape": [None, "5"]},
    {"input_shape": [None, 0, 5]}, {"input_shape": [None] + [2] * 9}])
def test_where_the_file_does_not_say_what_a_layer_reads_no_model_begins(tmp_path, built):
    path = with_custom(tmp_path, "keras_stack.keras", ahead=True, lstm_1=built)
    with pytest.raises(UserError) as caught:
        gf.load(path, cut=("auto", "lstm_1", None))
    assert str(caught.value).isprintable()
    assert gf.inspect(path).options is None


def test_between_recurrent_layers_nothing_helps(tmp_path):
    path = with_custom(tmp_path, "keras_stack.keras", "dropout")  # between two LSTMs
    found = gf.inspect(path)
    assert found.options is None
    assert "lies ahead of the recurrent layer 'lstm_2'" in found.blockers[-1].text


@pytest.mark.parametrize(("words", "cut"), [
    (("auto", None, "a"), Cut(end="a")), (("auto", "a", None), Cut(begin="a")),
    (("auto", None), Cut(first="auto")),
    ((None, "a"), Cut(last="a")), ("auto", Cut())])
def test_a_cut_in_python(words, cut):
    assert Cut.given(words) == cut


def test_a_layer_that_there_is_not(tmp_path):
    with pytest.raises(UserError, match="--to: there is no layer or node 'none': there are "):
        gf.load(FIXTURES / "keras_stack.keras", cut=("auto", None, "none"))


@pytest.mark.parametrize(("cut", "words"), [
    (("auto", "none", None), "--from: there is no layer or node 'none': there are lstm_1, "),
    (("auto", "lstm_2", "lstm_1"), "'lstm_1' (--to) does not depend on the layer 'lstm_2'")])
@pytest.mark.parametrize("read", [gf.load, gf.inspect])
def test_a_model_begins_at_a_layer_of_its_own(tmp_path, read, cut, words):
    with pytest.raises(UserError, match=re.escape(words)):
        read(with_custom(tmp_path, "keras_stack.keras", lstm_2={"input_shape": [None, 9, 5]}),
             cut=cut)


def test_only_models_of_keras_begin_at_a_layer(tmp_path):
    with pytest.raises(UserError, match="--cut auto with --from is for Keras models"):
        gf.load(FIXTURES / "described_last.npz", network=FIXTURES / "described_last.toml",
                cut=("auto", "lstm", None))


def test_indices_of_the_layer_with_which_a_model_begins_are_checked():
    """As where it reads the model's own input."""
    table = layer("Embedding", "table", "a", input_dim=9, output_dim=2) | {
        "build_config": {"input_shape": [None, 5]}}
    mine = {"class_name": "Mine", "registered_name": "mine>Mine", "module": None}
    model = {"class_name": "Functional", "config": {"name": "m", "layers": [
        layer("InputLayer", "x", batch_shape=[None, 5]), layer("Dense", "a", "x") | mine, table,
        layer("LSTM", "lstm", "table", units=3)],
        "input_layers": [["x", 0, 0]], "output_layers": [["lstm", 0, 0]]}}
    network = with_around(read_model(model, Seeded(), 3, {}, cut=Cut(begin="table")))
    assert network.around is not None and network.around.inputs[0].high == 9
    host = Host(network.around)
    host.inputs(np.array([[0, 1, 2, 8, 7]]))
    for wrong in ([[0, 1, 2, 8, 9]], [[.5, 1, 2, 8, 7]]):
        with pytest.raises(UserError, match="takes integers"):
            host.inputs(np.array(wrong))


def test_an_onnx_graph_ends_there_too(tmp_path):
    """At a node or at a tensor; an operator that nobody knows lies behind."""
    nodes = [node("Sin", "x", output="e"), node("Transpose", "e", output="xt", perm=[1, 0, 2]),
             node("LSTM", "xt", "W", "R", "B", output=["Y", "h"], hidden_size=7, name="lstm"),
             node("Squeeze", "h", "0", output="q", name="squeeze")]
    constants = recurrent_weights() | {"0": np.array([0])}
    whole = loaded(graph(nodes, constants=constants, outputs=("q",)), tmp_path, cut="auto")
    own = node("Mine", "q")
    own.domain = "mine"
    for end in ("squeeze", "q"):
        part = loaded(graph([*nodes, own], constants=constants), tmp_path,
                      cut=("auto", None, end))
        x = np.random.default_rng(0).standard_normal((3, *part.input_shape))
        np.testing.assert_array_equal(forward(part, x), forward(whole, x))


TURN = node("Transpose", "x", output="xt", perm=[1, 0, 2], name="turn")
THREE = node("LSTM", "xt", "W", "R", "B", output=["Y", "h", "c"], hidden_size=7, name="lstm")
RESULTS = [node("Sin", "x", output="unread", name="sin"), TURN, THREE,
           node("Relu", "h", output="q", name="same"), node("Relu", "Y", output="r", name="same"),
           node("Neg", "c", output="s", name="q"), node("Abs", "c", output="end", name="end")]


def ended(folder, end):
    """The graph as far as ``end``; an operator that nobody knows follows."""
    own = node("Mine", "q", "r", "s", name="mine")
    own.domain = "mine"
    return loaded(graph([*RESULTS, own], constants=recurrent_weights(), shape=(1, 6, 3)), folder,
                  cut=("auto", None, end))


@pytest.mark.parametrize(("end", "shapes"), [
    ("h", [(7,)]), ("c", [(7,)]), ("lstm", [(6, 7), (7,), (7,)]), ("end", [(7,)]), ("r", [(6, 7)])])
def test_an_onnx_graph_ends_at_a_tensor_or_with_all_that_is_read_of_a_node(tmp_path, end, shapes):
    network = ended(tmp_path, end)
    assert network.around is not None
    assert [tuple(n for n in port.dims if n != 1) for port in network.around.outputs] == shapes


@pytest.mark.parametrize(("end", "words"), [
    ("turn", "no recurrent layer lies ahead of 'turn'"),
    ("sin", "no recurrent layer lies ahead of 'sin'"),
    ("same", "2 nodes have the name 'same': name the tensor that one of them gives (q, r)"),
    ("q", "'q' is the name of a tensor and of a node, which gives 's'"),
    ("none", "there is no layer or node 'none': there are sin, turn, lstm, same, q, end, mine"),
    ("x", "there is no layer or node 'x'"), ("W", "there is no layer or node 'W'")])
def test_an_end_of_an_onnx_graph_that_is_none(tmp_path, end, words):
    with pytest.raises(UserError, match=re.escape(f"--to: {words}")):
        ended(tmp_path, end)
