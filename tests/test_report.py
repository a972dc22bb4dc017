"""report.json: the fields of the contract, their agreement with each other, and the printed report.
"""

import json
import re

import numpy as np
import pytest

from gatefold.gen.cli.report import rows, summary
from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.measure.inside import inside
from gatefold.gen.network.frames import some_samples
from gatefold.gen.network.graph import Network
from gatefold.gen.network.initialise import initialise
from gatefold.gen.report import read_report
from gatefold.gen.store.quantized_io import load_quantized
from tests.support.cli_harness import DATA, FIXTURES, MODEL, built, gatefold, refused
from tests.support.networks import network

Q = re.compile(r"Q-?\d+\.-?\d+")


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("report") / "core", MODEL, "--board", "zcu104",
                 "--calibrate", DATA, "--pe", 8, "--simd", 2, "--clock", 250)


@pytest.fixture(scope="module")
def report(core):
    return json.loads((core / "report.json").read_text(encoding="ascii"))


def test_it_has_the_fields_of_the_contract(report):
    assert report.keys() == {
        "network", "numbers", "cycles", "clock_mhz", "latency_us", "interval_us", "array", "stream",
        "resources", "board", "verified", "versions", "input_hash", "files"}
    assert {"layers", "parameters", "macs", "source"} <= report["network"].keys()
    assert {"widths", "layers", "table", "calibration", "error", "saturations"} \
        <= report["numbers"].keys()
    assert {"latency", "interval", "bound", "no_overlap"} <= report["cycles"].keys()
    assert {"lut", "ff", "dsp", "bram36", "uram", "source"} <= report["resources"].keys()


def test_the_network_is_the_model(report):
    network, model = report["network"], load(MODEL)
    assert network["parameters"] == model.parameters == 4 * 7 * (3 + 7 + 1) + 2 * (7 + 1)
    assert network["macs"] == 6 * 4 * 7 * (3 + 7) + 2 * 7
    assert [layer["name"] for layer in network["layers"]] == ["l0_lstm", "l1_dense"]
    assert sum(layer["parameters"] for layer in network["layers"]) == network["parameters"]
    assert report["input_hash"] == model.source["sha256"]


def test_the_numbers_are_the_integers(core, report):
    qnet = load_quantized(core / "integers.npz")
    numbers = report["numbers"]
    assert numbers["widths"] == {"activations": 16, "weights": 16, "cell": 18,
                                 "accumulator": qnet.acc_width}
    assert numbers["layers"]["l0_lstm"]["w_hh"] == str(qnet.layers[0].w_hh_format)
    assert all(Q.fullmatch(form) for tensors in numbers["layers"].values()
               for form in tensors.values())
    x = np.load(DATA)["x"]
    error = error_report(load(MODEL), qnet, x)
    assert numbers["error"]["max_abs"] == error["max_abs"]
    assert numbers["saturations"] == error["saturations"]
    assert numbers["calibration"]["samples"] == len(x)
    assert re.fullmatch("[0-9a-f]{64}", numbers["calibration"]["sha256"])


def test_times_follow_from_cycles(report):
    cycles, clock = report["cycles"], report["clock_mhz"]
    assert clock == {"value": 250.0, "source": "assumed", "rests_on":
                     "wires within budget by the model of docs/boards.md, +-30 %"}
    assert report["latency_us"] == cycles["latency"] / 250
    assert cycles["bound"] == max(cycles["A"], cycles["B"]) <= cycles["latency"]
    assert cycles["no_overlap"] == cycles["A"] + cycles["B"]
    assert report["array"]["multipliers"] == 16
    assert 0 < report["array"]["utilisation"] <= 1


@pytest.mark.parametrize(("options", "stages", "rests_on"), [
    ({}, (0, 0, 1, 0), "without a board there are no wires to count"),
    ({"board": "zcu104", "pe": 256, "simd": 6}, (1, 1, 1, 0), "wires within budget by the model "),
    ({"board": "zcu104", "pe": 256, "simd": 6, "reach": 0}, (0, 1, 1, 0), "wires beyond budget"),
])
def test_it_states_the_stages_and_what_the_clock_rests_on(options, stages, rests_on):
    report = compile(network("lstm-dense"), **({"pe": 4, "simd": 2} | options)).report()
    assert tuple(report["array"][name] for name in ("reach", "gather", "dies", "cross")) == stages
    assert report["clock_mhz"]["rests_on"].startswith(rests_on)
    printed = dict(rows(report))
    assert printed["distance"] == "reach {}, gather {}, dies {}, cross {}".format(*stages)
    assert printed["clock"].startswith(f"300 MHz (assumed; {rests_on}")


def test_without_calibration_it_says_so(tmp_path):
    folder = built(tmp_path / "core", MODEL, "--pe", 4, "--simd", 2)
    numbers = json.loads((folder / "report.json").read_text())["numbers"]
    assert numbers["calibration"]["source"] == "seeded random inputs"
    assert numbers["calibration"]["sha256"] is None
    assert numbers["error"]["data"] == "64 samples of random inputs, seed 0"


def test_it_is_printed(core):
    out = gatefold("report", core).stdout
    for text in ("324 parameters", "l0_lstm", "8 x 2 = 16 multipliers, full pipeline",
                 "250 MHz (assumed; wires within", "zcu104", "Q"):
        assert text.lower() in out.lower(), text


def rows_of(core) -> dict[str, str]:
    """Lines by name; where layers are named again with their formats, the first."""
    return dict(reversed(list(rows(core.report()))))


def test_ports_are_printed_where_there_are_several():
    printed = rows_of(compile(network("two inputs"), pe=4, simd=2))
    assert printed["network"].startswith("(3, 2) and (4) to (2), ")
    assert printed["inputs"] == "one frame, one after the other" and "outputs" not in printed
    assert Q.search(printed["  input 1"])[0] and printed["  input 1"].startswith("(4), ")
    assert printed["  l1_dense"] == "Dense 3 relu: (4) to (3), of input 1"
    printed = rows_of(compile(network("two outputs"), pe=4, simd=2))
    assert printed["  output 0"].endswith(", of l1_dense") and "inputs" not in printed


def test_in_a_chain_layers_are_printed_without_their_inputs():
    assert rows_of(compile(network("gru"), pe=4, simd=2))["  l0_gru"] \
        == "GRU 5: (4, 3) to (5), the last step"


def test_the_hosts_functions_and_kept_states_are_printed():
    net = network("stateful lstm")
    report = compile(Network(net.input_shapes, net.layers, host=("softmax",)), pe=4,
                     simd=2).report()
    printed = dict(rows(report))
    assert printed["host"] == (
        "softmax left to it: the core gives what comes before, gatefold run all")
    assert printed["state"] == "kept from frame to frame by l0_lstm, l1_lstm"
    lines = list(summary(report))
    assert f"host        {printed['host']}" in lines and f"state       {printed['state']}" in lines


def test_every_tensor_is_printed(core):
    report, out = read_report(core), gatefold("report", core).stdout
    numbers = report["numbers"]
    assert numbers["inside"] == inside(load(MODEL), load_quantized(core / "integers.npz"),
                                       np.load(DATA)["x"])
    assert numbers["inside_samples"] == len(np.load(DATA)["x"])
    for layer, known in numbers["inside"].items():
        for tensor, measured in known["tensors"].items():
            line = next(line for line in out.splitlines() if line.startswith(f"{layer}.{tensor} "))
            assert f"{measured['min']:.3g} to {measured['max']:.3g}" in line
            assert (measured["format"] or "accumulator") in line
    assert re.search(r"l0_lstm\.h .* 0 of \d+ ", out)
    assert re.search(r"^tensors +above, on \d samples of the data of the error", out, re.MULTILINE)
    page = (core / "report.html").read_text()
    assert "Where the error enters" in page and "samples of the same data" in page


def test_looking_inside_is_bounded_by_multiplications():
    net = network("lstm-dense")
    large = initialise(units=512, features=64, timesteps=50)
    x = np.zeros((1000, 1))
    assert len(some_samples(net, x, 100_000_000, least=1, most=64)) == 64
    assert len(some_samples(large, x, 100_000_000, least=1, most=64)) == 1
    few = some_samples(net, np.arange(10), 3 * net.macs, least=1, most=64)
    assert few.tolist() == [0, 4, 9]
    assert some_samples(network("stateful lstm"), np.arange(10), 10**9, least=1, most=3).tolist() \
        == [0, 1, 2], "samples that follow one another"


def test_hostile_names_are_printed_escaped(tmp_path):
    folder = built(tmp_path / "core", FIXTURES / "keras_functional.keras", "--pe", 8, "--simd", 2)
    text = (folder / "report.json").read_text(encoding="ascii")
    assert "endmodule\\nassign" in text
    out = " ".join(gatefold("report", folder).stdout.split())
    assert r"'endmodule\nassign x = \'h0;'" in out or r'"endmodule\nassign x' in out
    assert "reg [0:0]" in out


@pytest.mark.parametrize("place, message", [("missing", "holds no report.json"),
                                         ("file", "is a file")])
def test_no_report(tmp_path, place, message):
    (tmp_path / "file").write_text("")
    assert message in refused("report", tmp_path / place)


def test_a_report_that_lacks_fields_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"verified": []}')
    assert "damaged" in refused("report", tmp_path)
