"""The float network's file beside the integers: same network, same bytes; damage is one line."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.store.network_io import load_network, save_network
from tests.store.test_quantized_io import HUGE, change, edit, npy, put
from tests.support.networks import NETWORKS, network


def made(name):
    net = network(name, gain=0.3)
    return net, quantize(net)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_is_loaded_unchanged(tmp_path, name):
    net, qnet = made(name)
    save_network(tmp_path / "a", net)
    again = load_network(tmp_path / "a", qnet)
    save_network(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    x = np.random.default_rng(0).normal(size=(3, *net.input_shape))
    np.testing.assert_array_equal(forward(again, x), forward(net, x))
    assert (again.names, again.outputs, again.host) == (net.names, net.outputs, net.host)


def test_names_of_a_model_file_are_not_saved(tmp_path):
    from dataclasses import replace

    net, _ = made("views")
    named = replace(net, layers=tuple(replace(layer, origin="../secret") for layer in net.layers))
    save_network(tmp_path / "a", named)
    assert b"secret" not in (tmp_path / "a").read_bytes()


def test_another_networks_file_is_refused(tmp_path):
    save_network(tmp_path / "floats.npz", made("gru")[0])
    with pytest.raises(UserError, match=r"'floats.npz' is no float network .*layer 0: the model "
                                        r"has GRU\("):
        load_network(tmp_path / "floats.npz", made("lstm-dense")[1])


def seeded(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("<f4")


# autoencoder: l0 LSTM 5 seq, l1 LSTM 2, l2 repeat, l3, l4 LSTMs, l5 Dense
DAMAGE = {
    "no json": lambda members: members.pop("network.json"),
    "not json": put("network.json", b"{"),
    "a list": put("network.json", b"[]"),
    "nested beyond reason": put("network.json", b"[" * 100_000),
    "other version": edit("version", value=7),
    "a quantised network": edit("format", value="gatefold quantised network"),
    "layer name": edit("layers", 0, "name", value="../x"),
    "layer name of another": edit("layers", 0, "name", value="l7_lstm"),
    "layer kind": edit("layers", 0, "kind", value="transformer"),
    "label": edit("layers", 5, "label", value="__import__('os')"),
    "layers missing": edit("layers", value=[]),
    "reads itself": edit("layers", 0, "inputs", value=[1]),
    "activation": edit("layers", 5, "activation", value="exp"),
    "timesteps for gigabytes": edit("layers", 2, "timesteps", value=1 << 31),
    "units": edit("layers", 0, "units", value=6),
    "stateful": edit("layers", 0, "stateful", value=True),
    "array missing": lambda members: members.pop("l0_lstm.w_ih.npy"),
    "array of integers": put("l0_lstm.w_ih.npy", npy(np.zeros((20, 2), int))),
    "array of doubles": put("l0_lstm.w_ih.npy", npy(np.zeros((20, 2)))),
    "array of objects": put("l0_lstm.w_ih.npy", npy(np.full((20, 2), None))),
    "array of another shape": put("l0_lstm.w_ih.npy", npy(seeded(2, 20))),
    "array with NaN": put("l0_lstm.w_ih.npy", npy(seeded(20, 2) * np.float32("nan"))),
    "array that claims 8 TB": put("l0_lstm.w_ih.npy", HUGE),
    "array cut short": put("l0_lstm.w_ih.npy", npy(seeded(20, 2))[:-3]),
    "array of nonsense": put("l0_lstm.w_ih.npy", b"nonsense"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_one_line(tmp_path, damage):
    net, qnet = made("autoencoder")
    path = tmp_path / "floats.npz"
    save_network(path, net)
    change(path, damage)
    with pytest.raises(UserError, match="'floats.npz' is no float network .*build the core again"
                       ) as refused:
        load_network(path, qnet)
    assert "\n" not in str(refused.value)


def test_missing_truncated_and_foreign_files(tmp_path):
    net, qnet = made("lstm-dense")
    path = tmp_path / "floats.npz"
    with pytest.raises(UserError, match="there is no float network 'floats.npz': build the core"):
        load_network(path, qnet)
    save_network(path, net)
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:500], whole[:-30], b"\0" * 500):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is no float network"):
            load_network(path, qnet)
