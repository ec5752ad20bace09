from __future__ import annotations

import pytest
import torch

from toolkit.network.blocks import Context
from toolkit.network.heads import reference_spec, to_units

pytestmark = pytest.mark.torch


def test_raw_heads_span_the_ranges_of_the_specification() -> None:
    heads = reference_spec().heads
    for sign, bound in ((-1e3, "low"), (1e3, "high")):
        maps = to_units({name: torch.full((1, head.channels), sign) for name, head in heads.items()})
        assert {name: float(getattr(maps, name)[0, 0]) for name in heads} == {
            name: getattr(head, bound) for name, head in heads.items()
        }


def test_an_untrained_context_leaves_features_unchanged() -> None:
    maps = torch.randn(1, 128, 4, 6)
    with torch.no_grad():
        assert torch.equal(Context(128).eval()(maps), maps)
