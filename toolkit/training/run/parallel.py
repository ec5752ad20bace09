"""Data-parallel training: each process has its own pictures, and gradients are averaged.

Start it with `torchrun --nproc-per-node 2 -m toolkit.training.learning.train_network …`. On a CPU, two
processes of one thread are faster than one process of two threads, because the layers are small.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def join_processes() -> int:
    """Join the processes that torchrun started and return this one's rank; 0 for a single process."""
    if "TORCHELASTIC_RUN_ID" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("gloo")
        # If the interpreter destroys the group, its threads may abort, and torchrun stops the others.
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank() if distributed.is_initialized() else 0


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace gradients by their mean over the processes."""
    if not distributed.is_initialized():
        return
    grads = [
        parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        for parameter in parameters
    ]
    together = torch.cat([grad.flatten() for grad in grads])
    distributed.all_reduce(together)
    together /= distributed.get_world_size()
    for parameter, mean in zip(
        parameters, together.split([parameter.numel() for parameter in parameters]), strict=True
    ):
        parameter.grad = mean.view_as(parameter)


def agreed(number: float) -> float:
    """Return the mean over all processes of a number on which they must agree, such as a duration."""
    if not distributed.is_initialized():
        return number
    shared = torch.tensor([number], dtype=torch.float64)
    distributed.all_reduce(shared)
    return float(shared) / distributed.get_world_size()


def processes() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1
