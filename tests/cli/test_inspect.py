"""``gatefold inspect``: what is in a file, every blocker, and the options that let it in."""

from __future__ import annotations

import json
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import gatefold as gf
from gatefold.gen.errors import UserError
from gatefold.gen.frontends import refusals
from tests.frontends.test_keras import pack, unpack
from tests.support.cli_harness import MODEL, built, gatefold, refused
from tests.support.damage import damaged
from tests.support.onnx_graphs import graph, node, recurrent_weights
from tests.support.places import FIXTURES

CONSTANTS = recurrent_weights() | {
    "zero": np.array([0]), "one": np.array([1]), "table": np.zeros((50, 3), np.float32),
    "D": np.ones((7, 2), np.float32)}
TURN = node("Transpose", "x", output="xt", perm=[1, 0, 2])
LSTM = node("LSTM", "xt", "W", "R", "B", output=["Y", "h"], hidden_size=7)
LAST = [TURN, LSTM, node("Squeeze", "h", "zero", output="y")]


def onnx_file(folder, nodes, shape=("b", 6, 3), integer=False):
    model = graph(nodes, shape=shape, constants=CONSTANTS)
    if integer:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def entry(class_name, name, **config):
    """A layer of a Keras model."""
    return {"class_name": class_name, "module": "keras.layers", "registered_name": None,
            "config": {"name": name, "dtype": "float32", **config}}


def keras_file(folder, edit, name="keras_stack.keras"):
    """InputLayer (6, 5), LSTM, Dropout, LSTM, Dense, Dense, with ``edit(layers)`` applied."""
    config, weights = unpack(name)
    edit(config["config"]["layers"])
    return pack(folder / "m.keras", config, weights)


def blockers(found) -> list[tuple[str, str]]:
    return [(one.origin, one.kind) for one in found.blockers]


# --- what is printed


def test_a_model_that_can_be_built():
    result = gatefold("inspect", MODEL, "--board", "zcu104")
    assert result.exit_code == 0 and result.stderr == ""
    assert result.stdout.splitlines() == [
        "inputs (6, 3) -> (2,), without the batch",
        "layer     in the file  shape  parameters  multiplications",
        "l0_lstm   lstm         (7,)          308            1,680",
        "l1_dense  dense        (2,)           16               14",
        "all                                  324            1,694",
        "",
        "no blockers",
        f"build it with: gatefold build {MODEL} -o core",
        "estimate: it fits the zcu104; about 126 cycles an inference, 0.42 us at 300 MHz, with an "
        "array of 28 x 2 and 16 bits"]


def test_the_json_has_these_keys():
    found = json.loads(gatefold("inspect", MODEL, "--json").stdout)
    assert sorted(found) == ["blockers", "estimate", "inputs", "layers", "not_examined", "options",
                             "outputs", "parts", "source"]
    assert found["blockers"] == [] and found["options"] == [] and found["not_examined"] == []
    assert (found["inputs"], found["outputs"]) == ([[6, 3]], [[2]])
    assert sorted(found["source"]) == ["bytes", "exporter", "format", "sha256"]
    assert found["layers"][0] == {
        "name": "l0_lstm", "kind": "lstm", "origin": "lstm", "inputs": [[6, 3]], "shape": [7],
        "parameters": 308, "multiplications": 1680, "hardware": True}
    assert found["parts"] == [{"hardware": True, "first": "lstm", "last": "dense", "layers": 2,
                               "parameters": 324, "multiplications": 1694}]
    assert sorted(found["estimate"]) == ["board", "clock_mhz", "cycles", "fits", "numbers", "pe",
                                         "simd", "us", "why"]


def test_a_network_is_short_and_has_the_same_table(capsys):
    network = gf.load(MODEL)
    assert repr(network) == str(network) == (
        "<Network (6, 3) -> (2,): 2 layers, 324 parameters, 1,694 multiplications>")
    network.summary()
    assert capsys.readouterr().out.splitlines() == gatefold(
        "inspect", MODEL).stdout.splitlines()[1:5]


def test_the_estimate_is_near_the_plan():
    for name in ("keras_stack.keras", "torch_conv.script17.onnx", "keras_autoencoder.keras"):
        found = gf.inspect(FIXTURES / name)
        planned = gf.compile(gf.load(FIXTURES / name)).report()["cycles"]["latency"]
        assert planned / 2 < found.estimate.cycles < 2 * planned, name


# --- options that let a model in


def opened(layers):
    layers[0]["config"].update(name="x", batch_shape=[None, None, 5])


@pytest.mark.parametrize("suffix", ["onnx", "keras"])
def test_open_timesteps_are_proposed_and_the_proposal_builds(tmp_path, suffix):
    path = onnx_file(tmp_path, LAST, ("b", "t", 3)) if suffix == "onnx" else (
        keras_file(tmp_path, opened))
    found = json.loads(gatefold("inspect", path, "--json").stdout)
    assert [one["kind"] for one in found["blockers"]] == ["input"]
    assert "the number of timesteps is not fixed" in found["blockers"][0]["text"]
    assert found["options"] == ["--timesteps", "32"] and found["inputs"][0][0] == 32
    built(tmp_path / "core", path, *found["options"])


def test_options_that_were_given_are_among_those_for_the_build(tmp_path):
    path = onnx_file(tmp_path, LAST, ("b", "t", 3))
    found = gf.inspect(path, timesteps=60)
    assert not found.blockers and found.options == ("--timesteps", "60")
    assert gf.inspect(path, sizes={"t": 9}).options == ("--set", "t=9")


@pytest.mark.parametrize(("bias", "options"), [(-25, ("--logits",)), (0, ())])
def test_scores_below_a_step_are_left_to_the_host(tmp_path, bias, options):
    constants = recurrent_weights() | {"D": np.ones((7, 1), np.float32),
                                       "bias": np.float32([bias]), "axis": np.array([0])}
    nodes = [node("Transpose", "x", output="xt", perm=[1, 0, 2]),
             node("LSTM", "xt", "W", "R", "B", output=["", "h"], hidden_size=7),
             node("Squeeze", "h", "axis", output="s"),
             node("Gemm", "s", "D", "bias", output="z"), node("Sigmoid", "z")]
    path = tmp_path / "m.onnx"
    path.write_bytes(graph(nodes, constants=constants).SerializeToString())
    assert gf.inspect(path).options == options


def test_a_larger_board_is_proposed_where_one_is_needed(tmp_path):
    wide = {"W": (1, 1600, 400), "R": (1, 1600, 400), "B": (1, 3200)}
    model = graph(LAST, shape=("b", 300, 400), constants=CONSTANTS | {
        name: np.zeros(shape, np.float32) for name, shape in wide.items()})
    model.graph.node[1].attribute[0].i = 400
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert gf.inspect(path).blockers == () or gf.inspect(path).options is not None
    steps = gf.inspect(path, board="u280")
    assert steps.estimate.fits and steps.options == ()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1200
    path.write_bytes(model.SerializeToString())
    found = gf.inspect(path)
    assert blockers(found) == [("", "size")] and found.options[0] == "--board"
    assert gf.inspect(path, board=found.options[1]).estimate.fits


def test_open_features_are_no_timesteps(tmp_path):
    found = gf.inspect(onnx_file(tmp_path, LAST, ("b", "t", "f")))
    assert blockers(found) == [("", "input"), ("", "input")] and found.options is None
    assert "--set f=N" in found.blockers[1].text
    assert gf.inspect(tmp_path / "m.onnx", sizes={"f": 3}).options == (
        "--timesteps", "32", "--set", "f=3")


# --- every blocker


def test_every_blocker_of_an_onnx_model_is_found(tmp_path):
    lstm = node("LSTM", "xt", "W", "R", "B", output=["Y", ""], hidden_size=7, name="lstm",
                activations=["Sigmoid", "Elu", "Tanh"])
    path = onnx_file(tmp_path, [
        node("Gather", "table", "x", output="e", name="embedding"),
        node("Transpose", "e", output="xt", perm=[1, 0, 2]), lstm,
        node("Squeeze", "Y", "one", output="s"),
        node("ThresholdedRelu", "s", output="l", name="leaky"),
        node("MatMul", "l", "D", output="d", name="head"),
        node("Einsum", "d", output="q", equation="abc->acb", name="turn"),
        node("Relu", "q", output="y", name="last")], ("batch", "seq"), integer=True)
    found = gf.inspect(path)
    assert blockers(found) == [("", "input"), ("x", "input"), ("embedding", "Gather"),
                               ("lstm", "LSTM"), ("leaky", "ThresholdedRelu"), ("turn", "Einsum")]
    assert "an embedding: the core takes numbers, not tokens" in found.blockers[2].text
    assert found.options is None and found.estimate is None and found.not_examined == ("last",)
    assert [(row.kind, row.shape, row.hardware) for row in found.layers] == [
        ("Gather", (32, 3), False), ("LSTM", (32, 1, 7), False),
        ("ThresholdedRelu", (32, 7), False), ("dense", (32, 2), True), ("Einsum", None, False)]
    assert [(part.hardware, part.first, part.last) for part in found.parts] == [
        (False, "embedding", "leaky"), (True, "head", "head"), (False, "turn", "turn")]
    result = gatefold("inspect", path)
    assert result.exit_code == 0 and "6 blockers:" in result.stdout
    assert "not examined, since the shape of what they read is not known: 'last'" in result.stdout
    assert "options: none lets it in" in result.stdout


def test_every_blocker_of_a_keras_model_is_found(tmp_path):
    def edit(layers):
        layers[0]["config"].update(name="x", batch_shape=[None, None], dtype="int64")
        layers[-1]["config"]["activation"] = "exponential"
        layers.insert(1, entry("Embedding", "words", input_dim=50, output_dim=5))
        layers.insert(3, entry("LayerNormalization", "norm", axis=-1))
    found = gf.inspect(keras_file(tmp_path, edit))
    assert blockers(found) == [("", "input"), ("x", "InputLayer"), ("words", "Embedding"),
                               ("norm", "LayerNormalization"), ("dense_2", "Dense"), ("", "cut")]
    assert "between the recurrent layers" in found.blockers[-1].text
    assert [(row.origin, row.shape) for row in found.layers if not row.hardware] == [
        ("words", (32, 5)), ("norm", (32, 13)), ("dense_2", (1,))]
    assert [row.parameters for row in found.layers if row.kind == "lstm"] == [988, 588]
    assert found.not_examined == () and found.options is None


def test_what_is_behind_a_result_of_unknown_shape_is_not_examined(tmp_path):
    def edit(layers):
        layers.insert(2, entry("Lambda", "mine"))
    found = gf.inspect(keras_file(tmp_path, edit))
    assert blockers(found) == [("mine", "Lambda"), ("", "cut")]
    assert "lies ahead of the recurrent layer" in found.blockers[1].text
    assert found.not_examined[0] == "dropout" and len(found.not_examined) == 4


def test_a_softmax_within_is_a_blocker_and_the_rest_is_examined(tmp_path):
    def edit(layers):
        layers[-2]["config"]["activation"] = "softmax"
        layers[-1]["config"]["activation"] = "exponential"
    found = gf.inspect(keras_file(tmp_path, edit))
    assert blockers(found) == [("dense_2", "Dense"), ("dense_2", "softmax")]


def test_the_first_refusal_is_the_one_of_load(tmp_path):
    def edit(layers):
        layers[1]["config"]["activation"] = "exponential"
        layers[-1]["config"]["activation"] = "exponential"
    path = keras_file(tmp_path, edit)
    with pytest.raises(UserError) as caught:
        gf.load(path)
    found = gf.inspect(path)
    assert len(found.blockers) == 2 and str(caught.value).endswith(found.blockers[0].text)


def test_an_input_of_ones_own_class_is_a_blocker(tmp_path):
    def edit(layers):
        layers[0]["config"]["name"] = "x"
        layers[0]["registered_name"] = "mine>InputLayer"
    assert blockers(gf.inspect(keras_file(tmp_path, edit))) == [("x", "InputLayer")]


def test_a_class_of_ones_own_is_a_blocker_of_the_whole(tmp_path):
    config, weights = unpack("keras_last.keras")
    config.update(class_name="Mine", registered_name="mine>Mine")
    found = gf.inspect(pack(tmp_path / "m.keras", config, weights))
    assert blockers(found) == [("", "model")] and found.layers == () and found.parts == []


def test_shapes_of_the_batch_that_a_graph_names_are_no_blockers(tmp_path):
    # Written with the batch of its example, 1: it is a network with another batch axis or size.
    nodes = [*LAST[:2], node("Squeeze", "h", "zero", output="s"),
             node("Reshape", "s", "to", output="y")]
    model = graph(nodes, constants=CONSTANTS | {"to": np.array([1, 7])})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert gf.inspect(path).blockers == ()


# --- bad input


@pytest.mark.parametrize(("data", "words"), [
    (b"", "empty"), (b"PK\x05\x06" + bytes(18), "not a model"), (b"\x80\x04.", "pickle"),
    (b"hello", "no model"), (MODEL.read_bytes()[:900], "")])
def test_a_file_that_is_no_model_is_refused(tmp_path, data, words):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert words in refused("inspect", path)


@pytest.mark.parametrize(("more", "words"), [
    (["--board", "de10"], "--board must be one of"),
    (["--timesteps", 9], "--timesteps is 9, but the file fixes the shape of its input to (6, 3)"),
    (["--set", "t=9"], "'t' is no open dimension of the model: it has none")])
def test_options_that_contradict_the_model_are_refused(more, words):
    assert words in refused("inspect", MODEL, *more)


def test_names_in_a_file_stay_on_their_line(tmp_path):
    path = onnx_file(tmp_path, [*LAST[:2], node("Einsum", "h", name="evil\n\x1b[31m\u202e")])
    result = gatefold("inspect", path)
    assert result.exit_code == 0 and all(line.isprintable() for line in result.stdout.splitlines())
    assert json.loads(gatefold("inspect", path, "--json").stdout)["blockers"]


def test_the_number_of_blockers_is_bounded(tmp_path):
    names = ["x", *(f"a{n}" for n in range(5000)), "y"]
    path = onnx_file(tmp_path, [node("Sinh", one, output=two, name=two)
                                for one, two in zip(names, names[1:], strict=False)])
    start = time.process_time()
    found = gf.inspect(path)
    assert len(found.blockers) <= refusals.MOST + 1 and time.process_time() - start < 20


@pytest.mark.parametrize("fixture", ["torch_stack.script17.onnx", "keras_last.keras"])
def test_a_damaged_file_is_inspected_or_refused(tmp_path, fixture):
    path = tmp_path / fixture
    for broken in damaged((FIXTURES / fixture).read_bytes(), 100, bytes_each=4):
        path.write_bytes(broken)
        try:
            json.dumps(gf.inspect(path).as_dict())
        except UserError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize("fixture", sorted(
    path.name for path in FIXTURES.iterdir() if path.suffix in (".onnx", ".keras")))
def test_what_can_be_loaded_has_no_blockers(fixture):
    found = gf.inspect(FIXTURES / fixture)
    network = gf.load(FIXTURES / fixture)
    assert found.blockers == () and found.options == () and found.estimate.fits
    assert sum(row.parameters for row in found.layers) == network.parameters


def test_a_described_network_is_inspected():
    found = gf.inspect(FIXTURES / "described_last.safetensors",
                       network=FIXTURES / "described_last.toml")
    assert found.options == ("--network", str(FIXTURES / "described_last.toml"))


def test_a_model_of_fifty_megabytes_takes_seconds(tmp_path):
    units = 1240
    big = {"W": (1, 4 * units, units), "R": (1, 4 * units, units), "B": (1, 8 * units)}
    model = graph(LAST, shape=("b", "t", units), constants=CONSTANTS | {
        name: np.ones(shape, np.float32) for name, shape in big.items()})
    model.graph.node[1].attribute[0].i = units
    onnx.save(model, tmp_path / "m.onnx")
    start = time.process_time()
    assert gf.inspect(tmp_path / "m.onnx", board="u280").options == ("--timesteps", "32")
    assert time.process_time() - start < 15
