"""The sweep: quantise for each width, plan every array, keep what is done, tell what is best."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gatefold.boards import get as get_board
from gatefold.gen.errors import UserError
from gatefold.gen.explore import cluster, workers
from gatefold.gen.explore.exploration import Exploration
from gatefold.gen.explore.identity import identity, job_key
from gatefold.gen.explore.journal import JOURNAL, Journal, check_folder, open_journal
from gatefold.gen.explore.pages import write_pages
from gatefold.gen.explore.point import Job, Point
from gatefold.gen.explore.settings import Settings, checked_setting
from gatefold.gen.explore.space import quick_tiles, space
from gatefold.gen.files.output import replace_files
from gatefold.gen.flow import check_steps, sample_floats
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.network.frames import as_frames
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Budget
from gatefold.gen.synth import need_yosys

__all__ = ["Progress", "explore"]

#: Called with (work done, work in all, points done, points in all); work is about tiles.
Progress = Callable[[float, float, int, int], None]


def explore(network: Network, *, board: str | None = None, out: str | os.PathLike | None = None,
            calibrate=None, widths: Sequence[int] = (8, 12, 16), contexts: Sequence[int] = (1,),
            cell_width: int = 18, table_bits: int | None = None, rule: str = "max",
            weight_rule: str = "max", percentile: float = 99.9, macs: int | None = None,
            sizes: int = 5, shapes: int = 6, clock: float | None = None, seed: int = 0,
            goal: str = "latency", max_error: float | None = None,
            max_latency: float | None = None, synth: bool = False, jobs: int = 1,
            dask: str | None = None, fresh: bool = False,
            progress: Progress | None = None) -> Exploration:
    """Plan cores of many arrays and widths for ``network`` and tell what each takes and gives.

    Parameters: ``board``, ``calibrate``, ``cell_width``, ``table_bits``, ``rule``,
    ``weight_rule``, ``percentile``, ``macs``, ``clock`` and ``seed`` as
    :func:`gatefold.compile` takes them; ``widths``, ``contexts``, ``sizes``, ``shapes``,
    ``goal``, ``max_error``, ``max_latency`` and ``synth`` as :class:`Settings`; ``out``, a folder
    for the tables and plots, in which finished points are kept: the same call goes on where it was
    interrupted, unless ``fresh``; ``jobs``, processes on this machine (a script that asks for more
    than one must call this below ``if __name__ == "__main__":``), or ``dask``, the address of a
    scheduler.

    Raises :class:`UserError` for illegal or contradicting options, bad data, and where no array can
    be planned. Points that do not fit the board are part of the result.
    """
    settings = Settings(widths=widths, contexts=contexts, cell_width=cell_width,
                        table_bits=table_bits, rule=rule, weight_rule=weight_rule,
                        percentile=percentile, macs=macs,
                        sizes=sizes, shapes=shapes, clock=clock, seed=seed, goal=goal,
                        max_error=max_error, max_latency=max_latency, synth=synth)
    if synth:
        need_yosys()
    checked_setting("jobs", jobs)
    target = None if board is None else get_board(board)
    limits = Budget.of(target)
    check_steps(network, max(settings.contexts))
    if macs is not None and macs > limits.multipliers:
        raise UserError(f"--macs must be at most {limits.multipliers} for {limits.name}, "
                        f"not {macs}: choose fewer")
    if dask is not None:
        if jobs > 1:
            raise UserError("--jobs and --dask contradict each other: a cluster has its own number "
                            "of workers, leave --jobs out")
        cluster.check_address(dask)
    folder = None if out is None else check_folder(out)
    calibration = None if calibrate is None else as_frames(network, calibrate,
                                                           "the calibration data")
    known = identity(network, calibration, board=board, seed=seed, numbers=settings.numbers)

    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(open_journal(folder, known, fresh=fresh)) if folder else None
        qnets, refused = _quantised(network, calibration, settings)
        todo = space(qnets, replace(limits, multipliers=macs or limits.multipliers), sizes=sizes,
                     shapes=shapes, contexts=settings.contexts, synth=synth)
        data = sample_floats(network, calibration, seed)
        errors = {width: _error(network, qnet, data) for width, qnet in qnets.items()}
        if max_error is not None and any(e["rms_relative"] is None for e in errors.values()):
            raise UserError("--max-error needs outputs that differ, but the network's is constant "
                            "on the data: leave it out, or give other data with --calibrate")
        found = _points(todo, qnets, limits, known, journal, jobs, dask, progress)
        source = f"random inputs, seed {seed}" if calibration is None else "the calibration data"
        result = Exploration(
            network=network, board=target, limits=limits, settings=settings,
            clock_mhz=float(clock or limits.clock_mhz), data=f"{len(data)} samples of {source}",
            calibration=calibration, points=tuple(sorted(found, key=_order)), errors=errors,
            refused=refused)
        if folder and journal:
            with replace_files(folder) as staged:
                write_pages(staged, result)
                (staged / JOURNAL).write_bytes(Journal.text(known, journal.known))
    return result


def _order(point: Point):
    return not point.fits, not point.planned, point.latency, point.dsp, point.lut, point.place


def _quantised(network: Network, calibration, settings: Settings
               ) -> tuple[dict[int, QuantizedNetwork], dict[int, str]]:
    """The networks by width, and why some cannot be had; :class:`UserError` where none can."""
    qnets, refused = {}, {}
    for width in settings.widths:
        try:
            qnets[width] = quantize(network, act_width=width, weight_width=width,
                                    calibration=calibration, seed=settings.seed,
                                    **settings.numbers)
        except UserError as error:
            refused[width] = str(error)
    if not qnets:
        raise UserError(refused[settings.widths[-1]])
    return qnets, refused


def _error(network: Network, qnet: QuantizedNetwork, data: np.ndarray) -> dict:
    told = error_report(network, qnet, data)
    return {key: told[key] for key in ("max_abs", "rms", "rms_relative")}


def _points(todo: Sequence[Job], qnets, limits: Budget, known: dict, journal: Journal | None,
            jobs: int, dask: str | None, progress: Progress | None) -> list[Point]:
    """Every job's points, those in the journal first."""
    keys = {job: job_key(known, job) for job in todo}
    done = {} if journal is None else {
        job: journal.known[key] for job, key in keys.items() if key in journal.known}
    rest = [job for job in todo if job not in done]
    work, finished = sum(quick_tiles(qnets, job) for job in rest), 0.0
    if progress:
        progress(0, work, len(done), len(todo))
    if rest:
        with contextlib.closing(_run(rest, qnets, limits, jobs, dask)) as results:
            for job, points in results:
                done[job] = points
                if journal:
                    journal.add(keys[job], points)
                finished += quick_tiles(qnets, job)
                if progress:
                    progress(finished, work, len(done), len(todo))
    return [point for job in todo for point in done[job]]


def _run(jobs: Sequence[Job], qnets, limits: Budget, count: int, dask: str | None):
    if dask is not None:
        return cluster.on_cluster(jobs, qnets, limits, dask)
    if count > 1 and len(jobs) > 1:
        return workers.processes(jobs, qnets, limits, count)
    return workers.here(jobs, qnets, limits)
