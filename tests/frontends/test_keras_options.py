"""Every option of Keras that is honoured, alone: files of Keras 3 and of tf_keras (Keras 2) against
the outputs that the framework computed when they were made.

``test_keras_live.py`` does the same with the framework itself.
"""

from __future__ import annotations

import functools
import io
import json
import tarfile

import h5py
import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.frontends.keras.model import read_model
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, split
from tests.frontends.test_keras_attention import Seeded, layer
from tests.support.places import FIXTURES

FLAVOURS = ("keras", "tf_keras")


@functools.cache
def archive(flavour: str) -> dict[str, bytes]:
    """The files in the archive of Keras 3 or tf_keras, NAME.keras, NAME.h5 and NAME.npz."""
    with tarfile.open(FIXTURES / f"{flavour}_options.tar.xz") as held:
        return {entry.name: held.extractfile(entry).read() for entry in held}  # type: ignore


def members(flavour: str) -> list[str]:
    """The options in it."""
    return sorted({name.split(".")[0] for name in archive(flavour)})


def host(network: Network, y: np.ndarray) -> np.ndarray:
    """The outputs after the functions that are left to the host, one row a frame."""
    parts = []
    for part, todo in zip(split(y, network.output_shapes), network.host, strict=True):
        if todo == "softmax":
            part = np.exp(part - part.max(axis=-1, keepdims=True))
            part /= part.sum(axis=-1, keepdims=True)
        parts.append(part.reshape(len(y), -1))
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(("flavour", "name"), [
    (flavour, name) for flavour in FLAVOURS for name in members(flavour)])
def test_an_option_computes_what_the_framework_computes(tmp_path, flavour, name, suffix):
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(archive(flavour)[f"{name}.{suffix}"])
    with np.load(io.BytesIO(archive(flavour)[f"{name}.npz"])) as held:
        x, y = held["x"], held["y"]
    network = load(path)
    np.testing.assert_allclose(host(network, forward(network, x)), y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["größe", "输出", "x/y"])
def test_a_layer_may_be_called_anything_in_an_h5_file(tmp_path, name):
    # A name that is not of ASCII characters makes HDF5 hold a group's links in another form.
    plain, path = tmp_path / "plain.h5", tmp_path / "m.h5"
    for one in (plain, path):
        one.write_bytes(archive("keras")["lstm_last.h5"])
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        entry = next(one for one in config["config"]["layers"] if one["class_name"] == "LSTM")
        old, entry["config"]["name"] = entry["config"]["name"], name
        file["model_weights"].move(old, name)
        file.attrs["model_config"] = json.dumps(config)
    x = np.random.default_rng(0).normal(size=(2, *load(plain).input_shape))
    np.testing.assert_array_equal(forward(load(path), x), forward(load(plain), x))


def test_there_is_a_file_for_each_option():
    three, two = (set(members(flavour)) for flavour in FLAVOURS)
    assert len(three) > 150 and two < three


def test_a_prelu_has_a_slope_for_each_feature():
    weights = Seeded()
    parts = [layer("InputLayer", "x", batch_input_shape=[None, 4, 3]),
             layer("PReLU", "slopes", shared_axes=[1], alpha_regularizer=None,
                   alpha_initializer={"class_name": "Zeros", "config": {}})]
    network = read_model({"class_name": "Sequential", "config": {"name": "m", "layers": parts}},
                         weights, 2, {})
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    (slope,) = np.random.default_rng(5).standard_normal((1, 3)).astype(np.float32)
    np.testing.assert_allclose(forward(network, x), np.where(x > 0, x, slope * x), atol=1e-6)


@pytest.mark.parametrize("every", [True, False])
def test_the_first_layer_of_a_bidirectional_may_be_the_one_that_runs_backwards(every):
    """Keras turns the second result in time all the same."""
    def network(*layers, outputs):
        return read_model({"class_name": "Functional", "config": {
            "name": "m", "layers": [layer("InputLayer", "x", batch_input_shape=[None, 5, 2]),
                                    *layers],
            "input_layers": [["x", 0, 0]], "output_layers": [[name, 0, 0] for name in outputs]}},
            Seeded(), 2, {})
    settings = {"units": 3, "return_sequences": every}
    half = {"class_name": "LSTM", "config": {"name": "half", **settings, "go_backwards": True}}
    both = network(layer("Bidirectional", "both", "x", layer=half), outputs=["both"])
    apart = network(layer("LSTM", "back", "x", **settings, go_backwards=True),
                    layer("LSTM", "on", "x", **settings), outputs=["back", "on"])
    x = np.random.default_rng(0).standard_normal((2, 5, 2))
    back, on = split(forward(apart, x), apart.output_shapes)
    wanted = np.concatenate([back, on[:, ::-1] if every else on], axis=-1)
    np.testing.assert_allclose(forward(both, x), wanted, atol=1e-6)
