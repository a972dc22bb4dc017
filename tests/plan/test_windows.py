"""Plans of windows that overlap: rings, programs of many frames, and what they save."""

from math import lcm

import numpy as np
import pytest

from gatefold.gen.frontends import load
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.plan.layout import Storage
from tests.plan.test_program import check
from tests.support.places import ROOT
from tests.support.windows import windowed

# network, hop, array, frames, other options: frames that fill chunks and that do not; windows that
# span many frames and two; strides, branches, an input that is read beside its copy; columns that
# leave; several dies, sequences, beats of a chunk
PLANS = [("stack", 1, (12, 4), 30, {}), ("stack", 2, (16, 3), 16, {}), ("stack", 5, (8, 2), 8, {}),
         ("stack", 3, (16, 2), 10, {"dies": 2, "cross": 2}),
         ("pooled", 2, (8, 3), 26, {"pipeline": "short"}), ("pooled", 6, (16, 4), 10, {}),
         ("branches", 1, (12, 4), 30, {}), ("branches", 4, (16, 2), 10, {"dies": 2, "cross": 2}),
         ("gated", 3, (8, 4), 9, {}),
         ("columns", 2, (8, 3), 9, {}), ("columns", 3, (12, 2), 7, {"contexts": 3})]


@pytest.mark.parametrize(("name", "hop", "array", "frames", "options"), PLANS, ids=str)
def test_a_program_keeps_every_distance_through_all_its_frames(name, hop, array, frames, options):
    """Recordings of two thirds of the frames: one with whole windows, and the beginning of one."""
    check(windowed(name, hop)[1], *array, frames=frames, anew=2 * frames // 3, **options)


def test_results_of_earlier_frames_stay_where_they_are():
    storage = Storage(simd=2)
    newest = storage.result(op=0, steps=2, size=4, frac=0, kept=2, places=3)
    words = {age: [storage.chunks[number].address for number in
                   np.unique(storage.aged(newest, age) // 2)] for age in range(3)}
    assert words == {0: [0, 1, 2, 3], 1: [8, 9, 10, 11], 2: [4, 5, 6, 7]}
    assert storage.phases == 3 and storage.oldest == 2
    for age in (0, 1):  # a frame later they are older, and there is room for the newest
        assert [storage.moved(word, 1) for word in words[age + 1]] == words[age]
    chunk = storage.chunks[storage.aged(newest, 2)[1, 2] // 2]
    assert (chunk.age, chunk.origin) == (2, (0, 1 - 2 * 2, 1))


@pytest.mark.parametrize(("name", "hop"), [("stack", 1), ("stack", 2), ("branches", 1)])
def test_all_rings_come_round_with_the_program(name, hop):
    plan = make_plan(windowed(name, hop)[1], Array(pe=16, simd=4))
    places = [ring.places for ring in plan.work.storage.rings]
    assert len(places) > 1 and lcm(*places) == plan.work.storage.phases <= 2 * max(places)
    assert sum(fields["last"] for fields in plan.program.instructions) == max(places)


# samples between windows: multiplications, latency, interval, instructions, places of the rings
FORUM = {80: (18_684_928, 8796, 8763, 5000, [8, 4, 2, 2])}


@pytest.mark.parametrize("hop", FORUM)
def test_what_the_forums_network_saves(hop):
    network = load(ROOT / "models/forum-cnn-lstm/forum-cnn-lstm.tflite")
    array = Array(pe=384, simd=8, stream_bits=128, packed=True)
    plan = make_plan(overlapping_integers(quantize(network), network, hop), array)
    assert (plan.bounds.multiplications, plan.cycles.latency, plan.cycles.interval,
            len(plan.program.instructions),
            [ring.places for ring in plan.work.storage.rings]) == FORUM[hop]
