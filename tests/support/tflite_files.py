"""The .tflite fixtures, and their bytes with single fields changed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from gatefold.gen.frontends.tflite.flat import _Reader
from tests.support.places import FIXTURES

FOLDER = FIXTURES / "tflite"
INT8 = ("dense", "stacked", "autoencoder", "forum", "padded", "both_ways", "saturating", "clipped",
        "sequence", "wrapping", "causal")
FLOAT = ("float_padded", "float_both_ways")


def path(name: str) -> Path:
    return FOLDER / f"{name}.tflite"


def vectors(name: str) -> dict[str, np.ndarray]:
    """``x``, ``y`` and ``kept`` of a fixture: see fixtures/make_tflite.py."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in ("x", "y", "kept")}


class _Places(_Reader):
    """A reader that notes where every table and field is."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.found: dict[str, list[int]] = {}

    def table(self, name, at):
        self.found.setdefault(name, []).append(at)
        return super().table(name, at)

    def field(self, name, of, at):
        if at is not None:
            self.found.setdefault(name, []).append(at)
        return super().field(name, of, at)


def places(data: bytes) -> dict[str, list[int]]:
    """Where each table is, and each field, by ``Table.field``; of a vector, where its offset is."""
    reader = _Places(data)
    reader.table("Model", reader.forward(0))
    return reader.found


def patched(data: bytes, at: int, code: str, value) -> bytes:
    """``data`` with the number at ``at`` replaced, in struct's format ``code``."""
    return data[:at] + struct.pack(f"<{code}", value) + data[at + struct.calcsize(code):]
