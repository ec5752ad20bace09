"""AdamW with steps relative to each filter's size.

Adam moves all weights by the same step. Equalized networks have filters of one layer that differ a
thousandfold, so a step that suits the large ones destroys the small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Filters and biases of zero still move.
LEAST_SIZE = 1e-4


class RelativeAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter, ICLR 2019) whose learning rate is a share of the size of each filter.

    The size of a filter, the weights of one output channel, is its root mean square; that of a bias or of
    another vector is its mean absolute value.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        before = [parameter.clone() for parameter in parameters]
        loss = super().step(closure)
        for parameter, start in zip(parameters, before, strict=True):
            parameter.copy_(start + filter_sizes(start) * (parameter - start))
        return loss


def filter_sizes(weights: Tensor) -> Tensor:
    """Return the size of each filter of weights (channels, …), broadcastable to their shape."""
    if weights.ndim < 2:
        return weights.abs().mean().clamp(min=LEAST_SIZE)
    sizes = weights.flatten(1).square().mean(1).sqrt().clamp(min=LEAST_SIZE)
    return sizes.reshape(-1, *(1,) * (weights.ndim - 1))
