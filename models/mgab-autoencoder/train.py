#!/usr/bin/env python3
# pyright: reportMissingImports=false
# (torch and safetensors live in the training environment only, see requirements.txt.)
"""Train the shipped ``mgab-autoencoder`` and write its artefacts.

Network: input (50, 1), LSTM 128, its last h repeated 50 times, LSTM 128, Dense 1 at every step;
198,273 parameters, the topology of *autoenc-5. Task: reconstruct windows of a Mackey-Glass series,
so that what it reconstructs badly is an anomaly (bench/accuracy: the Mackey-Glass anomaly
benchmark, and how detection is scored).

A denoising autoencoder: in training a little noise is added to the input and not to the target, so
that it learns to pull a window towards the series' attractor instead of copying it. 128 units could
copy 50 numbers; a window that spans a cut is off the attractor, and is then reconstructed badly.

Seeded and deterministic: on one machine, with one thread count, the same arguments give the same
weights. Usage: ``python train.py --out FOLDER`` (7 minutes on one core; ``--steps 100`` to try).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench" / "accuracy"))

import detection  # noqa: E402
import mgab  # noqa: E402
from descent import descend  # noqa: E402

WINDOW, UNITS, PARAMETERS = 50, 128, 198_273
#: Samples of one trajectory: those to train on, then where the benchmark's series begin. What was
#: tried (noise, rate, steps) was tried on anomalies in between.
TRAIN, HELD_OUT = 50_000, 600_000
SERIES, LENGTH, ANOMALIES = 10, 100_000, 10  #: the benchmark's size
BEFORE = (15, 19, 23, 27, 31, 35)  #: samples of a window up to the cut: one window each
CLEAR = 100  #: samples between a normal window and any cut
THRESHOLD_WINDOWS = CALIBRATION_WINDOWS = 800


class Autoencoder(torch.nn.Module):
    """The network in PyTorch: (N, 50, 1) to (N, 50, 1)."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.LSTM(1, UNITS, batch_first=True)
        self.decoder = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
        self.output = torch.nn.Linear(UNITS, 1)
        with torch.no_grad():
            for lstm in (self.encoder, self.decoder):
                # The forget gate open at first, so that gradients reach the early samples.
                lstm.bias_ih_l0[UNITS:2 * UNITS] = 1.0
                lstm.bias_hh_l0.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encoder(x)[0][:, -1]
        return self.output(self.decoder(h.unsqueeze(1).expand(-1, WINDOW, -1))[0])

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """Outputs for NumPy inputs."""
        with torch.no_grad():
            return np.concatenate([self(torch.from_numpy(part)).numpy()
                                   for part in np.array_split(x, max(1, len(x) // 256))])


def windows(values: np.ndarray, starts: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Standardised windows (N, 50, 1) of ``values`` from ``starts``, float32."""
    cut = values[np.asarray(starts)[:, None] + np.arange(WINDOW)]
    return ((cut - mean) / std)[:, :, None].astype(np.float32)


def held_out(trajectory: np.ndarray, rng: np.random.Generator, mean: float,
             std: float) -> tuple[np.ndarray, np.ndarray]:
    """Windows of the benchmark's series, as many anomalous as normal, and which are anomalous."""
    anomalous, normal = [], []
    # A cut takes up to 200 samples away: what a series has too much is dropped.
    for part in np.split(trajectory, SERIES):
        series = mgab.insert_anomalies(part, ANOMALIES, rng)
        values = mgab.noisy(series.values[:LENGTH], rng)
        starts = (series.cuts[:, None] - np.array(BEFORE) + 1).ravel()
        free = np.ones(len(values) - WINDOW, bool)
        for cut in series.cuts:
            free[max(0, cut - CLEAR - WINDOW):cut + CLEAR] = False
        anomalous.append(windows(values, starts, mean, std))
        normal.append(windows(values, rng.choice(np.flatnonzero(free), len(starts), replace=False),
                              mean, std))
    x = np.concatenate([*anomalous, *normal])
    return x, np.arange(len(x)) < len(x) // 2


def train(model: Autoencoder, values: np.ndarray, args: argparse.Namespace, mean: float,
          std: float) -> dict:
    """Fit ``model`` in place; a record of the run."""
    rng = np.random.default_rng(args.seed)
    noise = torch.Generator().manual_seed(args.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=args.steps,
                                                   pct_start=0.1)
    total, begun = 0.0, time.monotonic()

    def loss_of(_step: int) -> torch.Tensor:
        starts = rng.integers(0, len(values) - WINDOW, args.batch)
        y = torch.from_numpy(windows(values, starts, mean, std))
        x = y + args.noise * torch.randn(y.shape, generator=noise)
        return torch.nn.functional.mse_loss(model(x), y)

    for step, loss in descend(model, optimiser, schedule, loss_of, args.steps):
        total += loss
        if step % 250 == 0:
            print(f"step {step:5}  MSE {total / 250:.3e}  {time.monotonic() - begun:.0f} s",
                  flush=True)
            total = 0.0
    return {"steps": args.steps, "batch": args.batch, "input_noise": args.noise,
            "optimiser": "AdamW, weight decay 1e-5, gradient norm clipped at 1",
            "rate": args.rate, "schedule": "one cycle: 10 % cosine warm-up, then cosine to zero",
            "minutes": round((time.monotonic() - begun) / 60, 1)}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train mgab-autoencoder.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the artefacts")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--noise", type=float, default=0.03, help="added to standardised inputs")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    for name in ("steps", "batch", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(args, name)}")
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def main() -> None:
    """Series, training, detection, artefacts."""
    args = options()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)

    spare = ANOMALIES * (mgab.CUT_LEAST + mgab.CUT_CHOICE)
    trajectory = mgab.mackey_glass(HELD_OUT + SERIES * (LENGTH + spare))
    rng = np.random.default_rng(args.seed)
    values = mgab.noisy(trajectory[:TRAIN], rng)
    mean, std = float(values.mean()), float(values.std())

    model = Autoencoder()
    record = train(model, values, args, mean, std)

    x, anomalous = held_out(trajectory[HELD_OUT:], rng, mean, std)
    chosen = windows(values, rng.choice(len(values) - WINDOW, replace=False,
                                        size=THRESHOLD_WINDOWS + CALIBRATION_WINDOWS), mean, std)
    data = detection.HeldOut(x, anomalous, chosen[:THRESHOLD_WINDOWS])
    found = detection.evaluate(model.reconstruct, data)

    np.savez_compressed(args.out / "held-out.npz", x=x, anomalous=anomalous, train=data.train)
    np.savez_compressed(args.out / "calibration.npz", x=chosen[THRESHOLD_WINDOWS:][::4])
    safetensors.torch.save_file(
        model.state_dict(), args.out / "mgab-autoencoder.safetensors",
        {"format": "pt", "gatefold": (HERE / "network.toml").read_text()})
    (args.out / "mgab-autoencoder.safetensors").chmod(0o644)
    result = {
        "network": "LSTM 128, RepeatVector 50, LSTM 128, Dense 1; input (50, 1)",
        "parameters": PARAMETERS,
        "series": {"name": "MGAB", "tau": mgab.TAU, "beta": mgab.BETA, "gamma": mgab.GAMMA, "n": 10,
                   "history": mgab.HISTORY, "steps_per_unit": mgab.STEPS, "noise": mgab.NOISE,
                   "train_samples": TRAIN, "held_out_from": HELD_OUT, "series": SERIES,
                   "length": LENGTH, "anomalies_each": ANOMALIES},
        "held_out": {"windows": len(x), "anomalous": int(anomalous.sum()),
                     "samples_up_to_the_cut": BEFORE, "clear_of_cuts": CLEAR,
                     "threshold_windows": THRESHOLD_WINDOWS,
                     "threshold_quantile": detection.QUANTILE},
        "scaling": {"rule": "network value = (series value - mean) / std, input and output alike",
                    "mean": mean, "std": std},
        "seed": args.seed, "threads": args.threads, "training": record,
        "detection_float32": asdict(found),
        "versions": {"python": platform.python_version(),
                     **{name: version(name) for name in ("torch", "safetensors", "numpy")}},
    }
    (args.out / "training.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["detection_float32"], indent=2))


if __name__ == "__main__":
    main()
