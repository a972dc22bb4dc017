"""ONNX files that are damaged, hostile or in several pieces: one line, soon, and little memory."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gatefold.gen.errors import UserError
from gatefold.gen.forward import forward
from gatefold.gen.frontends import load

from .onnx_graphs import FIXTURES, graph, loaded, node, recurrent_weights, refusal

STACK = "torch_stack.script17.onnx"
TURN = node("Transpose", "x", output="xt", perm=[1, 0, 2])
LAST = [TURN, node("LSTM", "xt", "W", "R", "B", output=("", "h"), hidden_size=7),
        node("Identity", "h")]


def change(edit) -> onnx.ModelProto:
    model = onnx.load(FIXTURES / STACK)
    edit(model)
    return model


def external(location, **more):
    def edit(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            tensor.external_data.add(key=key, value=value)
    return edit


@pytest.mark.parametrize(("edit", "words"), [
    (lambda m: m.graph.ClearField("node"), "is no model, or a truncated one"),
    (lambda m: m.graph.ClearField("output"), "is no model, or a truncated one"),
    (lambda m: m.ClearField("graph"), "is no model, or a truncated one"),
    (lambda m: m.graph.ClearField("input"), "has no input"),
    (lambda m: m.ClearField("opset_import"), "opset must be in 9.."),
    (lambda m: setattr(m.opset_import[0], "version", 7), "not 7: export it with opset 17"),
    (lambda m: setattr(m.opset_import[0], "version", 999), "not 999"),
    (lambda m: m.functions.add(name="f"), "holds model-local functions ('f')"),
    (lambda m: m.graph.sparse_initializer.add(), "holds sparse tensors"),
    (lambda m: m.graph.node.reverse(), "is not defined before it is used"),
    (lambda m: m.graph.node.append(m.graph.node[-1]), "is defined twice"),
    (lambda m: m.graph.initializer[0].dims.append(2), "declares the shape"),
    (lambda m: m.graph.initializer[0].dims.append(1 << 60), "may hold at most"),
    (lambda m: m.graph.initializer[0].dims.append(-1), "may hold at most"),
    (lambda m: m.graph.initializer[0].ClearField("raw_data"), "declares the shape"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "type STRING"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "type unknown"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 10), "must be float32"),
    (external("weights.data"), "keeps its data in another file (external data), which is not read"),
    (external("/etc/passwd"), "which is not read: export one file"),
    (external("../../secret"), "which is not read: export one file"),
])
def test_a_model_is_refused(tmp_path, edit, words):
    assert words in refusal(change(edit), tmp_path, external_data=False)


@pytest.mark.parametrize("name", ["endmodule\nassign x = 1;", '";rm -rf ~;"', "../../etc/passwd",
                                  "always", "\x00\x1b[31m", "", "a" * 10_000, "\u202eevil"])
def test_a_node_may_have_any_name_but_it_goes_nowhere(tmp_path, name):
    model = graph(LAST, constants=recurrent_weights())
    model.graph.node[1].name = name
    assert loaded(model, tmp_path).names == ("l0_lstm",)
    model.graph.node[1].op_type = name or "?"
    refusal(model, tmp_path)
    model = graph(LAST, constants=recurrent_weights())
    model.producer_name = name
    assert loaded(model, tmp_path).source["exporter"].isprintable()


@pytest.mark.parametrize("fixture", [STACK, "torch_repeat.dynamo.onnx", "keras_last.onnx"])
def test_a_file_cut_anywhere_is_refused(tmp_path, fixture):
    data = (FIXTURES / fixture).read_bytes()
    for length in [*range(1, 30), *range(30, len(data), 211), len(data) - 1]:
        refusal(data[:length], tmp_path)


@pytest.mark.parametrize("fixture", [STACK, "torch_repeat.dynamo.onnx", "keras_last.onnx"])
def test_a_damaged_file_is_refused_or_harmless(tmp_path, fixture):
    data, path = (FIXTURES / fixture).read_bytes(), tmp_path / "m.onnx"
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 4):
            broken[place] = random.integers(256)
        path.write_bytes(broken)
        try:
            load(path)
        except UserError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize("nodes", [
    [node("ConstantOfShape", "huge", output="z"), node("Add", "x", "z")],
    [node("Expand", "one", "huge", output="z"), node("Add", "x", "z")],
    [node("Tile", "x", "huge")],
    [node("Range", "none", "limit", "step", output="z"), node("Add", "x", "z")],
    [node("Gather", "x", "many", axis=2, output="a"), node("Reshape", "a", "wide", output="b"),
     node("Gather", "b", "many", axis=0)],
    [node("Concat", *["x" if n == 0 else f"c{n}"] * 64, axis=0,
          output="y" if n == 7 else f"c{n + 1}") for n in range(8)],
])
def test_a_small_file_can_not_ask_for_much_memory(tmp_path, nodes):
    constants = {"huge": np.array([1 << 20, 1 << 20, 1 << 20]), "none": np.array(0),
                 "limit": np.array(1 << 50), "step": np.array(1), "many": np.zeros(60000, np.int64),
                 "wide": np.array([2, -1]), "one": np.array(1.0, np.float32)}
    text = refusal(graph(nodes, constants=constants), tmp_path)
    assert re.search("may hold at most|moves too much data", text)


# --- weights in a second file, where the caller allows it


def split(folder: Path, location="m.onnx.data", **more) -> onnx.ModelProto:
    """The stack fixture with its first tensor in a second file."""
    model = onnx.load(FIXTURES / STACK)
    (folder / "m.onnx.data").write_bytes(bytes(16) + model.graph.initializer[0].raw_data)
    return change(external(location, offset="16", **more))


def test_external_data_beside_the_model_may_be_allowed(tmp_path):
    (tmp_path / "m.onnx").write_bytes(split(tmp_path).SerializeToString())
    network, whole = load(tmp_path / "m.onnx", external_data=True), load(FIXTURES / STACK)
    x = np.random.default_rng(0).normal(size=(2, *whole.input_shape))
    np.testing.assert_array_equal(forward(network, x), forward(whole, x))
    assert network.source["external_bytes"] > 0 and len(network.source["external_sha256"]) == 64


@pytest.mark.parametrize(("location", "more", "words"), [
    ("/etc/passwd", {}, "must lie in a file beside the model"),
    ("../m.onnx.data", {}, "must lie in a file beside the model"),
    ("sub/m.onnx.data", {}, "must lie in a file beside the model"),
    (".hidden", {}, "must lie in a file beside the model"), ("", {}, "must lie in a file beside"),
    ("..", {}, "must lie in a file beside the model"), ("none", {}, "No such file"),
    ("link", {}, "can not be read"), ("pipe", {}, "is no regular file"),
    ("folder", {}, "external data 'folder'"),
    ("m.onnx.data", {"length": "4"}, "contradicts its shape"),
    ("m.onnx.data", {"length": "x"}, "contradicts its shape"),
    ("m.onnx.data", {"speed": "9"}, "contradicts its shape"),
    ("short", {}, "ends before byte"),
])
def test_external_data_elsewhere_is_refused(tmp_path, location, more, words):
    model = split(tmp_path, location, **more)
    (tmp_path / "short").write_bytes(bytes(20))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "m.onnx.data")
    os.mkfifo(tmp_path / "pipe")
    assert words in refusal(model, tmp_path, external_data=True)
