"""Train the forum's network on synthetic signals and convert it to full integer.

    python -m venv .venv-train && .venv-train/bin/pip install -r requirements.txt
    .venv-train/bin/python train.py

Three Conv1D, LSTM 16 and three Dense layers on 800 samples of two channels, 104 classes: which of
13 frequencies the first channel has, and by which of 8 phases the second lags behind. The
convolutions are designed, as filters of a receiver are: a bank tuned to the frequencies and to
differences of phase, and two that average and mix what its relu rectifies. The LSTM and the Dense
layers are trained on what comes out of them. Writes forum-cnn-lstm.tflite, vectors.npz (``x``
bytes, ``y`` LiteRT's bytes, ``label``) and training.json.
"""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

HERE = Path(__file__).parent
STEPS, FREQUENCIES, PHASES = 800, 13, 8
SEED, TRAINED, BATCH, STORED = 7, 4096, 128, 64
FILTERS, TAPS = 32, (512, 128, 64)
#: Epochs on segments of this many steps, which are cheap, and then on whole sequences.
SEGMENT, SHORT, WHOLE = 24, 45, 5
L = keras.layers


def _cycles(frequency):
    """Periods in a signal of frequency 0..12; a signal differs by half a period at most."""
    return 8 + 4 * frequency


def signals(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``count`` samples (count, 800, 2) and their classes."""
    label = rng.integers(FREQUENCIES * PHASES, size=count)
    frequency, phase = np.divmod(label, PHASES)
    t = np.arange(STEPS) / STEPS
    cycles = _cycles(frequency[:, None]) + rng.uniform(-0.5, 0.5, (count, 1))
    angle = 2 * np.pi * (cycles * t + rng.uniform(0, 1, (count, 1)))
    lag = 2 * np.pi * phase[:, None] / PHASES
    x = np.stack([np.sin(angle), np.sin(angle - lag)], axis=2)
    return (x + 0.2 * rng.standard_normal(x.shape)).astype(np.float32), label


def network(rng: np.random.Generator) -> keras.Model:
    """The forum's network; its last layer gives logits."""
    convs = [L.Conv1D(FILTERS, taps, activation="relu") for taps in TAPS]
    model = keras.Sequential([L.Input((STEPS, 2)), *convs, L.LSTM(16), L.Dense(128, "relu"),
                              L.Dense(128, "relu"), L.Dense(FREQUENCIES * PHASES)])
    for conv, w in zip(convs, (_bank(), _average(TAPS[1], 3, rng), _average(TAPS[2], 1, rng)),
                       strict=True):
        conv.set_weights([w.astype(np.float32), np.zeros(FILTERS, np.float32)])
    return model


def _bank() -> np.ndarray:
    """Filters (taps, channels, filters): two for each frequency, which add the channels as they are
    and with the second shifted by 90 degrees, and six for a shift of 180 degrees, which serve two
    or three neighbouring frequencies each."""
    t = np.arange(TAPS[0]) - (TAPS[0] - 1) / 2
    window = np.hanning(TAPS[0] + 2)[1:-1, None] / 128

    def tuned(frequency: int, quarters: int) -> np.ndarray:
        angle = 2 * np.pi * _cycles(frequency) * t / STEPS
        return window * np.stack([np.cos(angle), np.cos(angle - np.pi / 2 * quarters)], axis=1)

    each = [tuned(n, quarters) for n in range(FREQUENCIES) for quarters in (0, 1)]
    groups = np.array_split(np.arange(FREQUENCIES), FILTERS - len(each))
    return np.stack(each + [sum(tuned(int(n), 2) for n in group) for group in groups], axis=2)


def _average(taps: int, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Each channel averaged over ``taps`` steps, and a random mixture of all."""
    window = np.hanning(taps + 2)[1:-1]
    mixture = 0.015 * rng.standard_normal((taps, FILTERS, FILTERS))
    return (gain * window / window.sum())[:, None, None] * np.eye(FILTERS) + mixture


def train(model: keras.Model, x: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> None:
    """Train what follows the convolutions."""
    front = keras.Sequential([L.Input((STEPS, 2)), *model.layers[:3]])
    head = keras.Sequential([L.Input((None, FILTERS)), *model.layers[3:]])
    seen = np.concatenate([front.predict(part, verbose=0) for part in np.split(x, 16)])
    rate = keras.optimizers.schedules.CosineDecay(4e-3, (SHORT + WHOLE) * TRAINED // BATCH)
    head.compile(keras.optimizers.Adam(rate, clipnorm=1.0),
                 keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    for epoch in range(SHORT + WHOLE):
        length = SEGMENT if epoch < SHORT else seen.shape[1]
        start = rng.integers(seen.shape[1] - length + 1)
        part = seen[:, start:start + length]
        noise = 0.01 * rng.standard_normal(part.shape).astype(np.float32)
        head.fit(part + noise, label, batch_size=BATCH, verbose=2)


def convert(model: keras.Model, data: np.ndarray) -> bytes:
    """Full integer for a batch of 1, calibrated with ``data``."""
    function = tf.function(lambda x: model(x)).get_concrete_function(
        tf.TensorSpec((1, STEPS, 2), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    rng = np.random.default_rng(SEED)
    keras.utils.set_random_seed(SEED)
    x, label = signals(TRAINED, rng)
    model = network(rng)
    train(model, x, label, rng)
    held, truth = signals(512, rng)
    floats = model.predict(held, verbose=0)
    data = convert(model, x[:100])
    (HERE / "forum-cnn-lstm.tflite").write_bytes(data)

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = into["quantization"]
    held8 = np.clip(np.round(held / scale) + zero, -128, 127).astype(np.int8)
    found = []
    for sample in held8:
        interpreter.reset_all_variables()
        interpreter.set_tensor(into["index"], sample[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(out["index"])[0].copy())
    y = np.array(found)
    np.savez_compressed(HERE / "vectors.npz", x=held8[:STORED], y=y[:STORED], label=truth[:STORED])
    accuracy = {"float": float((floats.argmax(1) == truth).mean()),
                "int8": float((y.argmax(1) == truth).mean())}
    (HERE / "training.json").write_text(json.dumps({
        "seed": SEED, "samples": TRAINED, "epochs": SHORT + WHOLE, "held_out": len(held),
        "accuracy": accuracy, "tensorflow": tf.__version__}, indent=1) + "\n")
    print(accuracy, len(data))


if __name__ == "__main__":
    main()
