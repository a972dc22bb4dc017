"""Full-integer networks as quantised networks: stored and read again, what they state of their
numbers, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.measure.resolvers import RESOLVERS
from gatefold.gen.network.graph import Network
from gatefold.gen.network.int8 import Affine, Int8Dense
from gatefold.gen.numbers.quantize import quantize, requantize_into
from gatefold.gen.store.quantized_io import load_quantized, save_quantized
from gatefold.sim.golden import golden
from tests.support.cli_harness import gatefold
from tests.support.tflite_files import path, vectors


def test_a_stored_network_gives_the_same_bytes(tmp_path):
    given = vectors("both_ways")
    save_quantized(tmp_path / "n", quantize(load(path("both_ways"))))
    again = load_quantized(tmp_path / "n")
    np.testing.assert_array_equal(golden(again, given["x"].astype(np.int64)), given["y"])
    assert again.affine == load(path("both_ways")).affine


def test_scale_and_zero_point_are_stated_wherever_a_user_looks(tmp_path):
    network, given = load(path("borders")), vectors("borders")
    core = compile(network, pe=16, simd=4)
    (x,), (y,) = network.affine
    assert core.input_quantization == [(x.scale, x.zero)]
    assert core.output_quantization == [(y.scale, y.zero)]
    numbers, folder = core.report()["numbers"], core.save(tmp_path / "core")
    stated = json.loads((folder / "core.json").read_text())
    printed = gatefold("report", folder).stdout
    page, verilog = ((folder / name).read_text() for name in ("report.html", "rtl/gatefold.v"))
    for end, one in (("input", x), ("output", y)):
        assert numbers["affine"][f"{end}s"] == [{"scale": one.scale, "zero_point": one.zero}]
        (part,) = stated[end]["parts"]
        assert (part["scale"], part["zero_point"]) == (one.scale, one.zero)
        assert f"scale {one.scale:.9g}, zero point {one.zero}" in " ".join(printed.split())
        assert f"in int8, scale {one.scale:.9g}, zero point {one.zero}" in verilog
        assert f"{one.scale:.9g}" in page
    assert list(numbers["resolvers"]) == list(RESOLVERS)
    assert "BUILTIN_REF, LiteRT 2.3" in page and "BUILTIN_REF" in printed
    # Floats and bytes are those of the file's QUANTIZE and DEQUANTIZE.
    bytes_in = x.quantize(given["x"])
    for name, array in (("floats", given["x"]), ("bytes", bytes_in)):
        np.save(tmp_path / f"{name}.npy", array)
    for name, more in (("floats", []), ("bytes", ["--raw"])):
        done = gatefold("run", folder, "--input", tmp_path / f"{name}.npy", *more,
                        "-o", tmp_path / f"{name}_out.npy")
        assert done.exit_code == 0
        assert (f"int8, scale {y.scale:.9g}" in done.stdout) == bool(more)
    np.testing.assert_array_equal(np.load(tmp_path / "floats_out.npy"), given["y"])
    np.testing.assert_array_equal(y.to_float(np.load(tmp_path / "bytes_out.npy")), given["y"])


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


def test_inputs_may_have_several_zero_points():
    network = load(path("dense"))
    first, ((x,), _) = network.layers[0], network.affine
    assert isinstance(first, Int8Dense)
    forms = x, replace(x, zero=x.zero - 9)

    def of(*inputs: Affine):
        """The first layer on each of some inputs, whose numbers are these."""
        count = len(inputs)
        return quantize(Network(
            network.input_shapes * count, outputs=tuple(range(count, 2 * count)),
            layers=tuple(replace(first, inputs=(n,), x=one) for n, one in enumerate(inputs)),
            affine=(inputs, (first.y,) * count)))

    given = vectors("dense")["x"].astype(np.int64)[:8].reshape(8, -1)
    both = of(*forms)
    assert both.zeros[0] == (x.zero, x.zero)
    shape = network.input_shapes[0]
    np.testing.assert_array_equal(
        golden(both, np.concatenate([given, given[::-1]], axis=1)),
        np.concatenate([golden(of(form), one.reshape(8, *shape)).reshape(8, -1)
                        for form, one in zip(forms, (given, given[::-1]), strict=True)], axis=1))
