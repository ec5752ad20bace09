"""The widths of a pose network: channels inside its blocks, which thinner networks have fewer of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

STEM_CHANNELS = 48
EXPANSION = 6
# Output channels and stride of the backbone's inverted residual blocks.
BLOCKS = (
    (24, 1),
    *((40, 2), (40, 1)),
    *((48, 2), (48, 1), (48, 1)),
    *((96, 2), (96, 1), (96, 1), (96, 1)),
    *((144, 1), (144, 1), (144, 1)),
    *((240, 2), (240, 1), (240, 1)),
    (480, 1),
)
_LAST, _LATENT = 1280, 256
_INPUTS = (STEM_CHANNELS, *(channels for channels, _ in BLOCKS[:-1]))
_HIDDEN = (STEM_CHANNELS, *(EXPANSION * inputs for inputs in _INPUTS[1:]))
# Blocks that add their result to their input: without them, the input goes on as it is.
REMOVABLE = tuple(
    number
    for number, (before, (channels, stride)) in enumerate(zip(_INPUTS, BLOCKS, strict=True))
    if number and stride == 1 and before == channels
)


@dataclass(frozen=True)
class NetworkShape:
    """Numbers of channels that only layers inside a block read; the defaults are the reference network's.

    Attributes:
        hidden: of each block of the backbone, between its 1x1 convolutions; 0 leaves the block out.
        last: of the backbone's last layer.
        latent: of the lifting head's latent.
        lifting: between the two layers of the lifting head.

    Raises ValueError for more channels than the reference network has, or none where some are needed.
    """

    hidden: tuple[int, ...] = _HIDDEN
    last: int = _LAST
    latent: int = _LATENT
    lifting: int = _LATENT

    def __post_init__(self) -> None:
        """Check the widths."""
        if len(self.hidden) != len(BLOCKS) or self.hidden[0] != STEM_CHANNELS:
            raise ValueError(
                f"the backbone has {len(BLOCKS)} blocks, the first with {STEM_CHANNELS} channels"
            )
        widths = [(f"block {number}", width) for number, width in enumerate(self.hidden)]
        limits = [*_HIDDEN, _LAST, _LATENT, _LATENT]
        widths += [("last", self.last), ("latent", self.latent), ("lifting", self.lifting)]
        for (name, width), limit in zip(widths, limits, strict=True):
            least = 0 if name in {f"block {number}" for number in REMOVABLE} else 1
            if not least <= width <= limit:
                raise ValueError(f"{name} has {width} channels, possible are {least} to {limit}")

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> NetworkShape:
        """Return the shape of a network with these weights. Raises ValueError for an impossible one."""
        full = cls()
        present = {int(name.split(".")[2]) for name in tensors if name.startswith("backbone.blocks.")}

        def width(name: str, axis: int, otherwise: int) -> int:
            tensor = tensors.get(f"{name}.weight")
            return otherwise if tensor is None or tensor.ndim != 4 else tensor.shape[axis]

        hidden = tuple(
            width(f"backbone.blocks.{number}.depthwise", 0, channels)
            if number in present or number not in REMOVABLE
            else 0
            for number, channels in enumerate(full.hidden)
        )
        return cls(
            hidden=hidden if present else full.hidden,
            last=width("backbone.last", 0, full.last),
            latent=width("lifting_head.mlp.0", 1, full.latent),
            lifting=width("lifting_head.mlp.0", 0, full.lifting),
        )


REFERENCE = NetworkShape()
