"""`gatefold run`: golden on a user's arrays, and which arrays it refuses."""

import numpy as np
import pytest

from gatefold.gen.quantized_io import load_quantized
from gatefold.sim.golden import golden

from .cli_harness import DATA, MODEL, built, contents, gatefold, refused

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


def test_the_trace_holds_every_gate_and_state(core, qnet, tmp_path):
    x = qnet.input_format.quantize(FLOATS["x"])
    run(core, tmp_path, x, "--raw", "--trace", tmp_path / "t.npz")
    want: dict = {}
    golden(qnet, x, trace=want)
    got = np.load(tmp_path / "t.npz")
    assert sorted(got) == sorted([*(f"l0_lstm.{t}" for t in "ifgoch"), "l1_dense.y"])
    for name in got:
        layer, tensor = name.split(".")
        np.testing.assert_array_equal(got[name], want[layer][tensor], err_msg=name)


def test_the_trace_of_floats_is_in_real_units(core, qnet, tmp_path):
    _, y = run(core, tmp_path, FLOATS["x"], "--trace", tmp_path / "t.npz")
    trace = np.load(tmp_path / "t.npz")
    np.testing.assert_array_equal(trace["l1_dense.y"], y)
    i, f, g, o, c, h = (trace[f"l0_lstm.{t}"] for t in "ifgoch")
    before = np.concatenate([np.zeros_like(c[:, :1]), c[:, :-1]], axis=1)
    np.testing.assert_allclose(c, f * before + i * g, atol=qnet.layers[0].c.step)
    np.testing.assert_allclose(h, o * np.tanh(c), atol=2e-3)


def test_the_same_bytes_each_time(core, tmp_path):
    for name in ("a", "b"):
        run(core, tmp_path, FLOATS["x"], "--trace", tmp_path / f"{name}.npz", out=f"{name}.npy")
    files = contents(tmp_path)
    assert files["a.npy"] == files["b.npy"] and files["a.npz"] == files["b.npz"]


def test_clamped_inputs_are_told(core, tmp_path):
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


@pytest.mark.parametrize("x, options, told", BAD_INPUTS)
def test_bad_inputs_are_refused(core, tmp_path, x, options, told):
    np.save(tmp_path / "x.npy", x)
    assert told in refused("run", core, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy",
                           *options)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


@pytest.mark.parametrize("options, told", [
    (("-o", "y.txt"), "-o must end in .npy or .npz, not 'y.txt'"),
    (("-o", "missing/y.npy"), "there is no folder"),
    (("-o", "y.npy", "--trace", "t.npy"), "--trace must end in .npz"),
    (("-o", ".npy"), "must end in"),
    ((), "Missing option '-o'")])
def test_bad_outputs_are_refused(core, tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    assert told in refused("run", core, "--input", DATA, *options)
    assert not list(tmp_path.iterdir())


def test_what_is_no_output_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, told in (("empty", "holds no core.json"), ("file", "is a file"),
                       ("missing", "there is no folder")):
        assert told in refused("run", tmp_path / name, "--input", DATA, "-o", tmp_path / "y.npy")


def test_damaged_integers_are_refused(core, tmp_path):
    import shutil

    copy = shutil.copytree(core, tmp_path / "copy")
    for data in (b"", b"PK", (core / "integers.npz").read_bytes()[:-40]):
        (copy / "integers.npz").write_bytes(data)
        assert "'integers.npz'" in refused("run", copy, "--input", DATA,
                                           "-o", tmp_path / "y.npy")
