"""``gatefold inspect``: what is in a model file, and what keeps it from being built."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import cuts, described_option, description, timesteps, working
from gatefold.gen.options import BuildOptions

__all__ = ["inspect"]


@click.command()
@click.argument("model")
@description
@described_option(BuildOptions, "board", "The board of the estimate; without it a generic device.")
@timesteps
@cuts
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def inspect(model, description, board, timesteps, sized, cut, first, last, as_json):
    """Show the layers of MODEL and what keeps it from being built.

    \b
    gatefold inspect model.onnx --board zcu104
    gatefold inspect model.onnx --json

    The command lists all blockers and the options that remove them, and estimates whether the core
    fits the board and how fast it would be. If a cut helps (--cut auto), the table shows which
    layers the host would compute. The exit code is 0 also for a model with blockers, and 2 for a
    file that is no model. In the JSON, "options" are the options for `gatefold build`: empty if
    none is needed, null if none help.
    """
    with working("reading"):
        import json

        from gatefold.gen.frontends.cuts import Cut
        from gatefold.gen.frontends.sizes import Sizes
        from gatefold.gen.inspect import inspect as look
        from gatefold.gen.inspect.words import lines

        given = Sizes.read(timesteps, sized)
        found = look(model, board=board, network=description, timesteps=given.timesteps,
                     sizes=given.named, cut=Cut.read(cut, first, last))
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=1))
        return
    for line in lines(found, model):
        click.echo(line)
