"""TensorFlow Lite files: what is read, what is refused, and damaged ones."""

from __future__ import annotations

import re
import struct
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import examine, load
from gatefold.gen.frontends.builder import Incomplete
from gatefold.gen.frontends.tflite.flat import read_model
from gatefold.gen.frontends.tflite.layers import _limits
from gatefold.gen.frontends.tflite.model import Model
from gatefold.gen.network.forward import forward
from gatefold.gen.network.int8 import Affine
from gatefold.gen.numbers.quantize import quantize
from tests.support.tflite_files import FLOAT, patched, path, places, vectors


def layers(name: str) -> str:
    return " ".join(layer.shown for layer in load(path(name)).layers)


@pytest.mark.parametrize(("name", "expected"), [
    ("dense", "dense dense flatten dense"),
    ("stacked", "lstm lstm dense"),
    ("autoencoder", "lstm lstm repeat_vector lstm lstm dense"),
    ("forum", "conv1d conv1d conv1d lstm dense dense dense"),
    ("padded", "conv1d conv1d lstm dense"),
    ("both_ways", "reverse lstm lstm reverse concat lstm dense"),
    ("sequence", "lstm dense"),
])
def test_operators_become_layers(name, expected):
    assert sorted(layers(name).split()) == sorted(expected.split())


@pytest.mark.parametrize("name", FLOAT)
def test_a_float_file_computes_what_litert_computes(name):
    network, given = load(path(name)), vectors(name)
    assert network.affine is None
    np.testing.assert_allclose(forward(network, given["x"]), given["y"], rtol=0, atol=2e-6)


def test_a_cell_state_that_reaches_the_clip_of_a_float_file_is_refused():
    network, x = load(path("float_padded")), vectors("float_padded")["x"]
    (lstm,) = (layer for layer in network.layers if layer.kind == "lstm")
    assert lstm.c_clip == 10
    quantize(network, calibration=x)
    layers = tuple(replace(layer, c_clip=0.01) if layer is lstm else layer
                   for layer in network.layers)
    clipped = replace(network, layers=layers)
    assert np.abs(forward(clipped, x) - forward(network, x)).max() > 1e-3
    with pytest.raises(UserError, match=r"lstm: its cell state reaches 0\.01 on the "):
        quantize(clipped, calibration=x)


@pytest.mark.parametrize("name", ["dense", "stacked", "forum", "padded"])  # others saturate
def test_a_full_integer_file_keeps_its_numbers(name):
    network, given = load(path(name)), vectors(name)
    (x,), (y,) = network.affine
    floats = forward(network, x.to_float(given["x"]))
    # Not exact: LiteRT rounds after every layer.
    steps = np.abs(floats - y.to_float(given["y"])) / y.scale
    assert np.median(steps) < 6, np.median(steps)


def test_quantising_is_that_of_litert():
    form, given = Affine(0.5, -3), [0.0, 0.24, 0.25, -0.25, 0.75, 1e9, -1e9, np.nan]
    np.testing.assert_array_equal(form.quantize(given), [-3, -3, -3, -3, -1, 127, -128, -3])
    np.testing.assert_array_equal(form.beyond(given), [False] * 5 + [True] * 2 + [False])
    np.testing.assert_array_equal(form.to_float([-3, -1]), [0, 1])


def test_a_masked_begin_of_an_axis_that_is_dropped_is_its_first_step(tmp_path):
    """As LiteRT reads it; the converter sets no such mask."""
    data, file = path("padded").read_bytes(), tmp_path / "m.tflite"
    at = places(data)["StridedSlice.begin"][0]
    assert data[at] == 0b101
    file.write_bytes(patched(data, at, "b", 0b111))
    network, x = load(file), vectors("padded")["x"][:2]
    trace: dict = {}
    forward(load(path("padded")), x, trace=trace)
    (h,) = (tensors["h"] for name, tensors in trace.items() if "lstm" in name)
    again: dict = {}
    forward(network, x, trace=again)
    dense = network.layers[-1]
    (name, y), = ((name, tensors["y"]) for name, tensors in again.items() if name.endswith("dense"))
    np.testing.assert_allclose(y.reshape(2, -1), np.clip(h[:, 0] @ dense.w.T + dense.b,
                                                         *dense.y.to_float([dense.lo, dense.hi])))


@pytest.mark.parametrize(("zero", "most"), [(0, 64), (3, 66), (-127, -64), (100, 127)])
def test_six_is_rounded_with_its_zero_point(zero, most):
    """6 / scale is 63.5: LiteRT 2.3.0 answered with these."""
    scale = float(np.float32(12) / np.float32(127))
    assert _limits("RELU6", Affine(scale, zero)) == (zero, most)


def given_inputs(name: str, **inputs: int) -> bytes:
    """A file, inputs of whose first LSTM (``at16=5``) are those of another number."""
    data = path(name).read_bytes()
    operators = read_model(data)["graphs"][0]["operators"]
    builtins = [one["builtin"] for one in read_model(data)["codes"]]
    n = next(n for n, one in enumerate(operators) if builtins[one["code"]] == 44)
    at = places(data)["Operator.inputs"][n]
    at += int.from_bytes(data[at:at + 4], "little") + 4
    for key, other in inputs.items():
        data = patched(data, at + 4 * int(key[2:]), "i", operators[n]["inputs"][other])
    return data


@pytest.mark.parametrize("saves", [0, -1 << 20], ids=["in the recurrent weights", "of its own"])
def test_a_projection(tmp_path, monkeypatch, saves):
    """It has the weights of the input gate here."""
    monkeypatch.setattr("gatefold.gen.frontends.builder._PROJECTS", saves)
    (tmp_path / "m.tflite").write_bytes(given_inputs("float_padded", at16=5))
    plain, x, trace = load(path("float_padded")), vectors("float_padded")["x"], {}
    forward(plain, x, trace=trace)
    lstm, head = plain.layers[2:4]
    h, c = np.zeros((2, len(x), lstm.units))
    for x_t in trace["l1_conv1d"]["y"].swapaxes(0, 1):
        z = x_t @ lstm.w_ih.T + h @ lstm.w_hh.T + lstm.b
        i, f, g, o = np.split(z, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o)) @ lstm.w_hh[:lstm.units].T
    network = load(tmp_path / "m.tflite")
    assert (network.layers[2].w_hr is None) == (saves == 0)
    np.testing.assert_allclose(forward(network, x), h @ head.w.T + head.b, rtol=1e-5, atol=1e-6)


def test_peepholes_are_read_in_floats_and_refused_in_int8(tmp_path):
    """They have the weights of biases here."""
    (tmp_path / "m.tflite").write_bytes(given_inputs("float_padded", at9=12, at10=13, at11=15))
    lstm = load(tmp_path / "m.tflite").layers[2]
    np.testing.assert_array_equal(lstm.w_p, np.delete(lstm.b.reshape(4, -1), 2, 0).reshape(-1))
    (tmp_path / "q.tflite").write_bytes(given_inputs("stacked", at9=12, at10=13, at11=15))
    with pytest.raises(UserError, match="it has peephole weights, which are supported in float32"):
        load(tmp_path / "q.tflite")


# ---- what is refused ---------------------------------------------------------------------------

STACKED = path("stacked").read_bytes()
CAUSAL = path("causal").read_bytes()
#: Where the options of its first LSTM are.
LSTM = {name: places(STACKED)[f"Lstm.{name}"][0] for name in ("activation", "cell_clip")}


def operand(data: bytes, n: int) -> int:
    """The place in the file of the type of operator n's first operand."""
    graph = read_model(data)["graphs"][0]
    with_type = [k for k, one in enumerate(graph["tensors"]) if one["type"]]
    return places(data)["Tensor.type"][with_type.index(graph["operators"][n]["inputs"][0])]


def code(number: int) -> bytes:
    """The stacked network, its LSTM another operator."""
    n = [one["builtin"] for one in read_model(STACKED)["codes"]].index(44)
    data = patched(STACKED, places(STACKED)["OperatorCode.builtin"][n], "i", number)
    return patched(data, places(STACKED)["OperatorCode.old"][n], "b", min(number, 127))


def scale(value: float) -> bytes:
    """The stacked network with another scale of its input."""
    at = places(STACKED)["Quantization.scale"][0]
    return patched(STACKED, at + int.from_bytes(STACKED[at:at + 4], "little") + 4, "f", value)


def zero(value: int, data: bytes = STACKED) -> bytes:
    """A network with another zero point of its input."""
    at = places(data)["Quantization.zero"][0]
    return patched(data, at + int.from_bytes(data[at:at + 4], "little") + 4, "q", value)


@pytest.mark.parametrize(("data", "words"), [
    (code(119), "operator 0 (WHILE.*the LSTM was not fused.*tf_keras (Keras 2)"),
    (code(88), "operator 0 (UNPACK.*tf_keras"),
    (code(25), "operator 0 (SOFTMAX.*compute it on the host"),
    (code(41), "operator 0 (SUB.*give the Keras or ONNX model that it was converted from"),
    (code(32), "operator 0 (CUSTOM.*tf_keras"),
    (patched(STACKED, operand(STACKED, 0), "b", 7), "is int16"),
    (patched(STACKED, operand(STACKED, 1), "b", 7), "int16 activations (16x8)"),
    (patched(STACKED, operand(STACKED, 0), "b", 3), "is uint8: it must be float32 or int8"),
    (patched(STACKED, LSTM["activation"], "b", 1), "activation must be 4, not 1"),
    (patched(STACKED, LSTM["cell_clip"], "f", float("nan")), "cell_clip is nan"),
    (scale(0.0), "scales that are not positive"),
    (scale(float("inf")), "scales that are not positive"),
    (zero(128), "zero point 128"),
    (zero(1 << 40), "zero points beyond 8 bits"),
    (zero(77, CAUSAL), "(PAD, .*what it pads has other scales or zero points"),
    (patched(STACKED, places(STACKED)["Model.version"][0], "I", 4), "version 4"),
])
def test_what_is_not_supported_is_refused(tmp_path, data, words):
    file = tmp_path / "m.tflite"
    file.write_bytes(data)
    with pytest.raises(UserError, match="m.tflite.*" + words.replace("(", r"\(").replace(
            ")", r"\)")) as refused:
        load(file)
    assert "\n" not in str(refused.value)


def test_a_hybrid_model_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "m.tflite"
    data = STACKED
    for n in range(3):
        data = patched(data, operand(STACKED, n), "b", 0)
    file.write_bytes(data)
    with pytest.raises(UserError, match="hybrid, float32 activations and int8 weights: convert"):
        load(file)


def test_inspect_names_every_operator(tmp_path):
    file = tmp_path / "m.tflite"
    file.write_bytes(code(119))
    with pytest.raises(Incomplete) as refused:
        examine(file)
    assert [one.kind for one in refused.value.refusals.found] == ["WHILE", "WHILE"]


# ---- damaged files -----------------------------------------------------------------------------


def survives(data: bytes, tmp_path) -> bool:
    """Whether a file is read; it may be refused, in one line and soon."""
    file = tmp_path / "m.tflite"
    file.write_bytes(data)
    started = time.process_time()
    try:
        load(file)
        return True
    except UserError as error:
        assert "\n" not in str(error)
        return False
    finally:
        assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["sequence", "float_padded"])
def test_a_file_that_is_cut_off_anywhere_is_refused(name):
    data = path(name).read_bytes()
    for size in [*range(8, len(data) - 100, 13), *range(len(data) - 100, len(data))]:
        with pytest.raises(UserError):
            read_model(data[:size])


def test_flipped_bits_never_end_in_a_traceback(tmp_path):
    rng = np.random.default_rng(0)
    data = path("sequence").read_bytes()
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(8, len(data), 3):
            damaged[at] ^= 1 << rng.integers(8)
        survives(bytes(damaged), tmp_path)


@pytest.mark.parametrize("field", ["Model.graphs", "Model.buffers", "SubGraph.tensors",
                                   "SubGraph.operators", "Tensor.shape", "Buffer.data"])
@pytest.mark.parametrize("count", [1 << 31, (1 << 32) - 1, 5000])
def test_a_vector_that_declares_more_than_the_file_holds(field, count, tmp_path):
    at = places(STACKED)[field][0]
    vector = at + int.from_bytes(STACKED[at:at + 4], "little")
    assert not survives(patched(STACKED, vector, "I", count), tmp_path)


@pytest.mark.parametrize("field", ["Model.graphs", "SubGraph.tensors", "Tensor.quantization",
                                   "Operator.inputs", "Buffer.data"])
@pytest.mark.parametrize("offset", [0, 1, 0x7FFFFFFF, 0xFFFFFFFC])
def test_an_offset_that_leads_nowhere_or_backwards(field, offset, tmp_path):
    data = patched(STACKED, places(STACKED)[field][0], "I", offset)
    assert not survives(data, tmp_path)


AUTOENCODER = path("autoencoder").read_bytes()


def numbers_of(data: bytes, tensor: int) -> int:
    """Where the contents of a constant begin in the file."""
    number = read_model(data)["graphs"][0]["tensors"][tensor]["buffer"]
    with_data = [n for n, one in enumerate(read_model(data)["buffers"]) if len(one["data"])]
    at = places(data)["Buffer.data"][with_data.index(number)]
    return at + int.from_bytes(data[at:at + 4], "little") + 4


def repeated(times: int) -> bytes:
    """The autoencoder, whose TILE repeats the code so many times."""
    nodes = Model(AUTOENCODER).nodes
    (tile,) = [node for node in nodes if node.operator == "TILE"]
    return patched(AUTOENCODER, numbers_of(AUTOENCODER, tile.inputs[1]) + 4, "i", times)


def longer(steps: int) -> bytes:
    """The stacked network with another number of timesteps at its input."""
    first = Model(STACKED).inputs[0]
    at = places(STACKED)["Tensor.shape"][first]
    vector = at + int.from_bytes(STACKED[at:at + 4], "little")
    return patched(STACKED, vector + 8, "i", steps)


@pytest.mark.parametrize("data", [repeated(60_000_000), repeated(2**31 - 1), longer(2**31 - 1),
                                  longer(65_535), longer(0), longer(-1)])
def test_what_would_take_gigabytes_is_refused_before_it_is_allocated(data, tmp_path):
    tracemalloc.start()
    try:
        assert not survives(data, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("field", "code", "value", "words"), [
    ("Quantization.scale", "f", float("nan"), "scales that are not positive"),
    ("Quantization.scale", "f", -1.0, "scales that are not positive"),
    ("Quantization.zero", "q", -129, "zero points beyond 8 bits")])
def test_quantisation_parameters_of_every_tensor_that_is_read(field, code, value, words, tmp_path):
    used = 0
    for at in places(STACKED)[field]:
        data = patched(STACKED, at + int.from_bytes(STACKED[at:at + 4], "little") + 4, code, value)
        try:
            quantize(load_bytes(data, tmp_path))
        except UserError as error:
            used += 1
            assert re.search(words, str(error)) and "\n" not in str(error)
    assert used > 15  # biases state scales too, which nobody reads


def load_bytes(data: bytes, tmp_path):
    file = tmp_path / "m.tflite"
    file.write_bytes(data)
    return load(file)


def test_vectors_that_overlap():
    at = places(STACKED)["Tensor.shape"][0]
    vector = at + int.from_bytes(STACKED[at:at + 4], "little")
    with pytest.raises(UserError, match="tables or vectors overlap at byte"):
        read_model(patched(STACKED, vector, "I", 8))


@pytest.mark.parametrize(("text", "refused"), [(9, True), (11, True), (12, False)])
def test_a_text_within_the_last_field_of_a_table(text, refused):
    """A model with a description ``text`` bytes behind its start and a version, its last field, in
    the bytes 8 to 12."""
    fields = struct.pack("<HHHHHH", 12, 12, 8, 0, 0, 4)
    data = struct.pack("<I", 16) + fields + struct.pack("<iII", 12, text - 4, 3) + bytes(8)
    if refused:
        with pytest.raises(UserError, match="tables or vectors overlap at byte"):
            read_model(data)
    else:
        assert read_model(data)["version"] == 3


def test_what_a_table_holds_may_count_padding_behind_it():
    """As converters write it, who put the next table there."""
    at = places(STACKED)["Operator"][0]
    fields = at - int.from_bytes(STACKED[at:at + 4], "little", signed=True)
    held = int.from_bytes(STACKED[fields + 2:fields + 4], "little")
    longer = patched(STACKED, fields + 2, "H", held + 40)
    assert len(read_model(longer)["graphs"]) == len(read_model(STACKED)["graphs"])
