"""``gatefold build``: a model, or the shape of one, to a folder with a core."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import cuts, declared, description, sized, states, working
from gatefold.gen.errors import UserError
from gatefold.gen.options import BuildOptions, ShapeOptions

__all__ = ["build"]


@click.command()
@click.argument("model", required=False)
@click.option("-o", "--output", metavar="DIR", help="The folder to make (required). One that an "
              "earlier build made is replaced as a whole.")
@description
@click.option("--calibrate", metavar="X.npz", help="Representative inputs, .npy or .npz, floats "
              "(samples, timesteps, features): the formats are chosen from them. Without it: from "
              "64 random inputs, and the report says so.")
@click.option("--formats", metavar="F.toml", help="Widths or formats of single layers and tensors "
              "(docs/formats.md).")
@declared(BuildOptions)
@declared(ShapeOptions)
@sized
@cuts
@states
@click.option("--keep-state", is_flag=True, help="Let the LSTMs of a .tflite go on in each "
              "frame with the state of the last one, as LiteRT does until it is reset.")
def build(model, output, description, calibrate, formats, sized, cut, first, last, states,
          keep_state, **options):
    """Build a core from MODEL, or from the shape of a network.

    MODEL is a .keras, .h5, .onnx, .tflite, .safetensors or .npz file.

    \b
    gatefold build model.keras -o core --board zcu104 --calibrate x.npz
    gatefold build --units 64 --features 4 --timesteps 30 --dense 1 -o core

    The second form takes random weights; `gatefold weights MODEL DIR` puts trained ones into the
    core later, and the Verilog stays the same.
    """
    sizes = {one.field: options.pop(one.field) for one in ShapeOptions.declared()}
    shape = _shape(model, calibrate, description, sizes, sized, cut or first or last)
    if output is None:
        raise UserError("-o DIR is missing: name the folder to make")
    BuildOptions(**options)  # what is illegal is refused before anything is read

    with working("reading") as say:
        from gatefold.gen.cut.parts import arrays_read
        from gatefold.gen.files.output import check_target
        from gatefold.gen.flow import compile, shape_network
        from gatefold.gen.frontends import load
        from gatefold.gen.frontends.cuts import Cut
        from gatefold.gen.frontends.sizes import Sizes
        from gatefold.gen.measure.runtime import note_runtime
        from gatefold.gen.numbers.overrides import read_overrides

        check_target(output, keeps=(model, calibrate, description, formats))
        given = Sizes.read(sizes["timesteps"], sized)
        if shape is None:
            network = load(model, network=description, timesteps=given.timesteps,
                           sizes=given.named, cut=Cut.read(cut, first, last), states=states,
                           keep_state=keep_state)
        else:
            network = shape_network(**shape.given, seed=options["seed"], board=options["board"])
        data = None if calibrate is None else arrays_read(network, calibrate,
                                                          "the calibration data")
        if model is not None:
            note_runtime(network, model, data, given.named)
        overrides = None if formats is None else read_overrides(formats, network)
        core = compile(network, calibrate=data, overrides=overrides, any_weights=model is None,
                       progress=say, **options)
        core.save(output, progress=say)

    from gatefold.gen.cli.report import summary

    for line in summary(core.report()):
        click.echo(line)


def _shape(model, calibrate, description, sizes: dict, sized: tuple, cut) -> ShapeOptions | None:
    """The shape to build, None for a model's; :class:`UserError` where the two contradict."""
    given = [name for name, value in sizes.items() if value is not None and name != "timesteps"]
    if model is not None:
        if given:
            raise UserError(f"MODEL and --{given[0]} contradict each other: give a model file or a "
                            "shape, not both")
        return None
    shape = ShapeOptions(**sizes)
    if description is not None:
        raise UserError("--network describes the weights in MODEL: name their file too")
    if sized:
        raise UserError("--set fixes an open dimension of MODEL: name its file too")
    if cut:
        raise UserError("--cut, --from and --to are for a MODEL: name its file too")
    if calibrate is not None:
        raise UserError("--calibrate and --units contradict each other: a core whose weights come "
                        "later has formats for any, leave --calibrate out")
    return shape
