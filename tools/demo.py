"""The demo: the shipped model becomes a core for the ZCU104, computes real data, and is verified.

It runs the commands that a user would run, shows them, and puts their results into one table. Each
row names the origin of its figure. ``--readme`` also writes README.md's four rows and its picture.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

__all__ = ["COMMANDS", "in_readme", "picture", "summary", "table"]

ROOT = Path(__file__).resolve().parent.parent
MODEL = "models/lstm-dense"
CORE, FORECAST = "build/demo", "build/demo-forecast.npy"
PICTURE = ROOT / "docs/schedule.svg"

COMMANDS = (
    f"gatefold build {MODEL}/lstm-dense.keras -o {CORE} --board zcu104 "
    f"--calibrate {MODEL}/calibration.npz",
    f"gatefold run {CORE} --input {MODEL}/test.npz -o {FORECAST}",
    f"gatefold verify {CORE} --input {MODEL}/test.npz --samples 8",
)

_WIDTH = 100
_BEGIN, _END = "<!-- demo: written by tools/demo.py --readme -->", "<!-- /demo -->"


def run(command: str) -> None:
    """Run one ``gatefold`` command of this environment; its exit code ends the demo unless 0."""
    print(f"\n$ {command}", flush=True)
    program, *arguments = shlex.split(command)
    code = subprocess.run([Path(sys.executable).parent / program, *arguments], cwd=ROOT,
                          check=False).returncode
    if code:
        sys.exit(code)


def nrmse(y: np.ndarray, target: np.ndarray) -> float:
    """Root mean square error over the standard deviation of the target."""
    return float(np.sqrt(np.mean((y - target) ** 2)) / np.std(target))


def table(report: dict, y: np.ndarray, test, published: dict) -> Table:
    """The table of the demo: from a core's ``report``, its ``y`` of ``test``, others' figures."""
    out = Table(title="lstm-dense (LSTM 128, LSTM 128, Dense 1; 30 steps) as a core for the ZCU104",
                title_justify="left", width=_WIDTH, show_header=False,
                caption=published["caption"], caption_justify="left", caption_style="dim")
    out.add_column(ratio=1)
    out.add_column(justify="right", no_wrap=True)
    out.add_column(no_wrap=True, style="dim")
    array, cycles, clock = report["array"], report["cycles"], report["clock_mhz"]
    resources, width = report["resources"], report["numbers"]["widths"]["weights"]
    bits = report["network"]["parameters"] * width

    windows = f"NRMSE on {len(y)} windows of the series"
    out.add_row(f"{windows}, float32", f"{nrmse(test['y_float'], test['y']):.5f}", "measured")
    out.add_row(f"{windows}, {width} bits", f"{nrmse(y, test['y']):.5f}", "measured, golden model")
    out.add_row(f"largest difference (range {np.ptp(test['y_float']):.2f})",
                f"{np.abs(y - test['y_float']).max():.1e}", "measured, golden model")
    for done in report["verified"]:
        out.add_row(f"Verilog = golden: all h, c, y, {len(done['scenarios'])} scenarios",
                    f"{done['outputs'] + done['states']:,} equal",
                    f"simulated, {done['simulator'].capitalize()}")
    out.add_section()
    out.add_row("latency, first beat in to last beat out", f"{cycles['latency']:,} cycles",
                "simulated")
    out.add_row("interval, frames back to back", f"{cycles['interval']:,} cycles", "simulated")
    out.add_row(f"[bold]latency at {clock['value']:g} MHz[/]",
                f"[bold]{report['latency_us'] / 1000:.4f} ms[/]",
                f"clock {clock['source']}, not timed")
    out.add_section()
    out.add_row(f"multipliers, {array['pe']} x {array['simd']}", f"{array['multipliers']:,}",
                "by construction")
    out.add_row("weights and biases, all on chip", f"{bits / 1e6:.2f} Mbit", "by construction")
    out.add_row("block RAMs of 36 Kbit", f"{resources['bram36']:g}", "estimated")
    out.add_row("DSP slices", f"{resources['dsp']:,}", "estimated")
    out.add_row("LUTs / flip-flops", f"{resources['lut']:,} / {resources['ff']:,}", "estimated")
    for group in published["groups"]:
        out.add_section()
        for name, milliseconds in group["figures"]:
            out.add_row(f"{group['network']} on {name}", f"{milliseconds:g} ms",
                        "quoted, batch 1")
    return out


def summary(report: dict, y: np.ndarray, test) -> str:
    """The four rows of README.md, Markdown; of the same arguments as :func:`table`."""
    cycles, clock, resources = report["cycles"], report["clock_mhz"], report["resources"]
    width = report["numbers"]["widths"]["weights"]
    rows = [
        (f"error (NRMSE) on {len(y)} windows, float32 and {width} bits",
         f"{nrmse(test['y_float'], test['y']):.5f} and {nrmse(y, test['y']):.5f}",
         "measured, golden model"),
        *((f"Verilog = golden: every h, c, y and accumulator in {len(done['scenarios'])} scenarios",
           f"{done['outputs'] + done['states']:,} integers equal",
           f"simulated, {done['simulator'].capitalize()}") for done in report["verified"]),
        (f"latency at {clock['value']:g} MHz",
         f"**{report['latency_us']:.1f} \N{MICRO SIGN}s** ({cycles['latency']:,} cycles)",
         f"cycles simulated, clock {clock['source']}"),
        ("DSP slices, block RAMs, LUTs",
         f"{resources['dsp']:,}, {resources['bram36']:g}, {resources['lut']:,}", "estimated"),
    ]
    return "\n".join(["| lstm-dense on the ZCU104 | | how it is known |", "|---|---:|---|",
                      *(f"| {' | '.join(row)} |" for row in rows)])


def in_readme(text: str, block: str | None = None) -> str:
    """The rows in README's ``text``, or with ``block`` the text with that in their place."""
    before, rest = text.split(_BEGIN)
    old, after = rest.split(_END)
    return old.strip() if block is None else f"{before}{_BEGIN}\n{block}\n{_END}{after}"


def picture(page: str) -> str:
    """The schedule that the report ``page`` draws, as an SVG of its own, in the page's light and
    dark colours. It has a background of its own, so that it is legible on any page."""
    style = page.split("<style>")[1].split("</style>")[0]
    drawing = page[page.index('<svg id="timeline"'):].split("</svg></div>")[0]
    head, body = drawing.split(">", 1)
    wide, high = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', head)[0])
    left, top, wide, high = -16, -12, wide + 32, high + 24
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} {top} {wide:g} {high:g}" '
            f'style="width: {wide:g}px; height: {high:g}px" font-family="sans-serif">'
            f"<style>{style} #card {{ fill: var(--card); stroke: var(--line); }}</style>"
            f'<rect id="card" x="{left + 1}" y="{top + 1}" width="{wide - 2:g}" '
            f'height="{high - 2:g}" rx="12"/>{body}</svg>\n')


def build_and_verify() -> tuple[dict, np.ndarray, dict]:
    """Run the commands; the report, the forecast and the test data, as :func:`table` takes them."""
    for command in COMMANDS:
        run(command)
    with np.load(ROOT / MODEL / "test.npz") as test:
        return (json.loads((ROOT / CORE / "report.json").read_text()),
                np.load(ROOT / FORECAST), dict(test))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Build, run and verify the shipped model.")
    parser.add_argument("--readme", action="store_true",
                        help="also write the four rows of README.md and docs/schedule.svg")
    options = parser.parse_args()
    os.chdir(ROOT)
    (ROOT / "build").mkdir(exist_ok=True)
    started = time.monotonic()
    found = build_and_verify()
    if options.readme:
        readme = ROOT / "README.md"
        readme.write_text(in_readme(readme.read_text(), summary(*found)))
        PICTURE.write_text(picture((ROOT / CORE / "report.html").read_text()))
    print()
    published = json.loads((ROOT / "tools/published.json").read_text())
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table(*found, published))
    print(f"\nNothing ran on a board, and no vendor tool. {time.monotonic() - started:.0f} s. "
          f"The core is in {CORE}; gatefold report {CORE} prints more.")


if __name__ == "__main__":
    main()
