"""Full-integer networks as quantised networks: stored and read again, and what they refuse."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.store.quantized_io import load_quantized, save_quantized
from gatefold.sim.golden import golden
from tests.support.tflite_files import path, vectors


def test_a_stored_network_gives_the_same_bytes(tmp_path):
    given = vectors("both_ways")
    save_quantized(tmp_path / "n", quantize(load(path("both_ways"))))
    again = load_quantized(tmp_path / "n")
    np.testing.assert_array_equal(golden(again, given["x"].astype(np.int64)), given["y"])
    assert again.affine == load(path("both_ways")).affine


def test_operands_are_centred_and_have_nine_bits():
    qnet = quantize(load(path("forum")))
    assert (qnet.act_width, qnet.weight_width, qnet.cell_width) == (9, 8, 16)
    trace: dict = {}
    golden(qnet, vectors("forum")["x"].astype(np.int64), trace=trace)
    relu = trace["l0_conv1d"]["y"]
    assert relu.min() == 0 and relu.max() == 255  # a relu's zero is the least byte


@pytest.mark.parametrize("given", [
    {"width": 8}, {"act_width": 12}, {"table_bits": 12}, {"rule": "mse"},
    {"host": "axi", "io": "float32"}, {"overrides": {"l0_lstm": {}}}], ids=str)
def test_what_would_change_a_file_s_numbers_is_refused(given):
    with pytest.raises(UserError, match="full-integer .tflite|a .tflite network of integers"):
        compile(load(path("sequence")), **given)


def test_other_weights_need_another_core():
    network = load(path("sequence"))
    with pytest.raises(UserError, match="rebuild the core with this model"):
        requantize_into(network, quantize(network))
