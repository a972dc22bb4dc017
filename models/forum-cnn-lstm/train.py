"""Train the forum's network on synthetic signals and convert it to full integer.

    python -m venv .venv-train && .venv-train/bin/pip install -r requirements.txt
    .venv-train/bin/python train.py

Three Conv1D, LSTM 16 and three Dense layers on 800 samples of two channels, 104 classes: which of
13 frequencies the first channel has, and by which of 8 phases the second lags behind. Writes
forum-cnn-lstm.tflite, vectors.npz (``x`` bytes, ``y`` LiteRT's bytes, ``label``) and training.json.
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
SEED, TRAINED, EPOCHS, BATCH, STORED = 7, 3328, 6, 64, 64
L = keras.layers


def signals(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``count`` samples (count, 800, 2) and their classes."""
    label = rng.integers(FREQUENCIES * PHASES, size=count)
    frequency, phase = np.divmod(label, PHASES)
    t = np.arange(STEPS) / STEPS
    cycles = 8 + 4 * frequency[:, None] + rng.uniform(-0.5, 0.5, (count, 1))
    angle = 2 * np.pi * (cycles * t + rng.uniform(0, 1, (count, 1)))
    lag = 2 * np.pi * phase[:, None] / PHASES
    x = np.stack([np.sin(angle), np.sin(angle - lag)], axis=2)
    return (x + 0.2 * rng.standard_normal(x.shape)).astype(np.float32), label


def network() -> keras.Model:
    """The forum's network; its last layer gives logits."""
    return keras.Sequential([
        L.Input((STEPS, 2)), L.Conv1D(32, 512, activation="relu"),
        L.Conv1D(32, 128, activation="relu"), L.Conv1D(32, 64, activation="relu"), L.LSTM(16),
        L.Dense(128, "relu"), L.Dense(128, "relu"), L.Dense(FREQUENCIES * PHASES)])


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
    model = network()
    model.compile(keras.optimizers.Adam(1e-3),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    model.fit(x, label, batch_size=BATCH, epochs=EPOCHS, verbose=2)
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
        "seed": SEED, "samples": TRAINED, "epochs": EPOCHS, "held_out": len(held),
        "accuracy": accuracy, "tensorflow": tf.__version__}, indent=1) + "\n")
    print(accuracy, len(data))


if __name__ == "__main__":
    main()
