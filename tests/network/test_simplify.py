"""simplify: the same function with fewer layers, rule by rule and on random networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import (
    CellState,
    Concat,
    Dense,
    Flatten,
    Gru,
    Lstm,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Permute,
    RepeatVector,
    Reshape,
    Reverse,
    Rnn,
    Slice,
    Window,
)
from gatefold.gen.network.simplify import simplify

STEPS, FEATURES = 5, 3


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def dense(features: int = FEATURES, outputs: int = 4, seed: int = 0, **fields) -> Dense:
    random = rng(seed)
    return Dense(w=random.normal(size=(outputs, features)), b=random.normal(size=outputs), **fields)


def conv(features: int = FEATURES, seed: int = 0, **window) -> Dense:
    window = Window(**{"size": 2} | window)
    return dense(features * window.size, 4, seed, window=window)


def diagonal(label: str, gain, offset=0., activation: str = "linear", **fields) -> Dense:
    """A scale or an activation of its own."""
    eye = np.eye(len(gain))
    return Dense(w=eye * gain, b=np.broadcast_to(offset, len(gain)), pattern=eye != 0, label=label,
                 activation=activation, **fields)


def relu(features: int = 4, **fields) -> Dense:
    return diagonal("activation", np.ones(features), activation="relu", **fields)


def scale(features: int = 4, seed: int = 9, **fields) -> Dense:
    random = rng(seed)
    return diagonal("scale", random.normal(size=features), random.normal(size=features), **fields)


def lstm(features: int = FEATURES, units: int = 4, **fields) -> Lstm:
    random = rng(5)
    return Lstm(units=units, w_ih=random.normal(size=(4 * units, features)),
                w_hh=random.normal(size=(4 * units, units)), b=random.normal(size=4 * units),
                **{"return_sequences": True} | fields)


def gru(features: int = FEATURES, **fields) -> Gru:
    random = rng(6)
    return Gru(units=2, w_ih=random.normal(size=(6, features)), w_hh=random.normal(size=(6, 2)),
               b=random.normal(size=6), b_n=random.normal(size=2), reset_after=True,
               return_sequences=True, **fields)


def check(network: Network, kinds: list[str]) -> Network:
    """``network`` simplified: the same function, of layers of these kinds."""
    simple = simplify(network)
    assert [layer.shown for layer in simple.layers] == kinds
    assert (simple.source, simple.host) == (network.source, network.host)
    assert simple.output_shapes == network.output_shapes
    x = rng(7).normal(size=(3, *network.input_shape))
    np.testing.assert_allclose(forward(simple, x), forward(network, x), rtol=0, atol=1e-6)
    return simple


SEQUENCE = (STEPS, FEATURES)


# --- activations and scales join the matrix before them


@pytest.mark.parametrize("layers", [
    (dense(), relu()),
    (conv(), relu()),
    (dense(), Reverse(), relu()),
    (dense(), Flatten(), relu(20)),
    (dense(), Permute(axes=(1, 0)), relu(5)),
    (dense(), Slice(start=1, stop=4), Reshape(shape=(12,)), relu(12)),
    (dense(), diagonal("activation", np.full(4, 2 / 3), -0.1, "hard_sigmoid")),
    (dense(), Flatten(), diagonal("activation", np.full(20, 2 / 3), -0.1, "hard_sigmoid")),
    (dense(), scale()),
    (conv(), Reverse(), scale()),
    (dense(), scale(), scale(seed=3), relu()),
    (dense(), Flatten(), diagonal("scale", np.tile([1., 2, 3, 4], 5))),
])
def test_it_joins_the_dense_before(layers):
    simple = check(Network(SEQUENCE, layers), [
        one.shown for one in layers if not getattr(one, "label", "")])
    assert isinstance(simple.layers[0], Dense)


@pytest.mark.parametrize("layers", [
    (lstm(), relu()),                              # no matrix of which it is the activation
    (dense(activation="tanh"), relu()),
    (dense(), Pad(left=1, right=0), diagonal("activation", np.ones(4), activation="sigmoid")),
    (dense(), Flatten(), diagonal("scale", np.arange(20.))),  # not the same at every step
])
def test_it_stays_where_it_can_not_join(layers):
    check(Network(SEQUENCE, layers), [one.shown for one in layers])


@pytest.mark.parametrize("alone", [relu(), scale(), diagonal("scale", np.tile([1., 2], 2))])
def test_it_joins_all_the_dense_layers_before(alone):
    halves = (dense(outputs=2, inputs=(0,)), replace(conv(left=1), inputs=(0,)),
              Reverse(inputs=(1,)))
    layers = (*halves, Slice(axis=1, start=1, stop=3, inputs=(2,)), Concat(axis=1, inputs=(3, 4)))
    check(Network(SEQUENCE, (*layers, alone)), ["dense", "conv1d", "reverse", "slice", "concat"])
    check(Network(SEQUENCE, (dense(), Concat(axis=0, inputs=(1, 1)), alone)), ["dense", "concat"])


@pytest.mark.parametrize("other", [
    lstm(units=2, inputs=(0,)), dense(outputs=2, activation="tanh", inputs=(0,))])
def test_it_stays_where_one_maker_can_not_take_it(other):
    layers = (dense(outputs=2, inputs=(0,)), other, Concat(axis=1, inputs=(1, 2)), relu())
    check(Network(SEQUENCE, layers), [one.shown for one in layers])


def test_values_that_another_layer_or_an_output_reads_are_kept():
    check(Network(SEQUENCE, (dense(), relu(), Multiply(inputs=(1, 2)))),
          ["dense", "activation", "multiply"])
    check(Network(SEQUENCE, (dense(), relu()), outputs=(1, 2)), ["dense", "activation"])


def test_a_sparse_layer_stays_sparse():
    add = Dense(w=np.tile(np.eye(3), 2), b=np.zeros(3), pattern=np.tile(np.eye(3), 2) != 0,
                label="add", inputs=(2,))
    network = Network((SEQUENCE, SEQUENCE), (Concat(axis=1, inputs=(0, 1)), add, scale(3)))
    joined = check(network, ["concat", "add"]).layers[1]
    assert isinstance(joined, Dense) and joined.pattern is not None
    np.testing.assert_array_equal(joined.pattern, add.pattern)


def test_a_relu_of_a_relu_vanishes():
    network = Network(SEQUENCE, (dense(activation="relu"), relu(), Pad(left=1, right=1), relu(),
                                 MaxPool(window=Window(2)), relu(), dense(4, 2)))
    check(network, ["dense", "pad", "max_pool", "dense"])


# --- linear Dense layers join those that read them


@pytest.mark.parametrize(("layers", "outputs", "kinds"), [
    ((dense(3, 8), dense(8, 2)), (), ["dense"]),
    ((dense(3, 8), dense(8, 6), dense(6, 2)), (), ["dense"]),
    ((dense(3, 8), dense(8, 2, activation="tanh")), (), ["dense"]),
    ((dense(3, 8), dense(8, 2), relu(2)), (), ["dense"]),
    ((scale(3), dense(3, 8), dense(8, 2)), (), ["dense"]),
    ((lstm(), dense(4, 8), dense(8, 2), lstm(2)), (), ["lstm", "dense", "lstm"]),
    # Two heads: 3 x 5 multiplications instead of 3 x 8 + 8 x 5.
    ((dense(3, 8), dense(8, 2), dense(8, 3, inputs=(1,))), (2, 3), ["dense", "dense"]),
    # 12 x 12 would be more than 12 x 5 + 5 x 12; 6 x 6 is as many as 6 x 3 + 3 x 6.
    ((dense(3, 12, activation="tanh"), dense(12, 5), dense(5, 12)), (), ["dense"] * 3),
    ((dense(3, 6, activation="tanh"), dense(6, 3), dense(3, 6)), (), ["dense"] * 2),
    # Each of two heads alone would be worth it.
    ((dense(12, 6), dense(6, 7), dense(6, 7, inputs=(1,))), (2, 3), ["dense"] * 3),
])
def test_a_linear_dense_joins_those_that_read_it(layers, outputs, kinds):
    features = getattr(layers[0], "features", FEATURES)
    check(Network((STEPS, features), layers, outputs=outputs), kinds)


@pytest.mark.parametrize(("layers", "outputs"), [
    ((dense(3, 8, activation="relu"), dense(8, 2)), ()),
    ((dense(3, 8), dense(8, 2)), (1, 2)),                             # it is an output
    ((dense(3, 8), Reverse(inputs=(1,)), dense(8, 2, inputs=(1,))), (2, 3)),  # a view reads it
    ((dense(3, 8), Flatten(), dense(40, 2)), ()),
    ((dense(3, 8), lstm(8)), ()),
    ((dense(3, 8), dense(8, 2, inputs=(1,)), lstm(8, inputs=(1,))), (2, 3)),
    ((conv(), dense(4, 2)), ()),
    ((dense(3, 4), conv(4, left=1)), ()),
])
def test_a_dense_stays_where_it_can_not_join_all_its_readers(layers, outputs):
    check(Network(SEQUENCE, layers, outputs=outputs), [one.shown for one in layers])


# --- scales join the layer after them


@pytest.mark.parametrize(("layers", "kinds"), [
    ((scale(3), dense()), ["dense"]),
    ((scale(3), conv(dilation=2)), ["conv1d"]),
    ((scale(3), lstm()), ["lstm"]),
    ((scale(3), gru()), ["gru"]),
    ((scale(3), Reverse(), lstm()), ["reverse", "lstm"]),
    ((scale(3), Flatten(), dense(15)), ["flatten", "dense"]),
    ((lstm(), scale(), Slice(start=-1, drop=True), dense(4)), ["lstm", "slice", "dense"]),
    ((scale(3), scale(3, seed=2), relu(3), dense()), ["scale", "dense"]),
    # Padding has no offset, but it does not mind a gain.
    ((diagonal("scale", [2, 3, -4.]), conv(left=1)), ["conv1d"]),
    ((diagonal("scale", [2, 3, -4.]), Pad(left=1, right=0), dense()), ["pad", "dense"]),
    ((scale(3), conv(left=1)), ["scale", "conv1d"]),
    ((scale(3), Pad(left=1, right=0), dense()), ["scale", "pad", "dense"]),
    # No matrix takes it.
    ((scale(3), MaxPool(window=Window(2))), ["scale", "max_pool"]),
    ((scale(3), Multiply(inputs=(1, 1))), ["scale", "multiply"]),
    # A column of the matrix meets another feature of the scale at every step.
    ((lstm(units=3), Permute(axes=(1, 0)), scale(5), Permute(axes=(1, 0)), dense()),
     ["lstm", "permute", "scale", "permute", "dense"]),
])
def test_a_scale_joins_the_layer_after(layers, kinds):
    check(Network(SEQUENCE, layers), kinds)


def bidirectional(value: int, features: int) -> tuple:
    """The layers of a Bidirectional LSTM of 2 x 4 units that reads ``value``; they make the values
    from ``value`` + 1 on, the last of which joins the two directions."""
    return (lstm(features, inputs=(value,)), Reverse(inputs=(value,)),
            lstm(features, inputs=(value + 2,)), Reverse(inputs=(value + 3,)),
            Concat(axis=1, inputs=(value + 1, value + 4)))


PAIR = ["lstm", "reverse", "lstm", "reverse", "concat"]


def test_scales_between_bidirectional_layers_join_both_directions():
    layers = (scale(3, inputs=(0,)), *bidirectional(1, 3), scale(8, inputs=(6,)),
              *bidirectional(7, 8), scale(8, inputs=(12,)), dense(8))
    check(Network(SEQUENCE, layers), [*PAIR, *PAIR, "dense"])


def test_a_scale_joins_all_its_readers():
    layers = (scale(3, inputs=(0,)), dense(inputs=(1,)), Reverse(inputs=(1,)), lstm(inputs=(3,)),
              scale(3, seed=2, inputs=(1,)), gru(inputs=(5,)),
              Slice(start=-1, drop=True, inputs=(1,)), dense(inputs=(7,)))
    check(Network(SEQUENCE, layers, outputs=(2, 4, 6, 8)),
          ["dense", "reverse", "lstm", "gru", "slice", "dense"])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_scale_of_some_columns_joins(axis):
    """Joined to other features; joined in time, its columns would not be scaled at every step."""
    layers = (scale(3, inputs=(0,)), Concat(axis=axis, inputs=(1, 0)), lstm(3 + 3 * axis))
    check(Network(SEQUENCE, layers), ["scale", "concat", "lstm"][axis:])


def test_scales_of_several_parts_join_one_reader():
    layers = (scale(3, inputs=(0,)), scale(3, seed=2, inputs=(0,)), Reverse(inputs=(2,)),
              Concat(axis=1, inputs=(1, 3, 1)), lstm(9))
    check(Network(SEQUENCE, layers), ["reverse", "concat", "lstm"])


@pytest.mark.parametrize("other", [
    MaxPool(window=Window(2), inputs=(1,)), Multiply(inputs=(0, 1)),
    Slice(start=-1, drop=True, inputs=(1,))])
def test_a_scale_stays_where_one_reader_can_not_take_it(other):
    """A reader without a matrix, or an output."""
    layers = (scale(3, inputs=(0,)), dense(inputs=(1,)), other)
    check(Network(SEQUENCE, layers, outputs=(2, 3)), ["scale", "dense", other.shown])


def test_a_scale_of_an_initial_state_stays():
    network = Network((SEQUENCE, (2,)), (scale(2, inputs=(1,)), gru(inputs=(0, 2))))
    check(network, ["scale", "gru"])
    both = (scale(2, inputs=(1,)), dense(2, 6, inputs=(2,)), Reshape(shape=(2, 3)),
            gru(inputs=(4, 2)))
    check(Network((SEQUENCE, (2,)), both), ["scale", "dense", "reshape", "gru"])


# --- views, and layers that nothing reads


@pytest.mark.parametrize("views", [
    (Reverse(), Reverse()), (Reshape(shape=SEQUENCE),), (Permute(axes=(0, 1)),),
    (Slice(start=0, stop=STEPS),), (Pad(left=0, right=0),), (Concat(axis=0, inputs=(1,)),),
    (Flatten(), Reshape(shape=SEQUENCE)), (Permute(axes=(1, 0)), Permute(axes=(1, 0))),
])
def test_views_that_change_nothing_vanish(views):
    check(Network(SEQUENCE, (dense(outputs=3), *views, lstm())), ["dense", "lstm"])
    check(Network(SEQUENCE, (dense(outputs=3), *views)), ["dense"])


def test_other_views_stay():
    views = (Reverse(), Permute(axes=(1, 0)), Slice(start=1), Pad(left=1, right=0))
    check(Network(SEQUENCE, (dense(), *views)), ["dense", "reverse", "permute", "slice", "pad"])


def test_layers_that_nothing_reads_vanish_and_the_rest_is_renumbered():
    layers = (lstm(inputs=(0,)), dense(4, inputs=(1,)), lstm(inputs=(0,)),
              CellState(inputs=(3,), units=4), Slice(inputs=(3,), start=-1, drop=True),
              dense(4, inputs=(4,)))
    network = Network(SEQUENCE, layers, outputs=(6, 4), host=("softmax", ""), source={"a": 1})
    assert check(network, ["lstm", "cell_state", "dense"]).outputs == (3, 2)


def test_inputs_stay_though_nothing_reads_them():
    assert check(Network((SEQUENCE, (7,)), (dense(inputs=(0,)),)), ["dense"]).input_shapes == (
        SEQUENCE, (7,))


# --- an unrolled TimeDistributed


def unrolled(joined: tuple, *, steps=range(STEPS), change: int | None = None) -> Network:
    """A Dense on each step, then put together again by the layers ``joined``."""
    layers = [lstm(inputs=(0,))]
    for t in steps:
        layers.append(Slice(inputs=(1,), start=t, drop=True))
        layers.append(dense(4, 2, seed=int(t == change), activation="relu"))
    return Network(SEQUENCE, (*layers, *joined))


EACH = tuple(range(3, 3 + 2 * STEPS, 2))


def test_a_dense_unrolled_over_the_steps_is_one_on_the_sequence():
    whole = Concat(inputs=EACH, axis=0), Reshape(shape=(STEPS, 2))
    check(unrolled(whole), ["lstm", "dense"])
    rows = tuple(Reshape(inputs=(n,), shape=(1, 2)) for n in EACH)
    stacked = Concat(inputs=tuple(range(12, 12 + STEPS)), axis=0)
    check(unrolled((*rows, stacked)), ["lstm", "dense"])


def test_negative_steps_are_steps_too():
    check(unrolled((Concat(inputs=EACH, axis=0),), steps=range(-STEPS, 0)),
          ["lstm", "dense", *["slice"] * STEPS, "concat"])


def test_other_weights_at_one_step_keep_it_unrolled():
    simple = simplify(unrolled((Concat(inputs=EACH, axis=0),), change=2))
    assert [layer.kind for layer in simple.layers].count("dense") == STEPS


def test_some_of_the_steps_stay_unrolled():
    network = Network(SEQUENCE, (lstm(inputs=(0,)), Slice(inputs=(1,), start=0, drop=True),
                                 dense(4), Slice(inputs=(1,), start=1, drop=True), dense(4),
                                 Concat(inputs=(3, 5), axis=0)))
    check(network, ["lstm", "slice", "dense", "slice", "dense", "concat"])


# --- any network


def any_layer(value: int, shape: tuple[int, ...], random: np.random.Generator):
    """A layer of any kind that may read a value of this shape."""
    last, on, seed = shape[-1], {"inputs": (value,)}, int(random.integers(99))
    makers = [
        lambda: dense(last, 3, seed, **on), lambda: scale(last, seed, **on),
        lambda: relu(last, **on), lambda: Multiply(inputs=(value, value)),
        lambda: diagonal("activation", np.full(last, 2 / 3), 0.2, "hard_sigmoid", **on),
    ] + ([lambda: RepeatVector(timesteps=3, **on)] if len(shape) == 1 else [
        lambda: Reverse(**on), lambda: Permute(axes=(1, 0), **on), lambda: Flatten(**on),
        lambda: Concat(axis=1, inputs=(value, value)), lambda: Pad(left=1, right=0, **on),
        lambda: Slice(start=-1, drop=True, **on), lambda: Slice(start=1, **on),
        lambda: lstm(last, **on), lambda: MaxPool(window=Window(2, left=1), **on),
        lambda: Rnn(units=2, w_ih=rng(1).normal(size=(2, last)), w_hh=np.eye(2) / 2, b=np.zeros(2),
                    return_sequences=True, activation="relu", **on),
        lambda: replace(conv(last, seed, left=seed % 2), **on),
    ])
    return makers[random.integers(len(makers))]()


def random_network(seed: int) -> Network:
    """Layers of every kind, each on values picked at random."""
    random = rng(seed)
    shapes: list[tuple[int, ...]] = [SEQUENCE, SEQUENCE]
    layers: list = []
    while len(layers) < 14:
        value = int(random.integers(max(0, len(shapes) - 4), len(shapes)))
        layer = any_layer(value, shapes[value], random)
        try:
            shape = layer.output_shape(*(shapes[one] for one in layer.inputs))
        except UserError:  # a window that does not fit
            continue
        if np.prod(shape) <= 200:
            layers.append(layer)
            shapes.append(shape)
    layers.append(dense(shapes[-1][-1]))
    outputs = (len(shapes), *(int(n) for n in random.integers(2, len(shapes), 2)))
    return Network((SEQUENCE, SEQUENCE), tuple(layers), outputs=outputs)


@pytest.mark.parametrize("seed", range(60))
def test_a_random_network_keeps_its_function(seed):
    network = random_network(seed)
    simple = simplify(network)
    assert len(simple.layers) <= len(network.layers)
    x = rng(seed).normal(size=(2, *network.input_shape)) / 2
    expected = forward(network, x)
    relative = np.maximum(1, abs(expected))  # float32 weights: some of these grow large
    np.testing.assert_allclose(forward(simple, x) / relative, expected / relative, rtol=0,
                               atol=1e-6)
