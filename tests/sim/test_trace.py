"""Beats of results as values of layers: the elements in each lane, and errors in the beats."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gatefold.sim.core_info import _parse
from gatefold.sim.results import CheckFailed
from gatefold.sim.trace import UNKNOWN, Beats, layer_values, numbers

CORE = {
    "array": {"pe": 4, "simd": 3}, "simd": 3, "act_width": 16, "cell_width": 18, "stateful": False,
    "stream": {"element_bits": 16, "container_bits": 16, "beat_bits": 64},
    "input": {"elements": 2}, "output": {"elements": 2}, "cycles": {"latency": 9, "interval": 8},
}


def core(layers, events):
    """A core whose lanes show such layers, (name, steps, units, states), in such beats."""
    shown = [dict(zip(("name", "steps", "units", "states"), layer, strict=True))
             for layer in layers]
    return _parse(json.loads(json.dumps(CORE | {"trace": {"layers": shown, "events": events}})))


#: layers, events, beats (mask, then h and c of each lane), values by layer and state
GRU, RNN, DENSE = ["h", "c"], ["h"], ["y"]
BEATS = {
    "result and state": (
        [("l0_gru", 2, 2, GRU)], [[0, 0, 2], [0, 2, 2]],
        [(0b11, 1, 10, 2, 20), (0b11, 3, 30, 4, 40)],
        {"l0_gru": {"h": [[1, 2], [3, 4]], "c": [[10, 20], [30, 40]]}}),
    "results alone": (
        [("l0_rnn", 1, 3, RNN)], [[0, 0, 3]], [(0b111, 1, 7, 2, 7, 3, 7)],
        {"l0_rnn": {"h": [[1, 2, 3]]}}),
    "steps in a beat": (
        [("l0_conv1d", 3, 1, DENSE)], [[0, 0, 3]], [(0b111, 1, 0, 2, 0, 3, 0)],
        {"l0_conv1d": {"y": [[1], [2], [3]]}}),
    "a beat in two parts": (
        [("l0_dense", 1, 3, DENSE)], [[0, 0, 3], [0, 0, 3]],
        [(0b011, 1, 0, 2, 0, 8, 0), (0b100, 9, 0, 9, 0, 3, 0)], {"l0_dense": {"y": [[1, 2, 3]]}}),
    "steps between, layers mixed": (
        [("l0_rnn", 2, 1, RNN), ("l1_dense", 1, 1, DENSE)],
        [[0, 0, 1], [-1, 0, 0], [1, 0, 1], [0, 1, 1]],
        [(1, 5, 0), (0b111, 1, 2, 3, 4, 5, 6), (1, 6, 0), (1, 7, 0)],
        {"l0_rnn": {"h": [[5], [7]]}, "l1_dense": {"y": [[6]]}}),
    "padding of any value, unknown ones too": (
        [("l0_dense", 1, 2, DENSE)], [[0, 0, 2], [0, 0, 0]],
        [(0b111, 1, None, 2, None, None, 4), (None, None, None)], {"l0_dense": {"y": [[1, 2]]}}),
}


def seen(beats):
    """Beats of (mask, then h and c of each lane), as a log's text says them."""
    width = max(len(values) for _, *values in beats)
    lines = [" ".join(["x" if value is None else str(value) for value in values]
                      + ["x"] * (width - len(values))) for _, *values in beats]
    return Beats([mask for mask, *_ in beats], numbers(lines, width).reshape(len(beats), -1, 2))


@pytest.mark.parametrize("layers, events, beats, values", BEATS.values(), ids=BEATS)
def test_lanes_carry_the_elements_that_the_events_name(layers, events, beats, values):
    found = layer_values(seen(beats), core(layers, events), 1, "alone")
    assert {name: {state: array[0].tolist() for state, array in states.items()}
            for name, states in found.items()} == values


def test_frames_follow_one_another():
    info = core([("l0_dense", 1, 2, DENSE)], [[0, 0, 2]])
    found = layer_values(seen([(3, 1, 0, 2, 0), (3, 3, 0, 4, 0)]), info, 2, "alone")
    np.testing.assert_array_equal(found["l0_dense"]["y"], [[[1, 2]], [[3, 4]]])


LSTM = [("l0_lstm", 2, 2, ["h", "c"])]
BOTH = [[0, 0, 2], [0, 2, 2]]
AMISS = {
    "never": (BOTH, [(3, 1, 2, 3, 4), (1, 1, 2, 3, 4)],
              "alone: frame 0, layer l0_lstm, step 1, unit 1 came 0 times, not once"),
    "twice": ([*BOTH, [0, 0, 1]], [(3, 1, 2, 3, 4)] * 3,
              "frame 0, layer l0_lstm, step 0, unit 0 came 2 times, not once"),
    "too few beats": (BOTH, [(3, 1, 2, 3, 4)],
                      "the lanes gave 1 beats of results in 1 frames, not 2 a frame"),
    "unknown result": (BOTH, [(3, 1, 2, 3, 4), (3, 1, 2, None, 4)],
                       "frame 0, layer l0_lstm, step 1, unit 1: h has unknown bits"),
    "unknown state": (BOTH, [(3, 1, None, 3, 4), (3, 1, 2, 3, 4)],
                      "frame 0, layer l0_lstm, step 0, unit 0: c has unknown bits"),
    "unknown mask": (BOTH, [(3, 1, 2, 3, 4), (None, 1, 2, 3, 4)],
                     "frame 0, layer l0_lstm, step 1, unit 0: trace__lanes has unknown bits"),
}


@pytest.mark.parametrize("events, beats, message", AMISS.values(), ids=AMISS)
def test_wrong_beats_are_reported(events, beats, message):
    with pytest.raises(CheckFailed, match=message):
        layer_values(seen(beats), core(LSTM, events), 1, "alone")


def test_the_sums_of_an_element_s_rows_carry_golden_s_names():
    info = core([("l0_lstm", 1, 2, ["h", "c"])], [[0, 0, 2]])
    names = {"acc_i": 8, "acc_f": 8, "acc_g": 4, "acc_o": 8}
    info = replace(info, layers=(replace(info.layers[0], sums=names),))
    beats = seen([(3, 1, 10, 2, 20, 0, 0)])
    sums = numbers(["1 2 3 4 5 6 7 8 x X z x"], 12).reshape(1, 3, 4)
    found = layer_values(beats._replace(sums=sums), info, 1, "alone")["l0_lstm"]
    assert {name: found[name][0, 0].tolist() for name in names} == {
        "acc_i": [1, 5], "acc_f": [2, 6], "acc_g": [3, 7], "acc_o": [4, 8]}


def test_a_number_with_unknown_bits_is_unknown():
    assert numbers(["-5 x", "12 X"], 2).tolist() == [[-5, UNKNOWN], [12, UNKNOWN]]
    assert numbers([], 2).shape == (0, 2)
