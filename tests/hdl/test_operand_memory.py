"""OperandMemory: latency, halves, lane writes, and the first cycle in which a chunk can be read."""

import numpy as np
import pytest

from gatefold.hdl.operand_memory import OperandMemory
from tests.support.hdl_harness import draw, record, small

CONFIG = small()  # 2 x 6 chunks of x, 8 of h, 3 lanes
LATENCY = OperandMemory.latency


def run(inputs, cycles=0, config=CONFIG):
    seen = record(OperandMemory(config), inputs, [f"chunk[{n}]" for n in range(3)],
                  cycles=cycles)
    return np.stack(list(seen.values()), axis=1)


def test_latency_is_two():
    assert LATENCY == 2


def test_both_halves_of_the_input_memory():
    rng = np.random.default_rng(0)
    depth = CONFIG.x_depth
    data = draw(rng, 8, (2 * depth, 3))
    address = rng.permutation(2 * depth)
    reads = rng.integers(0, 2 * depth, 40)
    idle = np.zeros(2 * depth, int)
    seen = run({
        "write.en": [1] * (2 * depth) + [0], "write.frame": address // depth,
        "write.chunk": address % depth, "write.data": data, "read.from_x": [1],
        "read.frame": [*idle, *reads // depth], "read.chunk": [*idle, *reads % depth]},
        cycles=2 * depth + 40 + LATENCY)
    by_address = np.empty_like(data)
    by_address[address] = data
    at = 2 * depth + LATENCY
    np.testing.assert_array_equal(seen[at:at + 40], by_address[reads])


def test_h_memory_is_written_lane_by_lane():
    rng = np.random.default_rng(1)
    n, depth = 200, CONFIG.h_depth
    chunk, lanes = rng.integers(0, depth, n), rng.integers(0, 8, n)
    # Of few chunks: most are read while they are written, whole or in part.
    data, reads = draw(rng, 8, (n, 3)), np.where(rng.random(n) < 0.5, chunk, rng.integers(
        0, depth, n))
    seen = run({"result.lanes": [*lanes, 0], "result.chunk": chunk, "read.chunk": reads,
                "result.data": np.concatenate([np.full((1, 3), 99), data])}, cycles=n + LATENCY)
    memory, want = np.zeros((depth, 3), np.int64), []
    for k in range(n):
        mask = lanes[k] >> np.arange(3) & 1 == 1
        memory[chunk[k], mask] = data[k, mask]
        want.append(memory[reads[k]].copy())  # announced, and addressed in the same cycle
    np.testing.assert_array_equal(seen[LATENCY:], want)


@pytest.mark.parametrize("late", range(4))
def test_a_chunk_can_be_addressed_a_cycle_before_its_data_comes(late):
    seen = run({"result.lanes": [0, 0, 7, 0], "result.chunk": [5],
                "result.data": np.array([[9, 9, 9]] * 3 + [[1, -2, 3]] + [[9, 9, 9]]),
                "read.chunk": [0] * (1 + late) + [5]}, cycles=5 + late + LATENCY)
    at = 3 - OperandMemory.lead + late - 1  # one too early: what was there before
    np.testing.assert_array_equal(seen[at + LATENCY], [0, 0, 0] if late == 0 else [1, -2, 3])


def test_an_input_chunk_is_never_taken_for_one_of_h_that_comes():
    seen = run({"write.en": [1, 0], "write.chunk": [5], "write.data": np.array([[4, 5, 6]]),
                "result.lanes": [0, 7, 7, 0], "result.chunk": [5],
                "result.data": np.array([[1, 2, 3]]),
                "read.from_x": [1], "read.chunk": [5]}, cycles=6 + LATENCY)
    np.testing.assert_array_equal(seen[1 + LATENCY:], [[4, 5, 6]] * 5)


def test_the_memories_take_turns():
    # An input chunk, an h chunk, cycle by cycle: the choice travels with its address.
    seen = run({"write.en": [1, 0], "write.chunk": [2], "write.data": np.array([[9, 8, 7]]),
                "result.lanes": [7, 0], "result.chunk": [3],
                "result.data": np.array([[0, 0, 0], [-1, -2, -3]]),
                "read.from_x": [0, 1, 0, 0, 1], "read.chunk": [0, 2, 3, 3, 2]}, cycles=5 + LATENCY)
    np.testing.assert_array_equal(seen[1 + LATENCY:5 + LATENCY],
                                  [[9, 8, 7], [-1, -2, -3], [-1, -2, -3], [9, 8, 7]])


def test_a_stateful_cores_chunk_counts_as_zero_where_it_says_so():
    # The order travels with its address: of three reads of an input and of an h chunk, the middle.
    seen = run({"write.en": [1, 0], "write.chunk": [2], "write.data": np.array([[9, 8, 7]]),
                "result.lanes": [7, 0], "result.chunk": [3],
                "result.data": np.array([[0, 0, 0], [-1, -2, -3]]),
                "read.from_x": [0, 1, 1, 1, 0], "read.chunk": [0, 2, 2, 2, 3, 3, 3],
                "read.zero": [0, 0, 1, 0, 0, 1, 0]},
               cycles=7 + LATENCY, config=small(stateful=True))
    x, h, none = [9, 8, 7], [-1, -2, -3], [0, 0, 0]
    np.testing.assert_array_equal(seen[1 + LATENCY:7 + LATENCY], [x, none, x, h, none, h])
