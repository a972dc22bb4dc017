"""Time the forum's network in full integer beside the float runtimes, and ask Vela for its
estimate. Runs in .venv-bench.

    python bench/int8.py FOLDER OUT.json [VELA]

FOLDER holds forum-cnn-lstm.onnx and .npz of bench/exports.py, which ONNX Runtime and LiteRT run in
float; LiteRT runs the shipped .tflite, whose bytes are compared with the stored ones first. Rounds
are interleaved, as in bench/measure.py. VELA is the command of the package ethos-u-vela; without it
the estimates that OUT.json has are kept.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from measure import ROUNDS, SECONDS, WARM_UP, Call, LiteRt, OnnxRuntime, check, cpu, sample
from tflite import to_tflite

NAME = "forum-cnn-lstm"
MODEL = Path(__file__).resolve().parents[1] / "models" / NAME
#: Accelerators of Arm's that Vela compiles for, in its default system.
ACCELERATORS = {"Ethos-U55-128": "ethos-u55-128", "Ethos-U65-256": "ethos-u65-256"}


def runtimes(folder: Path) -> dict[str, tuple[Call, np.ndarray]]:
    """What is timed, each with its input, and each agreeing with what is known."""
    with np.load(folder / f"{NAME}.npz") as data:
        weights = dict(data)
    x, layers = weights["x"], json.loads(str(weights["layers"]))
    calls: dict[str, Call] = {
        "ONNX Runtime, float32": OnnxRuntime(folder / f"{NAME}.onnx"),
        "LiteRT, float32": LiteRt(to_tflite(layers, weights, x.shape[1:]), keeps=False)}
    for runtime, call in calls.items():
        check(NAME, runtime, call, x, weights["y"])
    found = {runtime: (call, x[:1]) for runtime, call in calls.items()}
    full = LiteRt((MODEL / f"{NAME}.tflite").read_bytes(), keeps=False)
    with np.load(MODEL / "vectors.npz") as data:
        given, expected = data["x"], data["y"]
    for one, y in zip(given[:4, None], expected, strict=False):
        if (full(one)[0] != y).any():
            sys.exit("bench: LiteRT's bytes are not the stored ones: nothing was measured")
    return found | {"LiteRT, full integer": (full, given[:1])}


def estimates(vela: str) -> dict:
    """Vela's milliseconds for each accelerator, its version and what it assumes."""
    found = {}
    for title, name in ACCELERATORS.items():
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([vela, MODEL / f"{NAME}.tflite", "--accelerator-config", name,
                            "--output-dir", out], check=True, capture_output=True)
            (summary,) = Path(out).glob("*_summary_*.csv")
            (row,) = csv.DictReader(summary.read_text().splitlines())
        found[title] = {"ms": round(1000 * float(row["inference_time"]), 3),
                        "mhz": float(row["core_clock"]) / 1e6, "system": row["system_config"],
                        "memory": row["memory_mode"]}
    stated = subprocess.run([vela, "--version"], check=True, capture_output=True, text=True)
    return {"version": stated.stdout.strip(), "estimates": found}


def main() -> None:
    """Entry point."""
    folder, out, *vela = map(str, sys.argv[1:])
    old = json.loads(Path(out).read_text()) if Path(out).exists() else {}
    before, calls = os.getloadavg()[0], runtimes(Path(folder))
    taken: dict[str, list[int]] = {runtime: [] for runtime in calls}
    for _ in range(ROUNDS):
        for runtime, (call, x) in calls.items():
            sample(call, x, WARM_UP)
            taken[runtime] += sample(call, x, SECONDS)
    Path(out).write_text(json.dumps({
        "machine": {"cpu": cpu(), "load_before": round(before, 2),
                    "load_after": round(os.getloadavg()[0], 2),
                    "onnxruntime": version("onnxruntime"), "litert": version("ai-edge-litert")},
        "runtimes": {runtime: {"median_us": round(float(np.median(times)) / 1000, 1),
                               "min_us": round(min(times) / 1000, 1), "calls": len(times)}
                     for runtime, times in taken.items()},
        "vela": estimates(vela[0]) if vela else old.get("vela", {})}, indent=1) + "\n")


if __name__ == "__main__":
    main()
