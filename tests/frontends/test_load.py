"""Files that are no models: one line names the kind of file and the remedy."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.container import read_file


def zipped(**members: bytes) -> bytes:
    """A zip; ``__`` in a name becomes a slash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


def bomb() -> bytes:
    """A zip of 300 kB that holds 300 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (300 << 20))
        archive.writestr("model.weights.h5", b"")
    return buffer.getvalue()


def lying(declared: int) -> bytes:
    """A zip whose directory declares another size for config.json than its data has."""
    data = bytearray(zipped(config_dot_json=b"{}" * 50, model_dot_weights_dot_h5=b""))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24:entry + 28] = struct.pack("<I", declared)
    return bytes(data)


def doubled() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("config.json", b"{}")
        archive.writestr("config.json", b"{}")
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b""))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + place] |= 1
            start += 4
    return bytes(data)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "is empty: give a .keras, .h5, .onnx, .safetensors or .npz file"),
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "its HDF5 file is damaged"),
    (b"\x1c\0\0\0TFL3" + bytes(100), "the file is damaged, convert the model again"),
    (pickle.dumps({"a": 1}), "is a Python pickle: pickles are not read"),
    (zipped(archive__data_dot_pkl=b"x", archive__version=b"3"),
     "save_file(torch.load(FILE, weights_only=True), 'm.safetensors')"),
    (zipped(x_dot_npy=b"\x93NUMPY"), "is a NumPy archive, not a model"),
    (b"\x93NUMPY\x01\0", "is a NumPy array, not a model"),
    (struct.pack("<Q", 20) + b'{"w": {"dtype": "F"}}' + bytes(30), "is a safetensors file"),
    (zipped(a_dot_txt=b"x"), "is a zip without config.json, not a model"),
    (zipped(), "is a zip without config.json, not a model"),
    (zipped(config_dot_json=b"{}"), "has no model.weights.h5"),
    (zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b""), "model.weights.h5 is damaged"),
    (b"PK\x03\x04", "is a damaged or truncated zip"),
    (b"PK", "is a damaged or truncated zip"),
    (lying(1 << 30), "that is no model file"),
    (lying(90_000), "'config.json' is damaged"),
    (lying(20), "'config.json' is damaged"),
    (encrypted(), "is an encrypted zip"),
    (b"hello, world\n" * 30, "is no model, or a truncated one"),
    (b"{}", "is no model, or a truncated one"),
    (b"\x00", "is no model, or a truncated one"),
    (b"\xff" * 1000, "is no model, or a truncated one"),
    (np.random.default_rng(0).bytes(5000), "is no model, or a truncated one"),
    (b"\x7fELF" + bytes(60), "is no model, or a truncated one"),
    (b'module m(input clk);\nendmodule\n', "is no model, or a truncated one"),
], ids=range(25))
@pytest.mark.parametrize("suffix", [".keras", ".onnx"])
def test_a_file_that_is_no_model(tmp_path, data, words, suffix):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load(path)
    text = str(caught.value)
    assert words in text and text.startswith(f"'m{suffix}'")
    assert text.isprintable() and str(tmp_path) not in text


@pytest.mark.parametrize(("make", "words"), [
    (bomb, "bytes unpacked: that is no model file"), (doubled, "two members of one name"),
])
def test_a_zip_that_attacks_its_reader(tmp_path, make, words):
    path = tmp_path / "m.keras"
    path.write_bytes(make())
    with pytest.raises(UserError, match=words):
        load(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"^'none.keras': there is no such file"):
        load(tmp_path / "none.keras")


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 5000])
def test_a_name_that_can_not_be_a_file(tmp_path, name):
    with pytest.raises(UserError) as caught:
        load(name or tmp_path / "dir" / "")
    assert len(str(caught.value)) < 200


def test_a_directory(tmp_path):
    with pytest.raises(UserError, match="is a directory, not a model file"):
        load(tmp_path)


def test_a_named_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(UserError, match="is a special file, not a model file"):
        load(tmp_path / "pipe.onnx")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_an_endless_device():
    with pytest.raises(UserError, match="is a special file"):
        load("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"PK")
    path.chmod(0)
    with pytest.raises(UserError, match="can not be read: Permission denied"):
        load(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "m.onnx"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="a model file may have at most"):
        load(path)


def test_reading_takes_the_memory_of_the_file_and_not_of_the_limit(tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert len(read_file(tmp_path / "small")) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_saved_model_of_tensorflow_is_named(tmp_path):
    path = tmp_path / "saved_model.pb"
    path.write_bytes(b"\x08\x01\x12\x00")
    for one in (path, tmp_path):
        with pytest.raises(UserError, match='a TensorFlow SavedModel: load it with Keras and save'):
            load(one)
