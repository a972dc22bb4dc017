"""Random full-integer .tflite files and what LiteRT answers; of ``make litert-fuzz``.

    python tools/litert/models.py FOLDER --count 60 --seed 1

runs where TensorFlow, tf_keras and LiteRT are installed, and Gatefold need not be. A file is made
as a user makes it, with tf_keras and the converter; of every second one the scales and zero points
are then drawn anew. FOLDER/NAME.npz holds the inputs ``x0``, ``x1`` ... (samples, ...), and for the
outputs ``y0`` ... each sample after a reset, ``kept0`` ... with the state kept but for a reset in
the middle. A model that LiteRT refuses is not stored.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false
from __future__ import annotations

import argparse
import os
import struct
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Model as Schema

L = keras.layers
SAMPLES = 24
_INT8, _INT16 = 9, 7  #: Types of tensors in the schema.


class Shapes:
    """Draws models; ``large`` ones only where golden and LiteRT alone are compared."""

    def __init__(self, rng: np.random.Generator, large: bool):
        self.rng, self.large = rng, large

    def of(self, low: int, high: int) -> int:
        """A size, small ones more often."""
        return int(np.exp(self.rng.uniform(np.log(low), np.log(high + 1))))

    def units(self) -> int:
        return self.of(1, 90 if self.large else 13)

    def steps(self) -> int:
        return self.of(1, 60 if self.large else 10)

    def chance(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def fused(self) -> str | None:
        return [None, "relu", "relu6"][self.rng.integers(3)]

    def lstm(self, steps: bool):
        return L.LSTM(self.units(), return_sequences=steps, go_backwards=self.chance(0.15),
                      unit_forget_bias=self.chance())

    def heads(self) -> list:
        return [L.Dense(self.units(), self.fused()) for _ in range(self.rng.integers(0, 3))]

    # ---- families: each gives an input's shape and the layers behind it

    def stacked(self):
        every = self.chance()
        depth = int(self.rng.integers(1, 4))
        layers = [self.lstm(True) for _ in range(depth - 1)] + [self.lstm(every)]
        return (self.steps(), self.units()), [*layers, *self.heads()]

    def autoencoder(self):
        shape = self.steps(), self.units()
        encoder = [self.lstm(True) for _ in range(self.rng.integers(0, 2))]
        decoder = [self.lstm(True) for _ in range(self.rng.integers(1, 3))]
        return shape, [*encoder, self.lstm(False), L.RepeatVector(self.steps()), *decoder,
                       L.TimeDistributed(L.Dense(shape[1], self.fused()))]

    def both_ways(self):
        layers = [L.Bidirectional(L.LSTM(self.units(), return_sequences=True))
                  for _ in range(self.rng.integers(0, 2))]
        last = L.Bidirectional(L.LSTM(self.units(), return_sequences=self.chance()))
        return (self.steps(), self.units()), [*layers, last, *self.heads()]

    def conv(self):
        steps, layers = self.of(12, 120 if self.large else 24), []
        left = steps
        for _ in range(self.rng.integers(1, 4)):
            taps, same = self.of(1, 6), self.chance()
            stride, dilation = ((1, int(self.rng.integers(1, 3))) if self.chance()
                                else (int(self.rng.integers(1, 3)), 1))
            if dilation > 1:
                same = False
            reach = (taps - 1) * dilation + 1
            if not same and reach > left:
                break
            left = -(-left // stride) if same else -(-(left - reach + 1) // stride)
            layers.append(L.Conv1D(self.units(), taps, strides=stride, dilation_rate=dilation,
                                   padding="same" if same else "valid", activation=self.fused(),
                                   use_bias=self.chance(0.8)))
        behind = [[self.lstm(False)], [L.Flatten(), L.Dense(self.units())], [self.lstm(True)],
                  []][self.rng.integers(4)]
        return (steps, self.of(1, 6)), [*layers, *behind, *self.heads()]

    def forum(self):
        steps, taps = (200, (32, 16, 8)) if self.large else (40, (12, 8, 4))
        filters = 32 if self.large else 5
        return (steps, 2), [*(L.Conv1D(filters, n, activation="relu") for n in taps),
                            L.LSTM(self.units()), L.Dense(16, "relu"), L.Dense(16, "relu"),
                            L.Dense(13)]

    def dense(self):
        shape = self.steps(), self.units()
        first = [[L.TimeDistributed(L.Dense(self.units(), self.fused()))], [L.Flatten()],
                 [L.Reshape((shape[1], shape[0]))], [L.Dense(self.units(), "relu6")]]
        behind = [[self.lstm(self.chance())], [L.Flatten(), L.Dense(self.units())]]
        chosen = int(self.rng.integers(4))
        return shape, [*first[chosen], *([] if chosen == 1 else behind[self.rng.integers(2)]),
                       *self.heads(), L.Dense(self.units(), use_bias=self.chance())]

    FAMILIES = ("stacked", "autoencoder", "both_ways", "conv", "forum", "dense", "branches")

    def model(self, family: str) -> keras.Model:
        if family == "branches":
            return self.branches()
        shape, layers = getattr(self, family)()
        return keras.Sequential([L.Input(shape), *layers])

    def branches(self) -> keras.Model:
        """Two outputs, or two inputs that are joined."""
        steps = self.steps()
        one = L.Input((steps, self.units()))
        if self.chance():
            inner = self.lstm(True)(one)
            return keras.Model(one, [L.Dense(self.units())(L.LSTM(self.units())(inner)),
                                     L.TimeDistributed(L.Dense(self.units()))(inner)])
        two = L.Input((steps, self.units()))
        joined = L.Concatenate()([one, two])
        return keras.Model([one, two], L.Dense(self.units())(L.LSTM(self.units())(joined)))


def convert(model: keras.Model, data: list[np.ndarray]) -> bytes:
    """The model in full integer, for a batch of 1, calibrated with ``data`` (samples, ...)."""
    signature = [tf.TensorSpec((1, *one.shape[1:]), tf.float32) for one in data]
    function = tf.function(
        lambda *x: model(x[0] if len(x) == 1 else list(x))).get_concrete_function(*signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [one[n:n + 1] for one in data] for n in range(len(data[0])))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def redrawn(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with other scales of all int8 tensors and other zero points of activations, and
    other scales of cell states; those that LiteRT wants equal stay equal."""
    drawn: dict[int, tuple[np.ndarray, int]] = {}

    def draw(tensor, key: int, constant: bool, scales: np.ndarray):
        if tensor.Type() == _INT16:
            return np.exp2(-rng.integers(9, 18, 1)), None
        other = scales * np.exp2(rng.uniform(-2, 2, len(scales)))
        if constant:
            return other, None
        return drawn.setdefault(key, (other, int(rng.integers(-128, 128))))

    return rescaled(data, draw)


#: Operators that move bytes: CONCATENATION, RESHAPE, STRIDED_SLICE, TILE, REVERSE_V2.
_MOVES = (2, 22, 45, 69, 105)


def rescaled(data: bytes, choose) -> bytes:
    """The file with other numbers of its int8 and int16 tensors: ``choose`` is given a tensor, the
    number of the first tensor that must have the same numbers, whether it is a constant, and its
    scales; it returns scales, and a zero point or None."""
    buffer, model = bytearray(data), Schema.GetRootAs(data)
    graph = model.Subgraphs(0)
    alike: dict[int, set[int]] = {}
    for n in range(graph.OperatorsLength()):
        node = graph.Operators(n)
        code = model.OperatorCodes(node.OpcodeIndex())
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) in _MOVES:
            ends = [*(node.Inputs(k) for k in range(node.InputsLength())), node.Outputs(0)]
            merged = set().union(*(alike.get(k, {k}) for k in ends
                                   if graph.Tensors(k).Type() == _INT8))
            alike.update({k: merged for k in merged})
    for n in range(graph.TensorsLength()):
        tensor, numbers = graph.Tensors(n), graph.Tensors(n).Quantization()
        if tensor.Type() not in (_INT8, _INT16) or not (numbers and numbers.ScaleLength()):
            continue
        constant = model.Buffers(tensor.Buffer()).DataLength() > 0
        before = numbers.ScaleAsNumpy()
        scales, zero = choose(tensor, min(alike.get(n, {n})), constant, before)
        written = np.asarray(scales, np.float32).tobytes()
        at = _place(data, before)
        buffer[at:at + len(written)] = written
        if zero is not None:
            struct.pack_into("<q", buffer, _place(data, numbers.ZeroPointAsNumpy()), zero)
    return bytes(buffer)


def _place(data: bytes, view: np.ndarray) -> int:
    """Where a view of ``data`` begins."""
    begin = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    return view.__array_interface__["data"][0] - begin


def answers(model: bytes, x: list[np.ndarray], resets: np.ndarray) -> list[np.ndarray]:
    """What LiteRT gives for samples one after the other, after a reset where ``resets``."""
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    into, out = ([one["index"] for one in details] for details in (
        interpreter.get_input_details(), interpreter.get_output_details()))
    found = [[] for _ in out]
    for n, reset in enumerate(resets):
        if reset:
            interpreter.reset_all_variables()
        for index, one in zip(into, x, strict=True):
            interpreter.set_tensor(index, one[n:n + 1])
        interpreter.invoke()
        for values, index in zip(found, out, strict=True):
            values.append(interpreter.get_tensor(index)[0].copy())
    return [np.array(values) for values in found]


def _inputs(model: bytes, rng: np.random.Generator) -> list[np.ndarray]:
    """Bytes of all kinds: calm ones, uniform ones, extremes, and constants."""
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    found = []
    for details in interpreter.get_input_details():
        shape = (SAMPLES, *details["shape"][1:])
        x = np.clip(rng.standard_normal(shape) * 40, -128, 127)
        x[SAMPLES // 2:] = rng.integers(-128, 128, x[SAMPLES // 2:].shape)
        x[0], x[1] = -128, 127
        x[2] = np.where(rng.random(shape[1:]) < 0.5, -128, 127)
        x[3] = details["quantization"][1]
        found.append(x.astype(np.int8))
    return found


def make(folder: Path, number: int, seed: int, large: bool) -> str:
    """Store model ``number``; in words what became of it."""
    rng = np.random.default_rng((seed, number))
    keras.utils.set_random_seed(seed * 1000 + number)
    shapes = Shapes(rng, large)
    family = Shapes.FAMILIES[number % len(Shapes.FAMILIES)]
    model = shapes.model(family)
    factor, span = np.exp2(rng.uniform(-1, 4)), np.exp2(rng.uniform(-5, 5))
    model.set_weights([factor * (w + 0.1 * rng.standard_normal(w.shape).astype(np.float32))
                       for w in model.get_weights()])
    mean = span * rng.uniform(-2, 2)
    data = [(mean + span * rng.standard_normal((20, *one.shape[1:]))).astype(np.float32)
            for one in model.inputs]
    written = convert(model, data)
    name = f"{number:03}-{family}"
    if number // len(Shapes.FAMILIES) % 2:
        written, name = redrawn(written, rng), f"{name}-redrawn"
    try:
        x = _inputs(written, rng)
        resets = np.ones(SAMPLES, bool)
        y = answers(written, x, resets)
        resets = np.isin(np.arange(SAMPLES), [0, SAMPLES // 2])
        kept = answers(written, x, resets)
    except (RuntimeError, ValueError) as error:
        return f"{name}: LiteRT refuses it: {str(error).splitlines()[0][:100]}"
    (folder / f"{name}.tflite").write_bytes(written)
    arrays = {f"{key}{n}": one for key, values in (("x", x), ("y", y), ("kept", kept))
              for n, one in enumerate(values)}
    np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **arrays)
    return f"{name}: {len(written)} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--large", action="store_true", help="sizes for golden alone")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.count):
        try:
            print(make(options.folder, number, options.seed, options.large), flush=True)
        except Exception as error:
            print(f"{number}: the converter fails: {str(error).splitlines()[0][:150]}", flush=True)


if __name__ == "__main__":
    main()
