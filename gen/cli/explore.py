"""``gatefold explore``: the design space of a model on a board."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator

import click

from gatefold.gen.cli.shell import FAILED, FINE, cuts, declared, description, states, timesteps
from gatefold.gen.errors import UserError
from gatefold.gen.options import LIMITS, ExploreOptions

__all__ = ["explore"]


@click.command()
@click.argument("model")
@click.option("-o", "--output", metavar="DIR", help="The folder for tables and plots (required). "
              "It also keeps finished cores, so that the same command goes on where it was "
              "interrupted.")
@description
@click.option("--calibrate", metavar="X.npz", help="Representative inputs as for `gatefold build`; "
              "the error is measured on them.")
@declared(ExploreOptions)
@timesteps
@states
@cuts
def explore(model, output, description, calibrate, timesteps, sized, states, cut, first, last,
            **options):
    """Plan many cores for MODEL and compare their cost and speed.

    \b
    gatefold explore model.keras --board zcu104 --calibrate x.npz -o space
    gatefold explore model.keras --board zcu104 -o space --goal area --max-latency 50

    DIR gets explore.md and explore.json with the latency, throughput, error, resources and energy
    proxy of every core, and Pareto plots of latency against DSPs, block RAM and error. The array
    that `gatefold build` chooses is always among them. Below 12 bits the error is that of a core
    whose input is not split; `gatefold build` may split it. The exit code is 1 if no core keeps
    the limits.
    """
    if output is None:
        raise UserError("-o DIR is missing: name the folder to make")
    if options["jobs"] is None and options["dask"] is None:
        options["jobs"] = min(os.cpu_count() or 1, LIMITS["jobs"].hi)
    ExploreOptions(**options)  # what is illegal is refused before anything is read

    from gatefold.gen.cut.parts import arrays_read
    from gatefold.gen.explore import explore as sweep
    from gatefold.gen.explore.journal import check_folder
    from gatefold.gen.frontends import load
    from gatefold.gen.frontends.cuts import Cut
    from gatefold.gen.frontends.sizes import Sizes

    check_folder(output)
    given, parts = Sizes.read(timesteps, sized), Cut.read(cut, first, last)
    network = load(model, network=description, timesteps=given.timesteps, sizes=given.named,
                   cut=parts, states=states)
    data = None if calibrate is None else arrays_read(network, calibrate, "the calibration data")
    with _progress() as progress:
        found = sweep(network, out=output, calibrate=data, progress=progress, **options)
    more = [*([] if description is None else ["--network", description]), *given.words,
            *([] if states == "auto" else ["--state", states]),
            *([] if parts is None else parts.words)]
    for line in _summary(found, model, more, calibrate, output):
        click.echo(line)
    return FINE if found.best() else FAILED


def _summary(found, model: str, more: list[str], calibrate: str | None,
             output: str) -> Iterator[str]:
    fitting = sum(point.fits for point in found.points)
    yield f"{len(found.points)} cores, {fitting} fit: {os.path.join(output, 'explore.md')}"
    for width, reason in found.refused.items():
        yield f"{width} bits are not possible: {reason}"
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
    yield shlex.join([*found.build_words(best, model, calibrate, "core"), *more])


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
