"""Small Keras models, one for each option that Gatefold honours, and their outputs in Keras.

Used where the frameworks are installed: by ``fixtures/make_fixtures.py``, which stores files and
outputs, and by ``test_keras_live.py``. Nothing here imports a framework: the caller passes it.
"""

# pyright: basic
from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

SAMPLES, STEPS, FEATURES, UNITS = 3, 6, 3, 4


def options(keras) -> dict[str, Callable]:
    """name: maker of the model. ``keras`` is Keras 3 or tf_keras."""
    layers, three = keras.layers, keras.__version__.startswith("3.")
    lstm, gru, rnn, dense = layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Dense
    conv, every = layers.Conv1D, {"return_sequences": True}

    def chain(*items, shape=(STEPS, FEATURES), batch=None):
        return keras.Sequential([keras.Input(shape, batch_size=batch), *items])

    def graph(make, *shapes):
        inputs = [keras.Input(shape) for shape in shapes or ((STEPS, FEATURES),)]
        return keras.Model(inputs, make(*inputs))

    def one(layer, *more, **keywords):
        return lambda: chain(layer, *more, **keywords)

    cases: dict[str, Callable] = {}

    # recurrent layers, each option alone
    for name, kind in (("lstm", lstm), ("gru", gru), ("rnn", rnn)):
        def add(option, *, kind=kind, name=name, batch=None, **settings):
            cases[f"{name}_{option}"] = lambda: chain(kind(UNITS, **settings), batch=batch)
        add("last")
        add("every", return_sequences=True)
        add("nobias", use_bias=False)
        add("backwards", go_backwards=True)
        add("backwards_every", go_backwards=True, **every)
        add("stateful", batch=1, stateful=True)
        add("stateful_every", batch=1, stateful=True, **every)
        add("dropout", dropout=0.3, recurrent_dropout=0.2)
        add("unroll", unroll=True)
        for activation in ("relu", "linear", *(("hard_tanh",) if three else ())):
            add(activation, activation=activation)
        if kind is not rnn:
            add("hard_sigmoid", recurrent_activation="hard_sigmoid")
        else:
            add("hard_sigmoid", activation="hard_sigmoid")
            add("sigmoid", activation="sigmoid")
        states = 2 if kind is lstm else 1
        cases[f"{name}_return_state"] = lambda kind=kind: graph(
            lambda x: kind(UNITS, return_state=True)(x))
        cases[f"{name}_return_state_every"] = lambda kind=kind: graph(
            lambda x: kind(UNITS, return_state=True, **every)(x))
        cases[f"{name}_initial_state"] = lambda kind=kind, states=states: graph(
            lambda x, *s: kind(UNITS)(x, initial_state=list(s)),
            (STEPS, FEATURES), *[(UNITS,)] * states)
        cases[f"{name}_bidirectional_initial_state"] = lambda kind=kind, states=states: graph(
            lambda x, *s: layers.Bidirectional(kind(UNITS))(x, initial_state=list(s)),
            (STEPS, FEATURES), *[(UNITS,)] * (2 * states))
        if three:
            cases[f"{name}_constant_state"] = lambda kind=kind, states=states: graph(
                lambda x: kind(UNITS)(x, initial_state=[
                    np.linspace(-1, n, UNITS, dtype="float32")[None] for n in range(states)]))
        cases[f"{name}_cell"] = lambda kind=kind: chain(
            layers.RNN({lstm: layers.LSTMCell, gru: layers.GRUCell,
                        rnn: layers.SimpleRNNCell}[kind](UNITS), **every))
        for mode in ("concat", "sum", "mul", "ave"):
            cases[f"{name}_bidirectional_{mode}"] = lambda kind=kind, mode=mode: chain(
                layers.Bidirectional(kind(UNITS), merge_mode=mode))
        cases[f"{name}_bidirectional_every"] = lambda kind=kind: chain(
            layers.Bidirectional(kind(UNITS, **every)))
        cases[f"{name}_bidirectional_stateful"] = lambda kind=kind: chain(
            layers.Bidirectional(kind(UNITS, stateful=True, **every)), batch=1)
        cases[f"{name}_bidirectional_none"] = lambda kind=kind: graph(
            lambda x: layers.Bidirectional(kind(UNITS, **every), merge_mode=None)(x))
        cases[f"{name}_bidirectional_state"] = lambda kind=kind: graph(
            lambda x: layers.Bidirectional(kind(UNITS, return_state=True, **every))(x))
        cases[f"{name}_bidirectional_given"] = lambda kind=kind: chain(layers.Bidirectional(
            kind(UNITS, **every), backward_layer=kind(UNITS, go_backwards=True, use_bias=False,
                                                      **every)))
    cases["gru_reset_before"] = one(gru(UNITS, reset_after=False))
    cases["gru_reset_before_hard_sigmoid"] = one(
        gru(UNITS, reset_after=False, recurrent_activation="hard_sigmoid"))
    cases["gru_reset_before_nobias"] = one(gru(UNITS, reset_after=False, use_bias=False))
    cases["lstm_all_hard"] = one(lstm(UNITS, activation="relu" if not three else "hard_tanh",
                                      recurrent_activation="hard_sigmoid", unit_forget_bias=False))
    cases["stacked_cells"] = one(layers.RNN([layers.LSTMCell(UNITS), layers.GRUCell(5),
                                             layers.LSTMCell(3), layers.SimpleRNNCell(2)]))
    cases["stacked_cells_backwards"] = one(
        layers.RNN([layers.GRUCell(UNITS), layers.GRUCell(5)], go_backwards=True, **every))

    # convolution and pooling
    for name, settings in {
        "valid": {}, "same": {"padding": "same"}, "causal": {"padding": "causal"},
        "strides": {"strides": 2}, "same_strides": {"padding": "same", "strides": 2},
        "dilated": {"dilation_rate": 2}, "causal_dilated": {"padding": "causal",
                                                            "dilation_rate": 2},
        "even_same": {"padding": "same", "kernel_size": 4}, "nobias": {"use_bias": False},
        "relu": {"activation": "relu"}, "hard_sigmoid": {"activation": "hard_sigmoid"},
    }.items():
        cases[f"conv_{name}"] = lambda settings=settings: chain(
            conv(5, **{"kernel_size": 3} | settings))
    cases["conv_groups"] = lambda: chain(conv(6, 2, groups=3))
    cases["separable"] = lambda: chain(layers.SeparableConv1D(5, 3, depth_multiplier=2,
                                                              activation="tanh"))
    cases["separable_same"] = lambda: chain(layers.SeparableConv1D(5, 3, padding="same",
                                                                   use_bias=False))
    cases["depthwise"] = lambda: chain(layers.DepthwiseConv1D(3, depth_multiplier=2,
                                                              activation="relu"))
    for kind in ("Max", "Average"):
        pool, whole = (getattr(layers, f"{name}{kind}Pooling1D") for name in ("", "Global"))
        cases[f"{kind.lower()}_pool"] = lambda pool=pool: chain(conv(4, 1), pool(2))
        cases[f"{kind.lower()}_pool_strides"] = lambda pool=pool: chain(conv(4, 1),
                                                                        pool(3, strides=1))
        cases[f"{kind.lower()}_pool_same"] = lambda pool=pool: chain(conv(4, 1), pool(
            2, padding="same"))
        cases[f"global_{kind.lower()}"] = lambda whole=whole: chain(conv(4, 2), whole())
        cases[f"global_{kind.lower()}_keepdims"] = lambda whole=whole: chain(
            conv(4, 2), whole(keepdims=True))
    cases["max_pool_same_strides"] = lambda: chain(conv(4, 1), layers.MaxPooling1D(
        3, strides=2, padding="same"))

    # layers of each step, and views
    for activation in ("relu", "sigmoid", "tanh", "hard_sigmoid", "linear",
                       *(("hard_tanh",) if three else ())):
        cases[f"dense_{activation}"] = one(dense(5, activation=activation))
        cases[f"activation_{activation}"] = one(lstm(UNITS), layers.Activation(activation))
    for name, items in {
        "softmax": (lstm(UNITS), dense(3, activation="softmax")),
        "softmax_layer": (lstm(UNITS), dense(3), layers.Softmax()),
        "softmax_every": (lstm(UNITS, **every), layers.TimeDistributed(dense(3)),
                          layers.Activation("softmax")),
        "batch_norm": (lstm(UNITS, **every), layers.BatchNormalization(), lstm(3)),
        "batch_norm_bare": (layers.BatchNormalization(scale=False, center=False, epsilon=0.1),
                            lstm(3)),
        "batch_norm_conv": (conv(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(),
                            conv(4, 3, padding="same"), layers.BatchNormalization(), lstm(3)),
        "rescaling": (layers.Rescaling(0.5, offset=-1.0), lstm(UNITS)),
        "noise": (layers.GaussianNoise(0.1), layers.SpatialDropout1D(0.2), layers.Dropout(0.1),
                  layers.GaussianDropout(0.1), layers.ActivityRegularization(l2=0.1), lstm(UNITS)),
        "flatten": (lstm(UNITS, **every), layers.Flatten(), dense(3)),
        "reshape": (layers.Reshape((3, -1)), lstm(UNITS, **every), layers.Reshape((-1,))),
        "permute": (layers.Permute((2, 1)), lstm(UNITS)),
        "repeat": (lstm(UNITS), layers.RepeatVector(5), gru(UNITS)),
        "zero_padding": (layers.ZeroPadding1D((2, 1)), conv(4, 3)),
        "cropping": (layers.Cropping1D((1, 2)), lstm(UNITS)),
        "up_sampling": (layers.UpSampling1D(3), conv(4, 2)),
        "time_distributed": (layers.TimeDistributed(dense(5, activation="relu")), lstm(UNITS)),
        "nested": (keras.Sequential([keras.Input((STEPS, FEATURES)), lstm(UNITS, **every),
                                     layers.BatchNormalization(), lstm(5)]), dense(2)),
        "frozen": (keras.Sequential([keras.Input((STEPS, FEATURES)), dense(3, trainable=False),
                                     dense(3), layers.BatchNormalization(trainable=False)]),
                   lstm(UNITS)),
    }.items():
        cases[name] = one(*items)
    wide = {"shape": (4, STEPS, FEATURES)}
    cases["time_distributed_conv"] = lambda: chain(
        layers.TimeDistributed(conv(4, 3, activation="relu")),
        layers.TimeDistributed(layers.MaxPooling1D(2)),
        layers.TimeDistributed(layers.Flatten()), lstm(UNITS), **wide)
    cases["time_distributed_model"] = lambda: chain(
        layers.TimeDistributed(keras.Sequential([
            keras.Input((STEPS, FEATURES)), conv(4, 2), layers.BatchNormalization(),
            layers.GlobalAveragePooling1D(), dense(3, activation="tanh")])), gru(UNITS), **wide)

    # graphs
    def joined(layer):
        return lambda: graph(lambda x: layer([dense(5)(x), conv(5, 3, padding="same")(x),
                                              lstm(5, **every)(x)]))
    for name in ("Add", "Average", "Multiply", "Maximum", "Concatenate"):
        cases[name.lower()] = joined(getattr(layers, name)())
    cases["concatenate_time"] = joined(layers.Concatenate(axis=1))
    cases["subtract"] = lambda: graph(lambda x: layers.Subtract()([dense(5)(x), gru(
        5, **every)(x)]))
    cases["two_inputs_two_outputs"] = lambda: graph(
        lambda x, s: (lambda h: [dense(2, activation="softmax")(h), dense(3)(h), h])(
            layers.Concatenate()([lstm(UNITS)(x), dense(3, activation="relu")(s)])),
        (STEPS, FEATURES), (5,))
    cases["logits_and_softmax"] = lambda: graph(
        lambda x: (lambda y: [y, layers.Softmax()(y)])(dense(3)(lstm(UNITS)(x))))
    cases["residual"] = lambda: graph(
        lambda x: lstm(UNITS)(layers.Add()([x, lstm(FEATURES, **every)(x)])))
    cases["shared_relu"] = lambda: graph(
        lambda x: (lambda relu: layers.Add()([relu(dense(4)(x)), relu(conv(4, 1)(x))]))(
            layers.ReLU()))

    def encoder_decoder(x, y):
        _, h, c = lstm(UNITS, return_state=True)(x)
        decoded, *_ = lstm(UNITS, return_state=True, **every)(y, initial_state=[h, c])
        return layers.TimeDistributed(dense(2))(decoded)
    cases["encoder_decoder"] = lambda: graph(encoder_decoder, (STEPS, FEATURES), (4, 2))

    def nested_graph(x):
        inner = keras.Input((STEPS, FEATURES))
        block = keras.Model(inner, layers.Add()([inner, dense(FEATURES)(inner)]))
        return lstm(UNITS)(block(x))
    cases["nested_graph"] = lambda: graph(nested_graph)
    if three:
        cases["operators"] = lambda: graph(
            lambda x: (2 * dense(4)(x) + lstm(4, **every)(x) / 4 - 1)[:, -1])
        cases["slices"] = lambda: graph(
            lambda x: dense(3)(x)[:, 1:-1] * dense(3)(x)[:, :4] - dense(4)(x)[:, ::-1, 1:][:, 2:])
        cases["dict_outputs"] = lambda: (lambda x: keras.Model(
            {"x": x}, {"b": dense(2)(x), "a": lstm(UNITS)(x)}))(keras.Input((STEPS, FEATURES)))
    return cases


def seeded(name: str, model) -> np.random.Generator:
    """Give ``model`` random weights, large enough to saturate; the generator goes on."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    weights = [random.normal(0, 0.6, one.shape) for one in model.get_weights()]
    for n, variable in enumerate(model.weights):
        if "variance" in variable.name:
            weights[n] = np.abs(weights[n]) + 0.1
    model.set_weights(weights)
    return random


def samples(model, random: np.random.Generator) -> np.ndarray:
    """Frames for ``model``: its inputs one after the other, (SAMPLES, elements) or of its input."""
    parts = [random.normal(size=(SAMPLES, *one.shape[1:])) for one in model.inputs]
    if len(parts) == 1:
        return parts[0].astype(np.float32)
    return np.concatenate([part.reshape(SAMPLES, -1) for part in parts], axis=1).astype(np.float32)


def outputs(model, frames: np.ndarray) -> np.ndarray:
    """The framework's outputs for frames, one after the other; a model of batch 1 computes sample
    after sample, so that a stateful one continues."""
    shapes = [tuple(one.shape[1:]) for one in model.inputs]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = [part.reshape(len(frames), *shape) for part, shape in
             zip(np.split(frames.reshape(len(frames), -1), ends, axis=1), shapes, strict=True)]
    size = model.inputs[0].shape[0] or len(frames)
    batches = []
    for start in range(0, len(frames), size):
        given = [part[start:start + size] for part in parts]
        if isinstance(getattr(model, "_inputs_struct", None), dict):
            given = dict(zip(sorted(model._inputs_struct), given, strict=True))
        elif len(given) == 1:
            (given,) = given
        made = model(given)
        if isinstance(made, dict):
            made = [made[key] for key in sorted(made)]
        made = list(made) if isinstance(made, list | tuple) else [made]
        batches.append([np.asarray(one).reshape(size, -1) for one in made])
    return np.concatenate([np.concatenate(batch, axis=1) for batch in batches])
