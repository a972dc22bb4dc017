"""``gatefold boards``: which board a network fits, and about how fast it would be there."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import declared, description, sized, working
from gatefold.gen.errors import UserError
from gatefold.gen.options import ShapeOptions

__all__ = ["boards"]


@click.command()
@click.argument("model", required=False)
@description
@declared(ShapeOptions)
@sized
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def boards(model, description, sized, as_json, **shape):
    """Estimate on which boards MODEL fits, and how fast it is there.

    \b
    gatefold boards                      a table: size of the network against board
    gatefold boards model.onnx
    gatefold boards --units 128 --features 8 --timesteps 50 --dense 1

    All figures are estimates, made in a second. `gatefold build --board NAME` plans the cycles
    exactly, and refuses a network that does not fit.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    if model is not None and set(given) - {"timesteps"}:
        raise UserError("give MODEL or the sizes of a network, not both: --timesteps alone goes "
                        "with MODEL")
    if model is None and (description or sized):
        raise UserError("--network and --set go with MODEL: give the file")
    if model is None and given:
        ShapeOptions(**shape)  # what is illegal is refused before anything is drawn
    with working("estimating"):
        import json

        from gatefold.gen.frontends.sizes import Sizes
        from gatefold.gen.inspect.boards import NOTE, of_boards, of_sizes, sizes_table
        from gatefold.gen.network.initialise import initialise

        if model is None and not given:
            table = of_sizes()
            click.echo(json.dumps({units: {name: vars(one) for name, one in row.items()}
                                   for units, row in table.items()}, indent=1) if as_json
                       else "\n".join([*sizes_table(table), "", f"us. {NOTE}"]))
            return
        sizes = Sizes.read(shape["timesteps"], sized)
        if model is None:
            network = initialise(**given)
        else:
            network = _core_of(model, network=description, timesteps=sizes.timesteps,
                               sizes=sizes.named)
        found = of_boards(network)
    if as_json:
        click.echo(json.dumps({name: vars(one) for name, one in found.items()}, indent=1))
        return
    for name, one in found.items():
        click.echo(f"{name:8} " + (f"about {one.us:8.2f} us, {one.cycles:,} cycles at "
                                   f"{one.clock_mhz:g} MHz, {one.pe} x {one.simd} multipliers"
                                   if one.fits else f"does not fit: {one.why}"))


def _core_of(model: str, **options):
    """The network of a model, or of the part that a core can compute; the first reason where there
    is neither."""
    from gatefold.gen.frontends import load

    try:
        return load(model, **options)
    except UserError as whole:
        try:
            return load(model, cut="auto", **options)
        except UserError:
            raise whole from None
