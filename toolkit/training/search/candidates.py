"""Candidates of a search: an input size and the widths of a network, and their cost on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...cost.operators import Operator
from ...cost.predict import CostModel
from ...network.shape import REFERENCE, REMOVABLE, NetworkShape
from .thinning import UNITS, shape_of, width

SIZES = ((128, 224), (160, 256), (160, 288), (192, 320), (224, 384), (256, 448))
SHARES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
MULTIPLE = 8  # channels that kernels compute at once


class Candidate(NamedTuple):
    """An input size (height, width), and the share of channels of each of UNITS; 0 leaves a block out."""

    size: tuple[int, int]
    shares: tuple[float, ...]

    @property
    def shape(self) -> NetworkShape:
        """The shape of the network; widths are multiples of 8."""
        return shape_of(
            {
                unit: -(-round(share * width(REFERENCE, unit)) // MULTIPLE) * MULTIPLE
                for unit, share in zip(UNITS, self.shares, strict=True)
            }
        )


def choices(unit: str) -> tuple[float, ...]:
    """Return the shares that a unit can have."""
    removable = unit in {f"block {number}" for number in REMOVABLE}
    return (*SHARES, 0.0) if removable else SHARES


def whole(size: tuple[int, int]) -> Candidate:
    """Return the candidate with all channels."""
    return Candidate(size, (1.0,) * len(UNITS))


def thinned_operators(
    named: Sequence[tuple[str, Operator]], size: tuple[int, int], candidate: Candidate
) -> list[Operator]:
    """Return the operators of a candidate.

    Args:
        named: (layer, operator) of the whole network, lowered for the board, see `named_operators`.
        size: its input size.
        candidate: whose size is `size` times a ratio in each direction that keeps maps whole.
    """
    shape, found = candidate.shape, []
    for layer, operator in named:
        widths = _widths(layer, shape)
        if widths is None:
            continue
        inputs, outputs = widths
        found.append(
            operator._replace(
                height=operator.height * candidate.size[0] // size[0],
                width=operator.width * candidate.size[1] // size[1],
                inputs=inputs or operator.inputs,
                outputs=outputs or operator.outputs,
            )
        )
    return found


def _widths(layer: str, shape: NetworkShape) -> tuple[int, int] | None:
    """Return the inputs and outputs of a layer, 0 where the shape does not change them; None without it."""
    if layer.startswith("backbone.blocks."):
        number, part = layer.split(".")[2:4]
        hidden = shape.hidden[int(number)]
        if not hidden:
            return None
        return {"expand": (0, hidden), "depthwise": (hidden, hidden), "project": (hidden, 0)}.get(
            part, (0, 0)
        )
    fixed: Mapping[str, tuple[int, int]] = {
        "backbone.last": (0, shape.last),
        "backbone.top": (shape.last, 0),
        "from_keypoints": (0, shape.latent),
        "lifting_head.mlp.mlp.0": (shape.latent, shape.lifting),
        "lifting_head.mlp.mlp.2": (shape.lifting, 0),
    }
    return next((widths for name, widths in fixed.items() if layer.startswith(name)), (0, 0))


class Cost:
    """The predicted instructions of candidates on a board, as a share of the whole network's."""

    def __init__(
        self, named: Sequence[tuple[str, Operator]], size: tuple[int, int], model: CostModel
    ) -> None:
        """Take the operators of the whole network at its own size."""
        self._named, self._size, self._model = named, size, model
        self.whole = self.instructions(whole(size))

    def instructions(self, candidate: Candidate) -> float:
        """Return the instructions of an inference."""
        return self._model.network(thinned_operators(self._named, self._size, candidate)).instructions

    def share(self, candidate: Candidate) -> float:
        """Return the instructions over those of the whole network."""
        return self.instructions(candidate) / self.whole
