# pyright: reportMissingImports=false
"""The loop that every training of this repository runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

__all__ = ["descend"]


def descend(model: torch.nn.Module, optimiser: torch.optim.Optimizer,
            schedule: torch.optim.lr_scheduler.LRScheduler, loss_of: Callable[[int], torch.Tensor],
            steps: int) -> Iterator[tuple[int, float]]:
    """Take so many steps down ``loss_of(step)``, with the norm of the gradient clipped at 1.

    Yields each step, counted from 1, and its loss, after the parameters have changed.
    """
    for step in range(1, steps + 1):
        loss = loss_of(step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        yield step, loss.item()
