"""The demo: the shipped model becomes a core for the ZCU104, computes real data, and is verified.

It runs the commands that a user would run, shows them, and puts their results into one table. Each
row says how its figure is known. ``--readme`` also writes the four rows of README.md and its picture.
"""

from __future__ import annotations

import argparse
import io
import json
import os
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
    """What the demo prints: the core's ``report``, its forecast ``y`` of ``test``, others' figures."""
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
        out.add_row(f"Verilog = golden: all h, c, y of {done['samples']} windows",
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
        *((f"Verilog = golden model: every h, c and y of {done['samples']} windows",
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


def build_and_prove() -> Table:
    """Run the commands and read what they left."""
    for command in COMMANDS:
        run(command)
    report = json.loads((ROOT / CORE / "report.json").read_text())
    with np.load(ROOT / MODEL / "test.npz") as test:
        return table(report, np.load(ROOT / FORECAST), dict(test),
                     json.loads((ROOT / "tools/published.json").read_text()))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Build, run and prove the shipped model.")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    os.chdir(ROOT)
    (ROOT / "build").mkdir(exist_ok=True)
    started = time.monotonic()
    result = build_and_prove()
    print()
    if options.readme:
        path = ROOT / "README.md"
        path.write_text(in_readme(path.read_text(), as_text(result)))
    console = Console()
    if console.is_terminal:
        console.print(result)
    else:
        print(as_text(result))
    print(f"\nNothing ran on a board, and no vendor tool. {time.monotonic() - started:.0f} s. "
          f"The core is in {CORE}; gatefold report {CORE} tells more.")


if __name__ == "__main__":
    main()
