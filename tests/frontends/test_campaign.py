"""Mutated model files by the hundred: each is refused in one line, within two seconds and half a
gigabyte and with nothing touched, or it is read as an independent reader reads it.

An ONNX file that is accepted computes what ONNX's reference evaluator computes of it; of a
.safetensors or Keras file the network holds numbers of the same sum as h5py or ten lines of Python
find there.
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import time
import warnings
import zipfile
from collections import Counter
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from tests.frontends.test_keras_options import archive
from tests.support.mutations import BYTES, KERAS, ONNX, SAFETENSORS
from tests.support.places import FIXTURES

SECONDS, MEMORY = 2, 500 << 20

#: file, its mutations
CORPUS = {
    "keras_last.keras": KERAS,
    "keras_autoencoder.keras": KERAS,
    "lstm_last.h5": BYTES,
    "torch_last.script17.onnx": ONNX,
    "torch_gru_hidden.dynamo.onnx": ONNX,
    "keras_last.onnx": ONNX,
    "torch_mlp.script17.onnx": ONNX,
    "torch_conv.script17.onnx": ONNX,
    "described_last.safetensors": SAFETENSORS,
    "described_autoencoder.safetensors": SAFETENSORS,
}


def original(name: str) -> bytes:
    return archive("keras")[name] if name.endswith(".h5") else (FIXTURES / name).read_bytes()


def read(path: Path):
    """The network in a mutated file, or None where it is refused as it must be."""
    more = {}
    if path.suffix == ".safetensors":
        more["network"] = FIXTURES / path.with_suffix(".toml").name
    before, start = sorted(os.listdir(path.parent)), time.process_time()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        network = load(path, **more)
    except UserError as error:
        network = None
        assert str(error).isprintable() and len(str(error)) < 1500  # some list what is supported
    assert time.process_time() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) * 1024 < MEMORY
    assert sorted(os.listdir(path.parent)) == before
    return network


def held(network) -> float:
    """The sum of all numbers of a network: what no order and no joined bias changes."""
    arrays = [getattr(layer, field.name) for layer in network.layers for field in fields(layer)]
    return sum(float(a.astype(np.float64).sum()) for a in arrays
               if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def _floats(data: bytes, kind: str) -> np.ndarray:
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind])


def in_safetensors(data: bytes) -> float:
    length, = struct.unpack("<Q", data[:8])
    total = 0.0
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            total += float(_floats(data[8 + length + first:8 + length + last], entry["dtype"])
                           .astype(np.float64).sum())
    return total


def in_keras(data: bytes) -> float:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            data = file.read("model.weights.h5")
    sums = []
    with h5py.File(io.BytesIO(data)) as file:
        root = file.get("layers", file.get("model_weights", file))
        root.visititems(lambda _, item: sums.append(float(item[()].astype(np.float64).sum()))
                        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None)
    return sum(sums)


def agrees(path: Path, data: bytes, network) -> bool:
    """Whether an accepted file was read as the independent reader reads it; False where that
    reader refuses it."""
    if path.suffix != ".onnx":
        reader = in_safetensors if path.suffix == ".safetensors" else in_keras
        try:
            want = reader(data)
        except RuntimeError:  # h5py reads parts of a file that nobody needs
            return False
        np.testing.assert_allclose(held(network), want, rtol=1e-5, atol=1e-3)
        return True
    model = onnx.load_from_string(data)
    x = np.random.default_rng(0).uniform(-1, 1, (1, *network.input_shape)).astype(np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = {value.name for value in model.graph.initializer}
            given, = (value for value in model.graph.input if value.name not in known)
            dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
            shaped = x.reshape([size or 1 for size in dims])
            reference = ReferenceEvaluator(model)
            want = reference.run(None, {given.name: shaped})
            if not dims[0]:  # any number of samples, each by itself
                both = reference.run(None, {given.name: np.concatenate([shaped, shaped])})
                if not all(np.allclose(two[:1], one) for one, two in zip(want, both, strict=True)):
                    return False
    except Exception:  # the reference raises whatever its operators do
        return False
    got, made = forward(network, x), np.concatenate([np.ravel(y) for y in want])
    if got.size != made.size:  # states of another batch than the input: a contradiction
        return False
    np.testing.assert_allclose(got.ravel(), made, rtol=1e-3, atol=1e-4)
    return True


def campaign(name: str, folder: Path, rounds: int, seed: int) -> Counter:
    """Mutate a file ``rounds`` times in each way."""
    data, seen = original(name), Counter()
    path = folder / name
    for mutation in CORPUS[name]:
        rng = np.random.default_rng([seed, len(seen), len(mutation.__name__)])
        for n in range(rounds):
            broken = mutation(data, rng)
            path.write_bytes(broken)
            network = read(path)
            try:
                seen["refused" if network is None else
                     "compared" if agrees(path, broken, network) else "not compared"] += 1
            except AssertionError as error:
                raise AssertionError(f"{name}, {mutation.__name__} {n}: {error}") from None
    return seen


@pytest.mark.parametrize("name", CORPUS)
def test_a_mutated_file_is_refused_or_read_as_it_is(name, tmp_path):
    seen = campaign(name, tmp_path, 3, seed=1)
    assert seen["refused"] and seen.total() == 3 * len(CORPUS[name])


@pytest.mark.long
@pytest.mark.parametrize("name", CORPUS)
def test_hundreds_of_mutated_files(name, tmp_path):
    seen = campaign(name, tmp_path, 60, seed=2)
    assert seen["compared"] > seen["not compared"]
