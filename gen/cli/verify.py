"""``gatefold verify``: the RTL of a core against its golden model, in a simulator."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import declared, working
from gatefold.gen.options import VerifyOptions

__all__ = ["verify"]


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--input", "source", metavar="X.npy", help="Inputs as for `gatefold run`. "
              "Without it: typical, random and extreme inputs in turn, from a seed.")
@declared(VerifyOptions)
def verify(directory, source, **options):
    """Simulate the core in DIR and check every bit and cycle.

    The reference for values is the golden model (docs/numbers.md), for cycles the plan. The command
    compares the outputs, every value of every layer and step, the latency and the interval. It
    sends frames at full rate, with random gaps and stalls, a little too late, while the output is
    blocked, with wrong lengths and resets, and with inputs on which values saturate; a core that
    keeps its state begins new sequences at random frames. report.json then says what was verified.
    """
    from pathlib import Path

    with working("running the golden model") as say:
        from gatefold.gen.check import load_folder, verify_folder
        from gatefold.gen.cut.folder import load_host
        from gatefold.gen.cut.parts import frames_read

        qnet = load_folder(directory)
        data = None if source is None else frames_read(
            qnet, load_host(Path(directory)), source, "the input")
        result = verify_folder(directory, data, progress=say, **options)
    from gatefold.gen.html.words import in_turn
    from gatefold.gen.report import read_report

    stated = read_report(Path(directory))["cycles"]
    flows = ", ".join(f"{name} ({frames} frames)" for name, frames in result.scenarios.items())
    click.echo(f"{options['sim']}: {result.samples} samples equal golden: {flows}")
    click.echo(f"  outputs compared   {result.outputs}")
    click.echo(f"  values compared    {result.states}")
    if result.faults:
        click.echo(f"  faults told of     {result.faults}")
    click.echo(f"  latency            {result.latency} cycles measured, {stated['latency']} stated")
    click.echo(f"  interval           {result.interval} cycles measured, {stated['interval']} "
               f"stated{in_turn(stated)}")
    click.echo(f"  simulated          {result.cycles} cycles in {result.seconds:.1f} s")
