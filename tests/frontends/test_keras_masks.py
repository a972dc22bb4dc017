"""Masks of Keras models that are cut: whole sequences alone are let in."""

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends.cuts import Cut, with_around
from gatefold.gen.frontends.keras.model import read_model
from tests.frontends.test_keras_attention import Seeded, layer

STEPS = 4
EMBEDDING = ("Embedding", {"mask_zero": True, "input_dim": 9, "output_dim": 3})
MASKING = ("Masking", {"mask_value": 1.0})


def read(class_name, config, keras=2):
    """The network of a model that is cut."""
    return with_around(read_model({"class_name": class_name, "config": config}, Seeded(), keras, {},
                                  cut=Cut()))


def sequential(shape, *parts):
    """Layers (class, settings) ahead of an LSTM."""
    return read("Sequential", {"name": "m", "layers": [
        layer("InputLayer", "x", batch_input_shape=[None, *shape]),
        *(layer(kind, f"l{n}", **config) for n, (kind, config) in enumerate(parts)),
        layer("LSTM", "lstm", units=2)]})


@pytest.mark.parametrize(("shape", "part", "whole", "masked"), [
    ((STEPS,), EMBEDDING, [[3, 1, 4, 1]], [[3, 1, 4, 0]]),
    ((STEPS, 2), MASKING, np.eye(4)[None, :, :2], np.ones((1, STEPS, 2)))])
def test_masked_timesteps_of_the_models_input_are_refused(shape, part, whole, masked):
    host = Host(sequential(shape, part).around)
    np.testing.assert_array_equal(host.inputs(np.array(whole))[0][0], whole)
    with pytest.raises(UserError, match="which the model masks"):
        host.inputs(np.array(masked))


@pytest.mark.parametrize(("shape", "ahead", "part"), [
    ((2, 2), ("Flatten", {}), EMBEDDING), ((2, 2), ("Reshape", {"target_shape": [4]}), EMBEDDING),
    ((8,), ("Reshape", {"target_shape": [4, 2]}), MASKING)])
def test_a_mask_of_anything_else_is_refused(shape, ahead, part):
    with pytest.raises(UserError, match="it must read the model's input itself"):
        sequential(shape, ahead, part)
