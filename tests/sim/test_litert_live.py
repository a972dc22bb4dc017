"""Live: golden against LiteRT itself, every activation, h and c; skipped where it is missing.

    make litert
"""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.frontends.tflite.model import Model
from gatefold.gen.measure.resolvers import finish_of
from gatefold.gen.network.int8 import Int8Dense
from gatefold.gen.numbers.quantize import quantize
from gatefold.sim.golden import golden, run
from tests.support.places import ROOT
from tests.support.tflite_files import INT8, path, vectors

interpreter = pytest.importorskip("ai_edge_litert.interpreter")
SAMPLES = 64


def test_this_is_the_version_whose_arithmetic_is_defined():
    assert importlib.metadata.version("ai-edge-litert") == "2.3.0"


class LiteRt:
    """A model in LiteRT, with the tensors of its layers by their names in the file."""

    def __init__(self, data: bytes, every: bool, resolver: str = "AUTO"):
        self.run = interpreter.Interpreter(
            model_content=data, experimental_preserve_all_tensors=every,
            experimental_op_resolver_type=interpreter.OpResolverType[resolver])
        self.run.allocate_tensors()
        self.into, self.out = (details[0]["index"] for details in (
            self.run.get_input_details(), self.run.get_output_details()))
        nodes = Model(data).nodes
        self.made = {node.name: node.output for node in nodes}
        self.cells = {node.name: node.input(19) for node in nodes if node.input(19) >= 0}

    def __call__(self, sample: np.ndarray, reset: bool) -> np.ndarray:
        if reset:
            self.run.reset_all_variables()
        self.run.set_tensor(self.into, sample[None])
        self.run.invoke()
        return self.run.get_tensor(self.out)[0].copy()

    def tensor(self, index: int) -> np.ndarray:
        return self.run.get_tensor(index).astype(np.int64)


def samples(network, seed: int) -> np.ndarray:
    """Bytes of all kinds: uniform ones, calm ones, and the extremes."""
    rng = np.random.default_rng(seed)
    shape = (SAMPLES // 2, *network.input_shape)
    calm = np.clip(rng.standard_normal(shape) * 40, -128, 127)
    x = np.concatenate([calm, rng.integers(-128, 128, shape)]).astype(np.int8)
    x[0], x[1] = -128, 127
    return x


@pytest.mark.parametrize("name", INT8)
@pytest.mark.parametrize("kept", [False, True], ids=["reset", "kept"])
def test_every_byte_is_that_of_litert(name, kept):
    network = load(path(name), keep_state=kept)
    x, litert = samples(network, 5), LiteRt(path(name).read_bytes(), every=False)
    fresh = np.arange(SAMPLES) % 20 == 0 if kept else np.ones(SAMPLES, bool)
    expected = np.array([litert(one, reset) for one, reset in zip(x, fresh, strict=True)])
    found = golden(quantize(network), x.astype(np.int64), fresh=fresh)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", INT8)
def test_every_activation_and_state_is_that_of_litert(name):
    network, litert = load(path(name)), LiteRt(path(name).read_bytes(), every=True)
    qnet, x, trace = quantize(network), samples(network, 6), {}
    golden(qnet, x.astype(np.int64), trace=trace)
    for n, sample in enumerate(x):
        litert(sample, reset=True)
        for layer, q in zip(network.layers, qnet.layers, strict=True):
            if not layer.computes:
                continue
            dense = isinstance(layer, Int8Dense)
            found = trace[q.name]["y" if dense else "h"][n]
            there = litert.tensor(litert.made[layer.origin]).reshape(-1, found.shape[-1])
            zero = layer.y.zero if dense else layer.state.zero
            np.testing.assert_array_equal(found.reshape(there.shape) + zero, there, q.name)
            if not dense:
                np.testing.assert_array_equal(trace[q.name]["c"][n, -1],
                                              litert.tensor(litert.cells[layer.origin])[0], q.name)


def test_quantising_and_scaling_are_litert_s_own():
    network, litert = load(path("borders")), LiteRt(path("borders").read_bytes(), every=True)
    (form,), _ = network.affine
    nodes = Model(path("borders").read_bytes()).nodes
    inside = next(node.output for node in nodes if node.operator == "QUANTIZE")
    rng = np.random.default_rng(7)
    for n in range(200):
        steps = rng.uniform(-140, 140, network.input_shape)
        x = (np.float32(form.scale) * (np.rint(steps) + 0.5 if n % 2 else steps)).astype(np.float32)
        y = litert(x, reset=True)
        np.testing.assert_array_equal(form.quantize(x), litert.tensor(inside)[0])
        np.testing.assert_array_equal(run(quantize(network), x[None])[0], y)


FORUM = ROOT / "models/forum-cnn-lstm"


@pytest.mark.parametrize(("resolver", "name"), [
    ("BUILTIN_REF", "BUILTIN_REF, LiteRT 2.3"),
    ("BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")])
def test_other_resolvers_of_litert_are_known(resolver, name):
    network, data = load(FORUM / "forum-cnn-lstm.tflite"), FORUM / "forum-cnn-lstm.tflite"
    litert = LiteRt(data.read_bytes(), every=False, resolver=resolver)
    with np.load(FORUM / "vectors.npz") as given:
        x = given["x"][:4]
    qnet = quantize(network)
    expected = np.array([litert(one, reset=True) for one in x])
    found = golden(qnet, x.astype(np.int64), finish=finish_of(name, network, qnet))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", INT8)
def test_the_stored_vectors_are_today_s(name):
    given, litert = vectors(name), LiteRt(path(name).read_bytes(), every=False)
    for sample, y in zip(given["x"][:8], given["y"], strict=False):
        np.testing.assert_array_equal(litert(sample, reset=True), y)
