"""``gatefold explore``: the design space of a model on a board."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator

import click

from gatefold.boards import BOARDS
from gatefold.gen.cli.shell import description, number, numbers
from gatefold.gen.errors import UserError

__all__ = ["explore"]

# The goals are spelled out here, and tests compare them: --help must not import the planner.
_GOALS = "latency|throughput|area|energy-proxy"


@click.command()
@click.argument("model")
@click.option("-o", "--output", metavar="DIR", help="The folder for tables and plots (required). "
              "Finished cores are kept in it: the same command goes on where it was interrupted.")
@description
@click.option("--board", metavar="|".join(BOARDS), help="The board that the cores must fit. "
              "Without it: at most 256 multipliers, 128-bit streams, a clock of 300 MHz.")
@click.option("--calibrate", metavar="X.npz", help="Representative inputs as for `gatefold build`; "
              "the error is measured on them.")
@click.option("--widths", metavar="N,N,...", default="8,12,16", show_default=True,
              help="Bits of weights and activations to try.")
@click.option("--contexts", metavar="N,N,...", default="1", show_default=True,
              help="Numbers of sequences to interleave in a frame: more give throughput.")
@numbers
@number("macs", "The most multipliers to use")
@click.option("--sizes", metavar="N", default="5", show_default=True,
              help="How many sizes, each half of the one before.")
@click.option("--shapes", metavar="N", default="6", show_default=True,
              help="How many arrays of each size and width.")
@number("clock", "The clock to assume; else the board's")
@number("seed", "Seed of random inputs", default=0, show_default=True)
@click.option("--goal", metavar=_GOALS, default="latency", show_default=True,
              help="What the best core, whose command is printed, is best at.")
@click.option("--max-error", metavar="1%", help="The best may have at most this error (RMS), a "
              "part of the outputs' range.")
@click.option("--max-latency", metavar="US", help="The best may take at most these microseconds.")
@click.option("--synth", is_flag=True, help="Also synthesise every core that fits with Yosys, "
              "component by component: minutes each (pip install \"gatefold[synth]\").")
@click.option("--jobs", metavar="N", help="Processes on this machine; as many as its cores if not "
              "given.")
@click.option("--dask", metavar="tcp://HOST:PORT", help="Plan on the workers of this Dask "
              "scheduler instead (pip install \"gatefold[dask]\").")
@click.option("--fresh", is_flag=True, help="Throw away what DIR holds of an earlier exploration.")
def explore(model, output, description, board, calibrate, widths, contexts, cell_width, table_bits,
            rule, weight_rule, percentile, macs, sizes, shapes, clock, seed, goal, max_error,
            max_latency, synth, jobs, dask, fresh):
    """Plan many cores for MODEL and show what each takes and gives.

    \b
    gatefold explore model.keras --board zcu104 --calibrate x.npz -o space
    gatefold explore model.keras --board zcu104 -o space --goal area --max-latency 50

    DIR gets explore.md and explore.json, every core with latency, throughput, error, resources and
    an energy proxy, and Pareto plots of latency against DSPs, block RAM and error.
    """
    if output is None:
        raise UserError("-o DIR is missing: name the folder to make")
    if dask is not None and jobs is not None:
        raise UserError("--jobs and --dask contradict each other: a cluster has its own number of "
                        "workers, leave --jobs out")

    from gatefold.gen.explore import explore as sweep
    from gatefold.gen.explore.journal import check_folder
    from gatefold.gen.explore.settings import Settings, parsed_list, parsed_setting
    from gatefold.gen.frontends import load
    from gatefold.gen.measure.search import parsed_error
    from gatefold.gen.network.frames import read_frames

    limits = {name.replace("-", "_"): parsed_setting(name, text) for name, text in (
        ("sizes", sizes), ("shapes", shapes), ("max-latency", max_latency),
        ("jobs", jobs)) if text is not None}
    if max_error is not None:
        limits["max_error"] = parsed_error(max_error)
    processes = limits.pop("jobs", 1 if dask else os.cpu_count() or 1)
    options = {"widths": parsed_list("widths", widths),
               "contexts": parsed_list("contexts", contexts), "cell_width": cell_width,
               "table_bits": table_bits, "rule": rule, "weight_rule": weight_rule,
               "percentile": percentile,
               "macs": macs, "clock": clock, "seed": seed, "goal": goal, "synth": synth, **limits}
    Settings(**options)
    check_folder(output)
    network = load(model, network=description)
    data = None if calibrate is None else read_frames(network, calibrate, "the calibration data")
    with _progress() as told:
        found = sweep(network, board=board, out=output, calibrate=data, jobs=processes, dask=dask,
                      fresh=fresh, progress=told, **options)
    for line in _summary(found, model, description, calibrate, output):
        click.echo(line)


def _summary(found, model: str, description: str | None, calibrate: str | None,
             output: str) -> Iterator[str]:
    fitting = sum(point.fits for point in found.points)
    yield f"{len(found.points)} cores, {fitting} fit: {os.path.join(output, 'explore.md')}"
    for width, reason in found.refused.items():
        yield f"{width} bits cannot be had: {reason}"
    best, goal = found.best(), found.settings.goal
    if best is None:
        yield ("no core fits within the limits: see why in the table, or allow more with "
               "--max-error, --max-latency or a larger board")
        return
    unit = " % of the range" if found.relative else ""
    yield (f"best by {goal}: {best.pe} x {best.simd} at {best.width} bits, {best.latency} cycles "
           f"({found.latency_us(best):.2f} us at {found.clock_mhz:g} MHz), "
           f"{found.throughput(best):.0f} inferences/s, error {found.error(best.width):.3g}{unit}")
    yield (f"it takes about {best.dsp} DSPs, {best.bram36:g} block RAMs, "
           f"{best.uram} UltraRAMs, {best.lut} LUTs; energy "
           f"proxy {best.energy}")
    described = [] if description is None else ["--network", description]
    yield shlex.join([*found.build_words(best, model, calibrate, "core"), *described])


@contextlib.contextmanager
def _progress() -> Iterator:
    """A bar on standard error with the time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
               TextColumn("left"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("quantising", total=None)
        yield lambda done, total, points, of: bar.update(
            task, completed=done, total=total or 1, description=f"{points} of {of} arrays")
