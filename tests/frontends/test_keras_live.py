"""Keras in memory and its files against Keras itself; skipped where it is not installed.

    pip install keras tensorflow-cpu tf_keras
    python -m pytest tests/frontends/test_keras_live.py
"""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.keras.live import from_keras
from gatefold.gen.network.forward import forward
from tests.frontends.test_keras_options import FLAVOURS, host, members
from tests.support import keras_options as table

INSTALLED = [flavour for flavour in FLAVOURS if importlib.util.find_spec(flavour)]
if not INSTALLED:
    pytest.skip("needs keras or tf_keras", allow_module_level=True)


@pytest.fixture(scope="module", params=INSTALLED)
def flavour(request):
    return request.param


@pytest.fixture(scope="module")
def keras(flavour):
    return importlib.import_module(flavour)


@pytest.mark.parametrize(("flavour", "name"), [
    (flavour, name) for flavour in INSTALLED for name in members(flavour)])
def test_an_option_computes_what_the_framework_computes(tmp_path, flavour, name):
    keras = importlib.import_module(flavour)
    keras.backend.clear_session()
    model = table.options(keras)[name]()
    x = table.samples(model, table.seeded(name, model))
    networks = [from_keras(model)]
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"m.{suffix}")
        networks.append(load(tmp_path / f"m.{suffix}"))
    expected = table.outputs(model, x)
    for network in networks:
        np.testing.assert_allclose(host(network, forward(network, x)), expected, rtol=0, atol=1e-5)


def test_every_option_has_a_fixture(keras, flavour):
    assert sorted(table.options(keras)) == members(flavour)


@pytest.mark.parametrize("name", ["LayerNormalization", "LeakyReLU", "Masking"])
def test_a_layer_that_is_not_supported_is_refused(keras, name):
    model = keras.Sequential([keras.Input((6, 3)), getattr(keras.layers, name)(),
                              keras.layers.LSTM(4)])
    with pytest.raises(UserError, match=f"the class {name} is not supported"):
        from_keras(model)


def test_a_layer_of_ones_own_is_refused_and_never_called(keras):
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((6, 3)), Mine(), keras.layers.LSTM(4)])
    Mine.call = None  # whoever calls it fails
    with pytest.raises(UserError, match="of the class 'Mine' of"):
        from_keras(model)


def test_a_lambda_is_refused(keras):
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.Lambda(lambda x: x),
                              keras.layers.LSTM(4)])
    with pytest.raises(UserError, match="it holds code of its own, which is never run"):
        from_keras(model)


def test_classes_and_functions_of_ones_own_are_refused_though_named_like_keras(keras):
    class Dense(keras.layers.Dense):
        pass

    def relu(x):
        return 2 * x

    layers = keras.layers
    for made, words in (
            (Dense(2), "of the class 'Dense' of"),
            (layers.Dense(2, activation=relu), "activation is the function 'relu' of")):
        model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(3), made])
        with pytest.raises(UserError, match=words):
            from_keras(model)
