"""One training in several processes: each learns pictures of its own, and all take the mean of their gradients.

`torchrun --nproc-per-node 2 -m toolkit.training.train_joint …` starts them. Two processes of one thread learn faster on a CPU than one
process of two threads: layers this small leave a second thread little to do.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def join_processes() -> int:
    """Meet the other processes that torchrun started, and return this one's rank; 0 where there is one alone."""
    if "TORCHELASTIC_RUN_ID" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("gloo")
        # Left to the interpreter's end, its threads may abort a process that has done its work, and torchrun then ends the others.
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
    """Return the mean over the processes of a number that steers all of them, such as the time that a step took."""
    if not distributed.is_initialized():
        return number
    shared = torch.tensor([number], dtype=torch.float64)
    distributed.all_reduce(shared)
    return float(shared) / distributed.get_world_size()


def processes() -> int:
    """Return how many learn together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1
