"""gatefold boards: sizes against boards, a shape or a model on each board, and the chooser page."""

import json

import numpy as np
import onnx
import pytest

from gatefold.boards import BOARDS
from gatefold.boards import get as get_board
from gatefold.gen.frontends import load
from gatefold.gen.inspect.boards import SIZES, of_sizes, sizes_table
from gatefold.gen.inspect.estimate import quick_estimate
from gatefold.gen.network.initialise import initialise
from tests.support.cli_harness import FIXTURES, gatefold
from tests.support.onnx_graphs import graph, node
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def sizes():
    return of_sizes()


def test_the_chooser_page_has_the_table(sizes):
    table = "\n".join(sizes_table(sizes))
    assert table in (ROOT / "docs/chooser.md").read_text(), table


def test_larger_networks_take_longer_until_they_fit_no_more(sizes):
    for name in BOARDS:
        times = [sizes[units][name].us for units in SIZES]
        fitting = [one for one in times if one is not None]
        assert fitting == sorted(fitting) and times == fitting + [None] * (
            len(times) - len(fitting))


def test_a_shape_on_every_board():
    result = gatefold("boards", "--units", 20, "--features", 3, "--timesteps", 5, "--json")
    network = initialise(units=20, features=3, timesteps=5)
    assert json.loads(result.stdout) == {
        name: vars(quick_estimate(network, name)) for name in BOARDS}


def test_a_model_in_words():
    result = gatefold("boards", FIXTURES / "keras_last.keras")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(BOARDS)
    assert all("us, " in line and "multipliers" in line for line in result.stdout.splitlines())


def test_models_that_are_not_cut(tmp_path):
    mlp = tmp_path / "mlp.onnx"
    onnx.save(graph([node("MatMul", "x", "w")], shape=("batch", 8),
                    constants={"w": np.ones((8, 2), np.float32)}), mlp)
    for path in (FIXTURES / "tflite/causal.tflite", mlp):
        result = gatefold("boards", path)
        assert result.exit_code == 0 and "multipliers" in result.stdout, result.stderr


@pytest.mark.parametrize("arguments, message", [
    ((FIXTURES / "keras_last.keras", "--units", 4), "give MODEL or the sizes of a network"),
    (("--units", 4), "needs --features and --timesteps too"),
])
def test_refusals(arguments, message):
    result = gatefold("boards", *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_a_full_integer_file_is_estimated_with_two_products_in_a_slice():
    network = load(ROOT / "models/forum-cnn-lstm/forum-cnn-lstm.tflite")
    one = quick_estimate(network, "zcu104")
    assert one.numbers == "8 bits (int8)"
    assert one.pe and one.simd and one.cycles and one.cycles < 16_000
    assert one.pe * one.simd > get_board("zcu104").max_multipliers
