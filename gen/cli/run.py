"""``gatefold run``: the golden model of a core on real data."""

from __future__ import annotations

import click

from gatefold.gen.cli.shell import note, working

__all__ = ["run"]


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--input", "source", metavar="X.npy", required=True, help="Floats "
              "(samples, timesteps, features) or (timesteps, features), .npy or .npz. A core with "
              "several inputs takes an .npz with an array for each, in order; a core that was "
              "built with --hop also takes recordings of any length.")
@click.option("-o", "--output", metavar="Y.npy", required=True, help="The file for the outputs, "
              "with samples as the first axis. An .npz holds y, or several outputs as output0, "
              "output1, ...; an .npy holds several outputs one after the other.")
@click.option("--raw", is_flag=True, help="Inputs and outputs are integers in the core's formats. "
              "A softmax that the core leaves to its host is not computed.")
@click.option("--each-anew", is_flag=True, help="In a core that keeps its state, begin a new "
              "sequence with each sample. Without it, each sample goes on with the state of the "
              "one before.")
@click.option("--state-in", metavar="S.npz", help="Go on with the states that --state-out of an "
              "earlier run wrote, instead of with zeros.")
@click.option("--state-out", metavar="S.npz", help="Write the states at the end of the run to "
              "this file.")
@click.option("--trace", metavar="T.npz", help="Write every tensor of every layer and step, before "
              "and after its activation: arrays LAYER.TENSOR.fixed and, without --raw, "
              "LAYER.TENSOR.float, the same in the float network.")
def run(directory, source, output, raw, each_anew, state_in, state_out, trace):
    """Compute the outputs of the core in DIR, bit for bit."""
    with working("running the golden model"):
        from pathlib import Path

        import numpy as np

        from gatefold.gen.check import load_folder
        from gatefold.gen.cut.folder import load_host
        from gatefold.gen.cut.parts import Host
        from gatefold.gen.errors import UserError, quoted
        from gatefold.gen.files.arrays import check_writable, write_arrays
        from gatefold.gen.files.names import CONTENTS, FLOATS
        from gatefold.gen.files.sealed import check_sealed
        from gatefold.gen.measure.inference import run as infer
        from gatefold.gen.measure.inference import saturated
        from gatefold.gen.measure.states import check_stateful, read_states, state_arrays
        from gatefold.gen.network.frames import as_recordings, read_frames
        from gatefold.gen.network.graph import joined
        from gatefold.gen.report import REPORT, read_report
        from gatefold.gen.store.network_io import load_network
        from gatefold.sim.core_info import load_core_info

        target = check_writable(output, (".npy", ".npz"), "-o")
        traced = None if trace is None else check_writable(trace, (".npz",), "--trace")
        ends = None if state_out is None else check_writable(state_out, (".npz",), "--state-out")
        for what, path in (("-o", target), ("--trace", traced), ("--state-out", ends)):
            if path is not None and path.resolve() == Path(source).resolve():
                raise UserError(f"{what} would replace the input: give another file")
            if path is not None and path.name in CONTENTS and (
                    path.resolve().parent == Path(directory).resolve()):
                raise UserError(f"{what} would replace a file of the core, {quoted(path.name)}: "
                                "give another")
        written = [path.resolve() for path in (target, traced, ends) if path is not None]
        if len(set(written)) < len(written):
            raise UserError("-o, --trace and --state-out must be different files: give each its "
                            "own")
        qnet = load_folder(directory)
        if (Path(directory) / REPORT).exists():
            check_sealed(Path(directory), read_report(Path(directory)))
        floats = None if traced is None or raw else load_network(Path(directory) / FLOATS, qnet)
        around = None if raw else load_host(Path(directory))
        host, kept = None if around is None else Host(around), []
        if host is None:
            x = read_frames(qnet, source, "the raw input" if raw else "the input")
        else:
            x, kept = host.before(host.read(source))
        recorded = as_recordings(qnet, x) is not None
        fresh = np.ones(len(x), bool) if each_anew else None
        contexts = load_core_info(Path(directory)).contexts if qnet.stateful else 1
        states = None
        for option, path in (("--state-in", state_in), ("--state-out", state_out)):
            if path is not None:
                check_stateful(qnet, option)
                states = {}
        if states is not None and each_anew:
            raise UserError("--each-anew and --state-in or --state-out contradict each other: with "
                            "it no sample goes on where another ended")
        if state_in is not None:
            states = read_states(state_in, qnet, contexts)
        result = infer(qnet, x, raw=raw, trace=traced is not None, network=floats, fresh=fresh,
                       contexts=contexts, states=states)
        outputs, y = result.outputs, result.y
        if host is not None:
            outputs = host.behind(result.outputs, kept)
            y = joined(outputs)
        several = target.suffix == ".npz" and len(outputs) > 1
        write_arrays(target, {f"output{n}": y for n, y in enumerate(outputs)} if several
                     else {"y": y})
        if traced is not None:
            write_arrays(traced, result.trace)
        if ends is not None and states is not None:
            write_arrays(ends, state_arrays(states))
    clamped = saturated(qnet, result)
    if clamped:
        note(clamped)
    for line in _described(qnet, outputs, raw, each_anew, contexts, recorded):
        click.echo(line)


def _described(qnet, outputs, raw: bool, each_anew: bool, contexts: int, recorded: bool):
    """The lines that say which outputs were written, and how the samples were run: ``recorded``,
    as recordings in which windows overlap."""
    from gatefold.gen.measure.host import left_to_host

    shapes = " and ".join(str(y.shape[1:]) for y in outputs)
    formats = " | ".join(qnet.ends[1])
    yield f"{len(outputs[0])} samples, outputs {shapes}, " + (f"integers {formats}" if raw
                                                            else "floats")
    left = left_to_host(qnet.host)
    if left:
        yield (f"{left} left to the host: not in these integers" if raw else
               f"{left} done, which the core leaves to its host")
    if recorded:
        yield (f"windows of {qnet.window} samples, one every {qnet.input_shape[0]}: each recording "
               "begins anew, and gives those that lie wholly in it")
    elif qnet.stateful:
        sequences = ("samples follow one another, as one sequence" if contexts == 1 else
                     f"samples are {contexts} sequences in turn, as in the core's frames")
        yield "each sample begins anew" if each_anew else (
            f"{sequences}: --each-anew begins each anew")
