"""``gatefold weights``: another trained model of the same shape into a finished core."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import description, note, number, working

__all__ = ["weights"]


@click.command()
@click.argument("model")
@click.argument("directory", metavar="DIR")
@description
@click.option("--calibrate", "--input", "source", metavar="X.npz", help="Representative inputs, "
              ".npy or .npz: error and saturation are measured on them in the core's formats, "
              "which stay, and the vectors of the cocotb bench are theirs. Without it: seeded "
              "random ones.")
@number("seed", "Seed of random inputs", default=0, show_default=True)
@click.option("--saturate", is_flag=True, help="Let weights beyond the core's formats take the "
              "nearest value that there is; without it they are refused.")
def weights(model, directory, description, source, seed, saturate):
    """Write MODEL's weights into the core in DIR without touching its Verilog.

    Replaces DIR/weights, integers.npz, floats.npz, the cocotb vectors and report.json together, or
    nothing.
    The model must have the core's shape, and its weights must fit the core's formats. What its
    values come to there is measured, and told where they saturate.
    """
    with working("quantising"):
        from gatefold.gen.check import load_folder
        from gatefold.gen.frames import read_frames
        from gatefold.gen.frontends import load
        from gatefold.gen.quantize import SATURATED
        from gatefold.gen.saturation import told
        from gatefold.gen.weights import replace_weights

        load_folder(directory)
        network = load(model, network=description)
        data = None if source is None else read_frames(network, source, "the calibration data")
        report = replace_weights(network, directory, data, seed=seed, saturate=saturate)
    error = report["numbers"]["error"]
    click.echo(f"{report['network']['parameters']} weights written; error against float: "
               f"max {error['max_abs']:.3g}, rms {error['rms']:.3g} on {error['data']}")
    if report["numbers"]["lost"]:
        note(f"saturated: {told(report['numbers']['lost'])}: rebuild the core with this model")
    saturated = report["numbers"]["calibration"].get(SATURATED, {})
    clipped = sum(count for layer in saturated.values() for count in layer.values())
    if clipped:
        click.echo(f"{clipped} of them saturate: {', '.join(saturated)}")
