"""The sweep: quantise for each width, plan every array, keep what is done, tell what is best."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from gatefold.boards import Board
from gatefold.boards import get as get_board
from gatefold.gen.accuracy import error_report
from gatefold.gen.errors import UserError
from gatefold.gen.explore import cluster, workers
from gatefold.gen.explore.goals import AXES, best, front
from gatefold.gen.explore.identity import identity, job_key
from gatefold.gen.explore.journal import JOURNAL, Journal, check_folder, open_journal
from gatefold.gen.explore.point import Job, Point
from gatefold.gen.explore.settings import NUMBERS, Settings, checked_setting
from gatefold.gen.explore.space import quick_tiles, space
from gatefold.gen.flow import Budget, budget, check_steps, sample_floats
from gatefold.gen.frames import as_frames
from gatefold.gen.network import Network
from gatefold.gen.output import replace_files
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized import QuantizedNetwork
from gatefold.gen.synth import need_yosys

__all__ = ["Exploration", "Progress", "explore"]

#: Called with (work done, work in all, points done, points in all); work is about tiles.
Progress = Callable[[float, float, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What was found.

    Attributes: ``network``; ``board`` or None; ``limits``, what a core may use; ``clock_mhz``,
    assumed; ``settings``; ``data``, a text about what the error was measured on;
    ``points``, those that fit first, by rising latency; ``errors``, by width ``{"max_abs", "rms",
    "rms_relative"}`` against float; ``refused``, by width why it cannot be had.
    """

    network: Network
    board: Board | None
    limits: Budget
    clock_mhz: float
    settings: Settings
    data: str
    calibration: np.ndarray | None
    points: tuple[Point, ...]
    errors: Mapping[int, Mapping[str, float | None]]
    refused: Mapping[int, str]

    @property
    def relative(self) -> bool:
        """Whether errors are in % of the output's range; else the output is constant."""
        return all(error["rms_relative"] is not None for error in self.errors.values())

    def error(self, width: int) -> float:
        """The rms error of a width, in % of the output's range (absolute where that is 0)."""
        told = self.errors[width]
        relative = told["rms_relative"]
        return 100 * relative if self.relative and relative is not None else float(told["rms"] or 0)

    def latency_us(self, point: Point) -> float:
        """Microseconds from the first input beat to the last output beat."""
        return point.latency / self.clock_mhz

    def throughput(self, point: Point) -> float:
        """Inferences a second at full rate."""
        return point.contexts * 1e6 * self.clock_mhz / point.interval

    def allowed(self) -> list[Point]:
        """The points that fit and keep to ``max_error`` and ``max_latency``."""
        worst, slowest = self.settings.max_error, self.settings.max_latency
        return [p for p in self.points if p.fits
                and (worst is None or self.error(p.width) <= 100 * worst)
                and (slowest is None or self.latency_us(p) <= slowest)]

    def best(self, goal: str | None = None) -> Point | None:
        """The best by a goal, the settings' if None; None where no point is allowed."""
        errors = {width: self.error(width) for width in self.errors}
        return best(self.allowed(), goal or self.settings.goal, self.limits, errors)

    def fronts(self) -> dict[str, list[Point]]:
        """The Pareto front of latency against each of :data:`~.goals.AXES`."""
        values = {"dsp": lambda p: p.dsp, "bram36": lambda p: p.bram36,
                  "error": lambda p: self.error(p.width)}
        return {axis: front(self.points, values[axis]) for axis in AXES}

    def build_words(self, point: Point, model: str, calibrate: str | None,
                    out: str) -> list[str]:
        """The words of the ``gatefold build`` command that makes the point's core."""
        settings = self.settings
        words = ["gatefold", "build", model, "-o", out]
        words += ["--board", self.board.name] if self.board else []
        words += ["--calibrate", calibrate] if calibrate is not None else []
        words += ["--width", point.width, "--pe", point.pe, "--simd", point.simd]
        words += ["--contexts", point.contexts] if point.contexts > 1 else []
        words += ["--memory", point.placing] if point.placing != "auto" else []
        for name in (*NUMBERS, "clock", "seed"):
            value = getattr(settings, name)
            if value != next(f.default for f in fields(settings) if f.name == name):
                words += [f"--{name.replace('_', '-')}",
                          f"{value:g}" if isinstance(value, float) else value]
        return [str(word) for word in words]


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
    limits = budget(target)
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
        todo = space(qnets, limits, macs=macs or limits.multipliers, sizes=sizes, shapes=shapes,
                     contexts=settings.contexts, synth=synth)
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
            from gatefold.gen.explore.pages import write_pages

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
