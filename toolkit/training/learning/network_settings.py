"""The settings of a training run of the image network."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import PosecError
from ...network.heads import SIZE_MULTIPLE
from ..pictures.compose import Mixture
from ..run.configuration import read_section

LOSS_WEIGHTS = {"centre": 1.0, "offset": 0.3, "embedding": 0.6, "rotation": 0.5, "depth": 0.5, "joints": 2.0, "projection": 2.0,
                "auxiliary": 1.0}  # fmt: skip


@dataclass(frozen=True)
class NetworkTraining:
    """Settings of the run.

    Attributes:
        init: safetensors of the network to start from.
        pictures: length of the run; 0 where `minutes` says it.
        minutes: the same as time spent training, interruptions not counted.
        input_size: (height, width) of the pictures, which the checkpoint states; multiples of 32.
        batch: pictures per step.
        learning_rate, trunk_rate: at their highest; both follow a cosine over the run. A trunk_rate of 0 keeps the trunk, and the
            layers that read key points from it, as they are, which makes steps cheaper.
        warm_up: steps of linear rise.
        weight_decay, clip_norm: the norm is clipped for trunk and heads separately.
        integers: share of steps in which maps are rounded as 8 bits would round them, see `rounding`.
        anchor: weight of staying close to what the trunk knew, see `KeypointAnchor`; 0 for none.
        anchor_pictures: pictures of each batch, at most, that this is asked of.
        align: weight of drawing pictures to their labelled key points in the latent space, see `alignment_loss`.
        cycle: weight of finding labelled key points again by the people lifted from them, see `cycle_loss`.
        agree: weight of finding the same people in other views of a picture, see `agreement_loss`.
        agree_pictures: pictures of each batch that are seen another time.
        fitted: weight of 3D poses that were fitted to key points; 0 learns from photographs by their key points alone, as the paper does.
        average: decay per step of the averaged weights, which are what is kept.
        losses: weights by name, see `pose_losses`.
        mixture: see `Mixture`.
    """

    init: str = ""
    pictures: int = 0
    minutes: float = 0.0
    input_size: tuple[int, int] = (256, 448)
    batch: int = 16
    learning_rate: float = 1e-3
    trunk_rate: float = 2e-4
    warm_up: int = 60
    weight_decay: float = 1e-4
    clip_norm: float = 8.0
    integers: float = 0.0
    anchor: float = 0.25
    anchor_pictures: int = 4
    align: float = 0.0
    cycle: float = 0.0
    agree: float = 0.0
    agree_pictures: int = 4
    fitted: float = 1.0
    average: float = 0.998
    seed: int = 0
    report_every: int = 25
    save_every_s: float = 60.0
    losses: Mapping[str, float] = field(default_factory=lambda: dict(LOSS_WEIGHTS))
    mixture: Mixture = field(default_factory=Mixture)


def add_size(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Give a command line `--size`, None where it is not given; `otherwise` says what holds then."""
    told = f"size of the pictures, multiples of {SIZE_MULTIPLE} (default: {otherwise})"
    parser.add_argument("--size", type=read_size, metavar="HEIGHTxWIDTH", help=told)


def read_size(text: str) -> tuple[int, int]:
    """Return the (height, width) of "HEIGHTxWIDTH". Raises ArgumentTypeError for other texts, and for sizes that the network cannot take."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write HEIGHTxWIDTH, such as 384x640")
    if any(side < 1 or side % SIZE_MULTIPLE for side in (int(height), int(width))):
        raise argparse.ArgumentTypeError(f"'{text}': height and width must be multiples of {SIZE_MULTIPLE}")
    return int(height), int(width)


def read_settings(path: Path) -> NetworkTraining:
    """Return the [network] section of a configuration file. Raises PosecError naming an unknown or missing entry."""
    plain = read_section(path, "network")
    losses = {**LOSS_WEIGHTS, **plain.pop("losses", {})}
    mixture, plain = _tuples(plain.pop("mixture", {})), _tuples(plain)
    if unknown := set(losses) - set(LOSS_WEIGHTS):
        raise PosecError(f"'{path}': no loss {', '.join(sorted(unknown))}; known: {', '.join(LOSS_WEIGHTS)}")
    try:
        return NetworkTraining(**plain, losses=losses, mixture=Mixture(**mixture))
    except TypeError as error:
        raise PosecError(f"'{path}' has no usable [network] section: {error}") from error


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
