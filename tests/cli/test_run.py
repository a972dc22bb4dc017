"""`gatefold run`: golden on a user's arrays, and the arrays that it refuses."""

import io
import re
import shutil
import warnings
import zipfile

import numpy as np
import pytest

from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, split
from gatefold.gen.store.quantized_io import load_quantized
from gatefold.sim.golden import golden
from tests.support.cli_harness import DATA, MODEL, built, contents, gatefold, refused
from tests.support.networks import network

FLOATS = np.load(DATA)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("run") / "core", MODEL, "--calibrate", DATA,
                 "--pe", 8, "--simd", 2)


@pytest.fixture(scope="module")
def qnet(core):
    return load_quantized(core / "integers.npz")


def run(core, place, x, *more, out="y.npy"):
    np.save(place / "x.npy", x)
    result = gatefold("run", core, "--input", place / "x.npy", "-o", place / out, *more)
    assert result.exit_code == 0, result.stderr
    return result, np.load(place / out)


def test_floats_in_floats_out(core, tmp_path):
    _, y = run(core, tmp_path, FLOATS["x"])
    np.testing.assert_allclose(y, FLOATS["y"], atol=2e-3)


def test_an_npz_gives_the_array_named_x(core, tmp_path):
    np.savez(tmp_path / "several.npz", a=np.zeros(3), x=FLOATS["x"])
    gatefold("run", core, "--input", tmp_path / "several.npz", "-o", tmp_path / "y.npz")
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["y"], FLOATS["y"], atol=2e-3)


def test_one_sample_without_its_axis(core, tmp_path):
    _, many = run(core, tmp_path, FLOATS["x"])
    _, one = run(core, tmp_path, FLOATS["x"][0])
    np.testing.assert_array_equal(one, many[:1])


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8"])
def test_any_float_and_byte_order(core, tmp_path, dtype):
    x = FLOATS["x"].astype("<f2")
    np.testing.assert_array_equal(run(core, tmp_path, x.astype(dtype))[1],
                                  run(core, tmp_path, x.astype("<f8"))[1])


def test_fortran_order(core, tmp_path):
    np.testing.assert_array_equal(run(core, tmp_path, np.asfortranarray(FLOATS["x"]))[1],
                                  run(core, tmp_path, FLOATS["x"])[1])


def test_raw_integers_are_golden(core, qnet, tmp_path):
    x = np.random.default_rng(3).integers(qnet.input_format.lo, qnet.input_format.hi, (70, 6, 3))
    _, y = run(core, tmp_path, x, "--raw")
    assert y.dtype.kind == "i"
    np.testing.assert_array_equal(y, golden(qnet, x))


TENSORS = [*(f"l0_lstm.{t}" for t in ("z_i", "z_f", "z_g", "z_o", *"ifgoch")),
           "l1_dense.z", "l1_dense.y"]


def test_a_raw_trace_holds_goldens_integers(core, qnet, tmp_path):
    x = qnet.input_format.quantize(FLOATS["x"])
    run(core, tmp_path, x, "--raw", "--trace", tmp_path / "t.npz")
    want: dict = {}
    golden(qnet, x, trace=want)
    got = np.load(tmp_path / "t.npz")
    assert sorted(got) == sorted(f"{name}.fixed" for name in TENSORS)
    for name in "ifgoch":
        np.testing.assert_array_equal(got[f"l0_lstm.{name}.fixed"], want["l0_lstm"][name])
    np.testing.assert_array_equal(got["l1_dense.y.fixed"], want["l1_dense"]["y"])


def test_the_trace_has_float_and_fixed_side_by_side(core, qnet, tmp_path):
    _, y = run(core, tmp_path, FLOATS["x"], "--trace", tmp_path / "t.npz")
    trace, floats = np.load(tmp_path / "t.npz"), {}
    assert sorted(trace) == sorted(f"{name}.{kind}" for name in TENSORS
                                   for kind in ("fixed", "float"))
    forward(load(MODEL), FLOATS["x"], trace=floats)
    for name in TENSORS:
        layer, tensor = name.split(".")
        np.testing.assert_array_equal(trace[f"{name}.float"], floats[layer][tensor])
        np.testing.assert_allclose(trace[f"{name}.fixed"], trace[f"{name}.float"], atol=5e-3)
    np.testing.assert_array_equal(trace["l1_dense.y.fixed"], y)
    i, f, g, o, c, h = (trace[f"l0_lstm.{t}.fixed"] for t in "ifgoch")
    before = np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], axis=1)
    np.testing.assert_allclose(c, f * before + i * g, atol=qnet.layers[0].c.step)
    np.testing.assert_allclose(h, o * np.tanh(c), atol=2e-3)


# --- Cores of other kinds -------------------------------------------------------------------------


def core_of(place, name, host=()):
    """A core of a network of :mod:`.networks`, its folder, and inputs for it."""
    net = network(name, gain=0.5)
    net = Network(net.input_shapes, net.layers, outputs=net.outputs, host=host)
    x = np.random.default_rng(0).normal(size=(6, *net.input_shape))
    made = compile(net, calibrate=x, pe=4, simd=2)
    return made, made.save(place / "core"), x


def test_several_inputs_come_as_an_array_each(tmp_path):
    made, folder, x = core_of(tmp_path, "two inputs")
    parts = split(x, made.network.input_shapes)
    np.savez(tmp_path / "several.npz", **{f"a{n}": part for n, part in enumerate(parts)})
    assert gatefold("run", folder, "--input", tmp_path / "several.npz", "-o",
                    tmp_path / "z.npy").exit_code == 0
    _, y = run(folder, tmp_path, x)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), y)
    np.savez(tmp_path / "short.npz", a=parts[0], b=parts[1], c=parts[0])
    assert "must be 2 arrays (input0, input1), not 3" in refused(
        "run", folder, "--input", tmp_path / "short.npz", "-o", tmp_path / "z.npy")


def test_several_outputs_go_by_name_or_one_behind_the_other(tmp_path):
    made, folder, x = core_of(tmp_path, "two outputs")
    result, flat = run(folder, tmp_path, x)
    shapes = made.network.output_shapes
    assert result.stdout.startswith(f"6 samples, outputs {shapes[0]} and {shapes[1]}, floats")
    _, named = run(folder, tmp_path, x, out="y.npz")
    assert sorted(named) == ["output0", "output1"]
    for n, part in enumerate(split(flat, shapes)):
        np.testing.assert_array_equal(named[f"output{n}"], part)


def test_a_softmax_is_done_but_not_to_raw_integers(tmp_path):
    made, folder, x = core_of(tmp_path, "two outputs", host=("", "softmax"))
    result, y = run(folder, tmp_path, x)
    np.testing.assert_array_equal(y, made.run(x))
    plain, soft = split(y, made.network.output_shapes)
    before, logits = split(made.qnet.to_float(golden(made.qnet, made.qnet.quantize(x))),
                           made.network.output_shapes)
    np.testing.assert_array_equal(plain, before)
    np.testing.assert_allclose(soft.sum(axis=-1), 1)
    np.testing.assert_allclose(soft, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    assert "softmax of output 1 done, which the core leaves to its host" in result.stdout
    result, y = run(folder, tmp_path, made.qnet.quantize(x), "--raw")
    np.testing.assert_array_equal(y, golden(made.qnet, made.qnet.quantize(x)))
    assert "softmax of output 1 left to the host: not in these integers" in result.stdout


def test_samples_of_a_core_that_keeps_state_follow_one_another(tmp_path):
    made, folder, x = core_of(tmp_path, "stateful lstm")
    result, y = run(folder, tmp_path, x)
    assert "samples follow one another, as one sequence: --each-anew begins" in result.stdout
    result, separate = run(folder, tmp_path, x, "--each-anew", "--trace", tmp_path / "t.npz")
    assert "each sample begins anew" in result.stdout
    np.testing.assert_array_equal(separate, np.concatenate([made.run(one) for one in x]))
    np.testing.assert_array_equal(separate[0], y[0])
    assert not np.array_equal(separate, y)
    trace = np.load(tmp_path / "t.npz")
    np.testing.assert_allclose(trace["l0_lstm.h.fixed"], trace["l0_lstm.h.float"], atol=5e-3)


def test_each_context_of_a_core_that_keeps_state_is_a_sequence(tmp_path):
    net = network("stateful lstm", gain=0.4)
    alone, both = (compile(net, pe=8, simd=3, contexts=n) for n in (1, 2))
    x = np.random.default_rng(0).normal(size=(7, *net.input_shape))
    result, y = run(both.save(tmp_path / "core"), tmp_path, x, "--trace", tmp_path / "t.npz")
    assert "samples are 2 sequences in turn" in result.stdout
    want = np.empty_like(y)
    want[0::2], want[1::2] = alone.run(x[0::2]), alone.run(x[1::2])
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(both.run(x), want)
    assert not np.array_equal(alone.run(x), want)
    trace = np.load(tmp_path / "t.npz")
    np.testing.assert_allclose(trace["l0_lstm.h.fixed"], trace["l0_lstm.h.float"], atol=5e-3)


def test_the_same_bytes_each_time(core, tmp_path):
    for name in ("a", "b"):
        run(core, tmp_path, FLOATS["x"], "--trace", tmp_path / f"{name}.npz", out=f"{name}.npy")
    files = contents(tmp_path)
    assert files["a.npy"] == files["b.npy"] and files["a.npz"] == files["b.npz"]


def test_clamped_inputs_are_reported(core, tmp_path):
    result, _ = run(core, tmp_path, FLOATS["x"] * 0 + 1e6)
    assert "72 of 72 input values lie outside" in result.stderr


# --- Refused --------------------------------------------------------------------------------------

X = np.zeros((2, 6, 3))

BAD_INPUTS = [
    (X[:, :, :2], (), "(samples, 6, 3) or (6, 3), not (2, 6, 2)"),
    (X[0, 0], (), "not (3,)"),
    (X[:0], (), "at least one sample"),
    (X + np.nan, (), "36 of 36 values are NaN or infinite"),
    (X.astype(bool), (), "must hold real numbers"),
    (X, ("--raw",), "the raw input must hold integers"),
    (X.astype(int) + 40000, ("--raw",), "must lie in -32768..32767"),
    (X[:, :5].astype(int), ("--raw",), "not (2, 5, 3)"),
]


@pytest.mark.parametrize("x, options, message", BAD_INPUTS)
def test_bad_inputs_are_refused(core, tmp_path, x, options, message):
    np.save(tmp_path / "x.npy", x)
    assert message in refused("run", core, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy",
                           *options)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


@pytest.mark.parametrize("options, message", [
    (("-o", "y.txt"), "-o must end in .npy or .npz, not 'y.txt'"),
    (("-o", "missing/y.npy"), "there is no folder"),
    (("-o", "y.npy", "--trace", "t.npy"), "--trace must end in .npz"),
    (("-o", ".npy"), "must end in"),
    ((), "Missing option '-o'")])
def test_bad_outputs_are_refused(core, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("run", core, "--input", DATA, *options)
    assert not list(tmp_path.iterdir())


def test_outputs_replace_neither_the_core_nor_the_input_nor_each_other(core, tmp_path):
    np.save(tmp_path / "x.npy", np.load(DATA)["x"][:2])
    x, before = tmp_path / "x.npy", contents(core)
    for message, *words in (
            ("-o would replace the input", "-o", x),
            ("-o would replace a file of the core, 'integers.npz'", "-o", core / "integers.npz"),
            ("--trace would replace a file of the core", "-o", tmp_path / "y.npy", "--trace",
             core / "floats.npz"),
            ("-o, --trace and --state-out must be different files", "-o", tmp_path / "y.npz",
             "--trace", tmp_path / "y.npz")):
        assert message in refused("run", core, "--input", x, *words)
    assert contents(core) == before and not (tmp_path / "y.npz").exists()


def test_arrays_that_contradict_their_headers_are_refused(core, tmp_path):
    header = b"\x93NUMPY\x01\x00"
    claim = b"{'descr': '<f8', 'fortran_order': False, 'shape': (True, 6, 3)}".ljust(117) + b"\n"
    (tmp_path / "bool.npy").write_bytes(
        header + len(claim).to_bytes(2, "little") + claim + bytes(144))
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1_000_000, 6, 3)))
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros((1, 6, 3)))
        for _ in range(2):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr("x.npy", buffer.getvalue())
    for name, words in (("bool.npy", "declares the shape (True, 6, 3)"),
                        ("bomb.npz", "bytes in"), ("twice.npz", "two arrays of one name")):
        assert words in refused("run", core, "--input", tmp_path / name, "-o", tmp_path / "y.npy")


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, message in (("empty", "holds no core.json"), ("file", "is a file"),
                       ("missing", "there is no folder")):
        assert message in refused("run", tmp_path / name, "--input", DATA, "-o", tmp_path / "y.npy")


@pytest.mark.parametrize("name, more", [("integers.npz", ()), ("floats.npz", ("--trace", "t.npz"))])
def test_damaged_numbers_are_refused(core, tmp_path, monkeypatch, name, more):
    copy = shutil.copytree(core, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    for data in (b"", b"PK", (core / name).read_bytes()[:-40]):
        (copy / name).write_bytes(data)
        assert f"{name}'" in refused("run", copy, "--input", DATA, "-o", "y.npy", *more)
    (copy / name).unlink()
    assert re.search(f"{name}'.*: build the", refused("run", copy, "--input", DATA, "-o", "y.npy",
                                                      *more))
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


@pytest.fixture(scope="module")
def streaming(tmp_path_factory):
    """Stateful cores: of one sequence, and of two in turn."""
    folder = tmp_path_factory.mktemp("streaming")
    for name, contexts in (("lstm", 1), ("lstm", 2), ("gru", 1), ("rnn", 1)):
        compile(network(f"stateful {name}"), pe=8, simd=2, contexts=contexts).save(
            folder / f"{name}{contexts}")
    return folder


@pytest.mark.parametrize("which", ["lstm1", "lstm2", "gru1", "rnn1"])
def test_a_run_ends_and_goes_on(streaming, tmp_path, which):
    core = streaming / which
    shape = load_quantized(core / "integers.npz").input_shape
    x = np.random.default_rng(0).normal(size=(8, *shape))
    _, whole = run(core, tmp_path, x)
    states = tmp_path / "s.npz"
    _, first = run(core, tmp_path, x[:4], "--state-out", states)
    _, second = run(core, tmp_path, x[4:], "--state-in", states)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert np.load(states).files and not np.array_equal(run(core, tmp_path, x[4:])[1], second)


@pytest.mark.parametrize(("change", "words"), [
    (lambda arrays: {}, "must hold the arrays"),
    (lambda arrays: {name: array[:, :1] for name, array in arrays.items()}, "of the shape"),
    (lambda arrays: {name: array * 0.5 for name, array in arrays.items()}, "must be integers"),
    (lambda arrays: {name: array + (1 << 30) for name, array in arrays.items()}, "must lie in"),
])
def test_states_of_another_core_are_refused(streaming, tmp_path, change, words):
    core = streaming / "lstm1"
    x = np.zeros((1, *load_quantized(core / "integers.npz").input_shape))
    run(core, tmp_path, x, "--state-out", tmp_path / "s.npz")
    np.savez(tmp_path / "s.npz", **(change(dict(np.load(tmp_path / "s.npz"))) or {"a": x}))
    assert words in refused("run", core, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy",
                            "--state-in", tmp_path / "s.npz")


def test_a_core_without_states_takes_none(core, tmp_path):
    np.save(tmp_path / "x.npy", FLOATS["x"])
    for option in ("--state-in", "--state-out"):
        assert f"{option}: the core keeps no state" in refused(
            "run", core, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy",
            option, tmp_path / "s.npz")
