"""The sweep: quantise for each width, plan every array, keep finished points, find the best."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatefold.boards import get as get_board
from gatefold.gen.cut.parts import frames_given, random_frames
from gatefold.gen.errors import UserError
from gatefold.gen.explore import cluster, workers
from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.identity import identity, job_key
from gatefold.gen.explore.journal import JOURNAL, Journal, check_folder, open_journal
from gatefold.gen.explore.pages import write_pages
from gatefold.gen.explore.point import Job, Point
from gatefold.gen.explore.space import quick_tiles, space
from gatefold.gen.files.output import replace_files
from gatefold.gen.limits import check_steps, packed_limits
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.measure.rules import fixed_rules, output_bits, quantize_measured
from gatefold.gen.network.graph import Network
from gatefold.gen.network.overlap import overlapping
from gatefold.gen.numbers.formats import rules
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.qint8 import WEIGHTS
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import FORMATS, ExploreOptions, takes
from gatefold.gen.plan import Budget
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.samples import newest, sample_floats
from gatefold.gen.synth import need_yosys

__all__ = ["Progress", "explore"]

#: Called with (work done, work in all, points done, points in all); work is about tiles.
Progress = Callable[[float, float, int, int], None]


@takes(ExploreOptions)
def explore(network: Network, *, out: str | os.PathLike | None = None, calibrate=None,
            progress: Progress | None = None, **options: Any) -> Exploration:
    """Plan cores of many arrays and widths for ``network``: cycles, error and resources of each.

    Parameters: ``out``, a folder for the tables and plots, in which finished points are kept: the
    same call goes on where it was interrupted; ``calibrate``, as :func:`gatefold.compile` takes it;
    ``progress``, see :data:`Progress`; and the options below. A script that asks for more than one
    of ``jobs`` must call this below ``if __name__ == "__main__":``.

    Raises :class:`UserError` for options that are unknown, illegal or contradict each other, for
    bad data, and where no array can be planned. Points that do not fit the board are part of the
    result.
    """
    settings = ExploreOptions.made(options)
    fixed = fixed_rules(settings.rule, settings.weight_rule)
    rules(fixed["rule"], fixed["weight_rule"], settings.percentile)
    if settings.synth:
        need_yosys()
    target = None if settings.board is None else get_board(settings.board)
    limits = packed_limits(network, Budget.of(target, clock_mhz=settings.clock), settings)
    limits = limits.within(settings.macs)
    frames = None if settings.hop is None else overlapping(network, settings.hop)
    check_steps(network, max(settings.contexts))
    if settings.dask is not None:
        cluster.check_address(settings.dask)
    folder = None if out is None else check_folder(out)
    calibration = None if calibrate is None else frames_given(
        network, network.around, calibrate, "the calibration data")
    if calibration is None and network.around is not None and network.around.before:
        calibration = random_frames(network.around, settings.seed)
    known = identity(network, calibration, settings)

    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(open_journal(
            folder, known, fresh=settings.fresh)) if folder else None
        qnets, refused = _quantised(network, calibration, settings, limits)
        todo = space(qnets, limits, settings)
        data = sample_floats(network, calibration, settings.seed)
        if frames is not None:
            network, data = frames, newest(frames, data)
        errors = {width: _error(network, qnet, data) for width, qnet in qnets.items()}
        if settings.max_error is not None and any(
                error["rms_relative"] is None for error in errors.values()):
            raise UserError("--max-error needs outputs that differ, but the network's is constant "
                            "on the data: leave it out, or give other data with --calibrate")
        found = _points(todo, qnets, limits, known, journal, settings, progress)
        source = ("the calibration data" if calibrate is not None else
                  f"random inputs, seed {settings.seed}")
        result = Exploration(
            network=network, board=target, limits=limits, settings=settings,
            clock_mhz=float(limits.clock_mhz),
            data=f"{len(data)} samples of {source}",
            calibration=None if calibrate is None else calibration,
            points=tuple(sorted(found, key=_order)), errors=errors, refused=refused)
        if folder and journal:
            with replace_files(folder) as staged:
                write_pages(staged, result)
                (staged / JOURNAL).write_bytes(Journal.text(known, journal.known))
    return result


def _order(point: Point):
    return not point.fits, not point.planned, point.latency, point.dsp, point.lut, point.place


def _quantised(network: Network, calibration, settings: ExploreOptions, limits: Budget
               ) -> tuple[dict[int, QuantizedNetwork], dict[int, str]]:
    """The networks by width, and why other widths fail; :class:`UserError` where all do."""
    if network.affine is not None:
        return {WEIGHTS.width: _of_frames(network, quantize(network), settings)}, {}
    qnets, refused = {}, {}
    for width in settings.widths:
        try:
            formats = settings.named(FORMATS)
            if settings.output_width is None:
                formats["output_width"] = output_bits(network, width, limits.stream_bits)
            qnet = quantize_measured(network, act_width=width, weight_width=width,
                                     calibration=calibration, seed=settings.seed,
                                     places=1,  # arrays come later, of any size
                                     carry_inputs=settings.hop is None, **formats)
            qnets[width] = _of_frames(network, qnet, settings)
        except UserError as error:
            refused[width] = str(error)
    if not qnets:
        raise UserError(refused[settings.widths[-1]])
    return qnets, refused


def _of_frames(network: Network, qnet: QuantizedNetwork, settings: ExploreOptions
               ) -> QuantizedNetwork:
    """``qnet``, or with ``hop`` the same for frames of new samples."""
    return qnet if settings.hop is None else overlapping_integers(qnet, network, settings.hop)


def _error(network: Network, qnet: QuantizedNetwork, data: np.ndarray) -> dict:
    error = error_report(network, qnet, data)
    return {key: error[key] for key in ("max_abs", "rms", "rms_relative")}


def _points(todo: Sequence[Job], qnets, limits: Budget, known: dict, journal: Journal | None,
            settings: ExploreOptions, progress: Progress | None) -> list[Point]:
    """Every job's points, those in the journal first."""
    keys = {job: job_key(known, job) for job in todo}
    done = {} if journal is None else {
        job: journal.known[key] for job, key in keys.items() if key in journal.known}
    rest = [job for job in todo if job not in done]
    rankings = {width: Ranking(qnet) for width, qnet in qnets.items()}
    work, finished = sum(quick_tiles(rankings, job) for job in rest), 0.0
    if progress:
        progress(0, work, len(done), len(todo))
    if rest:
        with contextlib.closing(_run(rest, qnets, limits, settings)) as results:
            for job, points in results:
                done[job] = points
                if journal:
                    journal.add(keys[job], points)
                finished += quick_tiles(rankings, job)
                if progress:
                    progress(finished, work, len(done), len(todo))
    return [point for job in todo for point in done[job]]


def _run(jobs: Sequence[Job], qnets, limits: Budget, settings: ExploreOptions):
    if settings.dask is not None:
        return cluster.on_cluster(jobs, qnets, limits, settings.dask)
    if (settings.jobs or 1) > 1 and len(jobs) > 1:
        return workers.processes(jobs, qnets, limits, settings.jobs or 1)
    return workers.here(jobs, qnets, limits)
