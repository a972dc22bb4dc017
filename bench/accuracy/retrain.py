# pyright: reportMissingImports=false
"""Train a network again in the core's own formats: for 4 to 6 bits, minutes on a CPU.

    python -m venv .venv-train; .venv-train/bin/pip install . -r bench/accuracy/requirements.txt
    .venv-train/bin/python bench/accuracy/retrain.py --bits 4     both tasks of `make accuracy`

and, for anomalies, three times more from the weights of the time before:

    .venv-train/bin/python bench/accuracy/retrain.py --bits 4 --task anomalies --again \
        --rate 1e-3 --seed 1 --steps 300
    .venv-train/bin/python bench/accuracy/retrain.py --bits 4 --task anomalies --again \
        --rate 1e-3 --seed 2 --steps 150
    .venv-train/bin/python bench/accuracy/retrain.py --bits 4 --task anomalies --again \
        --rate 2e-4 --seed 4 --steps 100

:class:`FakeQuantised` computes what golden computes, in torch's floats: operands, weights, states
and results are rounded to the formats that :func:`gatefold.quantize` chose, inputs are split, and
inputs and h carry remainders. Gradients pass a rounding as if it were not there. The network learns
from the targets of its task, and from what it computed itself in floats. Afterwards the
weights are put on the formats' grid and written as .safetensors. `gatefold build` finds that every
weight lies on a grid of so many bits, and takes that grid, whatever the rule: so the core's weights
are the trained ones, to the bit.

It knows LSTM (tanh, sigmoid), Dense without an activation, and layers that only move values. For
another network, call :func:`retrain` with your own batches.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import forecast
import mgab
import numpy as np
import torch
from arithmetics import MODEL, Shipped
from descent import descend
from safetensors import safe_open
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gatefold.gen.frontends import load
from gatefold.gen.measure.rules import quantize_measured
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Lstm
from gatefold.gen.network.views import RepeatVector, Slice
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import parted
from gatefold.gen.numbers.quantize import requantize_into
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import saturate

__all__ = ["RETRAINED", "FakeQuantised", "retrain"]

#: By task and bits, the files of retrained weights.
RETRAINED = Path(__file__).with_name("retrained")

_LOOK = 25  # steps between two looks at the data that is held out
_HELD_OUT = 0.2  # of the training data, its end
_KEPT = 0.97  # of the average of the weights, at each step
Batch = tuple[np.ndarray, np.ndarray]
Batches = Callable[[int], Batch]


class _Nearest(torch.autograd.Function):
    """The nearest multiple of a step, half up, from ``lo`` to ``hi`` steps; in this range, with the
    gradient of the identity."""

    @staticmethod
    def forward(ctx, x, step, lo, hi):
        units = torch.floor(x / step + 0.5)
        found = torch.clamp(units, lo, hi)
        ctx.save_for_backward(found == units)
        return found * step

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None, None


def _to(x: torch.Tensor, form: QFormat, step: torch.Tensor | float | None = None,
        parts: int = 1) -> torch.Tensor:
    """x in a format, or in multiples of another ``step`` (of each row), rounded half up, then
    saturated where each of its ``parts`` is."""
    return _Nearest.apply(x, form.step if step is None else step, form.lo * parts, form.hi * parts)


def _parted(whole: torch.Tensor, step: torch.Tensor, parts: int) -> torch.Tensor:
    """Multiples of ``step`` as their parts, with the gradient of a fraction."""
    exact = torch.from_numpy(parted((whole / step).detach().numpy().astype(np.int64), parts,
                                    mirrored=True)) * step.repeat_interleave(parts, dim=1)
    shares = (whole / parts).repeat_interleave(parts, dim=1)
    return shares + (exact.to(whole.dtype) - shares).detach()


def _floats(layer: Any, tensor: str) -> np.ndarray:
    """The values of a quantised layer's weights or bias; parts of one weight are added."""
    integers, scales = getattr(layer, tensor), layer.row_scales
    if tensor in layer.weights:
        parts = layer.split if tensor == layer.of.weights[0] else 1
        integers = integers.reshape(len(integers), -1, parts).sum(axis=2)
        return integers * 2.0**-(layer.weights[tensor].frac + scales)[:, None]
    return integers * 2.0**-(layer.acc_frac + scales)


class FakeQuantised(torch.nn.Module):
    """``network`` in torch, with the formats of ``qnet``; its parameters are float weights, at
    first those of ``qnet``."""

    def __init__(self, network: Network, qnet: QuantizedNetwork):
        super().__init__()
        self.network, self.qnet = network, qnet
        self.gate = QFormat(qnet.table.out_frac + 2, qnet.table.out_frac + 1)
        self.weights = torch.nn.ParameterDict({
            f"{n} {tensor}": torch.nn.Parameter(torch.tensor(
                _floats(qnet.layers[n], tensor), dtype=torch.float32))
            for n, layer in enumerate(network.layers) for tensor in (*layer.weights,
                                                                     *layer.biases)})

    def _matrix(self, n: int, tensor: str, whole: bool = False) -> torch.Tensor:
        """Weights on the grid of their format, in parts where the layer's x is, or ``whole``."""
        layer = self.qnet.layers[n]
        form = layer.weights[tensor]
        parts = layer.split if tensor == layer.of.weights[0] else 1
        step = torch.tensor(2.0**-(form.frac + layer.row_scales), dtype=torch.float32)[:, None]
        weights = self.weights[f"{n} {tensor}"]
        rounded = _to(weights, form, step, parts)
        return rounded if whole or parts == 1 else _parted(
            rounded, step.expand(weights.shape), parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of samples (samples, *input_shape), before the last rounding."""
        form = self.qnet.read_formats[0]
        operands = saturate(parted(self.qnet.quantize(x.numpy()), self.qnet.split), form.width)
        values = [torch.tensor(operands * form.step, dtype=torch.float32)]
        for n, layer in enumerate(self.network.layers):
            read = values[layer.inputs[0]]
            if isinstance(layer, Lstm):
                values.append(self._lstm(n, layer, read))
            elif isinstance(layer, Dense):
                values.append(read @ self._matrix(n, "w").T + self.weights[f"{n} b"])
            elif isinstance(layer, RepeatVector):
                values.append(read[:, None].expand(-1, layer.timesteps, -1))
            elif isinstance(layer, Slice):
                values.append(read[:, -1])  # the last step of an LSTM
            else:
                raise SystemExit(f"this recipe knows no {type(layer).__name__}: add it here")
        return values[-1]

    def _lstm(self, n: int, layer: Lstm, x: torch.Tensor) -> torch.Tensor:
        form: Any = self.qnet.layers[n]
        w_hh, gate = self._matrix(n, "w_hh").T, self.gate
        z_x = x @ self._matrix(n, "w_ih").T + self.weights[f"{n} b"]
        h = c = rest = torch.zeros(len(x), layer.units)
        found = []
        for t in range(x.shape[1]):
            i, f, g, o = (z_x[:, t] + h @ w_hh).chunk(4, dim=1)
            i, f, o = (_to(torch.sigmoid(one), gate) for one in (i, f, o))
            c = _to(f * c + i * _to(torch.tanh(g), form.g), form.c)
            exact = o * _to(torch.tanh(c), form.tc) + (rest if t < form.carries else 0.0)
            h = _to(exact, form.h)
            rest = (exact - torch.floor(exact / form.h.step + 0.5) * form.h.step).detach()
            found.append(h)
        return torch.stack(found, dim=1) if layer.return_sequences else h

    def trained(self) -> Network:
        """The network with the weights as they are now, on the grid of their formats."""
        with torch.no_grad():
            return replace(self.network, layers=tuple(replace(layer, **{
                tensor: (self._matrix(n, tensor, True) if tensor in layer.weights
                         else self.weights[f"{n} {tensor}"]).numpy()
                for tensor in (*layer.weights, *layer.biases)})
                for n, layer in enumerate(self.network.layers)))


def retrain(network: Network, qnet: QuantizedNetwork, batches: Batches, held_out: Batch, *,
            steps: int = 400, rate: float = 2e-3) -> Network:
    """``network`` after so many steps of Adam, in the formats of ``qnet``, whose weights are the
    first; ``batches(step)`` gives inputs and targets, float32. The loss is the mean squared error,
    half of it from the targets and half from what ``network`` computes in floats. Every 25 steps it
    is taken of the average of the last weights (exponential, each step keeps :data:`_KEPT`) on
    ``held_out`` too, inputs and targets that no step learns from, and the averages with the least
    are the result."""
    model = FakeQuantised(network, qnet)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(_KEPT))
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    begun, best, least = time.monotonic(), network, math.inf

    def loss_on(batch: Batch, computed: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        x, y = map(torch.from_numpy, batch)
        taught = torch.from_numpy(forward(network, batch[0], dtype=np.float32))
        found = computed(x)
        return (torch.nn.functional.mse_loss(found, y)
                + torch.nn.functional.mse_loss(found, taught)) / 2

    for step, _ in descend(model, optimiser, schedule,
                           lambda step: loss_on(batches(step), model), steps):
        average.update_parameters(model)
        if step % _LOOK == 0:
            with torch.no_grad():
                error = loss_on(held_out, average).item()
            print(f"step {step}: MSE {error:.2e} on data held out, "
                  f"{time.monotonic() - begun:.0f} s", flush=True)
            if error < least:
                best, least = average.module.trained(), error
    return best


# ---- the two tasks -----------------------------------------------------------------------------


def _forecasts(seed: int = 0) -> tuple[Batches, Batch]:
    x, y = forecast.windows("train")
    rng = np.random.default_rng(seed)
    known = int(len(x) * (1 - _HELD_OUT))

    def batch(_step: int):
        picked = rng.integers(0, known, 128)
        return x[picked], y[picked]
    return batch, (x[known::10], y[known::10])


def _anomalies(seed: int = 0) -> tuple[Batches, Batch]:
    """As models/mgab-autoencoder/train.py makes them."""
    rng = np.random.default_rng(seed)
    values = mgab.noisy(mgab.mackey_glass(50_000), np.random.default_rng(18))
    values = (values - values.mean()) / values.std()

    known = int(len(values) * (1 - _HELD_OUT))

    def windows(starts: np.ndarray) -> np.ndarray:
        return values[starts[:, None] + np.arange(50)][..., None].astype(np.float32)

    def batch(_step: int):
        y = windows(rng.integers(0, known - 50, 64))
        return y + rng.normal(0, 0.03, y.shape).astype(np.float32), y
    held_out = windows(np.arange(known, len(values) - 50, 50))
    return batch, (held_out, held_out)


def _state_dict(network: Network, names: dict[int, str]) -> dict[str, torch.Tensor]:
    """The weights by torch's names; ``names`` of the modules by the layers' numbers."""
    found = {}
    for n, name in names.items():
        layer = network.layers[n]
        if isinstance(layer, Lstm):
            arrays = {"weight_ih_l0": layer.w_ih, "weight_hh_l0": layer.w_hh,
                      "bias_ih_l0": layer.b, "bias_hh_l0": np.zeros_like(layer.b)}
        else:
            assert isinstance(layer, Dense)
            arrays = {"weight": layer.w, "bias": layer.b}
        found |= {f"{name}.{key}": torch.tensor(array, dtype=torch.float32)
                  for key, array in arrays.items()}
    return found


def main() -> None:
    """Retrain for both tasks, or one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0, help="of the batches")
    parser.add_argument("--again", action="store_true", help="go on from the weights of last time")
    parser.add_argument("--task", choices=("forecast", "anomalies"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tasks = {"forecast": (forecast.WEIGHTS, forecast.windows("calibration", 15)[0], _forecasts,
                          {"Lstm": "lstm", "Dense": "output"}),
             "anomalies": (MODEL / "mgab-autoencoder.safetensors", Shipped().samples, _anomalies,
                           {"Lstm": "encoder", "Lstm 2": "decoder", "Dense": "output"})}
    for task, (file, samples, batches, modules) in tasks.items():
        if args.task not in (None, task):
            continue
        network = load(file)
        qnet = quantize_measured(network, calibration=samples, act_width=args.bits,
                                 weight_width=args.bits, output_width=16)
        place = RETRAINED / f"{task}-{args.bits}.safetensors"
        if args.again:
            qnet = requantize_into(load(place), qnet, saturate=True)
        found = retrain(network, qnet, *batches(args.seed), steps=args.steps, rate=args.rate)
        computing = [n for n, layer in enumerate(network.layers) if layer.computes]
        names = dict(zip(computing, modules.values(), strict=True))
        RETRAINED.mkdir(exist_ok=True)
        with safe_open(file, "numpy") as stored:
            about = stored.metadata()
        save_file(_state_dict(found, names), place, about)


if __name__ == "__main__":
    main()
