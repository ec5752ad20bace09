"""One training step, and the schedules of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .parallel import average_gradients


def take_step(
    optimizer: torch.optim.Optimizer, loss: Tensor, clip_norm: float | None = None
) -> tuple[float, ...]:
    """Take one optimizer step down the gradient of a loss, averaged over all processes.

    Args:
        optimizer: its parameter groups are clipped separately.
        loss: a scalar.
        clip_norm: largest gradient norm of a group; None leaves gradients as they are.

    Returns:
        The gradient norm of each group before clipping, empty without `clip_norm`. A step with a norm that is
        not finite is skipped.
    """
    groups = [group["params"] for group in optimizer.param_groups]
    optimizer.zero_grad()
    loss.backward()
    average_gradients([parameter for group in groups for parameter in group])
    if clip_norm is None:
        optimizer.step()
        return ()
    norms = tuple(float(nn.utils.clip_grad_norm_(group, clip_norm)) for group in groups)
    if all(math.isfinite(norm) for norm in norms):
        optimizer.step()
    return norms


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the weighted sum of the losses that have a weight."""
    terms = (weights[name] * loss for name, loss in losses.items() if name in weights)
    return sum(terms, torch.zeros(()))


def one_cycle(step: int, steps: int, peak: float, *, warm_up: float = 0.05) -> float:
    """Return a step's learning rate: a linear rise over the share `warm_up`, then half a cosine to 0."""
    done = (step + 1) / max(steps, 1)
    if done < warm_up:
        return peak * done / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def warm_cosine(step: int, done: float, warm_up: int, *, lowest: float = 0.0) -> float:
    """Return a step's share of the peak learning rate: half a cosine from 1 to `lowest`, times a linear rise.

    Args:
        step: steps taken.
        done: completed share of the run, 0..1.
        warm_up: steps of the linear rise.
        lowest: share of the peak at the end.
    """
    cosine = lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return min(1.0, (step + 1) / warm_up) * cosine


def set_learning_rates(optimizer: torch.optim.Optimizer, *rates: float) -> None:
    """Set the learning rate of each parameter group, or one for all."""
    groups = optimizer.param_groups
    for group, rate in zip(groups, rates if len(rates) > 1 else rates * len(groups), strict=True):
        group["lr"] = rate
