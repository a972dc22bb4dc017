"""What an inference costs besides the core: of a folder built with --host axi, after `make sim`.

    .venv/bin/python tools/host/latency.py core

Prints the budget of the core's report as a table; cycles of the core with its registers and its
master (simulated, by memory latency); register accesses and time of the driver (counted and
measured on this machine, before a device that has always finished), and its instructions on
aarch64, where a cross compiler and qemu are there. docs/latency.md holds the results; a test
compares its table with the shipped model's.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import gatefold.driver

HERE = Path(__file__).resolve().parent
OWN = ("device", "infer", "numbers", "run", "weights")  # the driver without its backends


def run(*words) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True,
                          text=True).stdout


def table(paths: dict[str, list[dict]]) -> list[str]:
    """The terms of :func:`gatefold.gen.host.latency.latency_budget`, a row each."""
    longest = max(paths.values(), key=len)
    lines = [f"| term | {' | '.join(paths)} | how it is known |",
             f"|---|{'---:|' * len(paths)}---|"]
    for what in (term["what"] for term in longest):
        mine = [next((term for term in terms if term["what"] == what), None)
                for terms in paths.values()]
        known = dict.fromkeys(term["known"] for term in mine if term)
        label = next(term["label"] for term in mine if term)
        cells = " | ".join(f"{term['us']:.2f}" if term else "" for term in mine)
        lines.append(f"| {what} | {cells} | {label}: {' / '.join(known)} |")
    sums = " | ".join(f"**{sum(term['us'] for term in terms):.1f}**" for terms in paths.values())
    return [*lines, f"| **sum** | {sums} | |"]


def simulated(folder: Path, latency: int) -> dict[int, int]:
    """Cycles of a batch by its frames, with memory that answers after ``latency`` cycles."""
    os.environ["GATEFOLD_SIM_LATENCY"] = str(latency)
    found = {}
    with gatefold.driver.open(f"sim:{folder}") as device:
        for frames in (1, 32):
            x = np.zeros((frames * device.contexts, *device.input_shape))
            device.infer(x)
            found[frames] = device.counters()["last_cycles"]
    return found


def build(folder: Path, compiler: str, place: Path) -> Path:
    driver, program = folder / "driver", place / compiler
    run(compiler, "-std=c11", "-O2", "-static", f"-I{driver}", f"-I{driver}/src", HERE / "stub.c",
        *(driver / "src" / f"{name}.c" for name in OWN), "-o", program)
    return program


def instructions(program: Path, place: Path) -> int:
    """Of a call: qemu logs a line for each, of 11 calls and of one."""
    counts = []
    for calls in (1, 11):
        log = place / "log"
        run("qemu-aarch64", "-singlestep", "-d", "exec,nochain", "-D", log, program, calls)
        with log.open() as lines:
            counts.append(sum(line.startswith("Trace") for line in lines))
    return (counts[1] - counts[0]) // 10


def main() -> None:
    folder = Path(sys.argv[1])
    report = json.loads((folder / "report.json").read_text())
    print("\n".join(table(report["host"]["latency"])))
    for latency in (0, 30, 100):
        print(f"memory after {latency} cycles: {simulated(folder, latency)} cycles by frames")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        ns, reads, writes = run(build(folder, "gcc", place), 100_000).split()
        print(f"driver: {ns} ns on this machine, {reads} register reads and {writes} writes")
        if shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64"):
            program = build(folder, "aarch64-linux-gnu-gcc", place)
            print(f"driver: {instructions(program, place)} instructions on aarch64")


if __name__ == "__main__":
    main()
