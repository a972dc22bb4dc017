"""Scenarios: the frames that are played, their sequences, and their pace."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.sim.core_info import CoreInfo
from gatefold.sim.scenario import (
    blocked,
    full_rate,
    hostile,
    many_frames,
    random_flow,
    short_waits,
)
from gatefold.sim.vectors import StreamFormat

INFO = CoreInfo(
    stream=StreamFormat(element_bits=16, container_bits=16, beat_bits=64), n_in=12, n_out=5,
    latency=20, interval=15, intervals=(15,), multipliers=16, lanes=4, act_width=16, cell_width=18,
    load_beats=0, contexts=1, stateful=False, layers=(), events=())
STATEFUL = replace(INFO, stateful=True)


def lengths(scenario):
    """Frames of each sequence."""
    return np.diff([*np.flatnonzero(scenario.begins), len(scenario.frames)]).tolist()


def test_full_rate_plays_a_sample_alone_and_then_all_without_a_pause():
    scenario = full_rate(INFO, 3)
    assert scenario.frames == (0, 0, 1, 2)
    assert scenario.paced(INFO).tolist() == [0, 0, 1, 2]
    assert scenario.isolated.tolist() == [True, True, False, False]
    assert not scenario.resets.any() and not scenario.fresh.any()


def test_many_frames_come_back_to_back_then_late_then_three_at_a_time_and_then_with_resets():
    scenario = many_frames(INFO, range(8, 168))
    assert scenario.frames == tuple(range(8, 168))
    parts, paced = np.arange(160) // 40, scenario.paced(INFO)
    assert set(parts[scenario.stalls.any(1)]) == {1}
    assert set(parts[scenario.resets]) == {3}
    assert paced[:40].tolist() == [*range(40)]
    assert paced[81:120].tolist() == [0, 1, 2] * 13  # frame 80 belongs to frame 78
    assert set(paced[40:80]) == {-1} and set(paced[121:]) <= {-1, 0}
    assert len(set(scenario.gaps[81:120:3, 0])) > 5


#: what is changed, and the pace of six frames then; the core is empty before frames 0 and 3
PACES = {
    "nothing": ({}, [0, 1, 2, 0, 1, 2]),
    "a pause before a beat": ({"gaps": (1, 2)}, [0, -1, -1, 0, 1, 2]),
    "a pause before an empty core's frame": ({"gaps": (3, 0)}, [0, 1, 2, 0, 1, 2]),
    "a pause before another frame": ({"gaps": (4, 0)}, [0, 1, 2, 0, -1, -1]),
    "a stall": ({"stalls": (0, 1)}, [-1, -1, -1, 0, 1, 2]),
    "a reset": ({"resets": (3,)}, [0, 1, 2, -1, -1, -1]),
    "a wrong length": ({"lengths": (4,)}, [0, 1, 2, 0, -1, -1]),
}


@pytest.mark.parametrize("case", PACES)
def test_pace_is_said_of_frames_that_nothing_makes_wait(case):
    changes, paced = PACES[case]
    scenario = replace(full_rate(INFO, 6, alone=False), isolated=np.arange(6) % 3 == 0)
    for name, place in changes.items():
        changed = getattr(scenario, name).copy()
        changed[place] += 1
        scenario = replace(scenario, **{name: changed})
    assert scenario.paced(INFO).tolist() == paced


def test_random_flow_plays_each_sample_once():
    scenario = random_flow(INFO, 20)
    assert scenario.frames == tuple(range(20)) and (scenario.paced(INFO)[2:] < 0).all()
    assert scenario.gaps.shape == (20, 3) and scenario.stalls.shape == (20, 2)
    assert not scenario.resets.any() and not scenario.fresh.any()


@pytest.mark.parametrize("make", [full_rate, random_flow])
def test_the_same_seed_gives_the_same_scenario(make):
    first, again, other = (make(STATEFUL, 20, seed=seed) for seed in (1, 1, 2))
    assert first.fresh.tolist() == again.fresh.tolist() != other.fresh.tolist()
    np.testing.assert_array_equal(first.gaps, again.gaps)


@pytest.mark.parametrize("samples", [3, 8, 40])
@pytest.mark.parametrize("make", [full_rate, random_flow])
def test_a_stateful_core_gets_sequences_of_several_frames(make, samples):
    scenario = make(STATEFUL, samples)
    assert lengths(scenario)[0] == 3 and max(lengths(scenario)) <= 4
    assert not scenario.fresh[0]  # after reset a sequence begins whatever TUSER says
    assert scenario.fresh.any()


def test_a_stateful_core_is_reset_and_plays_the_samples_again_in_another_order():
    scenario = random_flow(STATEFUL, 8)
    assert np.flatnonzero(scenario.resets).tolist() == [8] == np.flatnonzero(
        scenario.isolated).tolist()
    assert scenario.begins[8]
    first, second = scenario.frames[:8], scenario.frames[8:]
    assert sorted(first) == sorted(second) and first != second


def test_blocked_lets_two_beats_out_at_a_time_and_then_all():
    stalls = blocked(INFO, 3).stalls.reshape(-1)
    assert np.flatnonzero(stalls).tolist() == [*range(0, 24, 2)]
    assert stalls[0] > stalls[2] >= 2 * INFO.interval


def test_short_waits_are_in_every_frame_of_a_full_core_and_then_of_an_empty_one():
    scenario = short_waits(INFO, 8)
    late, first = [1, 1, 2, 2, 3, 3], len(scenario.frames) - 6
    assert (scenario.stalls[1:7, 0] + INFO.beats_out - INFO.interval).tolist() == late
    assert (scenario.gaps[first + 1:, 0] + INFO.beats_in - INFO.interval).tolist() == late[1:]
    assert np.flatnonzero(scenario.isolated).tolist() == [0, first]
    assert not scenario.stalls[7:].any() and not scenario.gaps[:first + 1].any()


def test_hostile_plays_every_length_and_resets_that_lose_frames_and_that_do_not():
    scenario = hostile(INFO, 5)
    assert set(range(1, 9)) <= set(scenario.lengths.tolist())  # 3 beats are a frame
    assert scenario.wrong(INFO).any() and not scenario.wrong(INFO).all()
    assert scenario.present(INFO).max() == INFO.n_in
    epochs = scenario.epochs
    assert [epoch.stop for epoch in epochs[:-1]] == [epoch.start for epoch in epochs[1:]]
    assert epochs[-1].stop == len(scenario.frames)
    assert {epoch.drained for epoch in epochs} == {True, False}
    assert not any(epoch.drained for epoch in epochs if scenario.cut[epoch.stop - 1])
    after_short = np.append(False, (scenario.lengths < INFO.beats_in)[:-1])
    assert (after_short & scenario.isolated & ~scenario.resets).any()
    assert (after_short & scenario.resets & ~scenario.isolated & (scenario.gaps[:, 0] == 0)).any()


def test_garbage_lies_only_in_bits_that_carry_no_element():
    info = replace(INFO, stream=StreamFormat(element_bits=10, container_bits=16, beat_bits=64),
                   n_in=6)
    x = np.random.default_rng(1).integers(-512, 512, (5, 6))
    scenario, plain, noisy = hostile(info, 5), 0, 0
    beats = iter(scenario.beats(info, x))
    for sample, length in zip(scenario.frames, scenario.lengths, strict=True):
        for place, right in zip(range(length), [*info.stream.pack(x)[sample], *[0] * 9],
                                strict=False):
            mask = info.stream.mask(6, place) if place < 2 else 0
            data = next(beats).data
            assert data & mask == right & mask
            plain, noisy = plain + (data == right), noisy + (data != right)
    assert noisy > plain
