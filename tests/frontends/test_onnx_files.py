"""ONNX files that are damaged, hostile or in several pieces: one line, soon, and little memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from tests.support.damage import damaged, refused_or_loaded
from tests.support.onnx_graphs import graph, loaded, node, recurrent_weights, refusal
from tests.support.places import FIXTURES

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
    (lambda m: m.opset_import.add(domain="ai.onnx", version=12), "not 12 and 17"),
    (lambda m: m.functions.add(name="f"), "holds model-local functions ('f')"),
    (lambda m: m.graph.sparse_initializer.add(), "holds sparse tensors"),
    (lambda m: m.graph.node.pop(0), "is not defined before it is used"),
    (lambda m: m.graph.node.append(m.graph.node[-1]), "is defined twice"),
    (lambda m: m.graph.initializer[0].dims.append(2), "declares the shape"),
    (lambda m: m.graph.initializer[0].dims.append(1 << 60), "may hold at most"),
    (lambda m: m.graph.initializer[0].dims.append(-1), "may hold at most"),
    (lambda m: m.graph.initializer[0].ClearField("raw_data"), "declares the shape"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "type STRING"),
    (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "type unknown"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 7), "must be float32"),
    (external("weights.data"), "keeps its data in another file (external data), which is not read"),
    (external("/etc/passwd"), "which is not read: export one file"),
    (external("../../secret"), "which is not read: export one file"),
])
def test_a_model_is_refused(tmp_path, edit, words):
    assert words in refusal(change(edit), tmp_path, external_data=False)


def test_an_operator_set_may_be_declared_twice(tmp_path):
    """As tools that merge models write it."""
    model = change(lambda m: m.opset_import.add(version=17))
    assert len(model.opset_import) == 2
    assert loaded(model, tmp_path).outputs == loaded(change(lambda m: None), tmp_path).outputs


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
    path = tmp_path / "m.onnx"
    for broken in damaged((FIXTURES / fixture).read_bytes(), 150, bytes_each=4):
        path.write_bytes(broken)
        refused_or_loaded(path)


def chain(kind: str, count: int, *more: str, **attributes) -> list:
    """``count`` nodes one after the other."""
    names = ["x", *(f"a{n}" for n in range(1, count)), "y"]
    return [node(kind, before, *more, output=after, name=f"n{n}", **attributes)
            for n, (before, after) in enumerate(zip(names, names[1:], strict=False))]


def looping(*nodes, trips="", states=("h0",), scans=()) -> list:
    """A Loop over ``x`` without an end but ``trips``."""
    def info(name, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, None)
    body = helper.make_graph(
        [node("Identity", "go", output="on"), node("Gather", "x", "i", output="xi"), *nodes], "b",
        [info("i", TensorProto.INT64), info("go", TensorProto.BOOL), *map(info, states)],
        [info("on", TensorProto.BOOL), *(info(f"{name}2") for name in states), *map(info, scans)])
    return [node("Loop", trips, "yes", *states, output=[*"yzuvw"[:len(states) + len(scans)]],
                 body=body)]


HUGE = {"huge": np.array([1 << 20, 1 << 20, 1 << 20]), "none": np.array(0), "yes": np.array(True),
        "limit": np.array(1 << 50), "step": np.array(1), "many": np.zeros(60000, np.int64),
        "wide": np.array([2, -1]), "one": np.array(1.0, np.float32), "first": np.array([0]),
        "shuffled": np.random.default_rng(0).permutation(60000), "to": np.array([-1, *[2] * 14]),
        "pads": np.array([0, 1 << 40, 0, 0, 0, 0]), "h0": np.zeros((1, 3), np.float32),
        "matrix": np.array([8000, 8000]), "k": np.ones((2, 3, 3), np.float32),
        "tall": np.array([1 << 20, 1]), "square": np.array([256, 256]),
        "tiles": np.array([1, 100_000]), "trips": np.array(60_000)}
#: name: nodes and the input's shape. Small files, all of them.
HOSTILE = {
    "a constant of exabytes": ([node("ConstantOfShape", "huge", output="z"), node("Add", "x", "z")],
                               ("b", 6, 3)),
    "expanded": ([node("Expand", "one", "huge", output="z"), node("Add", "x", "z")], ("b", 6, 3)),
    "tiled": ([node("Tile", "x", "huge")], ("b", 6, 3)),
    "a range without end": ([node("Range", "none", "limit", "step", output="z"),
                             node("Add", "x", "z")], ("b", 6, 3)),
    "gathered twice": ([node("Gather", "x", "many", axis=2, output="a"),
                        node("Reshape", "a", "wide", output="b"),
                        node("Gather", "b", "many", axis=0)], ("b", 6, 3)),
    "doubled": ([node("Concat", *["x" if n == 0 else f"c{n}"] * 64, axis=0,
                      output="y" if n == 7 else f"c{n + 1}") for n in range(8)], ("b", 6, 3)),
    "petabytes of padding": ([node("Pad", "x", "pads", output="p"), node("Tanh", "p")],
                             ("b", 6, 3)),
    "a wide matrix": ([node("Expand", "one", "matrix", output="w"), node("MatMul", "x", "w")],
                      ("b", 6, 8000)),
    "shuffled": ([node("Gather", "x", "shuffled", output="g", axis=1), node("Tanh", "g")],
                 ("b", 60000)),
    "many axes": ([node("Reshape", "x", "to", output="r"), node("Transpose", "r", output="t"),
                   node("Tanh", "t")], ("b", 16384)),
    "many layers": (chain("Relu", 19_000), ("b", 3)),
    "many wide layers": (chain("Tanh", 3000), ("b", 1000)),
    "many nodes": (chain("Identity", 30_000), ("b", 3)),
    "many sums": ([node("Add", "x", "x", output="a0"), *(
        node("Add", f"a{n}", f"a{n}", output=f"a{n + 1}" if n < 2000 else "y", name=f"s{n}")
        for n in range(2001))], ("b", 300, 30)),
    "many transpositions": (chain("Transpose", 400, perm=[0, 2, 1]), ("b", 1000, 1000)),
    "a long average": ([node("ReduceMean", "x", axes=[1])], ("b", 60000, 30)),
    "a long window": ([node("MaxPool", "x", kernel_shape=[30000])], ("b", 3, 60000)),
    "a dilated window": ([node("Conv", "x", "k", dilations=[1 << 40], pads=[1 << 45, 1 << 45])],
                         ("b", 3, 600)),
    "a product of constants": ([node("Expand", "one", "tall", output="a"),
                                node("Transpose", "a", output="b"),
                                node("MatMul", "a", "b", output="w"), node("Add", "x", "w")],
                               ("b", 6, 3)),
    "products of constants": ([node("Expand", "one", "square", output="a"), *(
        node("MatMul", "a" if n == 0 else f"p{n}", "a", output=f"p{n + 1}", name=f"p{n}")
        for n in range(5000)), node("Add", "x", "p5000")], ("b", 6, 3)),
    "a loop without end": (looping(node("Add", "xi", "h0", output="h02")), (6, 1, 3)),
    "a loop that grows": (looping(node("Concat", "h0", "h0", output="h02", axis=0)), (6, 1, 3)),
    "a loop that collects": (looping(node("Add", "xi", "h0", output="h02"),
                                     node("Tile", "h0", "tiles", output="s"), trips="trips",
                                     scans=("s",)), (60000, 1, 3)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_takes_little_time_and_memory(tmp_path, name):
    nodes, shape = HOSTILE[name]
    outputs = tuple(nodes[-1].output) if nodes[-1].op_type == "Loop" else ("y",)
    read = {tensor for one in nodes for tensor in one.input} | {"yes", "first", "tiles"}
    constants = {key: value for key, value in HUGE.items() if key in read}
    model = graph(nodes, shape=shape, constants=constants, outputs=outputs)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    program = ("import sys, time\nfrom gatefold.gen.frontends import load\n"
               "from gatefold.gen.frontends.onnx import graph\n"
               "from gatefold.gen.errors import UserError\nstart = time.process_time()\n"
               "try:\n    load(sys.argv[1])\n    print('read')\nexcept UserError as error:\n"
               "    print(error)\nprint(time.process_time() - start)\n"
               "print(*[line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line])")
    # The time of all threads counts: one for BLAS, whose others wait busily.
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "m.onnx")],
                          capture_output=True, text=True, timeout=60,
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    said, seconds, kilobytes = done.stdout.splitlines()
    assert said.startswith("'m.onnx': ") and said.isprintable() and len(said) < 1200
    assert re.search("may hold at most|too much data|than .* layers|at most .* nodes|no model|"
                     "no Loop|no network of that size|operators", said)
    assert float(seconds) < 8 and int(kilobytes) < 500_000


@pytest.mark.parametrize("depth", [10, 100, 10_000])
def test_graphs_in_graphs_are_refused(tmp_path, depth):
    def message(field: int, data: bytes) -> bytes:
        size, length = b"", len(data)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([field << 3 | 2]) + size + bytes([length]) + data
    data = b""
    for _ in range(depth):  # graph 6 of attribute 5 of node 1
        data = message(1, message(5, message(6, data)))
    text = refusal(message(7, data), tmp_path)
    assert "is no model" in text or "opset" in text


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
