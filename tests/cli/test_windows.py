"""`gatefold build --hop`, and what `run`, `report` and `weights` do with such a core."""

import json

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.network.overlap import windows_of
from gatefold.gen.numbers.quantize import quantize
from gatefold.sim.golden import golden
from tests.support.cli_harness import built, gatefold, refused
from tests.support.tflite_files import path, vectors

FORUM = path("forum")  # windows of 90 samples
BYTES = vectors("forum")


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("windows") / "core", FORUM, "--hop", 30, "--pe", 64,
                 "--simd", 4)


def run(core, place, x, *more):
    np.save(place / "x.npy", x)
    result = gatefold("run", core, "--raw", "--input", place / "x.npy", "-o", place / "y.npy",
                      *more)
    assert result.exit_code == 0, result.stderr
    return result.stdout, np.load(place / "y.npy")


def test_whole_windows_have_the_bytes_of_litert(core, tmp_path):
    _, y = run(core, tmp_path, BYTES["x"])
    np.testing.assert_array_equal(y, BYTES["y"])


def test_a_recording_has_an_answer_for_every_whole_window(core, tmp_path):
    recording = BYTES["x"][:3].reshape(-1, 2)[:256]
    shown, y = run(core, tmp_path, recording)
    np.testing.assert_array_equal(y, golden(quantize(load(FORUM)),
                                            windows_of(recording.astype(np.int64), 90, 30)))
    assert "windows of 90 samples, one every 30" in shown


def test_frames_go_on_with_states(core, tmp_path):
    frames = BYTES["x"][:2].reshape(-1, 30, 2)
    _, want = run(core, tmp_path, frames)
    _, first = run(core, tmp_path, frames[:4], "--state-out", tmp_path / "s.npz")
    _, rest = run(core, tmp_path, frames[4:], "--state-in", tmp_path / "s.npz")
    np.testing.assert_array_equal(np.concatenate([first, rest]), want)


def test_the_report_says_what_is_saved(core):
    windows = json.loads((core / "report.json").read_text())["windows"]
    assert (windows["window"], windows["hop"], windows["frames"]) == (90, 30, 3)
    assert windows["multiplications"] < windows["whole"]["multiplications"]
    assert windows["latency"] < windows["whole"]["latency"]
    assert "a frame brings 30 of a window's 90 samples" in gatefold("report", core).stdout


def test_states_do_not_go_with_recordings(core, tmp_path):
    np.save(tmp_path / "x.npy", BYTES["x"])
    assert "each recording begins anew, without states: give frames (frames, 30" in refused(
        "run", core, "--raw", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy",
        "--each-anew")


def test_other_weights_need_another_build(core):
    assert refused("weights", FORUM, core).endswith("build it again with --hop 30")
