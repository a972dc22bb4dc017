"""Time the networks of workloads.json on a CUDA GPU with PyTorch, float32, batch 1.

    python bench/gpu.py --out bench/gpu.json

It needs PyTorch, NumPy and bench/workloads.json, nothing of Gatefold, so that it can be copied to a
machine with a GPU. It times three ways: the module as it is, torch.jit.trace (as the published GPU
figures), and a CUDA graph, which saves the cost of starting kernels one by one. A call copies the
input to the GPU, computes, and copies the output back. Weights are random, since they do not change
the time. `--device cpu` runs all but the graphs, to try the script.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

WARM_UP, CALLS, SECONDS = 50, 2000, 5.0
WAYS = {"eager": "PyTorch", "jit": "torch.jit", "graph": "CUDA graph"}


class Sequential(nn.Module):
    """The layers of a workload, batch first."""

    def __init__(self, input_shape: list[int], layers: list[str]):
        super().__init__()
        self.steps = nn.ModuleList()
        self.kinds: list[tuple[str, int]] = []
        features = input_shape[-1]
        for text in layers:
            words = text.removeprefix("TimeDistributed ").split()
            kind, size = words[0], int(words[1])
            if kind == "LSTM":
                self.steps.append(nn.LSTM(features, size, batch_first=True))
                self.kinds.append(("sequence" if "rs" in words else "last", size))
                features = size
            elif kind == "RepeatVector":
                self.steps.append(nn.Identity())
                self.kinds.append(("repeat", size))
            elif kind == "Dense":
                self.steps.append(nn.Linear(features, size))
                self.kinds.append(("dense", size))
                features = size
            else:
                raise NotImplementedError(kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step, (kind, size) in zip(self.steps, self.kinds, strict=True):
            if kind == "sequence":
                x = step(x)[0]
            elif kind == "last":
                x = step(x)[0][:, -1]
            elif kind == "repeat":
                x = x[:, None].expand(-1, size, -1)
            else:
                x = step(x)
        return x


def captured(model: nn.Module, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model as a CUDA graph that is replayed on each call."""
    static = x.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = model(static)

    def call(value: torch.Tensor) -> torch.Tensor:
        static.copy_(value)
        graph.replay()
        return result

    return call


def timed(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, device: str) -> dict:
    """Microseconds of a call with both copies: minimum, median and 99th percentile."""
    taken = []
    end = time.perf_counter() + SECONDS
    for n in range(WARM_UP + CALLS):
        before = time.perf_counter_ns()
        call(x.to(device)).cpu()  # waits for the result
        if n >= WARM_UP:
            taken.append((time.perf_counter_ns() - before) / 1000)
            if time.perf_counter() > end:
                break
    median, p99 = np.percentile(taken, [50, 99])
    return {"min_us": round(min(taken), 2), "median_us": round(float(median), 2),
            "p99_us": round(float(p99), 2), "calls": len(taken)}


def measure(described: dict, device: str) -> dict:
    """One network in every way; each way must agree with the module on the CPU."""
    torch.manual_seed(0)
    model = Sequential(described["input"], described["layers"]).eval()
    x = torch.randn(1, *described["input"])
    wanted = model(x)
    model = model.to(device)
    on_device = x.to(device)
    ways = {"eager": model, "jit": torch.jit.trace(model, on_device)}
    if device == "cuda":
        ways["graph"] = captured(model, on_device)
    results = {}
    for way, call in ways.items():
        difference = float((call(on_device).cpu() - wanted).abs().max() / wanted.abs().max())
        if not difference < 1e-2:
            sys.exit(f"gpu.py: {way} differs from the CPU by {difference:g} of the largest output")
        results[WAYS[way]] = timed(call, x, device) | {"difference": float(f"{difference:.1e}")}
    return results


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workloads", type=Path,
                        default=Path(__file__).resolve().parent / "workloads.json")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: PyTorch sees no CUDA GPU here: nothing was measured")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # float32
    torch.set_grad_enabled(False)
    networks = {}
    for name, described in json.loads(options.workloads.read_text())["networks"].items():
        if not any(layer.startswith("Conv1D") for layer in described["layers"]):
            networks[name] = measure(described, options.device)
            print(name, {way: seen["median_us"] for way, seen in networks[name].items()},
                  flush=True)
    gpu = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU {platform.machine()}"
    machine = {"gpu": gpu, "torch": torch.__version__, "cuda": torch.version.cuda,
               "cudnn": torch.backends.cudnn.version()}
    options.out.write_text(json.dumps(
        {"machine": machine, "ways": list(WAYS.values()), "networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
