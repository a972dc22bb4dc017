"""`gatefold verify`: cores of odd shapes equal golden, and a fault is found and reported."""

import json
import re
import shutil

import numpy as np
import pytest

from gatefold.gen.files.arrays import array_digest
from gatefold.gen.files.sealed import sealed
from gatefold.gen.flow import compile
from gatefold.gen.network.graph import split
from gatefold.sim import simulators
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, contents, gatefold, refused
from tests.support.networks import network

NO_ICARUS = simulators.missing("icarus")
icarus = pytest.mark.skipif(NO_ICARUS is not None, reason=str(NO_ICARUS))


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("verify") / "core", MODEL, "--calibrate", DATA,
                 "--pe", 8, "--simd", 2)


@pytest.fixture
def copy(core, tmp_path):
    return shutil.copytree(core, tmp_path / "copy")


def verified(folder):
    return json.loads((folder / "report.json").read_text())["verified"]


SHAPES = {
    "one of each": ("--units", 1, "--features", 1, "--timesteps", 1, "--pe", 4, "--simd", 1),
    "odd": ("--units", 7, "--features", 3, "--timesteps", 4, "--pe", 8, "--simd", 3),
    "stack": ("--units", 5, "--features", 3, "--timesteps", 3, "--layers", 2, "--dense", 3,
              "--pe", 12, "--simd", 2),
    "narrow": ("--units", 3, "--features", 2, "--timesteps", 3, "--width", 4, "--cell-width", 6,
               "--pe", 8, "--simd", 2),
    "mixed widths": ("--units", 3, "--features", 5, "--timesteps", 2, "--weight-width", 6,
                     "--act-width", 18, "--pe", 4, "--simd", 5),
    "autoencoder": (FIXTURES / "keras_autoencoder.keras", "--pe", 8, "--simd", 4),
}


@icarus
@pytest.mark.parametrize("name", SHAPES)
def test_odd_cores_equal_golden_in_icarus(tmp_path, name):
    folder = built(tmp_path / "core", *SHAPES[name])
    result = gatefold("verify", folder, "--sim", "icarus", "--samples", 2)
    assert result.exit_code == 0, result.stderr


def test_an_odd_core_equals_golden_in_amaranth(tmp_path):
    folder = built(tmp_path / "core", *SHAPES["odd"])
    result = gatefold("verify", folder, "--sim", "amaranth", "--samples", 2)
    assert result.exit_code == 0, result.stderr


@icarus
def test_it_says_what_was_compared_and_the_report_keeps_it(copy):
    result = gatefold("verify", copy, "--sim", "icarus", "--samples", 3, "--input", DATA)
    stated = json.loads((copy / "core.json").read_text())["cycles"]
    assert "icarus: 3 samples equal golden: full rate" in result.stdout
    assert re.search(rf"latency +{stated['latency']} cycles measured, {stated['latency']} stated",
                     result.stdout)
    (entry,) = verified(copy)
    assert entry["simulator"] == "icarus" and entry["samples"] == 3
    assert entry["latency"] == stated["latency"] and entry["interval"] == stated["interval"]
    assert re.fullmatch(r"given inputs, sha256 [0-9a-f]{64}", entry["input"])


@icarus
def test_verifying_again_changes_only_the_report_and_is_repeatable(copy):
    before = contents(copy)
    reports = []
    for _ in range(2):
        assert gatefold("verify", copy, "--sim", "icarus", "--samples", 1).exit_code == 0
        reports.append((copy / "report.json").read_bytes())
        assert len(verified(copy)) == 1
    assert reports[0] == reports[1]
    after = contents(copy)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"report.json", "report.html"}


def reseal(folder):
    """Have report.json state the hashes of the files as they are now."""
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"files": sealed(folder)}))


@icarus
def test_a_changed_weight_is_found_and_the_report_forgets(copy):
    assert gatefold("verify", copy, "--sim", "icarus", "--samples", 1).exit_code == 0
    image = copy / "weights" / "bias_00.hex"
    words = image.read_text().splitlines()
    words[0] = f"{int(words[0], 16) ^ 1 << 30:0{len(words[0])}x}"
    image.write_text("\n".join(words) + "\n")
    assert "bias_00.hex' is damaged or changed" in refused("verify", copy, "--sim", "icarus")
    reseal(copy)
    line = refused("verify", copy, "--sim", "icarus", "--samples", 1, code=1)
    assert re.match(r"gatefold: check failed: full rate: sample 0, layer l0_lstm, step 0, unit \d: "
                    r"expected (c|h|acc_\w) = -?\d+, got -?\d+$", line)
    assert verified(copy) == []


@icarus
def test_a_wrong_latency_is_found(copy):
    core = json.loads((copy / "core.json").read_text())
    core["cycles"]["latency"] -= 1
    (copy / "core.json").write_text(json.dumps(core))
    reseal(copy)
    assert "expected a latency of" in refused("verify", copy, "--sim", "icarus", code=1)


BAD_OPTIONS = [
    (("--sim", "modelsim"), "--sim must be one of verilator, icarus, amaranth, not 'modelsim'"),
    (("--samples", 0), "--samples must be an integer in 1..4096, not 0"),
    (("--seed", "x"), "--seed must be"),
    (("--input", "missing.npy"), "does not exist"),
]


@pytest.mark.parametrize("options, message", BAD_OPTIONS)
def test_wrong_options_are_refused(core, options, message):
    assert message in refused("verify", core, *options)


def test_several_inputs_come_as_an_array_each(tmp_path):
    net = network("two inputs")
    folder = compile(net, pe=4, simd=2).save(tmp_path / "core")
    x = np.random.default_rng(0).normal(size=(2, *net.input_shape))
    np.savez(tmp_path / "x.npz", *split(x, net.input_shapes))
    result = gatefold("verify", folder, "--sim", "amaranth", "--input", tmp_path / "x.npz")
    assert result.exit_code == 0, result.stderr
    assert verified(folder)[0]["input"] == f"given inputs, sha256 {array_digest(x)}"


@pytest.mark.parametrize("keys, value", [
    (("array", "pe"), 10**9), (("array", "simd"), 2**70), (("array", "uram_rows"), -1),
    (("array", "uram_rows"), 2), (("array", "lut_rows"), 10**6), (("array", "block_words"), 10**9),
    (("contexts",), 10**6), (("output", "elements"), 10**9), (("simd",), 10**9),
    (("trace", "layers", 0, "steps"), 10**12), (("trace", "layers", 0, "name"), "zz"),
], ids=str)
def test_sizes_that_nobody_builds_are_refused_at_once(copy, keys, value):
    core = json.loads((copy / "core.json").read_text())
    inside = core
    for key in keys[:-1]:
        inside = inside[key]
    inside[keys[-1]] = value
    (copy / "core.json").write_text(json.dumps(core))
    sim = "amaranth" if "rows" in keys[-1] or keys[-1] == "block_words" else "icarus"
    assert "core.json' is damaged" in refused("verify", copy, "--sim", sim, "--samples", 1)


def test_a_core_json_without_end_is_refused(copy):
    (copy / "core.json").write_text("[" * 100_000)
    for command in (("verify", copy, "--sim", "icarus"), ("weights", MODEL, copy)):
        assert "core.json' is damaged" in refused(*command)


def test_a_wrong_input_is_refused(core, tmp_path):
    np.save(tmp_path / "x.npy", np.full((2, 6, 3), np.nan))
    assert "NaN" in refused("verify", core, "--input", tmp_path / "x.npy")


@pytest.mark.parametrize("name, message", [
    ("core.json", "holds no core.json"), ("report.json", "holds no report.json"),
    ("integers.npz", "integers.npz"), ("rtl/gatefold.v", "rtl"),
    ("weights/bias_00.hex", "bias_00.hex")])
def test_an_incomplete_folder_is_refused(copy, name, message):
    (copy / name).unlink()
    assert message in refused("verify", copy, "--samples", 1)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"verified": 1}', b"\xff"])
def test_a_damaged_report_is_refused(copy, data):
    (copy / "report.json").write_bytes(data)
    assert "damaged" in refused("verify", copy, "--samples", 1)
    assert "damaged" in refused("report", copy)
