"""``gatefold run``: the golden model of a core on real data."""

from __future__ import annotations

import click

from .shell import note, working

__all__ = ["run"]


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--input", "source", metavar="X.npy", required=True, help="Floats "
              "(samples, timesteps, features) or (timesteps, features), .npy or .npz.")
@click.option("-o", "--output", metavar="Y.npy", required=True, help="Where the outputs go, .npy "
              "or .npz; always with the axis of samples first.")
@click.option("--raw", is_flag=True, help="Integers of the core's formats in and out.")
@click.option("--trace", metavar="T.npz", help="Keep every gate (i, f, g, o), c and h of every "
              "step: arrays NAME.TENSOR (samples, timesteps, units).")
def run(directory, source, output, raw, trace):
    """Run the golden model of the core in DIR: what the hardware computes, bit for bit."""
    with working("running the golden model"):
        from ..arrays import check_writable, read_array, write_arrays
        from ..check import load_folder
        from ..inference import run as infer

        target = check_writable(output, (".npy", ".npz"), "-o")
        traced = None if trace is None else check_writable(trace, (".npz",), "--trace")
        qnet = load_folder(directory)
        result = infer(qnet, read_array(source), raw=raw, trace=traced is not None)
        write_arrays(target, {"y": result.y})
        if traced is not None:
            write_arrays(traced, result.trace)
    if result.clipped:
        note(f"{result.clipped} of {result.inputs} input values lie outside {qnet.input_format} "
             "and were clamped")
    click.echo(f"{len(result.y)} samples, outputs {result.y.shape[1:]}, "
               + (f"integers {qnet.output_format}" if raw else "floats"))
