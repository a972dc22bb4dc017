"""`gatefold build --width auto --max-error`, and the other options of its numbers."""

import json
import re

import numpy as np
import pytest

from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.store.network_io import load_network
from gatefold.gen.store.quantized_io import load_quantized
from tests.support.cli_harness import DATA, MODEL, gatefold, refused
from tests.support.networks import network

ARRAY = ("--pe", 8, "--simd", 2)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    x = np.random.default_rng(0).normal(size=(300, 6, 3))
    np.save(folder / "x.npy", x)
    result = gatefold("build", MODEL, "-o", folder / "core", "--calibrate", folder / "x.npy",
                      "--width", "auto", "--max-error", "1%", *ARRAY)
    assert result.exit_code == 0, result.stderr
    return folder / "core", result.stdout, x


def test_the_error_stated_is_that_on_all_the_calibration_data(searched):
    core, _, x = searched
    numbers = json.loads((core / "report.json").read_text())["numbers"]
    qnet = load_quantized(core / "integers.npz")
    error = error_report(load_network(core / "floats.npz", qnet), qnet, x)
    assert numbers["error"]["data"] == "300 samples of the calibration data"
    assert numbers["error"]["rms_relative"] == error["rms_relative"] <= 0.01
    assert numbers["search"]["error"] == pytest.approx(error["rms_relative"])
    assert numbers["search"]["samples"] == 300 > numbers["search"]["attempt_samples"]
    assert numbers["search"]["checks"][-1]["keeps"]
    assert numbers["widths"]["activations"] == numbers["search"]["activations"] < 16


def test_the_attempts_and_their_result_are_printed(searched):
    core, out, _ = searched
    search = json.loads((core / "report.json").read_text())["numbers"]["search"]
    tried, found = re.search(r"^search +(.*)\n^found +(.*)$", out, re.MULTILINE).groups()
    assert tried.startswith(f"{len(search['attempts'])} attempts, on 225 samples, ")
    assert tried.endswith(f"an error of {search['error']:.3%} where 1.000% may be, on 300 samples, "
                          f"{search['held_out']['error']:.3%} on the 75 of them that were held out")
    assert found.startswith(f"activations {search['activations']} bits, weights ")
    for name, keys in search["overrides"].items():
        for key, value in keys.items():
            assert re.search(rf"{name}: [^;]*{key} {value}", found)
    assert tried[:40] in " ".join(gatefold("report", core).stdout.split())


def test_every_attempt_is_in_the_page(searched):
    core, _, _ = searched
    search = json.loads((core / "report.json").read_text())["numbers"]["search"]
    section = (core / "report.html").read_text().split('id="search"')[1].split("</section>")[0]
    assert section.count("<tr>") == 1 + len(search["attempts"]) + len(search["checks"])
    assert f"{search['attempts'][0]['error']:.3%}" in section and "check 1" in section


def test_a_core_without_a_search_reports_none():
    report = compile(network("gru"), pe=4, simd=2).report()
    assert "search" not in report["numbers"]


def test_several_outputs_and_fixed_formats_keep_the_limit(tmp_path):
    net = network("two outputs", gain=0.5)
    x = np.random.default_rng(0).normal(size=(40, *net.input_shape))
    first = net.names[0]
    core = compile(net, calibrate=x, width="auto", max_error=0.02, pe=4, simd=2,
                   overrides={first: {"h": "Q1.9"}})
    numbers = core.report()["numbers"]
    assert max(one["rms_relative"] for one in numbers["error"]["values"]) <= 0.02
    assert numbers["error"]["rms_relative"] <= 0.02
    assert numbers["search"]["overrides"][first]["h"] == "Q1.9" == numbers["layers"][first]["h"]


# options, words of the line
REFUSED = [
    (("--width", "auto"), "--width auto needs --max-error"),
    (("--max-error", "1%"), "--max-error needs --width auto"),
    (("--width", "auto", "--max-error", "1%", "--act-width", 8), "contradict each other"),
    (("--width", "auto", "--max-error", "lots"), "must be a part of the outputs' range like 1%"),
    (("--width", "wide"), "--width must be an integer in 4..18 bits or auto, not 'wide'"),
    (("--width", "auto", "--max-error", ".00001%"), "no formats keep an error of 1e-05%"),
    (("--rule", "best"), "--rule must be one of auto, max, percentile, mse"),
    (("--weight-rule", "best"), "--weight-rule must be one of auto, max, percentile, mse"),
    (("--percentile", 3), "--percentile must be a number in 50..100 per cent, not 3.0"),
    (("--percentile", "most"), "--percentile must be a number in 50..100 per cent, not 'most'"),
    (("--percentile", 99), "--percentile 99 needs --rule percentile or --weight-rule percentile"),
    (("--table-bits", 3), "--table-bits must be an integer in 4..18 bits, not 3"),
    (("--formats", "missing.toml"), "the formats file 'missing.toml' cannot be read"),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=lambda value: " ".join(map(str, value))
                         if isinstance(value, tuple) else "")
def test_illegal_options_are_refused(tmp_path, options, message):
    assert message in refused("build", MODEL, "-o", tmp_path / "core", *ARRAY, *options)
    assert not (tmp_path / "core").exists()


def test_numbers_are_as_the_options_set_them(tmp_path):
    (tmp_path / "formats.toml").write_text('[l0_lstm]\nweights = 6\nh = "Q1.9"\n')
    result = gatefold("build", MODEL, "-o", tmp_path / "core", "--calibrate", DATA, *ARRAY,
                      "--act-width", 12, "--weight-width", 10, "--cell-width", 14,
                      "--table-bits", 11, "--output-width", 13, "--rule", "mse",
                      "--weight-rule", "percentile", "--percentile", 99,
                      "--formats", tmp_path / "formats.toml")
    assert result.exit_code == 0, result.stderr
    qnet = load_quantized(tmp_path / "core" / "integers.npz")
    lstm, dense = qnet.layers
    assert [str(lstm.h), lstm.w_ih_format.width, lstm.c.width, dense.w_format.width, dense.y.width,
            qnet.table.out_frac] == ["Q1.9", 6, 14, 10, 13, 11]
    used = json.loads((tmp_path / "core" / "report.json").read_text())["numbers"]["calibration"]
    assert (used["rule"], used["weight_rule"], used["percentile"]) == ("mse", "percentile", 99)
    assert load(MODEL).names == (lstm.name, dense.name)
