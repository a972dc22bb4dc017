"""``gatefold report``: the report of a core as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

__all__ = ["report", "summary"]


@click.command()
@click.argument("directory", metavar="DIR")
def report(directory):
    """Print the report of the core in DIR, and draw DIR/report.html if it is not that of it."""
    from pathlib import Path

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..errors import UserError, quoted
    from ..html import refresh_page
    from ..report import read_report

    told = read_report(Path(directory))
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    try:
        for name, value in rows(told):
            table.add_row(name, escape(value))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the report in {quoted(directory)} is damaged ({quoted(error)}): build "
                        "the folder again") from None
    Console().print(table)
    with contextlib.suppress(OSError):  # a folder that can only be read
        refresh_page(Path(directory), told)


def summary(told: dict) -> Iterator[str]:
    """The few lines that a build prints."""
    wanted = ("network", "input hash", "numbers", "error", "array", "cycles", "clock", "resources")
    for name, value in rows(told):
        if name in wanted[:1] + wanted[2:]:
            yield f"{name:<12}{value}"


def rows(told: dict) -> Iterator[tuple[str, str]]:
    """The report as (name, text), a line of the table each."""
    network, numbers = told["network"], told["numbers"]
    yield "network", (f"{_shape(network['input_shape'])} to {_shape(network['output_shape'])}, "
                      f"{network['parameters']} parameters, {network['macs']} multiplications")
    for layer in network["layers"]:
        origin = f", called {ascii(layer['origin'])} in the model" if layer["origin"] else ""
        yield f"  {layer['name']}", f"{_layer(layer)}{origin}"
    yield "input hash", f"sha256 {told['input_hash']}"

    widths, calibration = numbers["widths"], numbers["calibration"]
    yield "numbers", (f"{widths['activations']}-bit activations, {widths['weights']}-bit weights, "
                      f"{widths['cell']}-bit cell state, {widths['accumulator']}-bit accumulators; "
                      f"input {numbers['input']}, output {numbers['output']}")
    for name, tensors in numbers["layers"].items():
        yield f"  {name}", ", ".join(f"{tensor} {form}" for tensor, form in tensors.items())
    yield "calibration", f"{calibration['source']}, {calibration['samples']} samples"
    error = numbers["error"]
    relative = error["rms_relative"]
    yield "error", (f"against float: max {error['max_abs']:.3g}, rms {error['rms']:.3g}"
                    + ("" if relative is None else f" ({100 * relative:.3g} % of the range)")
                    + f", on {error['data']}")
    clamped = [f"{name}.{tensor} {counted['count']} of {counted['total']}"
               for name, tensors in numbers["saturations"].items()
               for tensor, counted in tensors.items() if counted["count"]]
    yield "saturated", ", ".join(clamped) or "nothing"

    array, cycles, clock = told["array"], told["cycles"], told["clock_mhz"]
    yield "array", (f"{array['pe']} x {array['simd']} = {array['multipliers']} multipliers, "
                    f"{100 * array['utilisation']:.1f} % in use")
    yield "cycles", (f"latency {cycles['latency']}, interval {cycles['interval']}, bound "
                     f"{cycles['bound']}, without overlap {cycles['no_overlap']}")
    yield "clock", (f"{clock['value']:g} MHz ({clock['source']}): latency "
                    f"{told['latency_us']:.2f} us")
    yield "resources", _resources(told["resources"])
    board = told["board"]
    yield "board", "none" if board is None else f"{board['title']}, {board['part']}"
    for done in told["verified"]:
        yield "verified", (f"{done['simulator']}: {done['samples']} samples, {done['outputs']} "
                           f"outputs, {done['states']} states, latency {done['latency']}; "
                           f"{done['input']}")
    if not told["verified"]:
        yield "verified", "not yet: gatefold verify DIR"
    yield "versions", ", ".join(f"{name} {version}" for name, version in told["versions"].items())


def _layer(layer: dict) -> str:
    text = f"{layer['kind']} {_shape(layer['input_shape'])} to {_shape(layer['output_shape'])}"
    return f"{text}, {layer['activation']}" if "activation" in layer else text


def _resources(resources: dict) -> str:
    numbers = {key: value for key, value in resources.items()
               if isinstance(value, (int, float)) and not isinstance(value, bool)}
    told = ", ".join(f"{value} {key}" for key, value in numbers.items())
    source = resources["source"]
    return f"{told} ({source})" if told else source


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
