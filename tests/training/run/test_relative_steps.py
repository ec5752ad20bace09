"""Steps relative to each filter's size."""

import torch
from torch import nn

from toolkit.training.run.relative_steps import RelativeAdamW, filter_sizes


def test_filters_of_every_size_move_by_the_same_share() -> None:
    layer = nn.Conv2d(3, 4, 3, bias=False)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([1e-2, 1.0, 10.0, 1e3]).reshape(4, 1, 1, 1))
    before = layer.weight.detach().clone()
    optimizer = RelativeAdamW(layer.parameters(), 0.01, weight_decay=0.0)
    layer(torch.randn(2, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    moved = (layer.weight.detach() - before).abs().flatten(1).amax(1) / filter_sizes(before).flatten()
    torch.testing.assert_close(moved, torch.full((4,), 0.01), rtol=1e-3, atol=0)


def test_weights_of_zero_still_move() -> None:
    weight = nn.Parameter(torch.zeros(2, 3))
    optimizer = RelativeAdamW([weight], 0.1)
    weight.sum().backward()
    optimizer.step()
    assert (weight != 0).all()
