#!/usr/bin/env python3
# pyright: reportMissingImports=false
# (torch and keras live in the training environment only, see requirements.txt.)
"""Train the shipped ``lstm-dense`` network on the Mackey-Glass series and write its artefacts.

Network: input (30, 1), LSTM 128 (every h), LSTM 128 (last h), Dense 1; 198,273 parameters.
Task: from 30 samples x(t-29)..x(t), one time unit apart, forecast x(t + horizon).

The default horizon, 24, lies beyond the series' delay of 17: up to 17 steps ahead the delayed term
of the equation is in the input window, so the forecast needs the nonlinearity once; beyond it the
delayed term has to be forecast itself.

Training runs in PyTorch, whose CPU LSTM is fast; the weights are then copied into a Keras 3 model
(torch backend), and both must agree within 1e-5 before anything is written. Seeded and
deterministic: on one machine, with one thread count, the same arguments give the same weights.
Another CPU may round matrix products differently, and training amplifies that.

Usage: ``python train.py --out FOLDER`` (about 10 minutes on one core; ``--epochs 1`` to try).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # read by keras when it is imported

import keras
import numpy as np
import onnx
import onnx.reference
import torch

WINDOW = 30  #: input samples
UNITS = 128
PARAMETERS = 198_273
TOLERANCE = 1e-5  #: largest accepted |difference| between two frameworks' outputs

TAU, BETA, GAMMA = 17, 0.2, 0.1  #: Mackey-Glass constants; the exponent, 10, is in `slope`
STEPS = 10  #: integration steps per time unit
SPIN_UP = 1_000  #: time units discarded
SPLITS = {"train": 20_000, "validation": 3_000, "test": 5_000}  #: samples, in this order in time
SHIPPED = 256  #: windows in test.npz and in calibration.npz


def mackey_glass(samples: int) -> np.ndarray:
    """Samples of dx/dt = beta d / (1 + d^10) - gamma x with d = x(t - tau), one time unit apart.

    Fourth-order Runge-Kutta in double precision with ``STEPS`` steps a unit. The delayed value is
    read from the history; half a step on, by cubic interpolation between its four neighbours.
    The series is chaotic, so only the four basic operations are used (no libm ``pow``): every
    IEEE 754 machine computes the same bits.
    """
    h, delay = 1.0 / STEPS, TAU * STEPS

    def slope(x: float, delayed: float) -> float:
        d2 = delayed * delayed
        d4 = d2 * d2
        return BETA * delayed / (1.0 + d4 * d4 * d2) - GAMMA * x

    x = [1.2] * (delay + 2)  # constant history, and one step before it for the interpolation
    for n in range(delay + 1, delay + 1 + (SPIN_UP + samples) * STEPS):
        before, d0, d1, after = x[n - delay - 1 : n - delay + 3]
        half = (9.0 * (d0 + d1) - (before + after)) / 16.0
        k1 = slope(x[n], d0)
        k2 = slope(x[n] + h / 2 * k1, half)
        k3 = slope(x[n] + h / 2 * k2, half)
        k4 = slope(x[n] + h * k3, d1)
        x.append(x[n] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[delay + 1 + SPIN_UP * STEPS :: STEPS][:samples])


def windows(series: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, 30, 1) and targets (N, 1), float32, of every window within ``series``."""
    starts = np.arange(len(series) - WINDOW - horizon + 1)
    x = series[starts[:, None] + np.arange(WINDOW)]
    y = series[starts + WINDOW - 1 + horizon]
    return x[:, :, None].astype(np.float32), y[:, None].astype(np.float32)


def spread(x: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` windows spread evenly over ``x``."""
    return np.linspace(0, len(x) - 1, count).astype(int)


class Forecaster(torch.nn.Module):
    """The network in PyTorch: (N, 30, 1) to (N, 1)."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, UNITS, num_layers=2, batch_first=True)
        self.dense = torch.nn.Linear(UNITS, 1)
        with torch.no_grad():
            for layer in range(2):
                # Keras's start: forget gate open, so that gradients reach the early samples.
                getattr(self.lstm, f"bias_ih_l{layer}")[UNITS : 2 * UNITS] = 1.0
                getattr(self.lstm, f"bias_hh_l{layer}").zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.lstm(x)[0][:, -1])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Outputs for NumPy inputs."""
        with torch.no_grad():
            return np.concatenate([self(torch.from_numpy(part)).numpy()
                                   for part in np.array_split(x, max(1, len(x) // 512))])


def train(model: Forecaster, data: dict, args: argparse.Namespace) -> dict:
    """Fit ``model`` in place, keep its best validation epoch and return a record of the run."""
    x, y = (torch.from_numpy(a) for a in data["train"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=1e-5)
    batches = -(-len(x) // args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.rate, total_steps=args.epochs * batches, pct_start=0.05,
        anneal_strategy="cos", cycle_momentum=False, final_div_factor=1e3)
    shuffle = torch.Generator().manual_seed(args.seed)
    best, best_epoch, best_state, begun = float("inf"), 0, {}, time.monotonic()
    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for pick in torch.randperm(len(x), generator=shuffle).split(args.batch):
            loss = torch.nn.functional.mse_loss(model(x[pick]), y[pick])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(pick)
        xv, yv = data["validation"]
        valid = float(np.mean((model.predict(xv) - yv) ** 2))
        if valid < best:
            best, best_epoch, best_state = valid, epoch, copy.deepcopy(model.state_dict())
        print(f"epoch {epoch:3}  train MSE {total / len(x):.3e}  validation MSE {valid:.3e}  "
              f"{time.monotonic() - begun:.0f} s", flush=True)
    if not best_state:
        raise SystemExit("train.py: error: the loss diverged: use a smaller --rate")
    model.load_state_dict(best_state)
    return {"epochs": args.epochs, "kept_epoch": best_epoch, "batch": args.batch,
            "optimiser": "AdamW, weight decay 1e-5, gradient norm clipped at 1",
            "rate": args.rate,
            "schedule": "cosine warm-up over 5 % of the steps, then cosine to rate / 25000",
            "validation_mse": best, "minutes": round((time.monotonic() - begun) / 60, 1)}


def to_keras(model: Forecaster) -> keras.Model:
    """The same network in Keras 3, uncompiled.

    Both frameworks order the gates i, f, g, o (Keras writes c for g). Keras keeps matrices as
    (inputs, 4 units) and one bias where torch has two that are only ever added.
    """
    twin = keras.Sequential([
        keras.Input((WINDOW, 1), name="window"),
        keras.layers.LSTM(UNITS, return_sequences=True, name="lstm_1"),
        keras.layers.LSTM(UNITS, name="lstm_2"),
        keras.layers.Dense(1, name="forecast"),
    ], name="lstm_dense")
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    for layer in range(2):
        twin.layers[layer].set_weights([
            w[f"lstm.weight_ih_l{layer}"].T, w[f"lstm.weight_hh_l{layer}"].T,
            w[f"lstm.bias_ih_l{layer}"] + w[f"lstm.bias_hh_l{layer}"]])
    twin.layers[2].set_weights([w["dense.weight"].T, w["dense.bias"]])
    return twin


def export_onnx(model: Forecaster, path: Path) -> onnx.ModelProto:
    """Write the network with PyTorch's default ONNX exporter, batch 1; returns what was written.

    Not with Keras's ``model.export``: on the torch backend it is correct, but unrolls the loop over
    time into 2,352 elementary nodes without one LSTM operator. The exporter's node metadata are
    dropped: they hold stack traces with this machine's paths.
    """
    torch.onnx.export(model.eval(), (torch.zeros(1, WINDOW, 1),), path, dynamo=True, verbose=False,
                      input_names=["window"], output_names=["forecast"], external_data=False)
    proto = onnx.load(path)
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer):
        item.ClearField("metadata_props")
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
    return proto


def run_onnx(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Outputs of ONNX's reference evaluator, one window at a time: (N, 30, 1) to (N, 1)."""
    session, name = onnx.reference.ReferenceEvaluator(proto), proto.graph.input[0].name
    return np.concatenate([np.asarray(session.run(None, {name: x[n : n + 1]})[0])
                           for n in range(len(x))])


def agree(what: str, a: np.ndarray, b: np.ndarray) -> float:
    """Largest |a - b|; stops the program where it exceeds :data:`TOLERANCE`."""
    worst = float(np.abs(a - b).max())
    if not worst <= TOLERANCE:
        raise SystemExit(f"train.py: error: {what} differ by {worst:.2e}, over {TOLERANCE:.0e}")
    return worst


def errors(prediction: np.ndarray, target: np.ndarray, std: float) -> dict:
    """MSE in standardised and in series units, NRMSE = RMSE / standard deviation of the targets."""
    mse = float(np.mean((prediction.astype(float) - target) ** 2))
    return {"nrmse": mse**0.5 / float(target.astype(float).std()), "mse_standardised": mse,
            "mse": mse * std**2}


def linear_forecast(data: dict) -> np.ndarray:
    """Test forecasts of the best linear map of the window (least squares on the training part)."""
    design = {name: np.column_stack([x[:, :, 0].astype(float), np.ones(len(x))])
              for name, (x, _) in data.items()}
    weights = np.linalg.lstsq(design["train"], data["train"][1].astype(float), rcond=None)[0]
    return design["test"] @ weights


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train lstm-dense on the Mackey-Glass series.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the artefacts")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--horizon", type=int, default=24, help="steps ahead (default 24)")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keras-onnx", action="store_true",
                        help="also write lstm-dense-keras.onnx, by Keras's own exporter")
    args = parser.parse_args()
    for name in ("epochs", "horizon", "batch", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(args, name)}")
    if args.horizon > 1000:
        parser.error(f"--horizon must be 1..1000, not {args.horizon}")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out must be a folder that can be written, not {args.out}: {error}")
    return args


def main() -> None:
    """Series, training, copy, checks, artefacts."""
    args = options()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)

    series = mackey_glass(sum(SPLITS.values()))
    ends = np.cumsum(list(SPLITS.values()))
    parts = dict(zip(SPLITS, np.split(series, ends[:-1]), strict=True))
    mean, std = float(parts["train"].mean()), float(parts["train"].std())
    # Windows are cut inside each part: no sample is shared between two parts.
    data = {name: windows((part - mean) / std, args.horizon) for name, part in parts.items()}

    model = Forecaster()
    run = train(model, data, args)
    twin = to_keras(model)
    if twin.count_params() != PARAMETERS:
        raise SystemExit(f"train.py: error: {twin.count_params()} parameters, not {PARAMETERS}")

    x, y = data["test"]
    shipped = spread(x, SHIPPED)
    forecast = model.predict(x)
    y_float = np.asarray(twin.predict(x[shipped], verbose=0), np.float32)
    checks = {"keras_against_torch": agree("Keras and torch", y_float, forecast[shipped])}

    twin.save(args.out / "lstm-dense.keras")
    reloaded = keras.saving.load_model(args.out / "lstm-dense.keras", compile=False)
    checks["keras_reloaded"] = agree("the saved and the live Keras model", y_float,
                                     np.asarray(reloaded.predict(x[shipped], verbose=0)))
    proto = export_onnx(model, args.out / "lstm-dense.onnx")
    checks["onnx_against_keras"] = agree("ONNX and Keras", y_float, run_onnx(proto, x[shipped]))
    if args.keras_onnx:
        path = args.out / "lstm-dense-keras.onnx"
        twin.export(path, format="onnx", verbose=False)
        checks["keras_onnx_against_keras"] = agree(
            "Keras's own ONNX export and Keras", y_float, run_onnx(onnx.load(path), x[shipped]))

    np.savez_compressed(args.out / "test.npz", x=x[shipped], y=y[shipped], y_float=y_float)
    xt = data["train"][0]
    np.savez_compressed(args.out / "calibration.npz", x=xt[spread(xt, SHIPPED)])
    record = {
        "network": "LSTM 128 rs, LSTM 128, Dense 1; input (30, 1)", "parameters": PARAMETERS,
        "series": {"name": "Mackey-Glass", "tau": TAU, "beta": BETA, "gamma": GAMMA, "n": 10,
                   "method": f"RK4, step 1/{STEPS}, history 1.2, cubic interpolation of the delay",
                   "sample_interval": 1, "spin_up": SPIN_UP, "samples": SPLITS,
                   "windows": {name: len(part[0]) for name, part in data.items()}},
        "horizon": args.horizon,
        "scaling": {"rule": "network value = (series value - mean) / std, input and output alike",
                    "mean": mean, "std": std},
        "seed": args.seed, "threads": args.threads, "training": run,
        "test": errors(forecast, y, std),
        "test_shipped_windows": errors(y_float, y[shipped], std),
        "baselines": {"persistence": errors(x[:, -1], y, std),
                      "linear_least_squares": errors(linear_forecast(data), y, std)},
        "largest_difference": checks,
        "exporter": {"onnx": "torch.onnx.export(dynamo=True), batch 1, metadata dropped",
                     "opset": {o.domain or "ai.onnx": o.version for o in proto.opset_import}},
        "versions": {"python": platform.python_version(),
                     **{p: version(p) for p in ("torch", "keras", "onnx", "onnxscript", "h5py",
                                                "numpy")}},
    }
    (args.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps({k: record[k] for k in ("test", "baselines", "largest_difference")}, indent=2))


if __name__ == "__main__":
    main()
