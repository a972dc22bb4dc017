"""The quantised network's file: same network, same bytes; damage is told in one line."""

import io
import json
import zipfile

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network import Dense, Flatten, Lstm, Network, RepeatVector
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized_io import load_quantized, save_quantized
from gatefold.sim import golden


def every_layer(seed=0):
    rng = np.random.default_rng(seed)

    def lstm(features, units, sequences):
        return Lstm(units=units, w_ih=rng.normal(size=(4 * units, features)),
                    w_hh=rng.normal(size=(4 * units, units)), b=rng.normal(size=4 * units),
                    return_sequences=sequences)
    return Network((3, 2), (
        lstm(2, 3, False), RepeatVector(timesteps=4), lstm(3, 2, True),
        Dense(w=rng.normal(size=(2, 2)), b=rng.normal(size=2), activation="tanh"), Flatten()))


OPTIONS = [{}, {"act_width": 8, "weight_width": 4}, {"any_weights": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_saved_is_loaded(tmp_path, options):
    network = every_layer() if not options.get("any_weights") else every_layer(3)
    q = quantize(network, **options)
    save_quantized(tmp_path / "a", q)
    again = load_quantized(tmp_path / "a")
    save_quantized(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    x = q.input_format.quantize(np.random.default_rng(0).normal(size=(5, 3, 2)))
    np.testing.assert_array_equal(golden.golden(again, x), golden.golden(q, x))
    assert (again.acc_width, again.calibration) == (q.acc_width, q.calibration)


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
# name: what is done to the members
DAMAGE = {
    "no json": lambda members: members.pop("network.json"),
    "not json": put("network.json", b"{"),
    "a list": put("network.json", b"[]"),
    "other format": edit("format", value="other"),
    "other version": edit("version", value=2),
    "layer name": edit("layers", 0, "name", value="../x"),
    "layer kind": edit("layers", 0, "kind", value="gru"),
    "layer missing": edit("layers", value=[]),
    "width": edit("act_width", value=40),
    "width not an integer": edit("act_width", value="16"),
    "accumulator too narrow": edit("acc_width", value=20),
    "absurd fraction": edit("layers", 0, "w_ih_format", value=[16, 10**20]),
    "activation": edit("layers", 3, "activation", value="exp"),
    "timesteps": edit("layers", 1, "timesteps", value=0),
    "input shape": edit("input_shape", value=[3, 5]),
    "input shape nested": edit("input_shape", value=[[3], 2]),
    "table split": edit("table", "n0", value=7),
    "table entries": put("table.t1.npy", npy(np.full(1024, -1))),
    "array missing": lambda members: members.pop("l0_lstm.w_ih.npy"),
    "array of floats": put("l0_lstm.w_ih.npy", npy(np.zeros((12, 2)))),
    "array of objects": put("l0_lstm.w_ih.npy", npy(np.full((12, 2), None))),
    "array of another shape": put("l0_lstm.w_ih.npy", npy(np.zeros((2, 12), int))),
    "array beyond its format": put("l0_lstm.w_ih.npy", npy(np.full((12, 2), 1 << 20))),
    "array that claims 8 TB": put("l0_lstm.w_ih.npy", HUGE),
    "array cut short": put("l0_lstm.w_ih.npy", npy(np.zeros((12, 2), int))[:-3]),
    "array of nonsense": put("l0_lstm.w_ih.npy", b"nonsense"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_one_line(tmp_path, damage):
    path = tmp_path / "core.npz"
    save_quantized(path, quantize(every_layer()))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    damage(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match="'core.npz' is no quantised network .*build the core aga"):
        load_quantized(path)


def test_truncated_missing_and_foreign_files(tmp_path):
    path = tmp_path / "core.npz"
    with pytest.raises(UserError, match="there is no quantised network 'core.npz'"):
        load_quantized(path)
    save_quantized(path, quantize(every_layer()))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 4
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
