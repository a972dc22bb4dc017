"""Weights files (.safetensors, .npz) and descriptions: networks that are read, refusals, hostile
files. The fixtures hold torch's own outputs (fixtures/make_described.py)."""

from __future__ import annotations

import io
import json
import pickle
import re
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.inspect import inspect
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Gru, Lstm
from tests.support.cli_harness import gatefold, refused
from tests.support.damage import refused_or_loaded
from tests.support.places import FIXTURES

LINEAR = 'input.shape = [3]\n[[layer]]\nkind = "linear"\nweights = "fc"\noutputs = 2\n'


def tensors(**arrays: np.ndarray) -> bytes:
    """A safetensors file of float32 arrays; ``__`` in a name is a dot."""
    header, body = {}, b""
    for name, array in arrays.items():
        data = array.astype("<f4").tobytes()
        header[name.replace("__", ".")] = {"dtype": "F32", "shape": list(array.shape),
                                           "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    return framed(header, body)


def framed(header: object, body: bytes = b"") -> bytes:
    """A safetensors file of any header, given as an object or as its text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def zipped(**arrays: object) -> bytes:
    """An .npz file."""
    file = io.BytesIO()
    np.savez(file, **{name.replace("__", "."): array for name, array in arrays.items()})
    return file.getvalue()


def linear(rng: int = 0) -> dict[str, np.ndarray]:
    """A Linear of 3 features and 2 outputs."""
    random = np.random.default_rng(rng)
    return {"fc__weight": random.normal(size=(2, 3)).astype(np.float32),
            "fc__bias": random.normal(size=2).astype(np.float32)}


def given(folder: Path, weights: bytes, text: str | bytes | None = LINEAR):
    """(path of the weights file, path of the description or None)."""
    path = folder / "w.bin"
    path.write_bytes(weights)
    if text is None:
        return path, None
    described = folder / "net.toml"
    described.write_bytes(text.encode() if isinstance(text, str) else text)
    return path, described


def refusal(path: Path, description: Path | None) -> str:
    """The message of the UserError: one printable line, naming the file, in bounded time."""
    begun = time.process_time()
    with pytest.raises(UserError) as caught:
        load(path, network=description)
    assert time.process_time() - begun < 8
    text = str(caught.value)
    assert text.isprintable() and text.isascii() and text.startswith("'w.bin'")
    assert str(path.parent) not in text
    return text


# --- networks that are read

@pytest.mark.parametrize(("weights", "description"), [
    ("last.safetensors", "last.toml"), ("hidden.weights.npz", "hidden.json"),
    ("conv.safetensors", "conv.toml"),
    ("autoencoder.safetensors", "autoencoder.toml"),
    ("autoencoder.safetensors", None),  # described in its metadata; F16, BF16, F64 and F32
])
def test_the_network_computes_what_torch_does(weights, description):
    network = load(FIXTURES / f"described_{weights}",
                   network=description and FIXTURES / f"described_{description}")
    with np.load(FIXTURES / f"described_{weights.split('.')[0]}.npz") as stored:
        np.testing.assert_allclose(forward(network, stored["x"]), stored["y"], atol=1e-5)


def test_layers_and_source():
    network = load(FIXTURES / "described_last.safetensors",
                   network=FIXTURES / "described_last.toml")
    assert sum(isinstance(layer, Lstm) for layer in network.layers) == 4
    assert network.layers[-1].origin == "head"
    assert network.source["format"] == "safetensors"
    assert len(network.source["sha256"]) == len(network.source["network_sha256"]) == 64
    assert str(FIXTURES) not in json.dumps(network.source)


def test_hidden_is_the_last_layer_of_each_direction():
    network = load(FIXTURES / "described_hidden.weights.npz",
                   network=FIXTURES / "described_hidden.json")
    assert [layer.kind for layer in network.layers].count("concat") == 2
    assert all(layer.reset_after for layer in network.layers if isinstance(layer, Gru))


@pytest.mark.parametrize("write", [tensors, zipped])
def test_a_linear_layer(tmp_path, write):
    arrays = linear()
    path, described = given(tmp_path, write(**arrays))
    x = np.random.default_rng(1).normal(size=(4, 3))
    np.testing.assert_allclose(forward(load(path, network=described), x),
                               x @ arrays["fc__weight"].T + arrays["fc__bias"], atol=1e-6)


MORE = {  # layers behind a Linear without weights of their own, and the functions they compute
    "relu": ('kind = "activation"\nfunction = "relu"', lambda y: np.maximum(y, 0)),
    "sigmoid": ('kind = "activation"\nfunction = "sigmoid"', lambda y: 1 / (1 + np.exp(-y))),
    "tanh": ('kind = "activation"\nfunction = "tanh"', np.tanh),
    "hardsigmoid": ('kind = "activation"\nfunction = "hardsigmoid"',
                    lambda y: np.clip(y / 6 + 0.5, 0, 1)),
    "hardtanh": ('kind = "activation"\nfunction = "hardtanh"', lambda y: np.clip(y, -1, 1)),
    "maxpool1d": ('kind = "maxpool1d"\nkernel = 2', lambda y: y.reshape(-1, 2, 2, 2).max(2)),
    "avgpool1d": ('kind = "avgpool1d"\nkernel = 2\nstride = 2',
                  lambda y: y.reshape(-1, 2, 2, 2).mean(2)),
    "global": ('kind = "global_avgpool1d"', lambda y: y.mean(1)),
    "last_step": ('kind = "last_step"', lambda y: y[:, -1]),
    "flatten": ('kind = "flatten"', lambda y: y.reshape(len(y), -1)),
    "flatten, channels first": ('kind = "flatten"\norder = "channels_first"',
                                lambda y: y.transpose(0, 2, 1).reshape(len(y), -1)),
    "repeat": ('kind = "last_step"\n[[layer]]\nkind = "repeat"\ntimesteps = 3',
               lambda y: np.repeat(y[:, -1:], 3, axis=1)),
    "softmax": ('kind = "softmax"', lambda y: y),
}


@pytest.mark.parametrize(("more", "function"), MORE.values(), ids=MORE)
def test_layers_without_weights(tmp_path, more, function):
    arrays = linear()
    text = LINEAR.replace("[3]", "[4, 3]") + f"[[layer]]\n{more}\n"
    path, described = given(tmp_path, tensors(**arrays), text)
    network = load(path, network=described)
    x = np.random.default_rng(1).normal(size=(5, 4, 3))
    y = function(x @ arrays["fc__weight"].T + arrays["fc__bias"])
    np.testing.assert_allclose(forward(network, x), y, atol=1e-6)
    assert network.host == (("softmax",) if "softmax" in more else ("",))


def test_no_prefix(tmp_path):
    arrays = {name.removeprefix("fc__"): array for name, array in linear().items()}
    path, described = given(tmp_path, zipped(**arrays), LINEAR.replace('"fc"', '""'))
    assert load(path, network=described).layers[0].kind == "dense"


def test_ignored_prefixes_and_batch_counts(tmp_path):
    body = tensors(**linear(), aux__weight=np.zeros((9, 9)))
    path, described = given(tmp_path, body, 'ignore = ["aux"]\n' + LINEAR)
    assert load(path, network=described).parameters == 8
    header = {"n.num_batches_tracked": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
              "fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]}}
    path, described = given(tmp_path, framed(header, bytes(32)), LINEAR + "bias = false\n")
    assert load(path, network=described).parameters == 8


# --- descriptions that are refused

@pytest.mark.parametrize(("text", "words"), [
    ("# nothing", "'net.toml': input is missing: give a table with shape"),
    ("input = 3", "input must be a table with shape, not 3"),
    ("[input]\nshape = [3]", r"layer is missing: give 1 to 256 tables \[\[layer\]\]"),
    ("layer = []\n[input]\nshape = [3]", r"layer must be 1 to 256 tables"),
    ("[input]\nshape = 3\n[[layer]]", r"input: shape must be \[timesteps, features\] or"),
    ("[input]\nshape = [0, 3]\n[[layer]]", "input: shape must be"),
    ("[input]\nshape = [3]\nbatch = 1\n[[layer]]",
     "input: the key 'batch' is unknown: the keys here are shape"),
    ("[input]\nshape = [3]\n[[layer]]", "layer 1: kind is missing: give one of lstm, gru, rnn"),
    (LINEAR.replace('"linear"', '"Linear"'), "layer 1: kind must be one of lstm, .*, not 'Linear'"),
    (LINEAR.replace('"linear"', "1"), "layer 1: kind must be one of .*, not 1"),
    (LINEAR + "units = 3", r"layer 1 \(linear\): the key 'units' is unknown: the keys here are "
                           "weights, outputs, bias, activation"),
    (LINEAR.replace("outputs = 2\n", ""), "outputs is missing: give an integer in 1..65536"),
    (LINEAR.replace("outputs = 2", "outputs = 2.0"), "outputs must be an integer in 1.*, not 2.0"),
    (LINEAR.replace("outputs = 2", "outputs = true"), "outputs must be an integer .*, not True"),
    (LINEAR + 'bias = "no"', "bias must be true or false, not 'no'"),
    (LINEAR + 'activation = "gelu"', "activation must be one of none, relu, .*, not 'gelu'"),
    (LINEAR.replace("outputs = 2", "outputs = 4"),
     r"'fc.weight' must have the shape \(4, 3\), which the network's description implies, not "
     r"\(2, .*: correct the sizes"),
    (LINEAR.replace('"fc"', '"head"'), "holds no 'head.weight': give the prefix .* 'fc.weight'"),
    (LINEAR + "bias = false", "does not use 'fc.bias', which the weights file holds"),
    ('ignore = "fc"\n' + LINEAR, "ignore must be a list of prefixes, not 'fc'"),
    (LINEAR.replace("linear", "lstm").replace("outputs", "units"), "takes .timesteps, features."),
    (LINEAR.replace("linear", "lstm").replace("outputs", "units").replace("[3]", "[4, 3]"),
     "holds no 'fc.weight_ih_l0'"),
    (LINEAR + '[[layer]]\nkind = "softmax"\n[[layer]]\nkind = "activation"\nfunction = "relu"',
     "reads a softmax"),
    (LINEAR + '[[layer]]\nkind = "repeat"\ntimesteps = 99999999',
     "timesteps must be an integer in"),
    (LINEAR.replace("outputs = 2", "outputs = 65536").replace("[3]", "[65536]"),
     "may hold at most 67108864 elements"),
    ("{", "'net.toml' is no readable TOML or JSON"),
    ("[input", "is no readable TOML or JSON"),
    ("[1]", "the key '1' is unknown"),
    (b"\xff\xfe", "is no readable TOML or JSON"),
    ("x = " + "[" * 900, "is no readable TOML or JSON"),
    ("x = " + "[\n" * 30_000, "is no readable TOML or JSON"),
    ('{"x": ' + "[" * 60_000, "is no readable TOML or JSON"),
    ('{"x": ' + '{"x":' * 12_000, "is no readable TOML or JSON"),
    ("a" + ".a" * 30_000 + " = 1", "65536, and 1000 in a line"),
    ("\n".join("a" + ".a" * 490 + f".b{n} = 1" for n in range(60)), "the key 'a' is unknown"),
    ("x = " + "9" * 900, "the key 'x' is unknown"),
    ("#" * 70_000, "70000 bytes; a description has at most 65536"),
])
def test_a_description_that_is_refused(tmp_path, text, words):
    path, described = given(tmp_path, tensors(**linear()), text)
    assert described is not None
    text = refusal(path, described)

    assert re.search(words, text), text


@pytest.mark.parametrize(("layers", "words"), [
    ('kind = "conv1d"\nweights = "fc"\noutputs = 2\nkernel = 2\nstride = 2\npadding = "same"',
     "padding 'same' needs stride 1, not 2"),
    ('kind = "conv1d"\nweights = "fc"\noutputs = 2\nkernel = 2\npadding = "full"',
     "padding must be one of same, valid, or an integer in 0..65536, not 'full'"),
    ('kind = "conv1d"\nweights = "fc"\noutputs = 2\nkernel = 9', "a window of 9 taps"),
    ('kind = "maxpool1d"\nkernel = 2\n[[layer]]\nkind = "flatten"',
     "order is missing, which is required behind a convolution or pooling: give 'channels_first'"),
    ('kind = "batchnorm1d"\nweights = "fc"\neps = -1', "eps must be a number above 0"),
    ('kind = "rnn"\nweights = "fc"\nunits = 2\nnonlinearity = "elu"', "one of tanh, relu, not"),
    ('kind = "flatten"\n[[layer]]\nkind = "last_step"', r"takes \(timesteps, features\)"),
])
def test_layers_that_are_refused(tmp_path, layers, words):
    weights = tensors(fc__weight=np.zeros((2, 3, 9)), fc__bias=np.zeros(2))
    path, described = given(tmp_path, weights, f"input.shape = [4, 3]\n[[layer]]\n{layers}\n")

    assert re.search(words, refusal(path, described))


def test_a_description_for_a_model_that_has_its_own(tmp_path):
    path, described = given(tmp_path, (FIXTURES / "keras_last.keras").read_bytes())
    assert "holds its network itself" in refusal(path, described)


@pytest.mark.parametrize(("weights", "words"), [
    (tensors(**linear()), "is a safetensors file, not a model: it holds weights without their "
                          "network; describe that in a few lines"),
    (zipped(**linear()), "is a NumPy archive, not a model: .* --network net.toml"),
    (framed({"__metadata__": {"gatefold": "[input"}}), "the description in 'w.bin' is no readable"),
], ids=["safetensors", "npz", "metadata"])
def test_weights_without_a_description(tmp_path, weights, words):

    assert re.search(words, refusal(*given(tmp_path, weights, None)))


# --- weights files that are refused

def entry(**changes) -> bytes:
    """A file of one tensor of 4 float32, its entry changed."""
    return framed({"t": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changes},
                  bytes(16))


PETA = 10**15
HOSTILE_TENSORS = {
    "length of petabytes": (PETA.to_bytes(8, "little") + b'{"t":1}', "declares a header of 1000"),
    "length of all bits": (b"\xff" * 8 + b'{"t":1}', "declares a header of 1844674407"),
    "length one over": ((8).to_bytes(8, "little") + b'{"t":1}', "declares a header of 8 bytes"),
    "header too long": (framed(b'{"' + b"a" * (5 << 20) + b'":1}'), "at most 4194304 are read"),
    "no JSON": (framed(b'{"t":'), "its header is not readable"),
    "no text": (framed(b'{"\xff\xff": 1}'), "its header is not readable"),
    "deep": (framed(b'{"t":' + b"[" * 100_000), "its header is not readable"),
    "deep objects": (framed(b'{"t":' * 50_000), "its header is not readable"),
    "many digits": (framed(b'{"t":' + b"9" * 100_000 + b"}"), "its header is not readable"),
    "a name twice": (framed(b'{"t":1,"t":2}'), "a name occurs twice"),
    "entry": (framed({"t": 1}), "is not described by dtype, shape and data_offsets"),
    "entry with more": (entry(strides=[4]), "is not described by dtype, shape and data_offsets"),
    "type": (entry(dtype="F128"), "of the unknown type 'F128'"),
    "type of no text": (entry(dtype=["F32"]), "of the unknown type"),
    "shape negative": (entry(shape=[-4]), "has no shape"),
    "shape of text": (entry(shape="4"), "has no shape"),
    "shape of floats": (entry(shape=[4.0]), "has no shape"),
    "shape of many": (entry(shape=[1] * 1000), "has no shape of at most 8"),
    "petabytes": (entry(shape=[PETA]), "of 1e.15 elements of F32 lies in 16 bytes"),
    "petabytes claimed": (entry(shape=[PETA], data_offsets=[0, 4 * PETA]), "1e.15 elements of F32"),
    "product of petabytes": (entry(shape=[1 << 62] * 8), "elements of F32 lies in 16 bytes"),
    "offsets turned": (entry(data_offsets=[16, 0]), "lies in -16 bytes"),
    "offsets short": (entry(data_offsets=[16]), "has no data_offsets"),
    "offsets negative": (entry(data_offsets=[-16, 0]), "has no data_offsets"),
    "out of range": (entry(shape=[8], data_offsets=[0, 32]), "its tensors have 32 bytes, and 16"),
    "gap": (entry(shape=[2], data_offsets=[8, 16]), "leaves a gap before it"),
    "trailing bytes": (entry(shape=[2], data_offsets=[0, 8]), "have 8 bytes, and 16 are there"),
    "overlap": (framed({n: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for n in "ab"},
                       bytes(16)), "its tensor 'b' overlaps the one before it"),
    "metadata": (framed({"__metadata__": {"a": 1}}), "is not made of strings"),
    "terminal codes": (framed({"t\x1b[2J\n": 1}), r"tensor 't\\x1b\[2J\\n'"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE_TENSORS.values(), ids=HOSTILE_TENSORS)
def test_hostile_safetensors(tmp_path, data, words):

    text = refusal(*given(tmp_path, data))
    assert re.search(words, text) and "is a safetensors file" in text, text


@pytest.mark.parametrize("dtype", ["I8", "U8", "BOOL", "I32", "F8_E4M3"])
def test_weights_that_are_no_floats(tmp_path, dtype):
    size = {"I32": 4}.get(dtype, 1)
    header = {"fc.weight": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, 6 * size]}}
    text = refusal(*given(tmp_path, framed(header, bytes(6 * size))))
    assert f"'fc.weight' must be of F32, F16, BF16, F64, not {dtype}: give the float model" in text


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A .npy file of any header."""
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def members(**content: bytes) -> bytes:
    """A zip of .npy files, deflated."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(f"{name.replace('__', '.')}.npy", data)
    return file.getvalue()


class Payload:
    """Code that a pickle could run."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"
HOSTILE_ARRAYS = {
    "pickle": (zipped(fc__weight=np.array([Payload()], dtype=object)), "must hold real numbers"),
    "bare pickle": (members(fc__weight=pickle.dumps(Payload())), "has a damaged .npy header"),
    "petabytes": (members(fc__weight=npy(HEADER.format("<f4", f"({PETA},)"))), "declares 40000000"),
    "negative": (members(fc__weight=npy(HEADER.format("<f4", "(-2, -3)"), bytes(24))), "declares"),
    "short": (members(fc__weight=npy(HEADER.format("<f4", "(2, 3)"), bytes(20))), "but holds 20"),
    "deep": (members(fc__weight=npy("(" * 5000)), "has a damaged .npy header"),
    "code": (members(fc__weight=npy("__import__('os').abort()")), "has a damaged .npy header"),
    "version": (members(fc__weight=npy("{}", version=b"\x09\x00")), "has a damaged .npy header"),
    "structured": (members(fc__weight=npy(
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", bytes(24))),
        "must hold real numbers"),
    "integers": (zipped(fc__weight=np.zeros((2, 3), np.int32)), "must be of F32, F16, BF16, F64"),
    "complex": (zipped(fc__weight=np.zeros((2, 3), complex)), "must hold real numbers"),
    "NaN": (zipped(fc__weight=np.full((2, 3), np.nan), fc__bias=np.zeros(2)), "NaN or infinite"),
    "too large": (zipped(fc__weight=np.full((2, 3), 1e300), fc__bias=np.zeros(2)), "infinite"),
    "bomb": (members(fc__weight=npy(HEADER.format("<f4", "(67108863,)"), bytes(1 << 26))),
             "that is no model file"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_hostile_npz(tmp_path, data, words):
    assert words in refusal(*given(tmp_path, data))


def test_two_members_of_one_name(tmp_path):
    file = io.BytesIO()
    with pytest.warns(UserWarning), zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", b"1")
        archive.writestr("a.npy", b"2")
    assert "two members of one name" in refusal(*given(tmp_path, file.getvalue()))


@pytest.mark.parametrize("write", [tensors, zipped])
def test_truncated_anywhere(tmp_path, write):
    whole = write(fc__weight=np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32),
                  fc__bias=np.zeros(2), aux=np.random.default_rng(0).normal(size=(40, 100)))
    for end in [*range(1, 60), *range(60, len(whole), 1024), len(whole) - 1]:
        path, described = given(tmp_path, whole[:end], 'ignore = ["aux"]\n' + LINEAR)
        refusal(path, described)


@pytest.mark.parametrize("write", [tensors, zipped])
def test_flipped_bits_never_crash(tmp_path, write):
    random, whole = np.random.default_rng(0), write(**linear())
    for _ in range(150):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        path, described = given(tmp_path, bytes(data))
        refused_or_loaded(path, network=described)


@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, (data, _) in (HOSTILE_TENSORS | HOSTILE_ARRAYS).items()])
def test_memory_stays_small(tmp_path, data):
    path, described = given(tmp_path, data)
    tracemalloc.start()
    with pytest.raises(UserError):
        load(path, network=described)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


# --- what the host computes

TOKENS = """
input.shape = [6]
[[layer]]
kind = "embedding"
weights = "words"
rows = 9
outputs = 3
[[layer]]
kind = "layernorm"
weights = "norm"
[[layer]]
kind = "gru"
weights = "gru"
units = 4
output = "last"
[[layer]]
kind = "log_softmax"
"""


@pytest.mark.parametrize("rows", [9, 70_000])
def test_the_host_computes_what_lies_around_the_recurrent_layers(tmp_path, rows):
    random = np.random.default_rng(4)
    held = {name: random.standard_normal(shape).astype(np.float32) for name, shape in {
        "words__weight": (rows, 3), "norm__weight": (3,), "norm__bias": (3,),
        "gru__weight_ih_l0": (12, 3), "gru__weight_hh_l0": (12, 4), "gru__bias_ih_l0": (12,),
        "gru__bias_hh_l0": (12,)}.items()}
    path, described = given(tmp_path, zipped(**held), TOKENS.replace("rows = 9", f"rows = {rows}"))
    assert "embedding is computed by the host" in refusal(path, described)
    found = inspect(path, network=described)
    assert found.options == ("--network", str(described), "--cut", "auto")
    network = load(path, network=described, cut="auto")
    tokens, (w, gain, offset) = random.integers(0, 9, (5, 6)), list(held.values())[:3]
    host = Host(network.around)
    frames, kept = host.before(host.inputs(tokens))
    x = w[tokens] - w[tokens].mean(-1, keepdims=True)
    x = x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-5) * gain + offset
    np.testing.assert_allclose(frames, x, rtol=1e-4, atol=1e-6)
    h = forward(network, frames)
    (made,) = host.behind([h], kept)
    np.testing.assert_allclose(made, h - np.log(np.exp(h).sum(-1, keepdims=True)), rtol=1e-5)


# --- the command line

def test_build_says_what_network_is_for(tmp_path):
    text = refused("build", "--units", 4, "--features", 2, "--timesteps", 3, "--network", "n.toml",
                   "-o", tmp_path / "core")
    assert "--network describes the weights in MODEL: name their file too" in text
    text = refused("build", FIXTURES / "keras_last.keras", "--network", "n.toml", "-o",
                   tmp_path / "core")
    assert "holds its network itself" in text
    text = refused("build", FIXTURES / "described_last.safetensors", "-o", tmp_path / "core")
    assert "give them with --network net.toml" in text
    text = refused("build", FIXTURES / "described_last.safetensors", "--network",
                   tmp_path / "none.toml", "-o", tmp_path / "core")
    assert "'none.toml'" in text and "there is no such file" in text


def test_help_names_the_option():
    for command in ("build", "explore", "weights"):
        assert "--network NET.toml" in gatefold(command, "--help").stdout
