# pyright: reportMissingImports=false
"""Train the forecasting LSTM of forecast.py: forecast.safetensors, in two minutes of a core.

    python -m venv .venv-train; .venv-train/bin/pip install -r bench/accuracy/requirements.txt
    .venv-train/bin/python bench/accuracy/forecast_train.py
"""

from __future__ import annotations

import numpy as np
import torch
from descent import descend
from forecast import UNITS, WEIGHTS, nrmse, windows
from safetensors.torch import save_file

_STEPS, _BATCH, _RATE, _SEED = 3_000, 128, 1e-2, 7
#: Read by gatefold beside the weights: the network that they belong to.
_NETWORK = '''[input]
shape = [40, 1]

[[layer]]
kind = "lstm"
weights = "lstm"
units = 24
output = "last"

[[layer]]
kind = "linear"
weights = "output"
outputs = 1
'''


class Forecaster(torch.nn.Module):
    """(N, 40, 1) to (N, 1)."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(1, UNITS, batch_first=True)
        self.output = torch.nn.Linear(UNITS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.lstm(x)[0][:, -1])


def main() -> None:
    """Train, print the error on the test part, write the weights."""
    torch.manual_seed(_SEED)
    torch.set_num_threads(1)
    model, rng = Forecaster(), np.random.default_rng(_SEED)
    x, y = map(torch.from_numpy, windows("train"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_STEPS)

    def loss_of(_step: int) -> torch.Tensor:
        batch = torch.from_numpy(rng.integers(0, len(x), _BATCH))
        return torch.nn.functional.mse_loss(model(x[batch]), y[batch])

    for step, _ in descend(model, optimiser, schedule, loss_of, _STEPS):
        if step % 500 == 0:
            with torch.no_grad():
                test_x, test_y = windows("test", 5)
                print(step, f"NRMSE {nrmse(model(torch.from_numpy(test_x)).numpy(), test_y):.4f}",
                      flush=True)
    save_file(model.state_dict(), WEIGHTS, {"gatefold": _NETWORK})


if __name__ == "__main__":
    main()
