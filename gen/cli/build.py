"""``gatefold build``: a model, or the shape of one, to a folder with a core."""

from __future__ import annotations

import click

from gatefold.boards import BOARDS
from gatefold.gen.cli.shell import description, number, numbers, working
from gatefold.gen.errors import UserError
from gatefold.gen.options import parsed

__all__ = ["build"]


@click.command()
@click.argument("model", required=False)
@click.option("-o", "--output", metavar="DIR", help="The folder to make (required). One that an "
              "earlier build made is replaced as a whole.")
@description
@click.option("--board", metavar="|".join(BOARDS), help="Size the core for this board and write "
              "its Vivado files. Without it: no Vivado files, at most 256 multipliers, 128-bit "
              "streams, an assumed clock of 300 MHz.")
@click.option("--calibrate", metavar="X.npz", help="Representative inputs, .npy or .npz, floats "
              "(samples, timesteps, features): the formats are chosen from them. Without it: from "
              "64 seeded random inputs, and the report says so.")
@click.option("--width", metavar="N|auto", default="16", show_default=True, help="Bits of weights "
              "and activations, or the fewest that keep --max-error, layer by layer.")
@click.option("--max-error", metavar="1%", help="With --width auto: the largest error (RMS), a "
              "part of the outputs' range, on the calibration data.")
@number("weight-width", "Bits of weights, instead of --width")
@number("act-width", "Bits of activations, instead of --width")
@numbers
@click.option("--formats", metavar="F.toml", help="Widths or formats of single layers and tensors "
              "(docs/formats.md).")
@number("macs", "The most multipliers to use")
@number("pe", "Rows of multipliers, with --simd instead of --macs")
@number("simd", "Columns of multipliers, with --pe instead of --macs")
@click.option("--loadable", is_flag=True, help="Stream the weights in at run time, through a port "
              "of their own, instead of building them in. Weights that need UltraRAM always are.")
@click.option("--memory", metavar="auto|bram|lut|uram", default="auto", show_default=True,
              help="Where weights stand: in block RAM, and what is too much for it elsewhere; or "
              "in one kind of memory. UltraRAM is filled at run time.")
@number("contexts", "Sequences in a frame, computed side by side: throughput for latency",
        default=1, show_default=True)
@click.option("--pipeline", metavar="full|short", default="full", show_default=True,
              help="Registers behind every step, or behind every second one: fewer cycles, for a "
              "slower clock.")
@number("clock", "The clock to assume and to constrain; else the board's, or half of it for a "
        "short pipeline")
@number("seed", "Seed of random weights and inputs", default=0, show_default=True)
@number("units", "Without MODEL: units of each LSTM layer")
@number("features", "Without MODEL: input features")
@number("timesteps", "Without MODEL: timesteps of a frame")
@number("layers", "Without MODEL: LSTM layers, 1 if not given")
@number("dense", "Without MODEL: outputs of a last Dense layer, none if not given")
def build(model, output, description, board, calibrate, width, max_error, weight_width, act_width,
          cell_width, table_bits, rule, weight_rule, percentile, formats, macs, pe, simd, loadable,
          memory, contexts, pipeline, clock, seed, units, features, timesteps, layers, dense):
    """Build a core from MODEL (.keras, .h5, .onnx, .safetensors, .npz), or from its shape alone.

    \b
    gatefold build model.keras -o core --board zcu104 --calibrate x.npz
    gatefold build --units 64 --features 4 --timesteps 30 --dense 1 -o core

    The second form draws the weights at random; `gatefold weights MODEL DIR` writes trained ones
    into the core later, without touching its Verilog.
    """
    shape = {"units": units, "features": features, "timesteps": timesteps, "layers": layers,
             "dense": dense}
    given = {name: value for name, value in shape.items() if value is not None}
    _check(model, output, calibrate, description, given)

    with working("reading") as say:
        from gatefold.gen.files.output import check_target
        from gatefold.gen.flow import compile, shape_network
        from gatefold.gen.frontends import load
        from gatefold.gen.measure.search import parsed_error
        from gatefold.gen.network.frames import read_frames
        from gatefold.gen.numbers.overrides import read_overrides

        check_target(output, keeps=(model, calibrate, description, formats))
        most = None if max_error is None else parsed_error(max_error)
        if model is not None:
            network = load(model, network=description)
        else:
            network = shape_network(**given, seed=seed, board=board)
        data = None if calibrate is None else read_frames(network, calibrate,
                                                          "the calibration data")
        core = compile(network, board=board, calibrate=data, max_error=most,
                       width="auto" if width == "auto" else parsed("width", width),
                       weight_width=weight_width, act_width=act_width, cell_width=cell_width,
                       table_bits=table_bits, rule=rule, weight_rule=weight_rule,
                       percentile=percentile,
                       overrides=None if formats is None else read_overrides(formats, network),
                       macs=macs, pe=pe, simd=simd, clock=clock, seed=seed,
                       any_weights=model is None, loadable=loadable, contexts=contexts,
                       pipeline=pipeline, memory=memory, progress=say)
        core.save(output, progress=say)

    from gatefold.gen.cli.report import summary

    for line in summary(core.report()):
        click.echo(line)


def _check(model, output, calibrate, description, given: dict) -> None:
    """Contradictions between options, before anything is read."""
    if model is not None and given:
        raise UserError(f"MODEL and --{next(iter(given))} contradict each other: give a model file "
                        "or a shape, not both")
    if model is None:
        if not given:
            raise UserError("nothing to build: give MODEL, or --units, --features and --timesteps")
        lacking = [name for name in ("units", "features", "timesteps") if name not in given]
        if lacking:
            raise UserError(f"a core without MODEL needs --{' and --'.join(lacking)} too")
        if description is not None:
            raise UserError("--network describes the weights in MODEL: name their file too")
        if calibrate is not None:
            raise UserError("--calibrate and --units contradict each other: a core whose weights "
                            "come later has formats for any, leave --calibrate out")
    if output is None:
        raise UserError("-o DIR is missing: name the folder to make")
