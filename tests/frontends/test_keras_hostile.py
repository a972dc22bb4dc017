"""Hostile Keras files: one clear line, in bounded time and half a gigabyte, nothing touched."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import resource
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from tests.frontends.test_keras import pack, unpack
from tests.frontends.test_keras_options import archive
from tests.support.damage import damaged, refused_or_loaded

#: A refusal takes less than 2 s on a quiet machine. The limit leaves room for a busy one, and for
#: the garbage collector of a large test process: work without a bound takes minutes.
SECONDS, BYTES = 8, 500 << 20


@contextlib.contextmanager
def bounded(folder: Path):
    """No more time and memory than a refusal may take, and the folder as it was."""
    before = sorted(os.listdir(folder))
    start, most = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) * 1024 < BYTES
    assert sorted(os.listdir(folder)) == before


def refusal(path: Path) -> str:
    """The message with which ``path`` is refused."""
    with bounded(path.parent), pytest.raises(UserError) as caught:
        load(path)
    text = str(caught.value)
    assert text.isprintable() and text.isascii() and len(text) < 700
    return text


def saved(tmp_path: Path, suffix: str, data: bytes) -> Path:
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["lstm_last", "encoder_decoder"])
def test_a_file_cut_at_any_kilobyte_is_refused(tmp_path, flavour, name, suffix):
    data = archive(flavour)[f"{name}.{suffix}"]
    for length in [1, 9, 100, *range(1024, len(data), 1024), len(data) - 1]:
        refusal(saved(tmp_path, suffix, data[:length]))


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_a_damaged_h5_file_is_refused_or_harmless(tmp_path, flavour):
    data, random = archive(flavour)["lstm_bidirectional_every.h5"], np.random.default_rng(0)
    marks = [place for mark in (b"GCOL", b"HEAP", b"TREE", b"SNOD")
             for place in range(len(data)) if data.startswith(mark, place)]
    for turn, changed in enumerate(damaged(data, 200)):
        broken = bytearray(changed)
        if turn % 2:  # where the library looks first
            for place in random.choice(marks, 3):
                broken[place + random.integers(64)] = random.integers(256)
        path = saved(tmp_path, "h5", bytes(broken))
        with bounded(tmp_path):
            refused_or_loaded(path)


# --- features of HDF5 that an attacker could use

def edited(edit) -> bytes:
    """The .h5 file of an LSTM with ``edit`` applied."""
    buffer = io.BytesIO(archive("keras")["lstm_last.h5"])
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(lambda name: names.append(name))
        edit(file, next(name for name in names if name.endswith("/kernel")))
    return buffer.getvalue()


def replaced(**options):
    def edit(file, kernel):
        del file[kernel]
        file.create_dataset(kernel, **options)
    return edit


def linked(link):
    def edit(file, kernel):
        del file[kernel]
        file[kernel] = link
    return edit


def in_a_circle(file, kernel):
    group = file["model_weights"]
    group["circle"] = group


def deep(file, kernel):
    file.create_group("model_weights/" + "/".join("a" * 40))


def many(file, kernel):
    for n in range(5_000):
        file["model_weights"].create_group(str(n))


SHAPE = (3, 16)


@pytest.mark.parametrize(("edit", "words"), [
    (replaced(shape=(1 << 40, 1 << 20), dtype="f4", chunks=(1, 1)), "must have the shape (3, 16)"),
    (replaced(shape=SHAPE, dtype="f4", external=[("/etc/passwd", 0, 192)]), "not stored plainly"),
    (replaced(shape=SHAPE, dtype="f4"), "is not stored plainly"),
    (replaced(data=np.zeros(SHAPE, "f4"), compression="gzip"), "is not stored plainly"),
    (replaced(data=np.zeros(SHAPE, "i4")), "weights must be float"),
    (replaced(data=np.full(SHAPE, np.nan, "f4")), "w_ih holds NaN or infinite weights"),
    (linked(h5py.ExternalLink("/etc/passwd", "/x")), "is a link to another"),
    (linked(h5py.SoftLink("/model_weights")), "is a link to another place or file"),
    (lambda file, kernel: file.pop(kernel), "must have the weights kernel, recurrent_kernel, bias"),
    (lambda file, kernel: file.pop("model_weights"), "there is no model_weights"),
    (in_a_circle, "more groups, or more of them nested"),
    (deep, "more groups, or more of them nested"), (many, "a group with more members than any"),
])
def test_weights_of_an_h5_file_are_refused(tmp_path, edit, words):
    assert words in refusal(saved(tmp_path, "h5", edited(edit)))


def described(**attributes):
    """Another description of the model."""
    def edit(file, kernel):
        for name, value in attributes.items():
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
    return edit


@pytest.mark.parametrize(("edit", "words"), [
    (described(model_config=None), "without a model's description, perhaps bare weights "
     "(of model_weights): in the program that makes the model, call model.load_weights"),
    (described(model_config="{"), "its model_config is not readable JSON"),
    (described(model_config="[" * 50_000), "its model_config is not readable JSON"),
    (described(model_config="[]"), "its model_config must hold an object"),
    (described(model_config="{}"), "has no configuration"),
    (described(model_config=7), "an attribute that is no text"),
    (described(model_config=np.zeros(9)), "an attribute that is no text"),
    (described(model_config='{"a": "' + "x" * (9 << 20) + '"}'), "a text in no heap, or too long"),
])
def test_descriptions_of_an_h5_file_are_refused(tmp_path, edit, words):
    assert words in refusal(saved(tmp_path, "h5", edited(edit)))


def at(data: bytes, mark: bytes, n: int = 0) -> int:
    """The place of the n-th ``mark`` in a file."""
    place = -1
    for _ in range(n + 1):
        place = data.index(mark, place + 1)
    return place


def header_in_itself(data: bytearray) -> None:
    root = int.from_bytes(data[64:72], "little")
    data[root + 16:root + 18] = (16).to_bytes(2, "little")
    data[root + 24:root + 40] = (root + 16).to_bytes(8, "little") + (64).to_bytes(8, "little")


def tree_in_itself(data: bytearray) -> None:
    place = at(data, b"TREE")
    data[place + 5], data[place + 6] = 1, 2
    data[place + 32:place + 40] = place.to_bytes(8, "little")


def tree_of_one_level(data: bytearray) -> None:
    place, other = at(data, b"TREE"), at(data, b"TREE", 1)
    data[place + 5] = data[other + 5] = 1
    for one, child in ((place, other), (other, place)):
        data[one + 32:one + 40] = child.to_bytes(8, "little")


def heap_of_nothing(data: bytearray) -> None:
    place = at(data, b"GCOL")
    data[place + 24:place + 32] = bytes(8)
    data[place + 16:place + 18] = b"\xff\xff"


def heap_without_end(data: bytearray) -> None:
    place = at(data, b"GCOL")
    data[place + 8:place + 16] = bytes([255]) * 7 + b"\x7f"


def text_of_gigabytes(data: bytearray) -> None:
    place = at(data, at_heap(data))
    data[place - 4:place] = (1 << 31).to_bytes(4, "little")


def at_heap(data: bytes) -> bytes:
    """The reference of an attribute to its text."""
    return at(data, b"GCOL").to_bytes(8, "little")


def other_base(data: bytearray) -> None:
    data[24] = 8


def newer(data: bytearray) -> None:
    data[8] = 3


@pytest.mark.parametrize("edit", [
    header_in_itself, tree_in_itself, tree_of_one_level, heap_of_nothing, heap_without_end,
    text_of_gigabytes, other_base, newer,
], ids=lambda edit: edit.__name__)
def test_a_structure_made_to_trap_its_reader_is_refused(tmp_path, edit):
    data = bytearray(archive("keras")["lstm_last.h5"])
    edit(data)
    assert "damaged" in refusal(saved(tmp_path, "h5", bytes(data)))


# --- sizes in a description


def sequence(*layers: tuple[str, dict], shape=(6, 3)) -> dict:
    """A Sequential model of these classes and settings."""
    entries = [{"class_name": "InputLayer", "config": {"batch_shape": [None, *shape]}}]
    entries += [{"class_name": name, "config": dict(config)} for name, config in layers]
    for n, entry in enumerate(entries):
        entry |= {"module": "keras.layers", "registered_name": None, "name": f"l{n}"}
        entry["config"]["name"] = f"l{n}"
    return {"class_name": "Sequential", "module": "keras", "config": {"layers": entries}}


def nested(levels: int) -> dict:
    model = sequence(("Flatten", {}))
    for _ in range(levels):
        model = sequence(("Flatten", {})) | {"config": {"layers": [model]}}
    return model


def distributed(levels: int) -> dict:
    layer: dict = {"class_name": "Flatten", "config": {}}
    for _ in range(levels):
        layer = {"class_name": "TimeDistributed", "config": {"layer": layer}}
    return sequence((layer["class_name"], layer["config"]), shape=(2, 2, 2, 2))


HUGE = (256, 65536)
LIMIT = "may hold at most"


@pytest.mark.parametrize(("config", "words"), [
    (sequence(("Dense", {"units": 10**15})), "units must be an integer in 1..65536"),
    (sequence(("LSTM", {"units": 65536})), LIMIT), (sequence(("GRU", {"units": 65536})), LIMIT),
    (sequence(("Conv1D", {"filters": 65536, "kernel_size": 65536}), shape=HUGE), "does not fit"),
    (sequence(("Conv1D", {"filters": 65536, "kernel_size": 256}), shape=HUGE), LIMIT),
    (sequence(("DepthwiseConv1D", {"kernel_size": 2, "depth_multiplier": 65536}), shape=HUGE),
     LIMIT),
    (sequence(("Flatten", {}), ("RepeatVector", {"n": 65536}), shape=HUGE), LIMIT),
    (sequence(("ZeroPadding1D", {"padding": 65535}), shape=HUGE), LIMIT),
    (sequence(("ZeroPadding1D", {"padding": 10**9}), shape=HUGE), "must be two numbers of"),
    (sequence(("UpSampling1D", {"size": 65536}), shape=HUGE), LIMIT),
    (sequence(("UpSampling1D", {"size": 65536}), shape=(1, 1)), "size must be in 1..256"),
    (sequence(("MaxPooling1D", {"pool_size": 32768, "strides": 1}), shape=(65536, 1)), LIMIT),
    (sequence(("AveragePooling1D", {"pool_size": 32768, "strides": 1}), shape=(65536, 1)), LIMIT),
    (sequence(("GlobalAveragePooling1D", {}), shape=(4096, 4096)), LIMIT),
    (sequence(("Activation", {"activation": "relu"}), shape=(65536,)), LIMIT),
    (sequence(("Rescaling", {"scale": 2.0}), shape=(65536,)), LIMIT),
    (sequence(*[("Permute", {"dims": [2, 1]})] * 400, shape=HUGE), LIMIT),
    (sequence(*[("ReLU", {})] * 600), "at most 512 layers and 8 levels of nesting"),
    (nested(9), "levels of nesting"), (nested(200), "levels of nesting"),
    (distributed(60), "takes (timesteps, features)"),
    (sequence(("Reshape", {"target_shape": [65536, 65536]})), "does not hold the elements"),
    (sequence(("Reshape", {"target_shape": [10**18]})), "target_shape must be an integer in 1.."),
    (sequence(("Rescaling", {"scale": 1e300})), "holds NaN or infinite"),
    (sequence(("Rescaling", {"scale": "import os"})), "must be a number or one for each"),
    (sequence(("Flatten", {}), shape=(10**15, 10**15)), "timesteps must be an integer in 1..65536"),
])
def test_sizes_in_a_description_are_checked_first(tmp_path, config, words):
    _, weights = unpack("keras_last.keras")
    assert words in refusal(pack(tmp_path / "m.keras", config, weights))


def code() -> dict:
    """A Lambda as Keras saves one, with marshalled code in it."""
    return {"class_name": "Lambda", "config": {"function": {
        "class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAIAAABDAAAA", }}}}


@pytest.mark.parametrize("place", ["layer", "activation", "custom", "inside"])
def test_code_is_refused_and_never_run(tmp_path, place):
    config, weights = unpack("keras_last.keras")
    entry = copy.deepcopy(config["config"]["layers"][1])
    if place == "layer":
        entry |= code()
    elif place == "activation":
        entry["config"]["activation"] = code()["config"]["function"]
    elif place == "custom":
        entry |= {"module": "os", "class_name": "system", "registered_name": "os>system"}
    else:
        entry |= {"class_name": "TimeDistributed", "config": {"layer": code()}}
    config["config"]["layers"][1] = entry
    text = refusal(pack(tmp_path / "m.keras", config, weights))
    assert "not supported" in text or "activation must be" in text


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" + "[]," * 3_000_000 + "0]"])
def test_a_description_that_is_deep_or_large_is_refused(tmp_path, text):
    _, weights = unpack("keras_last.keras")
    refusal(pack(tmp_path / "m.keras", text, weights))


@pytest.mark.parametrize(("member", "size"), [("config.json", 9), ("model.weights.h5", 120)])
def test_a_member_that_unpacks_to_much_more_is_refused(tmp_path, member, size):
    _, weights = unpack("keras_last.keras")
    held = {"config.json": b"{}", "model.weights.h5": weights, "noise": os.urandom(1 << 20)}
    held[member] = bytes(size << 20)
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in held.items():
            file.writestr(name, data)
    assert "bytes; it may have at most" in refusal(tmp_path / "m.keras")


@pytest.mark.parametrize("layers", [
    [("ReLU", {})] * 500, [("Permute", {"dims": [2, 1]})] * 500,
    [("Rescaling", {"scale": 0.9})] * 500, [("ZeroPadding1D", {"padding": 1})] * 500,
    [("Activation", {"activation": "tanh"})] * 500,
    [("Permute", {"dims": [2, 1]}), ("ReLU", {})] * 250,
], ids=lambda layers: layers[0][0])
def test_many_layers_take_no_time(tmp_path, layers):
    _, weights = unpack("keras_last.keras")
    path = pack(tmp_path / "m.keras", sequence(*layers, shape=(60, 60)), weights)
    with bounded(tmp_path), contextlib.suppress(UserError):
        load(path)


def test_arguments_nested_without_end_are_refused(tmp_path):
    config, weights = unpack("keras_functional.keras")
    use = config["config"]["layers"][1]["inbound_nodes"][0]
    for _ in range(300):
        use["args"] = [use["args"]]
    refusal(pack(tmp_path / "m.keras", config, weights))
