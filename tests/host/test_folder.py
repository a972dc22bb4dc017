"""What `--host axi` leaves in a core's folder, and what `gatefold weights` renews of it."""

import json
import struct
import zlib

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen.cli.report import rows
from gatefold.gen.weights import replace_weights
from tests.support.networks import network

OPTIONS = {"pe": 4, "simd": 1, "loadable": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    core = gf.compile(network("lstm-dense"), board="zcu104", host="axi", **OPTIONS)
    return core.save(tmp_path_factory.mktemp("host") / "core")


def test_driver_package_and_weights(folder):
    assert {"driver", "zcu104", "rtl", "weights", "vivado"} <= {p.name for p in folder.iterdir()}
    core = json.loads((folder / "driver/core.json").read_text())["core"]
    built = f"{core['HASH_HI']:08x}{core['HASH_LO']:08x}"
    assert json.loads((folder / "core.json").read_text())["host"]["hash"] == built
    assert built in (folder / "zcu104/package_ip.tcl").read_text()
    magic, low, high, size, crc = struct.unpack(
        "<8s4I", (folder / "weights/load.gfw").read_bytes()[:24])
    image = (folder / "weights/load.gfw").read_bytes()[24:]
    assert (magic, low, high) == (b"GFWEIGHT", core["HASH_LO"], core["HASH_HI"])
    assert (size, crc) == (core["LOAD_BYTES"], zlib.crc32(image)) and size == len(image)


def test_the_package_names_the_files_of_the_core(folder):
    script = (folder / "zcu104/package_ip.tcl").read_text()
    for name in (*folder.glob("rtl/*.v"), *folder.glob("weights/*.hex")):
        assert f"    ../{name.parent.name}/{name.name}\n" in script


def test_the_report_has_a_latency_budget(folder):
    report = json.loads((folder / "report.json").read_text())
    paths = report["host"]["latency"]
    assert set(paths) == {"register window", "descriptor, polled", "descriptor, interrupt"}
    for terms in paths.values():
        assert terms[0]["what"] == "core" and "constant" in terms[0]["known"]
        assert {term["label"] for term in terms} <= {"planned", "counted", "quoted"}
        assert terms[0]["us"] == pytest.approx(report["cycles"]["latency"] / 300, abs=1e-3)
        assert not any("constant" in term["known"] for term in terms[1:])
    page = (folder / "report.html").read_text()
    for path, terms in paths.items():
        assert all(f">{text}<" in page for text in (
            path, f"{sum(term['us'] for term in terms):.2f}", *(term["what"] for term in terms),
            *(term["known"] for term in terms)))
    told = [text for name, text in rows(report) if name == "latency"]
    assert [text.split(" us: core ")[0].rsplit(", ", 1)[0] for text in told] == list(paths)


def test_other_weights_renew_what_depends_on_them(folder, tmp_path):
    before = {name: (folder / name).read_bytes() for name in
              ("weights/load.gfw", "driver/examples/expected.f32", "driver/core.json")}
    replace_weights(network("lstm-dense", seed=7), folder, saturate=True)
    after = {name: (folder / name).read_bytes() for name in before}
    assert [before[name] == after[name] for name in before] == [False, False, True]
    assert before["weights/load.gfw"][:16] == after["weights/load.gfw"][:16]  # the same build


def test_examples_hold_what_golden_computes(tmp_path):
    core = gf.compile(network("two outputs"), host="axi", pe=4, simd=1)
    examples = core.save(tmp_path / "core") / "driver/examples"
    x = np.fromfile(examples / "samples.f32", "<f4").reshape(-1, *core.qnet.input_shape)
    np.testing.assert_array_equal(np.fromfile(examples / "expected.f32", "<f4"),
                                  core.run(x).astype("<f4").ravel())


def test_without_host_there_is_no_driver(tmp_path):
    folder = gf.compile(network("lstm-dense"), board="zcu104", pe=4, simd=1).save(tmp_path / "core")
    assert not {"driver", "zcu104"} & {path.name for path in folder.iterdir()}
