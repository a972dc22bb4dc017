"""Verification for a user: choose inputs, run golden, simulate, compare, write the report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import array_digest
from gatefold.gen.files.names import CORE, INTEGERS
from gatefold.gen.files.sealed import check_sealed
from gatefold.gen.host.identity import identity
from gatefold.gen.host.memory import floats_in_memory, frames_in_memory
from gatefold.gen.network.frames import as_frames, as_recordings, input_names, whole_frames
from gatefold.gen.network.graph import joined
from gatefold.gen.network.overlap import frames_of
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.numbers.redrawn import redrawn
from gatefold.gen.options import checked
from gatefold.gen.plan import Plan
from gatefold.gen.plan.images import load_padding, number_images
from gatefold.gen.rare import furthest, rare_inputs
from gatefold.gen.report import read_report, set_verified
from gatefold.gen.store.folder import load_plan
from gatefold.gen.store.quantized_io import load_quantized
from gatefold.sim.core_info import CoreInfo, load_core_info
from gatefold.sim.expected import Expect, Other, expectation
from gatefold.sim.golden import golden
from gatefold.sim.host_info import HostInfo
from gatefold.sim.host_run import HostBench
from gatefold.sim.results import CheckFailed
from gatefold.sim.scenario import Counts
from gatefold.sim.verify import SIMULATORS, VerifyResult, verify

__all__ = ["EXTREMES", "check_core", "extreme_inputs", "load_folder", "other_weights",
           "registers_bench", "stimuli", "verify_folder"]

#: By default 64 samples, fewer (but at least so many) where a sample takes more of the simulator:
#: cycles times multipliers that all of them may take.
_LEAST_SAMPLES = {"verilator": 8, "icarus": 3, "amaranth": 3}
_MOST_SAMPLES = 64
_MANY = 720  #: frames of the scenario "many frames" at most,
_DRAWN = 4  # chosen from so many times as many
#: Multiplications a frame up to which Icarus runs descriptors, too.
_MOST_INTERPRETED = 100_000
_WORK = {"verilator": 50_000_000, "icarus": 40_000, "amaranth": 40_000}

#: Beats of results of a frame, for a plan that is made again.
_MOST_EVENTS = 20_000

#: Frames of a descriptor with registers: so many that the queues of the memory port fill up.
_MOST_FRAMES, _MOST_CYCLES = 200, 20_000
_WORDS = {"verilator": 640, "icarus": 160}
_SEQUENCE = 3  # frames of a sequence, of some descriptors of a stateful core

EXTREMES = 6  #: frames of the scenario "extreme"
_CANDIDATES = 32  # from which their samples are chosen, at most,
_SEARCH = 200_000_000  # and multiplications that golden may take for all of them


def load_folder(directory: str | os.PathLike) -> QuantizedNetwork:
    """The quantised network of an output folder.

    Raises :class:`UserError` if ``directory`` is no output folder, or a damaged one.
    """
    path, shown = Path(directory), quoted(directory)
    if not (path / CORE).is_file():
        wrong = f"there is no folder {shown}" if not path.exists() else (
            f"{shown} holds no {CORE}" if path.is_dir() else f"{shown} is a file")
        raise UserError(f"{wrong}: give a folder that `gatefold build -o` made")
    return load_quantized(path / INTEGERS)


def verify_folder(directory: str | os.PathLike, x=None, *, sim: str = "verilator",
                  samples: int | None = None, seed: int = 1,
                  progress: Callable[[str], None] | None = None) -> VerifyResult:
    """Verify the core in ``directory`` and write the outcome to its report.

    Parameters as of :func:`check_core`. A failed check removes the simulator from the report.
    Raises :class:`UserError`, and :class:`CheckFailed` at the first difference.
    """
    path, qnet = Path(directory), load_folder(directory)
    check_sealed(path, read_report(path))  # damage is refused before the work, not after
    try:
        result = check_core(path, qnet, x, sim=sim, samples=samples, seed=seed,
                            progress=progress)
    except CheckFailed:
        set_verified(path, sim, None)
        raise
    source = f"seeded random inputs, seed {seed}" if x is None else (
        f"given inputs, sha256 {array_digest(_given(qnet, x))}")
    set_verified(path, sim, result.as_dict() | {"input": source})
    return result


def check_core(folder: Path, qnet: QuantizedNetwork, x=None, *, sim: str = "verilator",
               samples: int | None = None, seed: int = 1,
               progress: Callable[[str], None] | None = None) -> VerifyResult:
    """Simulate the core in ``folder`` on ``x`` and compare it with golden.

    Parameters: ``x``, floats of any form that :func:`~.frames.as_frames` takes, or of a core whose
    windows overlap :func:`~.frames.as_recordings`, which are played as one; by default
    :func:`seeded_inputs`; ``samples``, their number (of ``x``, the first ones); ``seed`` of the
    inputs, and of the gaps and stalls; ``progress``, called with the name of each stage.
    """
    if sim not in SIMULATORS:
        raise UserError(f"--sim must be one of {', '.join(SIMULATORS)}, not {quoted(sim)}")
    checked("seed", seed)
    info = load_core_info(folder)
    frames, expect, counts = stimuli(info, qnet, x, folder=folder, sim=sim, samples=samples,
                                     seed=seed)
    host = json.loads((folder / CORE).read_text()).get("host")
    if sim == "amaranth" or (
            sim == "icarus" and info.interval * info.multipliers > _MOST_INTERPRETED):
        host = None  # no descriptors run
    loads = info.load_beats and sim != "amaranth"
    plan = load_plan(folder) if loads or host is not None else None
    other = None if plan is None else other_weights(plan, info, frames, seed)
    result = verify(folder, x=frames, extremes=counts.extremes, many=counts.many, expect=expect,
                    other=other, sim=sim, seed=seed, progress=progress)
    if plan is None or host is None:
        return result
    if progress is not None:
        progress(f"{sim} runs descriptors")
    with registers_bench(folder, plan, info, host, frames, expect, sim) as bench:
        played = bench.check()
    return replace(result, scenarios=result.scenarios | {"registers and memory": played})


def registers_bench(folder: Path, plan: Plan, info: CoreInfo, host: dict,
                    frames: np.ndarray, expect: Expect, sim: str,
                    flags: Sequence[str] = ()) -> HostBench:
    """The bench that runs descriptors on the core with registers, ``host`` in core.json; ``flags``
    of Verilator."""
    qnet = plan.qnet
    words = (host["in_bytes"] + host["out_bytes"]) * 8 // host["port_bits"]
    count = max(host["cycles"]["batch_frames"], min(
        _MOST_FRAMES, _WORDS[sim] // words, _MOST_CYCLES // info.interval))
    order = [n % len(frames) for n in range(count)]
    begins = np.arange(len(order)) == 0 if info.stateful else np.ones(len(order), bool)
    fracs_in = np.concatenate([np.full(int(np.prod(shape)), form.frac) for shape, form in zip(
        qnet.input_shapes, qnet.input_formats, strict=True)])
    # Every third frame is half zeros, which come of many floats.
    present = np.where(np.arange(count) % 3 == 2, info.n_in // 2, info.n_in)
    x = np.where(np.arange(info.n_in) < present[:, None], frames[order], 0)
    sequence = np.arange(count) % _SEQUENCE == 0
    given, wanted, sequences = (
        frames_in_memory(values, np.tile(fracs, info.contexts), io=host["io"],
                         container=info.stream.container_bits, size=host[size])
        for values, fracs, size in (
            (x, fracs_in, "in_bytes"),
            (expect(order, begins, present)[0], qnet.output_fracs, "out_bytes"),
            (expect(order, begins | sequence, present)[0], qnet.output_fracs, "out_bytes")))
    if host["io"] == "float32":
        given = floats_in_memory(x, np.tile(fracs_in, info.contexts), *(
            np.tile(side.reshape(-1), info.contexts) for side in qnet.input_limits()),
            size=host["in_bytes"])
    load = [] if not info.load_beats else [
        int(word, 16) for word in (folder / "weights" / "load.hex").read_text().split()]
    image = b"".join(beat.to_bytes(info.stream.beat_bits // 8, "little") for beat in load)
    cycles = host["cycles"]
    about = HostInfo(port_bits=host["port_bits"], in_bytes=host["in_bytes"],
                     out_bytes=host["out_bytes"], window=host["window"], load=image,
                     warm=info.latency + 200, frame=cycles["frame"],
                     window_frame=cycles["window"], batch=cycles["batch"],
                     batch_frames=cycles["batch_frames"], exact=cycles.get("exact", False),
                     sequence=_SEQUENCE, sequences=sequences if info.stateful else [],
                     constants=identity(plan, engines=host["engines"],
                                        float32=host["io"] == "float32"),
                     engines=host["engines"],
                     watching=host["engines"] if info.guard is not None else 0)
    return HostBench(folder, about, given, wanted, sim, flags=flags)


def stimuli(info: CoreInfo, qnet: QuantizedNetwork, x=None, *, folder: Path,
            sim: str = "verilator", samples: int | None = None, seed: int = 1
            ) -> tuple[np.ndarray, Expect, Counts]:
    """The frames that :func:`check_core` plays, integers (frames, n_in); what golden says of them;
    and how many are for which scenarios. Parameters as of :func:`check_core`.

    *Many frames* are played in Verilator on a small core, where neither inputs nor their number are
    given.
    """
    fit = info.contexts * _WORK[sim] // (info.interval * info.multipliers)
    least = _LEAST_SAMPLES[sim] + qnet.spans - 1  # with whole windows
    count = (max(least, min(_MOST_SAMPLES, fit)) if samples is None
             else checked("samples", samples))
    contexts, many = info.contexts, 0
    if x is None:
        if samples is None and sim == "verilator":
            many = max(0, min(_MANY, (fit - count) // contexts))
        integers = seeded_inputs(qnet, count, seed)
    else:
        integers = qnet.quantize(_given(qnet, x)[:count])
    strange = {layer.name for layer in info.layers} - {layer.name for layer in qnet.layers}
    if strange:
        raise UserError(f"{quoted(folder / CORE, limit=300)} is damaged (no layer is called "
                        f"{quoted(min(strange))}): build the folder again")
    integers = np.concatenate([whole_frames(integers, contexts),
                               extreme_inputs(qnet, info, EXTREMES, seed),
                               many_inputs(qnet, many * contexts, seed)])
    frames = integers.reshape(len(integers) // contexts, -1)
    return (frames, expectation(qnet, integers, contexts),
            Counts(len(frames) - EXTREMES - many, EXTREMES, many))


def other_weights(plan: Plan, info: CoreInfo, frames: np.ndarray, seed: int) -> Other | None:
    """Other weights for a loadable core, and what golden makes of ``frames``, integers (frames,
    n_in), with them; None for other cores, and where their images would take minutes.

    Bits of the load that mean nothing are random.
    """
    if not info.load_beats or plan.qnet.affine is not None or len(info.events) > _MOST_EVENTS:
        return None
    other = redrawn(plan.qnet, seed)
    plan, rng = plan.retrained(other), np.random.default_rng(seed)
    padding = load_padding(number_images(other, plan.work, plan.config), plan.config)
    bits = info.stream.beat_bits
    load = [beat | int.from_bytes(rng.bytes(bits // 8), "little") & mask
            for beat, mask in zip(plan.images()["load"], padding, strict=True)]
    return Other(load, expectation(other, frames, info.contexts))


def _given(qnet: QuantizedNetwork, x) -> np.ndarray:
    """A user's inputs as frames."""
    recordings = as_recordings(qnet, x)
    return as_frames(qnet, x) if recordings is None else frames_of(qnet, recordings)[0]


def seeded_inputs(qnet: QuantizedNetwork, samples: int, seed: int) -> np.ndarray:
    """Integers (samples, *input_shape): in turn typical values, values anywhere in the input's
    format, and values at its ends.
    """
    rng = np.random.default_rng(seed)
    shape = qnet.input_shape
    peaks = qnet.calibration.get("peaks", {})
    scale = joined([
        np.full((1, *part), (peaks.get(name) or form.hi * form.step) / 3)
        for name, part, form in zip(input_names(qnet), qnet.input_shapes, qnet.input_formats,
                                    strict=True)])
    lo, hi = (limits.reshape(shape) for limits in qnet.input_limits())
    made = [
        lambda: qnet.quantize(rng.standard_normal((1, *shape)) * scale)[0],
        lambda: rng.integers(lo, hi, endpoint=True),
        lambda: np.where(rng.random(shape) < 0.5, lo, hi),
    ]
    return np.stack([made[n % len(made)]() for n in range(samples)]).astype(np.int64)


def many_inputs(qnet: QuantizedNetwork, samples: int, seed: int) -> np.ndarray:
    """Integers (samples, *input_shape): inputs that drive outputs far, some of many seeded ones on
    which something rare happens (:mod:`.rare`), and others as they come."""
    if not samples:
        return np.zeros((0, *qnet.input_shape), np.int64)
    made = seeded_inputs(qnet, _DRAWN * samples, seed + 1)
    rare = np.concatenate([furthest(qnet, made[:samples], seed), made[rare_inputs(qnet, made)]])
    return np.concatenate([rare, made])[:samples]


def extreme_inputs(qnet: QuantizedNetwork, info: CoreInfo, frames: int, seed: int) -> np.ndarray:
    """Integers (frames * contexts, *input_shape) at the ends of the format of the input: those on
    which most tensors saturate, and most values of each, among some seeded ones.

    Held at its ends over all steps an input drives states further than random values do; states
    that are then driven the other way meet gates that are closed.
    """
    rng = np.random.default_rng(seed)
    shape, samples = qnet.input_shape, frames * info.contexts
    lo, hi = (limits.reshape(shape) for limits in qnet.input_limits())
    count = int(np.clip(_SEARCH * info.contexts // (info.interval * info.multipliers), 4,
                        _CANDIDATES))

    def candidate(n: int) -> np.ndarray:
        up = np.full(shape[-1], n == 0) if n < 2 else rng.random(shape[-1]) < 0.5
        turned = (np.arange(shape[0]) >= rng.integers(1, shape[0] + 1)) & (n % 2 == 0) & (n > 1)
        return np.where(up ^ turned.reshape(-1, *[1] * (len(shape) - 1))
                        if len(shape) > 1 else up, hi, lo)

    made = np.stack([candidate(n) for n in range(count)]).astype(np.int64)
    best: dict[tuple[str, str], tuple[int, int]] = {}  # (count, candidate) of each tensor
    for n in range(count):
        counts: dict = {}
        golden(qnet, made[n:n + 1], saturations=counts)
        for layer, tensors in counts.items():
            for tensor, found in tensors.items():
                best[layer, tensor] = max(best.get((layer, tensor), (0, 0)), (found["count"], n))
    chosen = [n for _, n in sorted((best[tensor] for tensor in best), reverse=True)]
    order = list(dict.fromkeys([*chosen, *range(count)]))
    return made[[order[n % len(order)] for n in range(samples)]]
