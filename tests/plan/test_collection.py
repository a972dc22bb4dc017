"""Planning runs without garbage collection, and leaves the collector as it was."""

from __future__ import annotations

import gc

import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.plan.collection import uncollected
from tests.support.networks import quantized


def test_nothing_is_collected_while_a_plan_is_made(monkeypatch):
    seen = []
    monkeypatch.setattr("gatefold.gen.plan.plan.schedule",
                        lambda *_: seen.append(gc.isenabled()) or [])
    with pytest.raises(ValueError, match="empty"):  # there are no tiles
        make_plan(quantized("stack"), Array(pe=8, simd=2))
    assert seen == [False] and gc.isenabled()


def test_the_collector_runs_again_after_a_refusal():
    with pytest.raises(UserError, match="the stream must be"):
        make_plan(quantized("stack"), Array(pe=8, simd=2, stream_bits=3))
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
