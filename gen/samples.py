"""Samples of a network's inputs: to measure the error on, for test benches and for examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gatefold.gen.check import extreme_inputs, other_weights
from gatefold.gen.host.driver_files import EXAMPLES, write_examples
from gatefold.gen.measure.inference import run
from gatefold.gen.network.frames import some_samples, whole_frames
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Plan
from gatefold.sim.core_info import load_core_info
from gatefold.sim.expected import expectation
from gatefold.sim.testbench import write_cocotb_bench

__all__ = ["EXTREMES", "VECTORS", "newest", "sample_floats", "write_example_data",
           "write_vectors"]

VECTORS = 3  #: samples with whole windows in the cocotb bench,
EXTREMES = 3  #: and frames of samples that are chosen for what saturates on them
_MOST_BEATS = 20_000  # of a load of other weights in the cocotb bench
_ERROR_MACS = 300_000_000  # multiplications that measuring the error may take


def sample_floats(network: Network, data: np.ndarray | None, seed: int) -> np.ndarray:
    """Inputs to measure the error on and to make vectors of: some of ``data``, or seeded.

    As many as golden computes in about two seconds, 4 to 256 (:func:`some_samples`).
    """
    if data is not None:
        return some_samples(network, data, _ERROR_MACS, least=4, most=256)
    count = int(np.clip(_ERROR_MACS // max(1, network.macs), 4, 64))
    return np.random.default_rng(seed).standard_normal((count, *network.input_shape))


def newest(network: Network, windows: np.ndarray) -> np.ndarray:
    """Whole windows as frames of one recording, as many as are measured quickly, and a few more
    than a window spans."""
    hop, features = network.input_shape
    samples = windows.reshape(-1, features)
    least = network.spans + VECTORS
    samples = np.resize(samples, (max(least, len(samples) // hop) * hop, features))
    return some_samples(network, samples.reshape(-1, hop, features), _ERROR_MACS, least=least,
                        most=256)


def write_vectors(folder: Path, core: Path, plan: Plan, data: np.ndarray) -> None:
    """Write ``folder``/cocotb for the finished core in ``core``, its vectors from golden; those of
    a loadable core with other weights too, unless a load is long."""
    info, qnet = load_core_info(core), plan.qnet
    count = qnet.spans - 1 + VECTORS
    x = np.concatenate([whole_frames(qnet.quantize(data[:count]), info.contexts),
                        extreme_inputs(qnet, info, EXTREMES, 1)])
    expect, x = expectation(qnet, x, info.contexts), x.reshape(len(x) // info.contexts, -1)
    other = other_weights(plan, info, x, 1) if info.load_beats <= _MOST_BEATS else None
    write_cocotb_bench(folder / "cocotb", info, x, expect, other)


def write_example_data(folder: Path, qnet: QuantizedNetwork, contexts: int,
                       data: np.ndarray) -> None:
    """Write samples for the examples of the driver of the core in ``folder``."""
    samples = whole_frames(data[:VECTORS].astype(np.float32), contexts)
    write_examples(folder / EXAMPLES, samples, run(qnet, samples, contexts=contexts).y)
