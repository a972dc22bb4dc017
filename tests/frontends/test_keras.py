"""``.keras`` files: models that are read, refusals with their messages, and hostile files."""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Lstm, Network
from tests.support.damage import damaged, refused_or_loaded
from tests.support.places import FIXTURES


def unpack(fixture: str) -> tuple[dict, bytes]:
    """config.json and the weights of a fixture."""
    with zipfile.ZipFile(FIXTURES / fixture) as archive:
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def pack(path: Path, config: object, weights: bytes, **more: bytes) -> Path:
    """Write a .keras file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0"}')
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        for name, data in more.items():
            archive.writestr(name, data)
    return path


def layer(config: dict, class_name: str) -> dict:
    """The first layer of a class."""
    return next(entry for entry in config["config"]["layers"] if entry["class_name"] == class_name)


def refusal(path: Path) -> str:
    """The message of the UserError that loading ``path`` raises: one printable line."""
    with pytest.raises(UserError) as caught:
        load(path)
    text = str(caught.value)
    assert text.isprintable() and text.isascii()
    assert str(path.parent) not in text
    return text


def kinds(path: Path) -> list[str]:
    return [one.kind for one in load(path).layers]


# --- models that are read


@pytest.mark.parametrize(("fixture", "expected"), [
    ("keras_stack.keras", ["lstm", "lstm", "dense", "dense"]),
    ("keras_autoencoder.keras", ["lstm", "lstm", "repeat_vector", "lstm", "lstm", "dense"]),
    ("tf_keras_autoencoder.keras", ["lstm", "lstm", "repeat_vector", "lstm", "lstm", "dense"]),
    ("keras_flatten.keras", ["lstm", "flatten", "dense", "dense"]),
    ("keras_functional.keras", ["lstm", "lstm", "dense", "dense"]),
    # A ReLU after an LSTM has no Dense to join, and becomes one with the identity matrix.
    ("keras_nested.keras", ["lstm", "dense", "dense"]),
])
def test_layers_of_the_network(fixture, expected):
    assert kinds(FIXTURES / fixture) == expected


def test_an_activation_of_its_own_joins_the_dense_before_it():
    first, second = (one for one in load(FIXTURES / "keras_flatten.keras").layers
                     if isinstance(one, Dense))
    assert (first.activation, second.activation) == ("tanh", "sigmoid")


def test_without_bias_the_bias_is_zero():
    lstm, dense = load(FIXTURES / "keras_nobias.keras").layers
    assert isinstance(lstm, Lstm) and isinstance(dense, Dense)
    assert not lstm.b.any() and not dense.b.any()


def test_kernels_are_transposed_and_gates_kept():
    lstm = load(FIXTURES / "keras_last.keras").layers[0]
    assert isinstance(lstm, Lstm)
    with h5py.File(io.BytesIO(unpack("keras_last.keras")[1])) as file:
        kernel = file["layers/lstm/cell/vars/0"][()]
    np.testing.assert_array_equal(lstm.w_ih, kernel.T)
    assert lstm.w_ih.shape == (28, 3)


@pytest.mark.parametrize("kind", ["<f2", "<f8"])
def test_weights_of_other_precisions(tmp_path, kind):
    config, weights = unpack("keras_last.keras")
    arrays = {}
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(lambda name, one: arrays.update({name: one[()]})
                        if isinstance(one, h5py.Dataset) else None)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.astype(kind))
    for entry in config["config"]["layers"]:
        entry["config"]["dtype"] = {"class_name": "DTypePolicy", "config": {"name": "float16"}}
    path = pack(tmp_path / "m.keras", config, buffer.getvalue())
    found, same = load(path).layers[0], load(FIXTURES / "keras_last.keras").layers[0]
    assert isinstance(found, Lstm) and isinstance(same, Lstm)
    np.testing.assert_array_equal(found.w_ih, same.w_ih.astype(kind).astype(np.float32))


def test_source_describes_the_file_but_not_its_place():
    source = load(FIXTURES / "keras_last.keras").source
    assert source["format"] == "keras" and source["exporter"].startswith("keras 3.")
    assert len(source["sha256"]) == 64
    assert source["bytes"] == (FIXTURES / "keras_last.keras").stat().st_size
    assert str(FIXTURES) not in json.dumps(source)


def test_content_decides_the_format_not_the_name(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes((FIXTURES / "keras_last.keras").read_bytes())
    assert kinds(path) == ["lstm", "dense"]


@pytest.mark.parametrize("change", [
    {"unroll": True}, {"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"trainable": False},
    {"unit_forget_bias": False}, {"kernel_initializer": "zeros"}, {"bias_regularizer": "l2"},
    {"implementation": 1}, {"zero_output_for_mask": True}, {"seed": 3}, {"time_major": False},
    {"activation": {"module": "builtins", "class_name": "function", "config": "tanh",
                    "registered_name": "function"}},
], ids=lambda change: next(iter(change)))
def test_settings_that_change_nothing_at_inference(tmp_path, change):
    config, weights = unpack("keras_last.keras")
    layer(config, "LSTM")["config"].update(change)
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    np.testing.assert_array_equal(forward(load(pack(tmp_path / "m.keras", config, weights)), x),
                                  forward(load(FIXTURES / "keras_last.keras"), x))


def test_masks_of_nothing_are_no_masks(tmp_path):
    # Keras writes one for each input of a model within the model.
    config, weights = unpack("keras_functional.keras")
    use(config)["kwargs"] = {"mask": [None, None]}
    path = pack(tmp_path / "m.keras", config, weights)
    assert kinds(path) == kinds(FIXTURES / "keras_functional.keras")


# --- refusals


@pytest.mark.parametrize(("class_name", "change", "words"), [
    ("LSTM", {"activation": "softsign"}, "LSTM layer 'lstm.*': activation must be tanh or relu or "
     "linear or hard_tanh, not 'softsign': no other has a table in hardware"),
    ("LSTM", {"activation": "sigmoid"}, "activation must be tanh or relu or linear or hard_tanh"),
    ("LSTM", {"recurrent_activation": "tanh"},
     "recurrent_activation must be sigmoid or hard_sigmoid, not 'tanh'"),
    ("LSTM", {"return_state": True}, "Dense layer 'dense.*' must have one input, not 3"),
    ("LSTM", {"time_major": True}, "time_major must be False, not True"),
    ("LSTM", {"use_bias": "yes"}, "use_bias must be true or false, not 'yes'"),
    ("LSTM", {"use_bias": False}, "must have 2 weight arrays, not 3"),
    ("LSTM", {"units": 8}, r"must have the shape \(3, 32\), not \(3, 28\)"),
    ("LSTM", {"units": 0}, "units must be an integer in 1..65536, not 0"),
    ("LSTM", {"units": 10**30}, "units must be an integer in 1..65536"),
    ("LSTM", {"units": "7"}, "units must be an integer in 1..65536"),
    ("LSTM", {"units": 7.0}, "units must be an integer in 1..65536"),
    ("LSTM", {"dtype": "float8"}, "dtype must be a float of 16, 32 or 64 bits, not 'float8'"),
    ("LSTM", {"dtype": {"class_name": "DTypePolicy", "config": {"name": "int8"}}},
     "dtype must be a float of 16, 32 or 64 bits, not 'int8'"),
    ("LSTM", {"peephole": True}, "the setting 'peephole' \\(True\\) is not known"),
    ("Dense", {"activation": "exponential"}, "Dense layer 'dense.*': activation must be linear or "
     "relu or sigmoid or tanh or hard_sigmoid or hard_tanh or .*, not 'exponential'"),
    ("LSTM", {"activation": "gelu"}, "not 'gelu'"),
    ("Dense", {"activation": {"module": "keras.layers", "class_name": "LeakyReLU"}},
     "by name, not the layer 'LeakyReLU': put an Activation or ReLU layer behind this one"),
    ("Dense", {"activation": {"class_name": "function", "config": "f", "module": "builtins",
                              "registered_name": "mine>f"}}, "not a function of one's own"),
    ("Dense", {"activation": {"class_name": "__lambda__", "config": {"value": ""}}},
     "not a function of one's own"),
    ("Dense", {"lora_rank": 4}, "the setting 'lora_rank' \\(4\\) is not known"),
    ("Dense", {"quantization_config": {"mode": "int8"}}, "quantization_config must be None"),
    ("InputLayer", {"batch_shape": [None, None, 3]}, "the number of timesteps is not fixed"),
    ("InputLayer", {"batch_shape": [None, 6, None]}, "the number of features is not fixed"),
    ("InputLayer", {"batch_shape": [None, 6, 4]}, r"must have the shape \(4, 28\), not \(3, 28\)"),
    ("InputLayer", {"batch_shape": [None, 10**12, 3]}, "timesteps must be an integer in 1..65536"),
    ("InputLayer", {"batch_shape": [None, 2, 6, 3]}, r"LSTM layer .* takes \(timesteps, feat"),
    ("InputLayer", {"batch_shape": [None] * 6}, r"must be \(timesteps, features\)"),
    ("InputLayer", {"batch_shape": "x"}, r"must be \(timesteps, features\)"),
    ("InputLayer", {"sparse": True}, "sparse must be False"),
    ("InputLayer", {"ragged": True}, "ragged must be False"),
    ("InputLayer", {"dtype": "int32"}, "dtype must be a float of 16, 32 or 64 bits, not 'int32'"),
])
def test_a_setting_is_refused_by_name(tmp_path, class_name, change, words):
    config, weights = unpack("keras_last.keras")
    layer(config, class_name)["config"].update(change)
    text = refusal(pack(tmp_path / "m.keras", config, weights))
    assert re.search(words, text), text


def test_the_layers_of_a_sequential_model_may_be_a_bare_list(tmp_path):
    """As Keras before 2.2 writes them."""
    config, weights = unpack("keras_last.keras")
    whole = load(pack(tmp_path / "whole.keras", config, weights))
    config["config"] = config["config"]["layers"]
    bare = load(pack(tmp_path / "bare.keras", config, weights))
    x = np.random.default_rng(0).standard_normal((2, *whole.input_shape))
    np.testing.assert_array_equal(forward(bare, x), forward(whole, x))



@pytest.mark.parametrize(("entry", "words"), [
    ({"class_name": "Masking"}, "the class Masking is not supported: the core takes every"),
    ({"class_name": "Embedding"}, "Embedding is not supported: the core takes numbers, not tokens"),
    ({"class_name": "LayerNormalization"}, "the core has no divider: train with Batch"),
    ({"class_name": "Lambda"}, "Lambda is not supported: it holds code of its own, which is never"),
    ({"class_name": "TFOpLambda"}, "TFOpLambda is not supported: it is a TensorFlow function"),
    ({"class_name": "MultiHeadAttention"}, "attention multiplies data by data"),
    ({"class_name": "LeakyReLU", "config": {"alpha": "0.3"}}, "alpha must be a number, not '0.3'"),
    ({"class_name": "Conv3D"}, "the class 'Conv3D' is not supported: near it are Conv1D"),
    ({"class_name": "Erf", "module": "keras.src.ops.math"},
     "the operator class 'Erf' is not supported: export the model to ONNX"),
    ({"class_name": "InputLayer", "config": {"batch_shape": [None, 5]}}, "contradicts what"),
    ({"class_name": "Dense", "module": "os"}, "the custom class 'Dense' is not supported"),
    ({"class_name": "Dense", "registered_name": "mine>Dense"}, "custom class 'Dense'"),
    ({"class_name": "Dense", "module": None, "registered_name": "Dense"}, "custom class 'Dense'"),
    ({"class_name": "RepeatVector", "config": {"n": 0}}, "n must be an integer in 1..65536, not 0"),
    ({"class_name": "RepeatVector", "config": {"n": 10**9}}, "n must be an integer in 1..65536"),
    ({"class_name": "LSTM", "config": {"units": 3}}, r"takes \(timesteps, features\)"),
    ({"class_name": "TimeDistributed", "config": {}}, r"takes \(timesteps, features\)"),
    ({"class_name": "ReLU", "config": {"max_value": -6.0}}, "and max_value a positive number"),
    ({"class_name": "ReLU", "config": {"max_value": 6.0, "negative_slope": 0.1}},
     "max_value a positive number without a negative_slope"),
    ({"class_name": "ReLU", "config": {"threshold": 1.0}}, "threshold must be 0, and max_value a "
     "positive number without a negative_slope, not 1"),
    ({"class_name": "Softmax", "config": {"axis": 0}}, "axis must be in 1..1, or -1, not 0"),
    ({"class_name": "Add"}, "must have two inputs or more, not 1"),
    ({"class_name": "Concatenate"}, "must have two inputs or more, not 1"),
    ({"class_name": "Permute", "config": {"dims": [2, 1]}}, "dims must be an order of 1..1"),
    ({"class_name": "Reshape", "config": {"target_shape": [-1, -1]}}, "must be a list of integers"),
    ({"class_name": "Reshape", "config": {"target_shape": [3]}}, "does not hold the elements"),
    ({"class_name": "Conv1D", "config": {"filters": 3}}, r"takes \(timesteps, features\)"),
    ({"class_name": "Rescaling", "config": {"scale": [1, 2, 3]}}, "one for each of the 2 features"),
    ({"class_name": "Rescaling", "config": {"scale": {"a": 1}}}, "must be a number or one for"),
    ({"class_name": "BatchNormalization", "config": {"axis": [0]}}, "axis must be in 1..1"),
    ({"class_name": "BatchNormalization", "config": {"renorm": True}}, "renorm must be False"),
    ({"class_name": "BatchNormalization", "config": {"epsilon": "x"}}, "epsilon must be a number"),
    ({"class_name": "Activation", "config": {"activation": "exponential"}}, "not 'exponential'"),
    ({"class_name": "Flatten", "config": {"data_format": "channels_first"}}, "data_format must be"),
    ({"class_name": "Dropout", "config": {"rate": 0.1, "spice": 1}}, "the setting 'spice'"),
    ({"class_name": "Sequential", "config": {"layers": []}}, "has no layers"),
    (7, "describes a layer that has no configuration"),
    ({"class_name": "Dense", "config": []}, "describes a layer that has no configuration"),
])
def test_a_layer_is_refused_by_name(tmp_path, entry, words):
    config, weights = unpack("keras_last.keras")
    if isinstance(entry, dict):
        entry = {"module": "keras.layers", "registered_name": None,
                 "config": {"name": "guest"}, **entry}
        if isinstance(entry["config"], dict):
            entry["config"].setdefault("name", "guest")
    config["config"]["layers"].append(entry)
    text = refusal(pack(tmp_path / "m.keras", config, weights))
    assert re.search(words, text), text


def chain_of(config: dict) -> list[dict]:
    return config["config"]["layers"]


def use(config: dict, n: int = 1) -> dict:
    """The call of the n-th layer."""
    return chain_of(config)[n]["inbound_nodes"][0]


def history(config: dict, n: int) -> list:
    """The argument of the n-th layer: [layer, use, output]."""
    return use(config, n)["args"][0]["config"]["keras_history"]


def in_both_directions(**settings) -> dict:
    """A Bidirectional around an LSTM."""
    half = {"class_name": "LSTM", "module": "keras.layers", "registered_name": None,
            "config": {"name": "half", "units": 3}}
    half["config"] |= settings.pop("half", {})
    return {"class_name": "Bidirectional", "module": "keras.layers", "registered_name": None,
            "config": {"name": "both", "layer": half, **settings}}


@pytest.mark.parametrize(("settings", "words"), [
    ({"merge_mode": "max"}, "merge_mode must be concat or sum or mul or ave or None, not 'max'"),
    ({"layer": {"class_name": "Dense", "config": {}}}, "must be LSTM or GRU or SimpleRNN, not"),
    ({"layer": {"class_name": "LSTM", "config": {}, "registered_name": "a>LSTM"}}, "must be LSTM"),
    ({"backward_layer": {"class_name": "LSTM", "config": {"units": 0}}}, "units must be an"),
    ({"backward_layer": {"class_name": "LSTM", "config": {"units": 3}}},
     "one of its layers must have go_backwards=True"),
    ({"half": {"time_major": True}}, "time_major must be False"),
    ({"half": {"peephole": True}}, "the setting 'peephole'"),
])
def test_a_bidirectional_layer_is_refused_by_name(tmp_path, settings, words):
    config, weights = unpack("keras_last.keras")
    chain_of(config)[1] = in_both_directions(**settings)
    text = refusal(pack(tmp_path / "m.keras", config, weights))
    assert words in text, text


def cut(config):
    chain_of(config)[-1]["inbound_nodes"] = []


def twice(config):
    chain_of(config)[1]["inbound_nodes"] *= 2


def loop(config):
    history(config, 1)[0] = chain_of(config)[3]["config"]["name"]


def no_such_layer(config):
    history(config, 3)[0] = "nowhere"


def no_such_output(config):
    history(config, 3)[2] = 7


def no_such_use(config):
    history(config, 3)[1] = 1


def training(config):
    use(config, 2)["kwargs"] = {"training": True}


def initial_state(config):
    use(config)["kwargs"] = {"initial_state": [{}, {}]}


def one_state(config):
    constant = {"class_name": "__numpy__", "config": {"value": [[0.0] * 13]}}
    use(config)["kwargs"] = {"initial_state": [constant]}


def wrong_state(config):
    constant = {"class_name": "__numpy__", "config": {"value": [[0.0] * 3]}}
    use(config)["kwargs"] = {"initial_state": [constant] * 2}


def mask(config):
    use(config)["kwargs"] = {"mask": {"class_name": "__keras_tensor__"}}


def masks(config):
    use(config)["kwargs"] = {"mask": [None, {"class_name": "__keras_tensor__"}]}


def same_names(config):
    chain_of(config)[2]["name"] = chain_of(config)[1]["name"]


def other_outputs(config):
    config["config"]["output_layers"] = [["a", 0, 0], ["b", 0, 0]]


def no_outputs(config):
    config["config"]["output_layers"] = []


def other_inputs(config):
    config["config"]["input_layers"] = [["a", 0, 0], ["b", 0, 0]]


def inputs_twice(config):
    config["config"]["input_layers"] = [config["config"]["input_layers"]] * 2


def nameless(config):
    chain_of(config)[1]["inbound_nodes"] = [{"args": "x"}]


@pytest.mark.parametrize(("edit", "words"), [
    (cut, "is used 0 times"), (loop, "depends on layers after it"),
    (twice, "is used several times: a layer with weights can be used once"),
    (no_such_layer, "use 0 of layer 'nowhere' does not exist"),
    (no_such_output, "there is no number 7"), (no_such_use, "use 1 of layer"),
    (training, "is called with 'training'"),
    (initial_state, "is called with a dictionary: call it with a list"),
    (one_state, "initial_state must be 2 value(s), not 1"),
    (wrong_state, "initial_state must be of the shape (1, 13)"), (mask, "is called with 'mask'"),
    (masks, "is called with 'mask'"),
    (same_names, "layer names must be unique"), (other_outputs, "use 0 of layer 'a' does not"),
    (no_outputs, "output_layers must be a list of layers"),
    (other_inputs, "inputs are not among its layers"),
    (inputs_twice, "is not among the model's inputs, or twice"),
    (nameless, "must have one input or several"),
])
def test_an_inconsistent_graph_is_refused(tmp_path, edit, words):
    config, weights = unpack("keras_functional.keras")
    edit(config)
    assert words in refusal(pack(tmp_path / "m.keras", config, weights))


def test_a_layer_that_nothing_reads_is_left_out(tmp_path):
    config, weights = unpack("keras_functional.keras")
    extra = copy.deepcopy(chain_of(config)[2])
    extra["name"] = extra["config"]["name"] = "branch"
    chain_of(config).append(extra)
    assert kinds(pack(tmp_path / "m.keras", config, weights)) == kinds(
        FIXTURES / "keras_functional.keras")


def test_a_softmax_is_left_to_the_host_and_only_at_an_output(tmp_path):
    config, weights = unpack("keras_functional.keras")
    chain_of(config)[-1]["config"]["activation"] = "softmax"
    path = pack(tmp_path / "m.keras", config, weights)
    assert load(path).host == ("softmax",)
    chain_of(config)[-2]["config"]["activation"] = "softmax"
    assert "only an output of the network can be one" in refusal(pack(path, config, weights))


def test_hard_sigmoid_of_an_unknown_keras_is_refused(tmp_path):
    config, weights = unpack("keras_last.keras")
    layer(config, "Dense")["config"]["activation"] = "hard_sigmoid"
    path = pack(tmp_path / "m.keras", config, weights)
    assert isinstance(load(path), Network)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    assert "differs between Keras 2 and 3" in refusal(path)


# --- hostile files


@pytest.mark.parametrize("name", [
    "endmodule\nassign x = 1;", '";rm -rf ~;"', "../../../etc/passwd", "always", "\x00\x1b[31m", "",
    "a" * 10_000, "\u202eevil", 7, None, ["list"],
])
def test_a_layer_may_have_any_name_but_it_goes_nowhere(tmp_path, name):
    config, weights = unpack("keras_last.keras")
    layer(config, "LSTM")["config"]["name"] = name
    path = pack(tmp_path / "m.keras", config, weights)
    assert load(path).names == ("l0_lstm", "l1_dense")
    layer(config, "LSTM")["config"]["time_major"] = True
    assert len(refusal(pack(path, config, weights))) < 400


def test_a_file_cut_anywhere_is_refused(tmp_path):
    data = (FIXTURES / "keras_last.keras").read_bytes()
    path = tmp_path / "m.keras"
    for length in [*range(0, 40), *range(40, len(data), 631), len(data) - 1]:
        path.write_bytes(data[:length])
        refusal(path)


def test_a_damaged_file_is_refused_or_harmless(tmp_path):
    path = tmp_path / "m.keras"
    for broken in damaged((FIXTURES / "keras_last.keras").read_bytes(), 150):
        path.write_bytes(broken)
        refused_or_loaded(path)


def test_damaged_weights_are_refused_or_harmless(tmp_path):
    config, weights = unpack("keras_last.keras")
    for broken in damaged(weights, 150, seed=1):
        refused_or_loaded(pack(tmp_path / "m.keras", config, broken))


def edit_weights(edit) -> tuple[dict, bytes]:
    """The fixture with ``edit`` applied to its HDF5 file."""
    config, weights = unpack("keras_last.keras")
    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "r+") as file:
        edit(file)
    return config, buffer.getvalue()


KERNEL = "layers/lstm/cell/vars/0"


def replaced(file, **options):
    del file[KERNEL]
    file.create_dataset(KERNEL, **options)


@pytest.mark.parametrize(("edit", "words"), [
    (lambda f: f.pop("layers/lstm"), "has no weights in model.weights.h5"),
    (lambda f: f.pop(KERNEL), "must have 3 weight arrays, not 2"),
    (lambda f: f.create_dataset("layers/lstm/cell/vars/3", data=[1.0]), "3 weight arrays, not 4"),
    (lambda f: (f.pop(KERNEL), f.create_group(KERNEL)), "is no array"),
    (lambda f: (f.pop(KERNEL), f.__setitem__(KERNEL, h5py.ExternalLink("/etc/passwd", "/x"))),
     "is a link to another place or file, which is not followed"),
    (lambda f: (f.pop(KERNEL), f.__setitem__(KERNEL, h5py.SoftLink("/layers/dense/vars/0"))),
     "is a link to another place or file"),
    (lambda f: replaced(f, shape=(3, 28), dtype="f4",
                        external=[("/etc/passwd", 0, 3 * 28 * 4)]), "is not stored plainly"),
    (lambda f: replaced(f, data=np.zeros((3, 28), "f4"), compression="gzip"), "not stored plainly"),
    (lambda f: replaced(f, shape=(3, 28), dtype="f4"), "is not stored plainly"),
    (lambda f: replaced(f, shape=(1 << 40, 1 << 20), dtype="f4", chunks=(1, 1)),
     "must have the shape"),
    (lambda f: replaced(f, data=np.zeros((3, 28), ">f4")), "in this machine's byte order"),
    (lambda f: replaced(f, data=np.zeros((3, 28), "S4")), "weights must be floats of 16, 32"),
    (lambda f: replaced(f, data=np.full((3, 28), np.nan, "f4")), "w_ih holds NaN or infinite"),
    (lambda f: replaced(f, data=np.full((3, 28), np.inf, "f4")), "w_ih holds NaN or infinite"),
])
def test_weights_are_refused(tmp_path, edit, words):
    assert words in refusal(pack(tmp_path / "m.keras", *edit_weights(edit)))


def test_a_declared_size_is_checked_before_it_is_allocated(tmp_path):
    config, weights = edit_weights(lambda f: replaced(
        f, shape=(3, 4 * 65536), dtype="f4", chunks=(3, 4096)))
    layer(config, "LSTM")["config"]["units"] = 65536
    assert "may hold at most" in refusal(pack(tmp_path / "m.keras", config, weights))


@pytest.mark.parametrize(("config", "words"), [
    ("{", "is not readable JSON"), ("[]", "must hold an object"), ("[" * 100_000, "readable JSON"),
    ("{}", "has no configuration"), ("\x00", "is not readable JSON"),
    ('{"class_name": "Dense", "module": "keras", "config": {}}', "must be Sequential or"),
    ('{"class_name": "Sequential", "module": "keras", "config": {"layers": []}}', "has no layers"),
    ('{"class_name": "Sequential", "module": "keras", "config": {"layers": 3}}', "has no layers"),
])
def test_other_configurations_are_refused(tmp_path, config, words):
    assert words in refusal(pack(tmp_path / "m.keras", config, unpack("keras_last.keras")[1]))


def test_models_nested_without_end_are_refused(tmp_path):
    config, weights = unpack("keras_last.keras")
    for _ in range(60):
        config = {"class_name": "Sequential", "module": "keras", "config": {"layers": [config]}}
    assert "levels of nesting" in refusal(pack(tmp_path / "m.keras", config, weights))
