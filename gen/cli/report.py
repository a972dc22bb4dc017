"""``gatefold report``: the report of a core as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

__all__ = ["report", "summary"]


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--vivado", metavar="PATH", help="What Vivado wrote: a folder of reports, a bundle "
              "of `make report-bundle`, or a single report. Without it: DIR/vivado/reports, if "
              "there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json instead of text.")
def report(directory, vivado, as_json):
    """Print the report of the core in DIR.

    The command also brings DIR/report.html up to date. If Vivado has routed the core, its timing
    and resources replace the assumed and estimated figures, here and in the files.
    """
    import json
    from pathlib import Path

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gatefold.gen.errors import UserError, quoted
    from gatefold.gen.files.output import replace_files
    from gatefold.gen.files.sealed import check_sealed
    from gatefold.gen.html import refresh_page
    from gatefold.gen.report import read_report, routed, write_report

    record = read_report(Path(directory))
    check_sealed(Path(directory), record)
    found = _results(Path(directory), record, vivado)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    try:
        if found is not None:
            record = routed(record, found)
        inside = _tensors(record["numbers"])
        for name, value in rows(record):
            table.add_row(name, escape(value))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the report in {quoted(directory)} is damaged ({quoted(error)}): build "
                        "the folder again") from None
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    console = Console()
    with console.capture() as shown:  # Rich handles a closed pipe in a way of its own
        console.print(*([inside, ""] if inside else []), table)
    click.echo(shown.get(), nl=False)
    with contextlib.suppress(OSError):  # the folder may be read-only
        if found is not None:
            with replace_files(Path(directory)) as staged:
                write_report(staged, record)
        refresh_page(Path(directory), record)


def _results(directory, record: dict, path: str | None):
    """What Vivado found of this core at ``path``, or in its own folder; None without anything."""
    from gatefold.boards.results import read_results
    from gatefold.gen.errors import UserError, quoted
    from gatefold.gen.store.export import TOP

    board = record.get("board")
    if path is None and not ((directory / "vivado/reports").is_dir() and board):
        return None
    if not board:
        raise UserError("--vivado needs a core that was built with --board: this one has no part")
    found = read_results(path or directory / "vivado/reports", part=str(board["part"]), top=TOP)
    if found is None and path is not None:
        raise UserError(f"{quoted(path)} holds no reports of Vivado: give the reports/ of a run, "
                        "or report-bundle.tar.gz")
    return found


def summary(record: dict) -> Iterator[str]:
    """The few lines that a build prints."""
    wanted = ("network", "quantised", "cut", "host", "state", "search", "found", "numbers", "error",
              "lost", "array", "distance", "cycles", "windows", "clock", "deadline", "resources")
    for name, value in rows(record):
        if name in wanted:
            yield f"{name:<12}{value}"


def _tensors(numbers: dict):
    """A table with a row for each tensor; None where the report has nothing about them."""
    from rich.markup import escape
    from rich.table import Table

    from gatefold.gen.html.tensors import in_digits, rows_of

    if not numbers.get("inside"):
        return None
    table = Table(box=None, pad_edge=False)
    for head in ("tensor", "format", "range seen", "saturated", "RMS error", "added here"):
        table.add_column(head, no_wrap=True, justify="left" if head == "tensor" else "right")
    for layer, known in rows_of(numbers).items():
        for row in known:
            seen = "" if row.seen is None else f"{row.seen[0]:.3g} to {row.seen[1]:.3g}"
            errors = ["" if error is None else in_digits(error / row.span)
                      for error in (row.error, row.alone)]
            clipped = "" if row.clipped is None else f"{row.clipped[0]} of {row.clipped[1]}"
            table.add_row(*map(escape, (f"{layer}.{row.name}", row.shown, seen, clipped, *errors)))
    return table


def rows(record: dict) -> Iterator[tuple[str, str]]:
    """The report as (name, text), a line of the table each."""
    from gatefold.gen.html.words import in_turn, is_chain, windows_in_words
    from gatefold.gen.measure.resolvers import in_words as agreement_in_words
    from gatefold.gen.measure.saturation import below_step, in_words

    network, numbers = record["network"], record["numbers"]
    yield "network", (f"{_shapes(network['input_shapes'])} to "
                      f"{_shapes([output['shape'] for output in network['outputs']])}, "
                      f"{network['parameters']} parameters, {network['macs']} multiplications")
    chain = is_chain(network)
    for layer in network["layers"]:
        reads = "" if chain else f", of {' and '.join(layer['inputs'])}"
        origin = f", called {ascii(layer['origin'])} in the model" if layer["origin"] else ""
        yield f"  {layer['name']}", f"{_layer(layer)}{reads}{origin}"
    yield from _cut(network.get("cut"))
    yield from _ports(network, numbers)
    yield "input hash", f"sha256 {record['input_hash']}"

    yield from _search(numbers)
    widths, calibration = numbers["widths"], numbers["calibration"]
    yield "numbers", (f"{widths['activations']}-bit activations, {widths['weights']}-bit weights, "
                      f"{widths['cell']}-bit cell state, {widths['accumulator']}-bit accumulators; "
                      f"{_formats('input', numbers['inputs'])}, "
                      f"{_formats('output', numbers['outputs'])}")
    for name, tensors in ({} if numbers.get("inside") else numbers["layers"]).items():
        yield f"  {name}", ", ".join(f"{tensor} {form}" for tensor, form in tensors.items())
    if numbers.get("inside_samples"):
        yield "tensors", f"above, on {numbers['inside_samples']} samples of the data of the error"
    yield "calibration", "; ".join([f"{calibration['source']}, {calibration['samples']} samples",
                                    *_ways(calibration), *calibration.get("doubts", [])])
    error = numbers["error"]
    relative = error["rms_relative"]
    yield "error", (f"against float: max {error['max_abs']:.3g}, rms {error['rms']:.3g}"
                    + ("" if relative is None else f" ({100 * relative:.3g} % of the range)")
                    + f", on {error['data']}")
    if below_step(error):
        yield "small", below_step(error)
    if numbers.get("resolvers"):
        yield "LiteRT", ("every byte of AUTO, its default resolver; "
                         f"{agreement_in_words(numbers['resolvers'])}")
    clamped = [f"{name}.{tensor} {counted['count']} of {counted['total']}"
               for name, tensors in numbers["saturations"].items()
               for tensor, counted in tensors.items() if counted["count"]]
    yield "saturated", ", ".join(clamped) or "nothing"
    if numbers.get("lost"):
        yield "lost", f"by saturation: {in_words(numbers['lost'])}"

    array, cycles, clock = record["array"], record["cycles"], record["clock_mhz"]
    packed = ", two in a DSP slice" if array["packed"] else ""
    lanes = f", {array['lanes']} lanes" if array["lanes"] < array["simd"] else ""
    yield "array", (f"{array['pe']} x {array['simd']} = {array['multipliers']} multipliers{packed}"
                    f"{lanes}, {array['pipeline']} pipeline, "
                    f"{100 * array['utilisation']:.1f} % in use")
    yield "cycles", (f"latency {cycles['latency']}, interval {cycles['interval']}"
                     f"{in_turn(cycles)}, bound {cycles['bound']}, without overlap "
                     f"{cycles['no_overlap']}")
    if "windows" in record:
        yield "windows", windows_in_words(record["windows"])
    yield "distance", (f"reach {array['reach']}, gather {array['gather']}, dies {array['dies']}, "
                       f"cross {array['cross']}")
    stream = record["stream"]
    yield "streams", f"{stream['bits']} bits, {stream['reason']}"
    yield "clock", (f"{clock['value']:g} MHz ({clock['source']}; {clock['rests_on']}): latency "
                    f"{record['latency_us']:.2f} us")
    for path, terms in record.get("host", {}).get("latency", {}).items():
        yield "latency", f"{path}, {sum(term['us'] for term in terms):.2f} us: " + " + ".join(
            f"{term['what']} {term['us']:.2f} ({term['label']}: {term['known']})" for term in terms)
    if "deadline" in record:
        asked = record["deadline"]
        yield "deadline", (f"{asked['us']:g} us, met with a margin of {asked['margin_us']:.4g} us, "
                           f"{asked['meaning']}")
    yield "resources", _resources(record["resources"])
    board = record["board"]
    yield "board", "none" if board is None else f"{board['title']}, {board['part']}"
    for done in record["verified"]:
        yield "verified", (f"{done['simulator']}: {done['samples']} samples, {done['outputs']} "
                           f"outputs, {done['states']} states, latency {done['latency']}; "
                           f"{done['input']}")
    if not record["verified"]:
        yield "verified", "not yet: gatefold verify DIR"
    yield "versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())


def _cut(cut: dict | None) -> Iterator[tuple[str, str]]:
    """What the host computes of a model that was cut."""
    from gatefold.gen.html.words import cut_in_words

    if cut is not None:
        yield "cut", cut_in_words(cut)
        for ends in ("inputs", "outputs"):
            for one in cut[ends]:
                yield (f"  {ends[:-1]}",
                       f"{ascii(one['name'])}, {_shape(one['shape'])}, {one['type']}")


def _ports(network: dict, numbers: dict) -> Iterator[tuple[str, str]]:
    """Several inputs and outputs, what is left to the host, and which layers keep their state."""
    from gatefold.gen.measure.host import left_to_host

    inputs, outputs = network["input_shapes"], network["outputs"]
    if len(inputs) > 1:
        yield "inputs", "one frame, one after the other"
        for n, (shape, form) in enumerate(zip(inputs, numbers["inputs"], strict=True)):
            yield f"  input {n}", f"{_shape(shape)}, {form}"
    for end in ("input", "output"):
        bytes_ = (numbers.get("affine") or {}).get(f"{end}s", [])
        if bytes_:
            yield f"{end} bytes", "; ".join(f"scale {one['scale']:.9g}, zero point "
                                            f"{one['zero_point']}" for one in bytes_)
    if len(outputs) > 1:
        yield "outputs", "one frame, one after the other"
        for n, (output, form) in enumerate(zip(outputs, numbers["outputs"], strict=True)):
            yield f"  output {n}", f"{_shape(output['shape'])}, {form}, of {output['value']}"
    stored = network["source"].get("quantised")
    if stored:
        against = (f"{stored['runtime']} differs by {stored['rms']:.3g} (rms, "
                   f"{stored['relative'] or 0:.2%} of its output) and at most {stored['max']:.3g} "
                   f"on {stored['samples']} samples" if "rms" in stored
                   else f"its runtime is {stored.get('runtime', 'not compared')}")
        yield "quantised", (f"the file holds {', '.join(stored['as'])}, read as the float network; "
                            f"{against}")
    left = left_to_host([output["left_to_the_host"] for output in outputs])
    if left:
        yield "host", f"{left} left to it: the core gives what comes before, gatefold run all"
    keeping = [layer["name"] for layer in network["layers"] if layer["options"].get("stateful")]
    if keeping:
        ports = ", ".join(f"{pair['output']} to {pair['input']}"
                          for pair in network["source"].get("states", ()))
        yield "state", f"kept from frame to frame by {', '.join(keeping)}" + (
            f", instead of the model's ports {ports}" if ports else "")


def _search(numbers: dict) -> Iterator[tuple[str, str]]:
    """How many attempts --width auto made, and which widths it found."""
    search = numbers.get("search")
    if not search:
        return
    held_out = search["held_out"]
    beyond = f", {held_out['error']:.3%} on the {held_out['samples']} of them that were held out" \
        if held_out["samples"] else ""
    checks = f", {len(search['checks'])} checked" * bool(search["checks"])
    left = "" if search["complete"] else ", the most that were allowed"
    yield "search", (f"{len(search['attempts'])} attempts{left}, on {search['attempt_samples']} "
                     f"samples{checks}: an error of {search['error']:.3%} where "
                     f"{search['max_error']:.3%} may be, on {search['samples']} samples{beyond}")
    yield "found", "; ".join([
        f"activations {search['activations']} bits, weights {search['weights']} bits"
        + f", headroom {search['headroom']}" * bool(search["headroom"]),
        *(f"{name}: " + ", ".join(f"{key} {value}" for key, value in keys.items())
          for name, keys in search["overrides"].items())])


def _layer(layer: dict) -> str:
    from gatefold.gen.html.words import layer_note, layer_title

    text = f"{layer_title(layer)}: {_shapes(layer['input_shapes'])} to " \
           f"{_shape(layer['output_shape'])}"
    note = layer_note(layer)
    return f"{text}, {note}" if note else text


def _ways(calibration: dict) -> Iterator[str]:
    """How values and weights were rounded."""
    if "rule" in calibration:
        yield f"values by {calibration['rule']}, weights by {calibration['weight_rule']}"
    for key, words in (("row_scales", "row scales"), ("fitted", "fitted weights"),
                       ("input_carries", "inputs carry remainders (input_carries)")):
        if calibration.get(key):
            yield words
    if "split" in calibration:
        yield f"inputs as {calibration['split']} operands an element"
    if calibration.get("carry", "none") != "none":
        yield f"remainders of h: {calibration['carry']}"


def _formats(what: str, forms: list[str]) -> str:
    return f"{what} {forms[0]}" if len(forms) == 1 else f"{what}s {' | '.join(forms)}"


def _resources(resources: dict) -> str:
    numbers = {key: value for key, value in resources.items()
               if isinstance(value, (int, float)) and not isinstance(value, bool)}
    text = ", ".join(f"{value} {key}" for key, value in numbers.items())
    source = resources["source"]
    return f"{text} ({source})" if text else source


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _shapes(shapes: list[list[int]]) -> str:
    return " and ".join(map(_shape, shapes))
