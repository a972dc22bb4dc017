"""The quantised network's file: same network, same bytes; damage is reported in one line."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.network.graph import Flatten, Network
from gatefold.gen.network.overlap import MOST_FRAMES
from gatefold.gen.network.views import History
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.store.quantized_io import load_quantized, save_quantized
from gatefold.sim import golden
from tests.support.networks import NETWORKS, inputs, network, quantized
from tests.support.tflite_files import path as tflite_file
from tests.support.windows import windowed

OPTIONS = [{"act_width": 8, "weight_width": 4}, {"any_weights": True},
           {"rule": "mse", "weight_rule": "percentile", "table_bits": 12,
            "overrides": {"default": {"weights": 6}}}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_is_loaded_unchanged(tmp_path, name, options):
    q = quantize(network(name, gain=0.3), **options)
    save_quantized(tmp_path / "a", q)
    again = load_quantized(tmp_path / "a")
    save_quantized(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    x = inputs(q, 3)
    np.testing.assert_array_equal(golden.golden(again, x), golden.golden(q, x))
    assert (again.acc_width, again.calibration, again.host) == \
        (q.acc_width, q.calibration, q.host)
    assert [type(one) for one in again.layers] == [type(one) for one in q.layers]


def test_nothing_of_a_model_file_is_saved(tmp_path):
    net = network("views")
    named = tuple(replace(layer, origin="../secret", label="secret" if isinstance(layer, Flatten)
                          else "") for layer in net.layers)
    save_quantized(tmp_path / "a", quantize(Network(net.input_shapes, named)))
    assert b"../secret" not in (tmp_path / "a").read_bytes()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def edit(*path, value):
    def change(members):
        head = json.loads(members["network.json"])
        place = head
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        members["network.json"] = json.dumps(head).encode()
    return change


def put(name, data):
    return lambda members: members.update({name: data})


HUGE = b"\x93NUMPY\x01\x00\x76\x00" + (
    b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n")
EVERY = "autoencoder"  # ... of damage: l0 LSTM 5 seq, l1 LSTM 2, l2 repeat, l3, l4 LSTMs, l5 Dense
# network: name: the change of the members
DAMAGE = {
    EVERY: {
        "no json": lambda members: members.pop("network.json"),
        "not json": put("network.json", b"{"),
        "a list": put("network.json", b"[]"),
        "nested beyond reason": put("network.json", b"[" * 100_000),
        "other format": edit("format", value="other"),
        "other version": edit("version", value=1),
        "layer name": edit("layers", 0, "name", value="../x"),
        "layer name twice": edit("layers", 0, "name", value="l1_lstm"),
        "layer kind": edit("layers", 0, "kind", value="transformer"),
        "layer kind of others": edit("layers", 0, "kind", value="gru"),
        "layer missing": edit("layers", value=[]),
        "layer a number": edit("layers", 0, value=3),
        "reads itself": edit("layers", 0, "inputs", value=[1]),
        "reads nothing": edit("layers", 0, "inputs", value=[]),
        "reads two": edit("layers", 0, "inputs", value=[0, 0]),
        "no such output": edit("outputs", value=[9]),
        "no output": edit("outputs", value=[]),
        "host": edit("host", value=["rm -rf"]),
        "width": edit("act_width", value=40),
        "width too small": edit("act_width", value=4),
        "width not an integer": edit("act_width", value="16"),
        "width a boolean": edit("act_width", value=True),
        "accumulator too narrow": edit("acc_width", value=12),
        "accumulator too wide": edit("acc_width", value=80),
        "absurd fraction": edit("layers", 0, "w_ih_format", value=[16, 10**20]),
        "large fraction": edit("layers", 0, "w_ih_format", value=[16, 10**6]),
        "fraction of the cell": edit("layers", 0, "c", value=[18, -90]),
        "format of three": edit("layers", 0, "h", value=[16, 15, 1]),
        "format missing": edit("layers", 0, "h", value=None),
        "operand's format": edit("layers", 1, "x", value=[16, 14]),
        "activation": edit("layers", 5, "activation", value="exp"),
        "gates": edit("layers", 0, "recurrent_activation", value="tanh"),
        "stateful and given": lambda members: (
            edit("layers", 0, "h0", value="array")(members),
            edit("layers", 0, "stateful", value=True)(members),
            put("l0_lstm.h0.npy", npy(np.zeros(5, int)))(members)),
        "initial state of nobody": edit("layers", 0, "h_in", value=[16, 15]),
        "timesteps": edit("layers", 2, "view", "timesteps", value=0),
        "timesteps for gigabytes": edit("layers", 2, "view", "timesteps", value=1 << 31),
        "view": edit("layers", 2, "view", "kind", value="open"),
        "view missing": edit("layers", 2, "view", value=None),
        "input shape": edit("input_shapes", value=[[3, 5]]),
        "input shape nested": edit("input_shapes", value=[[[3], 2]]),
        "input of gigabytes": edit("input_shapes", value=[[1 << 20, 1 << 12, 2]]),
        "no input": edit("input_shapes", value=[]),
        "calibration": edit("calibration", value=[]),
        "table split": edit("table", "n0", value=9),
        "table of gigabytes": edit("table", "frac", value=40),
        "table entries": put("table.t1.npy", npy(np.full(2048, -1))),
        "array missing": lambda members: members.pop("l0_lstm.w_ih.npy"),
        "array of floats": put("l0_lstm.w_ih.npy", npy(np.zeros((20, 2)))),
        "array of objects": put("l0_lstm.w_ih.npy", npy(np.full((20, 2), None))),
        "array of another shape": put("l0_lstm.w_ih.npy", npy(np.zeros((2, 20), int))),
        "array beyond its format": put("l0_lstm.w_ih.npy", npy(np.full((20, 2), 1 << 20))),
        "array that claims 8 TB": put("l0_lstm.w_ih.npy", HUGE),
        "array cut short": put("l0_lstm.w_ih.npy", npy(np.zeros((20, 2), int))[:-3]),
        "array of nonsense": put("l0_lstm.w_ih.npy", b"nonsense"),
        "alignment": put("l0_lstm.x_align.npy", npy(np.full(2, 3))),
    },
    "padded conv": {
        "window": edit("layers", 0, "window", value=[4, 1, 1, 3]),
        "window of nothing": edit("layers", 0, "window", value=[4, 0, 1, 3, 3]),
        "window for gigabytes": edit("layers", 0, "window", value=[4, 1, 1, 1 << 31, 3]),
        "window that does not fit": edit("layers", 0, "window", value=[4, 1, 9, 3, 3]),
        "no window": edit("layers", 0, "window", value=None),
    },
    "residual": {
        "pattern": put("l2_add.pattern.npy", npy(np.zeros((3, 6), int))),
        "pattern of numbers": put("l2_add.pattern.npy", npy(np.full((3, 6), 2))),
        "concatenation": edit("layers", 1, "view", "axis", value=2),
        "concatenation of itself": edit("layers", 1, "inputs", value=[2, 2]),
    },
    "states handed over": {
        "cell state of a Dense": edit("layers", 1, "inputs", value=[0]),
        "cell state's units": edit("layers", 1, "units", value=3),
        "initial state's format": edit("layers", 3, "h_in", value=[8, 3]),
        "initial state missing": edit("layers", 3, "inputs", value=[3]),
    },
    "multiply": {"one operand": edit("layers", 2, "inputs", value=[1]),
                 "other shapes": edit("layers", 2, "inputs", value=[0, 1]),
                 "operand's format": edit("layers", 2, "a", value=[8, 6])},
    "gru": {"no m": edit("layers", 0, "m", value=None),
            "m too wide": edit("layers", 0, "m", value=[20, 5]),
            "candidate's format": edit("layers", 0, "n", value=[9, 3])},
    "padded pool": {"pool in the padding": edit("layers", 1, "window", value=[1, 1, 1, 3, 0]),
                    "pool's operand": edit("layers", 1, "x", value=[8, 2])},
}


#: Of the network of windows "stack" with a hop of 2, whose layer 0 is a History.
OVERLAP = {
    "no window": edit("window", value=0),
    "negative window": edit("window", value=-16),
    "window of too many frames": edit("window", value=1 << 31),
    "history for gigabytes": edit("layers", 0, "view", "timesteps", value=1 << 31),
    "history gigabytes behind": edit("layers", 0, "view", "behind", value=1 << 31),
    "history of the future": edit("layers", 0, "view", "behind", value=-1),
}


def change(path, damage):
    """Do ``damage`` to the members of a stored file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    damage(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(("name", "damage"), [
    pytest.param(name, damage, id=f"{name}: {what}")
    for name, known in DAMAGE.items() for what, damage in known.items()])
def test_damage_is_one_line(tmp_path, name, damage):
    path = tmp_path / "core.npz"
    save_quantized(path, quantized(name))
    change(path, damage)
    with pytest.raises(UserError, match="'core.npz' is no quantised network .*build the core aga"):
        load_quantized(path)


@pytest.mark.parametrize("damage", OVERLAP)
def test_damage_of_windows_that_overlap_is_one_line(tmp_path, damage):
    path = tmp_path / "core.npz"
    _, frames, _ = windowed("stack", 2)
    assert isinstance(frames.layers[0].view, History)
    save_quantized(path, frames)
    load_quantized(path)
    change(path, OVERLAP[damage])
    with pytest.raises(UserError, match="'core.npz' is no quantised network .*build the core aga"):
        load_quantized(path)


def test_a_window_may_span_more_frames_than_any_layer_reads(tmp_path):
    path = tmp_path / "core.npz"
    net = load(tflite_file("forum"))
    frames = overlapping_integers(quantize(net), net, 1)
    assert frames.spans > MOST_FRAMES
    save_quantized(path, frames)
    assert load_quantized(path).spans == frames.spans


def test_a_window_of_a_network_without_history_is_damage(tmp_path):
    path = tmp_path / "core.npz"
    save_quantized(path, quantized(EVERY))
    change(path, edit("window", value=7))
    with pytest.raises(UserError, match="damaged"):
        load_quantized(path)


@pytest.mark.parametrize("seed", range(30))
def test_any_one_field_replaced_is_refused_or_harmless(tmp_path, seed):
    # Random edits of the JSON: never a traceback, and golden runs on whatever is accepted.
    rng = np.random.default_rng(seed)
    path = tmp_path / "core.npz"
    save_quantized(path, quantized(list(NETWORKS)[seed]))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole = members["network.json"]
    for _ in range(40):
        head = json.loads(whole)
        place = head
        while True:
            keys = list(range(len(place))) if isinstance(place, list) else list(place)
            key = keys[rng.integers(len(keys))]
            if not (isinstance(place[key], (dict, list)) and place[key]) or rng.random() < 0.1:
                break
            place = place[key]
        place[key] = [None, 0, -1, 7, 1 << 31, 0.5, "linear", [], {}, True][rng.integers(10)]
        members["network.json"] = json.dumps(head).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        try:
            q = load_quantized(path)
        except UserError:
            continue
        golden.golden(q, inputs(q, 1))


def test_truncated_missing_and_foreign_files(tmp_path):
    path = tmp_path / "core.npz"
    with pytest.raises(UserError, match="there is no quantised network 'core.npz'"):
        load_quantized(path)
    save_quantized(path, quantized("autoencoder"))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"act_width")] ^= 4  # contents, of which the zip keeps a checksum
    for content in (b"", b"PK", whole[:1000], whole[:-30], bytes(flipped), b"\0" * 500):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is no quantised network"):
            load_quantized(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_quantized(tmp_path)


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "core.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("network.json", b" " * 10_000_000)
    with pytest.raises(UserError, match="is no quantised network"):
        load_quantized(path)
