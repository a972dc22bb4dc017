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


def tensor(name):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def use(kind, name, *args, mask=None, module="keras.layers", **config):
    """A layer as Keras 3 saves it, called with ``args``."""
    return {"class_name": kind, "module": module, "name": name, "config": {"name": name, **config},
            "inbound_nodes": [{"args": [*args], "kwargs": {"mask": mask and tensor(mask)}}]}


def functional(shape, part, value, *, mask):
    """A model whose LSTM is called with a mask, as Keras 3 saves it."""
    ops = "keras.src.ops.numpy"
    inputs = use("InputLayer", "x", batch_shape=[None, *shape]) | {"inbound_nodes": []}
    return read("Functional", {"name": "m", "layers": [
        inputs, use("NotEqual", "not_equal", tensor("x"), value, module=ops),
        use(part[0], "part", tensor("x"), **part[1]),
        *([use("Any", "any", tensor("not_equal"), module=ops, axis=-1, keepdims=False)]
          if mask == "any" else []), use("LSTM", "lstm", tensor("part"), mask=mask, units=2)],
        "input_layers": [["x", 0, 0]], "output_layers": [["lstm", 0, 0]]}, keras=3)


@pytest.mark.parametrize(("shape", "part", "value", "mask", "masked"), [
    ((STEPS,), EMBEDDING, 0, "not_equal", [[3, 1, 4, 0]]),
    ((STEPS, 2), MASKING, 1.0, "any", np.ones((1, STEPS, 2)))])
def test_the_mask_of_a_functional_model_is_true_of_whole_sequences(shape, part, value, mask,
                                                                   masked):
    network = functional(shape, part, value, mask=mask)
    assert [one.kind for one in network.layers] == ["lstm"]
    with pytest.raises(UserError, match="which the model masks"):
        Host(network.around).inputs(np.array(masked))


def joined(join, *, embedding=EMBEDDING):
    """A model whose LSTM is called with tokens' vectors and another input, and with their masks
    joined by ``join``, as Keras 3 saves it."""
    ops = "keras.src.ops.numpy"
    ends = [use("InputLayer", name, batch_shape=[None, STEPS, *more]) | {"inbound_nodes": []}
            for name, more in (("x", ()), ("v", (2,)))]
    masks = [use("NotEqual", "not_equal", tensor("x"), 0, module=ops),
             use("ExpandDims", "of x", tensor("not_equal"), module=ops, axis=-1),
             use("ZerosLike", "zeros", tensor("part"), module=ops),
             use("LogicalOr", "or", tensor("of x"), tensor("zeros"), module=ops),
             use("OnesLike", "of v", tensor("v"), module=ops),
             use("Concatenate", "both", [tensor("or"), tensor("of v")], axis=-1),
             use(join, "mask", tensor("both"), module=ops, axis=-1)]
    return read("Functional", {"name": "m", "layers": [
        *ends, use(embedding[0], "part", tensor("x"), **embedding[1]), *masks,
        use("Concatenate", "join", [tensor("part"), tensor("v")], axis=-1),
        use("LSTM", "lstm", tensor("join"), mask="mask", units=2)],
        "input_layers": [["x", 0, 0], ["v", 0, 0]], "output_layers": [["lstm", 0, 0]]}, keras=3)


@pytest.mark.parametrize("join", ["Any", "All"])
def test_masks_that_are_joined_are_true_of_whole_sequences(join):
    network = joined(join)
    assert [one.kind for one in network.layers if one.kind != "concat"] == ["lstm"]
    with pytest.raises(UserError, match="which the model masks"):
        Host(network.around).inputs([np.array([[3, 1, 4, 0]]), np.ones((1, STEPS, 2))])


def test_a_mask_that_is_joined_with_another_is_refused():
    with pytest.raises(UserError, match="is called with 'mask'"):
        joined("All", embedding=("Embedding", {"input_dim": 9, "output_dim": 3}))


@pytest.mark.parametrize(("part", "value"), [
    (EMBEDDING, 1), (("Embedding", {"input_dim": 9, "output_dim": 3}), 0)],
    ids=["of another token", "of an embedding that masks nothing"])
def test_another_mask_is_refused(part, value):
    with pytest.raises(UserError, match="is called with 'mask': .* a Masking layer that reads the"):
        functional((STEPS,), part, value, mask="not_equal")


def masking(reduce, axis, *, lstm="part", also=(), outputs=("lstm",)):
    """A model with a Masking layer whose LSTM is called with a mask of its own: ``reduce`` of what
    differs from the Masking layer's value."""
    ops = "keras.src.ops.numpy"
    inputs = use("InputLayer", "x", batch_shape=[None, STEPS, 2]) | {"inbound_nodes": []}
    return read("Functional", {"name": "m", "layers": [
        inputs, use("NotEqual", "not_equal", tensor("x"), 0.0, module=ops),
        use("Masking", "part", tensor("x"), mask_value=0.0),
        use("Any", "any", tensor("not_equal"), module=ops, axis=-1, keepdims=False),
        use(reduce, "own", tensor("not_equal"), module=ops, axis=axis, keepdims=False), *also,
        use("LSTM", "lstm", tensor(lstm), mask="own", units=2)],
        "input_layers": [["x", 0, 0]], "output_layers": [[name, 0, 0] for name in outputs]},
        keras=3)


@pytest.mark.parametrize(("reduce", "axis"), [("All", -1), ("Any", 1)])
def test_a_mask_of_timesteps_in_which_not_every_feature_differs_is_refused(reduce, axis):
    with pytest.raises(UserError, match="is called with 'mask'"):
        masking(reduce, axis)


def test_a_mask_of_a_masking_layer_that_nothing_reads_is_refused():
    with pytest.raises(UserError, match="is called with 'mask'"):
        masking("Any", -1, lstm="x")
    assert masking("Any", -1).around.inputs[0].mask == 0.0


def test_an_operator_that_a_layer_reads_is_refused_though_it_is_a_true_mask():
    ones = use("OnesLike", "ones", tensor("part"), module="keras.src.ops.numpy")
    with pytest.raises(UserError, match="'ones' of the operator class 'OnesLike' is not supported"):
        masking("Any", -1, lstm="ones", also=[ones])
    with pytest.raises(UserError, match="of the operator class 'NotEqual' is not supported"):
        masking("Any", -1, outputs=("lstm", "own"))
