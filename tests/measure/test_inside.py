"""Both passes side by side, runs on a user's arrays, and where the error enters."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.measure.inference import run
from gatefold.gen.measure.inside import inside
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_frames, read_frames
from gatefold.gen.network.graph import Network, joined
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.sim import golden
from tests.support.networks import NETWORKS, network

#: Tensors of a layer by its kind.
TENSORS = {
    "lstm": {"z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "h"},
    "gru": {"z_r", "z_z", "z_n", "r", "z", "n", "c", "h"},
    "rnn": {"z", "h"}, "max_pool": {"y"}, "multiply": {"y"}, "cell_state": {"y"},
}


def made(name, samples=20, **options):
    net = network(name, gain=0.5)
    x = np.random.default_rng(0).normal(size=(samples, *net.input_shape))
    return net, quantize(net, calibration=x, **options), x


# ---- side by side ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_float_and_fixed_are_traced_side_by_side(name):
    net, qnet, x = made(name, 70)
    result = run(qnet, x, trace=True, network=net)
    np.testing.assert_array_equal(result.y, golden.run(qnet, x))
    names = {key.rsplit(".", 1)[0] for key in result.trace}
    assert set(result.trace) == {f"{one}.{which}" for one in names for which in ("fixed", "float")}
    for layer in qnet.computing.values():
        found = {one.split(".")[1] for one in names if one.split(".")[0] == layer.name}
        kind = layer.name.split("_", 1)[1]
        assert found - {"m", "q", "hr"} == TENSORS.get(kind, {"z", "y"})
    for one in names:
        fixed, floats = result.trace[f"{one}.fixed"], result.trace[f"{one}.float"]
        assert fixed.shape == floats.shape and len(fixed) == 70
        limit = np.abs(fixed).max() + 1e-9
        clipped = np.clip(floats, -limit, limit)  # as far as an argument reaches
        assert np.abs(fixed - clipped).max() < 2e-3 * max(1, limit), one


def test_a_trace_is_that_of_the_forward_pass():
    net, qnet, x = made("gru")
    kept, floats = run(qnet, x, trace=True, network=net).trace, {}
    forward(net, x, trace=floats)
    for tensor in ("z_r", "z_z", "z_n", "r", "z", "n", "m", "h"):
        np.testing.assert_array_equal(kept[f"l0_gru.{tensor}.float"], floats["l0_gru"][tensor])
    np.testing.assert_array_equal(kept["l0_gru.c.float"], floats["l0_gru"]["h"])


def test_raw_traces_are_golden_s_integers():
    net, qnet, x = made("lstm-dense")
    integers, trace = qnet.quantize(x), {}
    y = golden.golden(qnet, integers, trace=trace)
    result = run(qnet, integers, raw=True, trace=True)
    np.testing.assert_array_equal(result.y, y)
    np.testing.assert_array_equal(result.trace["l0_lstm.z_i.fixed"], trace["l0_lstm"]["u_i"])
    np.testing.assert_array_equal(result.trace["l1_dense.z.fixed"], trace["l1_dense"]["acc"])
    assert all(array.dtype == np.int64 for array in result.trace.values())


@pytest.mark.parametrize("name", ["stateful lstm", "stateful gru"])
def test_sequences_begin_where_it_is_said(name):
    net, qnet, x = made(name, 9)
    fresh = np.zeros(9, bool)
    fresh[4] = True
    result = run(qnet, x, trace=True, network=net, fresh=fresh)
    for part in (slice(0, 4), slice(4, 9)):
        alone = run(qnet, x[part], trace=True, network=net)
        np.testing.assert_array_equal(result.y[part], alone.y)
        for key, array in alone.trace.items():
            np.testing.assert_allclose(result.trace[key][part], array, atol=1e-12)
    with pytest.raises(UserError, match="fresh must be 9 booleans"):
        run(qnet, x, fresh=[1] * 9)


# ---- where the error enters --------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_has_its_error(name):
    net, qnet, x = made(name)
    found = inside(net, qnet, x)
    json.dumps(found, allow_nan=False)
    result = run(qnet, x, trace=True, network=net)
    assert set(found) == {layer.name for layer in qnet.computing.values()}
    for layer, known in found.items():
        for tensor, measured in known["tensors"].items():
            fixed = result.trace[f"{layer}.{tensor}.fixed"]
            floats = result.trace[f"{layer}.{tensor}.float"]
            assert (measured["min"], measured["max"]) == (floats.min(), floats.max())
            if not tensor.startswith("z_"):
                assert measured["rms"] == pytest.approx(np.sqrt(np.mean((fixed - floats) ** 2)))
            assert measured["rms_alone"] >= 0


def test_the_first_layer_s_own_error_is_all_of_it_and_the_last_s_is_not():
    net, qnet, x = made("stack", overrides={"l0_lstm": {"weights": 4}})
    found = {name: known["tensors"]["h"] for name, known in inside(net, qnet, x).items()}
    assert found["l0_lstm"]["rms"] == found["l0_lstm"]["rms_alone"]
    assert found["l2_lstm"]["rms"] > 20 * found["l2_lstm"]["rms_alone"]


def test_a_coarse_layer_is_found():
    net = network("stack", gain=0.5)
    x = np.random.default_rng(0).normal(size=(30, *net.input_shape))
    qnet = quantize(net, calibration=x, overrides={"l1_lstm": {"weights": 4}})
    found = {name: known["tensors"]["h"]["rms_alone"] for name, known in
             inside(net, qnet, x).items()}
    assert found["l1_lstm"] > 20 * max(found["l0_lstm"], found["l2_lstm"])


def test_formats_and_saturations_are_reported():
    net, qnet, x = made("lstm-dense")
    first = qnet.layers[0]
    tight = replace(first, c=QFormat(18, first.c.frac + 4))  # type: ignore  # an LSTM
    found = inside(net, replace(qnet, layers=(tight, *qnet.layers[1:])), x)["l0_lstm"]
    assert found["saturations"]["c"]["count"] > 0
    formats = {name: entry["format"] for name, entry in found["tensors"].items()}
    assert formats["z_i"] == "Q5.13" and formats["i"] == "Q1.17" and formats["g"] == "Q1.16"
    assert formats["c"] == str(tight.c) and formats["h"] == "Q1.15"


# ---- a user's arrays ---------------------------------------------------------------------------


def arrays(net, samples=4):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(samples, *shape)) for shape in net.input_shapes]


def test_several_inputs_come_one_by_one_or_as_frames():
    net, qnet, _ = made("two inputs")
    parts = arrays(net)
    frame = joined(parts)
    wanted = run(qnet, frame).y
    for given in (parts, tuple(parts), {"input0": parts[0], "input1": parts[1]},
                  {"input1": parts[1], "input0": parts[0]},
                  {"features": parts[0], "meta": parts[1]}):
        np.testing.assert_array_equal(run(qnet, given).y, wanted)
    one = run(qnet, [part[0] for part in parts]).y
    np.testing.assert_array_equal(one, wanted[:1])


def test_several_outputs_come_one_by_one_too():
    net, qnet, x = made("two outputs")
    result = run(qnet, x)
    assert [part.shape for part in result.outputs] == [(20, 3, 2), (20, 1)]
    np.testing.assert_array_equal(joined(result.outputs), result.y)


def test_files_hold_an_array_an_input(tmp_path):
    net = network("two inputs")
    parts = arrays(net)
    np.savez(tmp_path / "x.npz", zebra=parts[0], apple=parts[1])
    np.testing.assert_array_equal(read_frames(net, tmp_path / "x.npz"), joined(parts))
    np.save(tmp_path / "x.npy", joined(parts))
    np.testing.assert_array_equal(read_frames(net, tmp_path / "x.npy"), joined(parts))
    single = network("lstm-dense")
    x = arrays(single)[0]
    np.savez(tmp_path / "y.npz", other=np.zeros(3), x=x)
    np.testing.assert_array_equal(read_frames(single, tmp_path / "y.npz"), x)


A, B = arrays(network("two inputs"))
WRONG = [
    ([A], r"must be 2 arrays \(input0, input1\), not 1: give one for each input"),
    ([A, B, B], "not 3"),
    ([A, B[:2]], "the inputs hold 4, 2 samples: give as many of each"),
    ([B, A], r"the input input0 must have the shape \(samples, 3, 2\)"),
    ({"a": A, "b": np.full_like(B, np.nan)}, "the input input1 must be finite"),
    (A, r"must have the shape \(samples, 10\) or \(10,\), not \(4, 3, 2\)"),
]


@pytest.mark.parametrize(("given", "text"), WRONG)
def test_other_arrays_are_refused(given, text):
    with pytest.raises(UserError, match=text):
        as_frames(network("two inputs"), given)


def test_a_network_of_one_frame_is_a_network():
    net, qnet, x = made("lstm-dense")
    assert isinstance(net, Network)
    np.testing.assert_array_equal(run(qnet, {"anything": x}).y, run(qnet, x).y)
    np.testing.assert_array_equal(run(qnet, x[0]).y, run(qnet, x[:1]).y)
    clipped = run(qnet, x * 100)
    assert clipped.inputs == x.size and clipped.clipped == qnet.saturating(x * 100) > 0
