"""The recipes of docs/bring-your-own.md, each run on a small model that is made here."""

from __future__ import annotations

import re
import shlex

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import gatefold as gf
from tests.frontends.test_cut import CASES, LSTM, TURN, onnx_file
from tests.frontends.test_keras_options import archive
from tests.support.cli_harness import gatefold
from tests.support.onnx_graphs import graph, node, recurrent_weights
from tests.support.places import ROOT

RNG = np.random.default_rng(12)
RECIPES = {name: (kind, text) for name, kind, text in re.findall(
    r"<!-- recipe: (\w+) -->\n```(\w+)\n(.*?)```", (ROOT / "docs/bring-your-own.md").read_text(),
    re.DOTALL)}
#: The smallest array, so that a test takes a second.
SMALL = ["--pe", "4", "--simd", "4"]


def follow(name: str) -> dict:
    """Do what a recipe says in the working directory; the names that its Python leaves."""
    kind, text = RECIPES[name]
    if kind == "python":
        left: dict = {}
        exec(text, left)
        return left
    for line in text.splitlines():
        words = shlex.split(line)
        result = gatefold(*words[1:], *(SMALL if words[1] == "build" else []))
        assert words[0] == "gatefold" and result.exit_code == 0, result.output
    return {}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def model_of(place, case, name):
    nodes, shape, integers, _, _ = CASES[case]
    return onnx_file(place, nodes, shape, integers).rename(place / name)


def test_embedding(place):
    model = model_of(place, "normalised behind", "tagger.onnx")
    tokens = RNG.integers(0, 50, (5, 6))
    np.save("tokens.npy", tokens)
    follow("embedding")
    wanted = ReferenceEvaluator(onnx.load(model)).run(None, {"x": tokens})[0]
    assert np.abs(np.load("scores.npy") - wanted).max() < 5e-3


def test_image(place):
    model_of(place, "an image in front", "crnn.onnx")
    follow("image")
    first, later = (onnx.load(place / name / "host" / "before.onnx") for name in ("core", "later"))
    assert len(later.graph.node) > len(first.graph.node)


def test_streaming(place):
    nodes = [node("Identity", "x", output="e"), TURN,
             node("LSTM", "xt", "W", "R", "B", "", "h0", "c0", output=["Y", "hn", "cn"],
                  hidden_size=7),
             node("Squeeze", "hn", "zero", output="y")]
    model = graph(nodes, shape=("b", "t", 3), outputs=("y", "hn", "cn"),
                  constants=recurrent_weights() | {"zero": np.array([0])},
                  inputs={"h0": (1, "b", 7), "c0": (1, "b", 7)})
    onnx.save(model, "vad.onnx")
    sound = floats(4, 8, 3)
    np.save("sound.npy", sound)
    follow("streaming")
    state = dict.fromkeys(("h0", "c0"), np.zeros((1, 1, 7), np.float32))
    wanted = []
    for frame in sound:
        y, state["h0"], state["c0"] = ReferenceEvaluator(model).run(
            None, {"x": frame[None], **state})
        wanted.append(y[0])
    assert np.abs(np.load("speech.npy") - np.stack(wanted)).max() < 2e-3
    assert np.abs(np.load("anew.npy")[0] - wanted[0]).max() < 2e-3


def test_int8(place):
    held = recurrent_weights() | {"zero": np.array([0])}
    integers = {name: np.round(held[name] / np.float32(0.02)).astype(np.int8) for name in "WR"}
    nodes = [*(node("DequantizeLinear", f"{name}q", "scale", output=name, name=name)
               for name in "WR"), node("Identity", "x", output="e"), TURN, LSTM,
             node("Squeeze", "h", "zero", output="y")]
    constants = {f"{name}q": value for name, value in integers.items()} | {
        "B": held["B"], "zero": held["zero"], "scale": np.float32(0.02)}
    onnx.save(graph(nodes, constants=constants), "quantised.onnx")
    follow("int8")
    network = gf.load("quantised.onnx")
    w_ih = next(layer for layer in network.layers if layer.kind == "lstm").w_ih
    assert set(np.round(w_ih / 0.02, 3).ravel().tolist()) <= set(range(-128, 128))


def test_keras2(place):
    (place / "keras2.h5").write_bytes(archive("tf_keras")["gru_last.h5"])
    follow("keras2")
    assert (place / "core" / "report.json").exists()


def test_npz(place):
    held = {"enc_emb": floats(29, 5), "enc_w_ih": floats(18, 5), "enc_w_hh": floats(18, 6) / 3,
            "enc_b_ih": floats(18), "enc_b_hh": floats(18)}
    np.savez("checkpoint.npz", **held)
    left = follow("npz")
    x = held["enc_emb"][RNG.integers(0, 29, 12)]
    h = np.zeros(6)
    for x_t in x:
        of_x, of_h = held["enc_w_ih"] @ x_t + held["enc_b_ih"], held["enc_w_hh"] @ h + held[
            "enc_b_hh"]
        r, z = np.split(1 / (1 + np.exp(-(of_x + of_h)[:12])), 2)
        h = (1 - z) * np.tanh(of_x[12:] + r * of_h[12:]) + z * h
    assert np.abs(left["core"].run(x)[0, -1] - h).max() < 5e-3


def test_own(place):
    x, w, r, b = floats(5, 6, 3), floats(28, 3), floats(28, 7) / 3, floats(28)
    np.savez("mine.npz", x=x, w=w, r=r, b=b)
    left = follow("own")
    h = c = np.zeros((5, 7))
    for x_t in x.swapaxes(0, 1):
        i, f, g, o = np.split(x_t @ w.T + h @ r.T + b, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    assert np.abs(left["y"] - h).max() < 2e-3


def test_every_recipe_is_tested():
    assert set(RECIPES) == {name.removeprefix("test_") for name in globals()
                            if name.removeprefix("test_") in RECIPES} and len(RECIPES) == 7
