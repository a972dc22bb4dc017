"""int8 on a board: two products in a DSP slice, and as many lanes as there is room for."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.boards import get
from gatefold.gen.errors import UserError
from gatefold.gen.flow import compile
from gatefold.gen.frontends import load
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QDense
from gatefold.gen.plan import Array, Budget, choose_array, make_plan
from gatefold.gen.plan.drafts import made_to_fit
from gatefold.gen.plan.placing import fit
from gatefold.gen.plan.resources import components
from tests.support.networks import quantized
from tests.support.places import ROOT
from tests.support.tflite_files import path

ZCU104 = Budget.of(get("zcu104"))
QNET = quantize(load(path("dense")))


def test_slices_hold_two_products():
    one, two = (make_plan(QNET, Array(pe=8, simd=3, packed=packed)) for packed in (False, True))
    assert [components(plan.config)["rows"].dsp for plan in (one, two)] == [24, 12]
    assert one.cycles == two.cycles
    assert (ZCU104.multipliers, ZCU104.packed().multipliers) == (1536, 3072)


def test_the_upper_row_of_a_pair_holds_what_the_lower_one_borrows():
    images = [make_plan(QNET, Array(pe=4, simd=1, packed=packed)).images()
              for packed in (False, True)]
    plain, packed = (np.array([one[f"weights_{row:03d}"] for row in range(4)]) for one in images)
    np.testing.assert_array_equal(packed[::2], plain[::2])
    np.testing.assert_array_equal(packed[1::2], (plain[1::2] - (plain[::2] >= 128)) % 256)


def with_the_lowest_weight():
    layer = QNET.layers[-1]
    assert isinstance(layer, QDense)
    w = layer.w.copy()
    w[0, 0] = -128
    return replace(QNET, layers=(*QNET.layers[:-1], replace(layer, w=w)))


@pytest.mark.parametrize("qnet", [with_the_lowest_weight(), quantized("lstm-dense")])
def test_other_networks_take_a_slice_for_each_product(qnet):
    assert not qnet.packs
    with pytest.raises(UserError, match="packed needs a network in int8 whose weights are -127..1"):
        make_plan(qnet, Array(pe=8, simd=3, packed=True))


@pytest.mark.parametrize(("board", "packed"), [("zcu104", True), (None, False)])
def test_a_board_says_whether_slices_are_wide_enough(board, packed):
    core = compile(load(path("dense")), board=board, pe=8, simd=4)
    assert core.plan.config.packed == core.report()["array"]["packed"] == packed


@pytest.mark.parametrize(("bram36", "lanes"), [(312, 4), (40, 2), (18, 1)])
def test_lanes_are_as_many_as_there_is_room_for(bram36, lanes):
    budget = replace(ZCU104.packed(), bram36=bram36)
    array = made_to_fit(quantize(load(path("stacked"))), Array(pe=16, simd=4, packed=True), budget)
    assert array.simd // array.parts == lanes


def test_a_chunk_is_cut_in_equal_beats():
    with pytest.raises(UserError, match=r"parts must be a power of two that divides simd \(6\), "
                                        "not 4"):
        Array(pe=8, simd=6, parts=4)


def test_fixed_point_keeps_a_lane_a_column():
    plan = choose_array(quantized("lstm-dense"), replace(ZCU104, multipliers=64), quick=True)
    assert plan.config.parts == 1


def test_the_forum_network_takes_at_most_16_000_cycles():
    qnet = quantize(load(ROOT / "models/forum-cnn-lstm/forum-cnn-lstm.tflite"))
    budget = ZCU104.packed()
    plan = fit(make_plan(qnet, made_to_fit(qnet, Array(pe=96, simd=32, packed=True), budget)),
               budget)
    assert plan is not None and plan.cycles.latency <= 16_000
