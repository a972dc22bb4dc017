"""Time ONNX Runtime and LiteRT on this machine, one thread, batch 1, float32. Runs in .venv-bench.

    python bench/measure.py FOLDER OUT.json

FOLDER holds the files of bench/exports.py. A timed call is one inference as a Python program makes
it: it passes the input, computes, and fetches the output. Each runtime's output is compared with
Gatefold's float forward pass first. The rounds of all networks and runtimes are interleaved, so
that a disturbance of the machine does not hit one of them only; median and 99th percentile are of
all calls. Where a median is far above the shortest call, that pair is measured again.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

# Before any runtime starts its threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from tflite import to_tflite

TOLERANCE = 1e-4  # of the largest output: some of the seeded networks have small ones
ROUNDS = 8
SECONDS = 0.5  # a round of one network in one runtime
WARM_UP = 0.2
FAR = 1.5  # times the shortest call: a median above that was taken on a busy machine
AGAIN = 3  # times at most that it is taken again


class OnnxRuntime:
    """A network in ONNX Runtime; each call gets the states of stateful layers from the last one."""

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options,
                                                    providers=["CPUExecutionProvider"])
        self.zeros = {entry.name: np.zeros(entry.shape, np.float32)
                      for entry in self.session.get_inputs() if entry.name != "x"}
        # In the order of the outputs behind y.
        self.names = [entry.name.removesuffix("_out") + "_in"
                      for entry in self.session.get_outputs()[1:]]
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self.states = dict(self.zeros)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """One inference."""
        y, *states = self.session.run(None, {"x": x, **self.states})
        self.states = dict(zip(self.names, states, strict=True))
        return y


class LiteRt:
    """A network in LiteRT with its default delegate; the LSTMs' state is reset each time, unless
    the network is to keep it."""

    def __init__(self, content: bytes, keeps: bool):
        self.interpreter = Interpreter(model_content=content, num_threads=1)
        self.interpreter.allocate_tensors()
        self.source = self.interpreter.get_input_details()[0]["index"]
        self.result = self.interpreter.get_output_details()[0]["index"]
        self.keeps = keeps

    def reset(self) -> None:
        """Begin a new sequence."""
        self.interpreter.reset_all_variables()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """One inference."""
        if not self.keeps:
            self.interpreter.reset_all_variables()
        self.interpreter.set_tensor(self.source, x)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.result)


Call = OnnxRuntime | LiteRt


def check(name: str, runtime: str, call: Call, x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference from ``y`` over the largest ``y``. There are two passes, so that a
    state that is wrongly kept between inferences, or wrongly reset, is found."""
    worst = 0.0
    for _ in range(2):
        call.reset()
        worst = max(worst, *(float(np.abs(call(x[n:n + 1]) - y[n:n + 1]).max())
                             for n in range(len(x))))
    worst /= float(np.abs(y).max())
    if not worst <= TOLERANCE:
        sys.exit(f"bench: {runtime} differs from gatefold on {name} by {worst:g}, at most "
                 f"{TOLERANCE:g} is allowed: the model file is wrong, nothing was measured")
    return worst


def sample(call: Call, x: np.ndarray, seconds: float) -> list[int]:
    """Nanoseconds of each call, for about ``seconds``."""
    taken, clock = [], time.perf_counter_ns
    end = clock() + int(seconds * 1e9)
    while True:
        before = clock()
        call(x)
        after = clock()
        taken.append(after - before)
        if after > end:
            return taken


def cpu() -> str:
    """The processor by its own name, and whether this is a virtual machine."""
    name, virtual = platform.processor() or platform.machine(), False
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return name
    facts = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    name = facts.get("model name", name)
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts.get('model', '?')})"
    virtual = "hypervisor" in facts.get("flags", "")
    return f"{name}, {os.cpu_count()} cores{' of a virtual machine' if virtual else ''}"


def main() -> None:
    """Entry point."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    load_before = os.getloadavg()[0]
    calls: dict[tuple[str, str], tuple[Call, np.ndarray]] = {}
    results: dict[str, dict] = {}
    for path in sorted(folder.glob("*.npz")):
        name = path.stem
        with np.load(path) as data:
            weights = dict(data)
        x, y, layers = weights["x"], weights["y"], json.loads(str(weights["layers"]))
        keeps = any(layer.get("stateful") for layer in layers)
        runtimes: dict[str, Call] = {
            "onnxruntime": OnnxRuntime(folder / f"{name}.onnx"),
            "litert": LiteRt(to_tflite(layers, weights, x.shape[1:]), keeps)}
        for runtime, call in runtimes.items():
            difference = check(name, runtime, call, x, y)
            results.setdefault(name, {})[runtime] = {"difference": float(f"{difference:.1e}")}
            calls[name, runtime] = call, x[:1]
            sample(call, x[:1], WARM_UP)
    taken: dict[tuple[str, str], list[int]] = {key: [] for key in calls}
    for n in range(ROUNDS):
        print(f"  measuring, round {n + 1} of {ROUNDS}", flush=True)
        for key, (call, x) in calls.items():
            sample(call, x, WARM_UP / 4)  # its caches
            taken[key] += sample(call, x, SECONDS)
    for key, (call, x) in calls.items():
        for _ in range(AGAIN):
            if np.median(taken[key]) <= FAR * min(taken[key]):
                break
            print(f"  measuring {' in '.join(key)} again", flush=True)
            sample(call, x, WARM_UP)
            again = sample(call, x, ROUNDS * SECONDS)
            taken[key] = min(taken[key], again, key=np.median)
    for (name, runtime), times in taken.items():
        median, p99 = np.percentile(times, [50, 99]) / 1000
        results[name][runtime] |= {
            "median_us": round(float(median), 2), "p99_us": round(float(p99), 2),
            "min_us": round(min(times) / 1000, 2), "calls": len(times)}
    machine = {"cpu": cpu(), "system": f"{platform.system()} {platform.machine()}",
               "python": platform.python_version(), "threads": 1,
               "load_before": round(load_before, 2), "load_after": round(os.getloadavg()[0], 2),
               "onnxruntime": version("onnxruntime"), "litert": version("ai-edge-litert")}
    out.write_text(json.dumps({"machine": machine, "networks": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
