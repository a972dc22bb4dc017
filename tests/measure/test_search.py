"""The cheapest formats: those found keep the error, and no cheaper attempt did."""

import warnings
from typing import Any

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.measure.search import find_widths
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Network
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.sim import golden
from tests.support.networks import network


def data(net, samples=60):
    return np.random.default_rng(0).normal(size=(samples, *net.input_shape))


@pytest.mark.parametrize("max_error", [0.05, 0.01, 0.002])
@pytest.mark.parametrize("name", ["lstm-dense", "gru", "residual", "stateful lstm", "two outputs"])
def test_the_formats_found_keep_the_error(name, max_error):
    net = network(name, gain=0.5)
    x = data(net)
    found = find_widths(net, max_error, calibration=x)
    assert found.complete and found.samples == 45 == len(x) - found.held_out[0]
    assert found.error == pytest.approx(worst(net, found, x)) and found.error <= max_error
    part = x[45:] if name == "stateful lstm" else x[3::4]
    if name != "stateful lstm":  # there it goes on from the states that the others left
        assert found.held_out[1] == pytest.approx(worst(net, found, part))
    assert found.held_out[1] <= max_error
    kept = [attempt for attempt in found.attempts if attempt["keeps"]]
    assert all(attempt["error"] <= max_error for attempt in kept)
    assert found.overrides in [attempt["overrides"] for attempt in kept]
    assert found.checks[-1]["error"] == found.error
    cost = found.act_width * found.weight_width
    cheaper = [attempt for attempt in kept
               if attempt["activations"] * attempt["weights"] < cost]
    assert len(cheaper) == 0 or len(found.checks) > 1


def worst(net, found, x):
    """The error of what was found on x, of the worst output."""
    qnet = quantize(net, act_width=found.act_width, weight_width=found.weight_width,
                    overrides=found.overrides, calibration=found.seen)
    return max(value["rms_relative"] for value in error_report(net, qnet, x)["values"])


def test_the_frontier_is_that_of_every_pair():
    net = network("gru", gain=0.5)
    x = data(net, 20)
    found = find_widths(net, 0.01, calibration=x, layers=False)
    assert found.overrides == {}
    every = {}
    for act in range(4, 12):
        for weight in range(4, 12):
            qnet = quantize(net, act_width=act, weight_width=weight, calibration=x)
            report = error_report(net, qnet, x)
            if report["rms_relative"] <= 0.01:
                every[act, weight] = act * weight
    # Not every pair is tried; where more bits could be worse, a cheaper one may be missed.
    assert found.act_width * found.weight_width <= min(every.values()) * 1.2


def test_a_looser_error_is_no_dearer():
    net = network("lstm-dense", gain=0.5)
    cost = [found.act_width * found.weight_width for found in (
        find_widths(net, error, calibration=data(net), layers=False)
        for error in (0.1, 0.03, 0.01, 0.003, 0.001))]
    assert cost == sorted(cost) and cost[0] < cost[-1]


def test_the_same_arguments_give_the_same_result():
    net = network("gru", gain=0.5)
    assert find_widths(net, 0.01, samples=16) == find_widths(net, 0.01, samples=16)


def test_attempts_are_reported_and_limited():
    net, reports = network("lstm-dense", gain=0.5), []
    found = find_widths(net, 0.01, calibration=data(net), attempts=3, progress=reports.append)
    assert len(found.attempts) == 3 and not found.complete
    assert reports[3:] == ["checking on all 60 samples"]
    assert reports[0].startswith("attempt 1: activations 18, weights 18 bits: error ")
    assert (found.act_width, found.weight_width) == (18, 18)  # the only one that was seen to keep


def test_options_of_the_quantiser_are_kept():
    net = network("lstm-dense", gain=0.5)
    plain = find_widths(net, 0.01, calibration=data(net), layers=False)
    fine = find_widths(net, 0.01, calibration=data(net), layers=False, table_bits=16, rule="mse",
                       cell_width=10)
    assert [a["error"] for a in plain.attempts] != [a["error"] for a in fine.attempts]


def test_fixed_formats_stay():
    net = network("stack", gain=0.5)
    fixed = {"l0_lstm": {"weights": 12}, "l1_lstm": {"h": "Q1.8"}, "default": {"rule": "mse"}}
    found = find_widths(net, 0.01, calibration=data(net), overrides=fixed)
    assert found.overrides["l0_lstm"]["weights"] == 12
    assert found.overrides["l1_lstm"]["h"] == QFormat(9, 8)
    assert not any("activations" in attempt["overrides"].get("l1_lstm", {})
                   or "weights" in attempt["overrides"].get("l0_lstm", {})
                   for attempt in found.attempts)
    qnet = quantize(net, act_width=found.act_width, weight_width=found.weight_width,
                    overrides=found.overrides, calibration=found.seen)
    assert error_report(net, qnet, data(net))["rms_relative"] == pytest.approx(found.error)


# ---- on some of the data, and on all of it -----------------------------------------------------


@pytest.fixture
def sixteen(monkeypatch):
    """Attempts on 16 samples alone."""
    monkeypatch.setattr("gatefold.gen.measure.search._MACS", 1)


@pytest.mark.parametrize("max_error", [0.05, 0.02, 0.01, 0.005])
@pytest.mark.parametrize("name", ["lstm-dense", "gru", "stateful lstm", "two outputs"])
def test_the_formats_found_keep_the_error_on_all_the_data(name, max_error, sixteen):
    net = network(name, gain=0.5)
    x = data(net, 300)
    found = find_widths(net, max_error, calibration=x)
    assert found.samples == 16 and found.data.shape == x.shape and found.complete
    assert found.error == pytest.approx(worst(net, found, x)) and found.error <= max_error
    *failed, last = found.checks
    assert last["keeps"] and last["error"] == found.error and last["overrides"] == found.overrides
    assert not any(check["keeps"] for check in failed)
    limits = [check["limit"] for check in found.checks]
    assert limits[0] == max_error and limits == sorted(set(limits), reverse=True)


def test_a_check_that_fails_tightens_the_search(sixteen):
    net = network("gru", gain=0.5)
    x = data(net, 300)
    x[::7] *= 3  # seldom seen by attempts
    limit, failed = 0.02, 0
    while not failed:  # the largest error of which 16 samples say too little
        found = find_widths(net, limit, calibration=x, layers=False)
        failed, limit = len(found.checks) - 1, limit * 0.9
    first = found.checks[0]
    assert max(found.error, found.held_out[1]) <= limit / 0.9
    assert limit / 0.9 < max(first["error"], first["held_out"])
    made = [(one["activations"], one["weights"]) for one in found.attempts]
    assert len(made) == len(set(made)), "no attempt is made twice"


def test_where_no_attempt_is_left_to_tighten_with_the_widest_remain(sixteen):
    net = network("gru", gain=0.5)
    x = data(net, 300)
    x[::7] *= 3
    for limit in np.geomspace(0.02, 0.006, 16):
        few = find_widths(net, float(limit), calibration=x, layers=False, attempts=4)
        assert few.error <= limit


@pytest.mark.parametrize(("samples", "held_out", "text"), [
    (1, 0, "on the 1 sample on which"), (7, 0, "on the 7 samples on which"),
    (8, 2, "on only 2 samples that it held out"), (63, 15, "on only 15 samples"), (64, 16, None)])
def test_few_samples_are_a_warning(samples, held_out, text):
    net = network("gru", gain=0.5)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = find_widths(net, 0.05, calibration=data(net, samples), layers=False)
    assert found.held_out[0] == held_out
    assert [str(one.message) for one in seen if text is None or text not in str(one.message)] == []
    assert len(seen) == (text is not None)


def test_what_was_held_out_chooses_no_format():
    net = network("gru", gain=0.5)
    x = data(net, 64)
    other = x.copy()
    other[3::4] *= 0.1
    first, second = (find_widths(net, 0.05, calibration=one, layers=False) for one in (x, other))
    assert first.seen.record["peaks"] == second.seen.record["peaks"]
    assert first.attempts[0] == second.attempts[0] and first.held_out != second.held_out


def test_larger_values_in_what_was_held_out_get_an_integer_bit_more():
    net = Network((2,), (Dense(w=np.array([[1, -1]]), b=np.zeros(1)),))
    a, sums = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 64)) * [[0.5], [1]]
    sums[3::4] *= 1.6
    found = find_widths(net, 0.001, calibration=np.stack([a, a - sums], axis=1))
    assert found.headroom == 1 and max(found.error, found.held_out[1]) <= 0.001
    again = quantize(net, act_width=found.act_width, weight_width=found.weight_width,
                     overrides=found.overrides, headroom=found.headroom, calibration=found.seen)
    dense: Any = again.layers[0]
    assert dense.y.width - dense.y.frac == 2


def test_formats_that_all_the_data_refuse_are_refused(sixteen):
    net = network("lstm-dense", gain=0.5)
    x = data(net, 300)
    widest = quantize(net, act_width=18, weight_width=18, calibration=x)
    floats = forward(net, x)
    errors = np.abs(golden.run(widest, x) - floats).sum(axis=-1)
    extreme = {*floats.argmin(axis=0), *floats.argmax(axis=0)}
    order = sorted(range(300), key=lambda n: (n not in extreme, errors[n]))
    seen = np.flatnonzero(np.arange(300) % 4 != 3)[np.linspace(0, 224, 16).astype(int)]
    x[seen], x[np.setdiff1d(np.arange(300), seen)] = x[order[:16]], x[order[16:]]
    some, every = (error_report(net, widest, part)["rms_relative"] for part in (x[seen], x))
    assert some < every, "attempts see the range, but only small errors"
    with pytest.raises(UserError, match="no formats keep an error of .* with 18 bits everywhere"):
        find_widths(net, (some + every) / 2, calibration=x)


WRONG = [
    (dict(max_error=1e-9), "no formats keep an error of 1e-07%: with 18 bits everywhere it is"),
    (dict(max_error=0), "must be between 0 and 1"),
    (dict(max_error=1.5), "must be between 0 and 1 .* not 1.5"),
    (dict(max_error=True), "not True"),
    (dict(max_error=0.01, calibration=np.zeros((3, 1))), r"must have the shape \(samples, 4, 3\)"),
    (dict(max_error=0.01, rule="best"), "one of max, percentile, mse"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_illegal_options_are_refused(arguments, text):
    with pytest.raises(UserError, match=text):
        find_widths(network("lstm-dense"), **arguments)
