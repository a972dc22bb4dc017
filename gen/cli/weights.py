"""``gatefold weights``: another trained model of the same shape into a finished core."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import cuts, declared, description, note, states, timesteps, working
from gatefold.gen.options import WeightsOptions

__all__ = ["weights"]


@click.command()
@click.argument("model")
@click.argument("directory", metavar="DIR")
@description
@click.option("--calibrate", "--input", "source", metavar="X.npz", help="Representative inputs, "
              ".npy or .npz. Error and saturation are measured on them, and they become the "
              "vectors of the cocotb bench; the core's formats stay as they are. Without it: "
              "random inputs from a seed.")
@declared(WeightsOptions)
@timesteps
@states
@cuts
def weights(model, directory, description, source, timesteps, sized, states, cut, first, last,
            **options):
    """Put MODEL's weights into the core in DIR.

    The Verilog stays the same. MODEL must have the core's shape, and its weights must fit the
    core's formats. The command
    replaces DIR/weights, integers.npz, floats.npz, the cocotb vectors and report.json, all
    together or none, and reports the error and the values that saturate.
    """
    with working("quantising"):
        from gatefold.gen.check import load_folder
        from gatefold.gen.cut.parts import arrays_read
        from gatefold.gen.frontends import load
        from gatefold.gen.frontends.cuts import Cut
        from gatefold.gen.frontends.sizes import Sizes
        from gatefold.gen.measure.saturation import in_words
        from gatefold.gen.numbers.quantize import SATURATED
        from gatefold.gen.weights import replace_weights

        load_folder(directory)
        given = Sizes.read(timesteps, sized)
        network = load(model, network=description, timesteps=given.timesteps, sizes=given.named,
                       states=states, cut=Cut.read(cut, first, last))
        data = None if source is None else arrays_read(network, source, "the calibration data")
        report = replace_weights(network, directory, data, **options)
    error = report["numbers"]["error"]
    click.echo(f"{report['network']['parameters']} weights written; error against float: "
               f"max {error['max_abs']:.3g}, rms {error['rms']:.3g} on {error['data']}")
    if report["numbers"]["lost"]:
        note(f"saturated: {in_words(report['numbers']['lost'])}: rebuild the core with this model")
    saturated = report["numbers"]["calibration"].get(SATURATED, {})
    clipped = sum(count for layer in saturated.values() for count in layer.values())
    if clipped:
        click.echo(f"{clipped} of them saturate: {', '.join(saturated)}")
