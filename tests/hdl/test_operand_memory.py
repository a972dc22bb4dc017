"""OperandMemory: latency, halves, lane writes, and the first cycle in which a chunk can be read."""

from dataclasses import replace

import numpy as np
import pytest

from gatefold.hdl.dies import sources
from gatefold.hdl.operand_memory import OperandMemory
from tests.support.hdl_harness import draw, record, small


class Reads:
    """The memory of an engine: 2 x 6 chunks of x, 8 of h, 3 lanes."""

    def __init__(self, reach):
        self.config = small(reach=reach)
        self.latency = OperandMemory.latency(self.config)

    def __call__(self, inputs, cycles=0, **changes):
        seen = record(OperandMemory(replace(self.config, **changes)), inputs,
                      [f"chunk[{n}]" for n in range(3)], cycles=cycles)
        return np.stack(list(seen.values()), axis=1)


@pytest.fixture(params=[0, 1], ids="reach {}".format)
def run(request):
    """Without and with a register of its own."""
    return Reads(request.param)


def test_latency(run):
    assert run.latency == 1 + run.config.reach


def test_both_halves_of_the_input_memory(run):
    rng = np.random.default_rng(0)
    depth = run.config.x_depth
    data = draw(rng, 8, (2 * depth, 3))
    address = rng.permutation(2 * depth)
    reads = rng.integers(0, 2 * depth, 40)
    idle = np.zeros(2 * depth, int)
    seen = run({
        "write.en": [1] * (2 * depth) + [0], "write.frame": address // depth,
        "write.chunk": address % depth, "write.data": data, "read.from_x": [1],
        "read.frame": [*idle, *reads // depth], "read.chunk": [*idle, *reads % depth]},
        cycles=2 * depth + 40 + run.latency)
    by_address = np.empty_like(data)
    by_address[address] = data
    at = 2 * depth + run.latency
    np.testing.assert_array_equal(seen[at:at + 40], by_address[reads])


def test_h_memory_is_written_lane_by_lane(run):
    rng = np.random.default_rng(1)
    n, depth = 200, run.config.h_depth
    chunk, lanes = rng.integers(0, depth, n), rng.integers(0, 8, n)
    # Of few chunks: most are read while they are written, whole or in part.
    data, reads = draw(rng, 8, (n, 3)), np.where(rng.random(n) < 0.5, chunk, rng.integers(
        0, depth, n))
    seen = run({"result.lanes": [*lanes, 0], "result.chunk": chunk, "read.chunk": reads,
                "result.data": np.concatenate([np.full((1, 3), 99), data])}, cycles=n + run.latency)
    memory, want = np.zeros((depth, 3), np.int64), []
    for k in range(n):
        mask = lanes[k] >> np.arange(3) & 1 == 1
        memory[chunk[k], mask] = data[k, mask]
        want.append(memory[reads[k]].copy())  # announced, and addressed in the same cycle
    np.testing.assert_array_equal(seen[run.latency:], want)


# the die; bank, whether absolute: whose chunk it reads
BANKS = [(0, 0, 0, 0), (0, 1, 0, 1), (0, 2, 0, 2), (1, 0, 0, 1), (1, 1, 0, 0), (1, 2, 0, 2),
         (2, 1, 0, 0), (1, 0, 1, 0), (1, 2, 1, 2), (2, 1, 1, 1)]


@pytest.mark.parametrize("late", range(1, 4))
@pytest.mark.parametrize(("die", "bank", "absolute", "source"), BANKS)
def test_each_die_has_a_bank_of_every_die(run, die, bank, absolute, source, late):
    # All dies' chunks come at once, to one word; of each it can be read as early as of its own.
    ports = dict(zip(sources(die, 3), ("result", "others[0]", "others[1]"), strict=True))
    writes = {f"{port}.lanes": [0, 7, 0] for port in ports.values()}
    writes |= {f"{port}.chunk": [5] for port in ports.values()}
    writes |= {f"{port}.data": np.array([[0] * 3, [0] * 3, [n + 1, -n, n]])
               for n, port in ports.items()}
    config = replace(run.config, pe=12, dies=3)
    seen = record(OperandMemory(config, die=die), {
        **writes, "read.chunk": [0] * late + [5], "read.bank": [bank],
        "read.absolute": [absolute]}, [f"chunk[{n}]" for n in range(3)],
        cycles=late + run.latency + 1)
    got = np.stack(list(seen.values()), axis=1)[late + run.latency]
    np.testing.assert_array_equal(got, [source + 1, -source, source])


@pytest.mark.parametrize("late", range(4))
def test_a_chunk_can_be_addressed_a_cycle_before_its_data_comes(run, late):
    seen = run({"result.lanes": [0, 0, 7, 0], "result.chunk": [5],
                "result.data": np.array([[9, 9, 9]] * 3 + [[1, -2, 3]] + [[9, 9, 9]]),
                "read.chunk": [0] * (1 + late) + [5]}, cycles=5 + late + run.latency)
    at = 3 - OperandMemory.lead + late - 1  # one too early: what was there before
    np.testing.assert_array_equal(seen[at + run.latency], [0, 0, 0] if late == 0 else [1, -2, 3])


def test_an_input_chunk_is_never_taken_for_one_of_h_that_comes(run):
    seen = run({"write.en": [1, 0], "write.chunk": [5], "write.data": np.array([[4, 5, 6]]),
                "result.lanes": [0, 7, 7, 0], "result.chunk": [5],
                "result.data": np.array([[1, 2, 3]]),
                "read.from_x": [1], "read.chunk": [5]}, cycles=6 + run.latency)
    np.testing.assert_array_equal(seen[1 + run.latency:], [[4, 5, 6]] * 5)


def test_the_memories_take_turns(run):
    # An input chunk, an h chunk, cycle by cycle: the choice travels with its address.
    seen = run({"write.en": [1, 0], "write.chunk": [2], "write.data": np.array([[9, 8, 7]]),
                "result.lanes": [7, 0], "result.chunk": [3],
                "result.data": np.array([[0, 0, 0], [-1, -2, -3]]),
                "read.from_x": [0, 1, 0, 0, 1], "read.chunk": [0, 2, 3, 3, 2]},
               cycles=5 + run.latency)
    np.testing.assert_array_equal(seen[1 + run.latency:5 + run.latency],
                                  [[9, 8, 7], [-1, -2, -3], [-1, -2, -3], [9, 8, 7]])


def test_a_stateful_cores_chunk_counts_as_zero_where_it_says_so(run):
    # The order travels with its address: of three reads of an input and of an h chunk, the middle.
    seen = run({"write.en": [1, 0], "write.chunk": [2], "write.data": np.array([[9, 8, 7]]),
                "result.lanes": [7, 0], "result.chunk": [3],
                "result.data": np.array([[0, 0, 0], [-1, -2, -3]]),
                "read.from_x": [0, 1, 1, 1, 0], "read.chunk": [0, 2, 2, 2, 3, 3, 3],
                "read.zero": [0, 0, 1, 0, 0, 1, 0]},
               cycles=7 + run.latency, stateful=True)
    x, h, none = [9, 8, 7], [-1, -2, -3], [0, 0, 0]
    np.testing.assert_array_equal(seen[1 + run.latency:7 + run.latency], [x, none, x, h, none, h])
