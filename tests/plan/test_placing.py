"""What the quick look at a device counts of the input and of the results that are stored."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest

from gatefold.gen.numbers.quantized import CURVE_TABLES, QLstm
from gatefold.gen.plan import Array, Budget
from gatefold.gen.plan.demand import demands, looked_up
from gatefold.gen.plan.placing import might_fit, place
from gatefold.gen.plan.plan import draft_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.resources_lanes import tables
from gatefold.hdl.kinds import DenseKind
from tests.support.networks import NETWORKS, quantized

BUDGET = Budget.of(None)


@pytest.mark.parametrize(("simd", "dies"), [(2, 1), (3, 3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_more_is_counted_than_is_stored(name, simd, dies):
    qnet = quantized(name)
    work, config = draft_plan(qnet, Array(pe=8 * dies, simd=simd, dies=dies, cross=2 * (dies > 1)))
    assert sum(demand.stored(simd, dies) for demand in demands(qnet)) <= work.storage.h_depth
    assert qnet.input_elements <= simd * config.x_depth


@pytest.mark.parametrize(("name", "unread"), [
    ("stack", 6), ("bidirectional", 2), ("autoencoder", 1), ("every h", 6)])
def test_all_results_that_others_read_are_counted(name, unread):
    """``unread``: words of what is no result of a layer, or that its own layer alone reads."""
    qnet = quantized(name)
    work, _ = draft_plan(qnet, Array(pe=8, simd=2))
    counted = sum(demand.stored(2, 1) for demand in demands(qnet))
    assert counted + unread == work.storage.h_depth


def test_results_that_no_memory_holds_are_ruled_out():
    qnet = quantized("bidirectional")
    asked = [replace(demand, kept=20_000) for demand in demands(qnet)]
    assert might_fit(qnet, 8, 2, BUDGET, asked)
    assert not might_fit(qnet, 8, 2, replace(BUDGET, bram36=20), asked)


def test_a_frame_that_no_memory_holds_is_ruled_out():
    qnet = replace(quantized("last h"), input_shapes=((200_000, 2),))
    assert might_fit(qnet, 8, 2, BUDGET, demands(quantized("last h")))
    assert not might_fit(qnet, 8, 2, replace(BUDGET, bram36=200), demands(quantized("last h")))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_tables_that_are_counted_are_those_of_the_lanes(name):
    """But for curves, and for the tables of int8, which have a formula of their own."""
    qnet = quantized(name)
    _, config = draft_plan(qnet, Array(pe=8, simd=1))
    kinds = tuple(kind for kind in config.kinds
                  if getattr(kind, "activation", "") not in CURVE_TABLES)
    one = replace(config, kinds=(DenseKind("tanh", 0, 0, config.act_width),))
    counted = 0 if qnet.affine else looked_up(qnet)
    assert counted * tables(one).bram36 == tables(replace(config, kinds=kinds)).bram36


def test_a_network_without_tables_is_not_ruled_out_for_want_of_them():
    lstm, none = quantized("last h"), quantized("last h")
    none = replace(none, layers=tuple(
        replace(layer, activation="linear", recurrent_activation="hard_sigmoid")
        if isinstance(layer, QLstm) else layer for layer in none.layers))
    tight = replace(BUDGET, bram36=3)
    assert looked_up(none) < looked_up(lstm)
    assert might_fit(none, 8, 2, tight, demands(lstm))
    assert not might_fit(lstm, 8, 2, tight, demands(lstm))


@pytest.mark.parametrize("memory", ["auto", "lut"])
def test_block_ram_for_tables_and_operands_is_needed_wherever_weights_are(memory):
    _, config = draft_plan(quantized("stack"), Array(pe=16, simd=4))
    budget = replace(BUDGET, memory=memory)
    placed = place(config, budget)
    assert placed is not None
    least = estimate(replace(placed, lut_rows=config.pe)).bram36
    assert least > 2
    assert place(config, replace(budget, bram36=ceil(least / 0.95))) is not None
    assert place(config, replace(budget, bram36=int(least - 1))) is None
