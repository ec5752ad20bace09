"""Settings of the network's training."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import PosecError
from ...network.network import SIZE_MULTIPLE
from ..pictures.compose import Mixture
from ..run.configuration import check_names, read_section

STAGES = ("network", "int8_finish")
LOSS_WEIGHTS = {
    "centre": 1.0,
    "offset": 0.3,
    "embedding": 0.6,
    "rotation": 0.5,
    "depth": 0.5,
    "joints": 2.0,
    "projection": 2.0,
    "auxiliary": 1.0,
}


@dataclass(frozen=True)
class NetworkTraining:
    """Settings of a run.

    Attributes:
        init: safetensors file of the network to start from.
        pictures: length of the run in pictures; 0 where `minutes` is the length.
        minutes: length of the run in minutes of training, interruptions excluded.
        input_size: (height, width) of the pictures, stored in the checkpoint; multiples of 32.
        batch: pictures per step and process.
        learning_rate: peak rate of all parameters but the pretrained ones; cosine schedule.
        backbone_rate: peak rate of the backbone and the key-point head, which start from MoveNet; 0 freezes
            them.
        warm_up: steps of linear rise.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm, of pretrained and other parameters separately.
        int8_share: share of steps with activations rounded to 8 bits, see `fake_quantize`.
        distillation_weight: weight of keeping the key points of the initial network, see `KeypointTeacher`; 0
            for none.
        distillation_pictures: pictures of each batch that are distilled.
        align_weight: weight of `alignment_loss`.
        cycle_weight: weight of `cycle_loss`.
        consistency_weight: weight of `consistency_loss`.
        consistency_pictures: pictures of each batch with a second view.
        fitted_pose_weight: weight of 3D poses fitted to key points; 0 learns photographs from key points
            alone, as the paper does.
        average_decay: decay per step of the weight average, which the checkpoint holds.
        seed: of weights, pictures and views.
        report_every: steps between lines of the log.
        save_every_s: seconds between checkpoints.
        loss_weights: by name, see `pose_losses`.
        mixture: composition of the pictures.
    """

    init: str = ""
    pictures: int = 0
    minutes: float = 0.0
    input_size: tuple[int, int] = (256, 448)
    batch: int = 16
    learning_rate: float = 1e-3
    backbone_rate: float = 2e-4
    warm_up: int = 60
    weight_decay: float = 1e-4
    clip_norm: float = 8.0
    int8_share: float = 0.0
    distillation_weight: float = 0.25
    distillation_pictures: int = 4
    align_weight: float = 0.0
    cycle_weight: float = 0.0
    consistency_weight: float = 0.0
    consistency_pictures: int = 4
    fitted_pose_weight: float = 1.0
    average_decay: float = 0.998
    seed: int = 0
    report_every: int = 25
    save_every_s: float = 60.0
    loss_weights: Mapping[str, float] = field(default_factory=lambda: dict(LOSS_WEIGHTS))
    mixture: Mixture = field(default_factory=Mixture)

    def weights(self) -> dict[str, float]:
        """Return the weight of every loss of a step by name, see `NetworkLearner.losses`."""
        return {
            **self.loss_weights,
            "align": self.align_weight,
            "cycle": self.cycle_weight,
            "consistency": self.consistency_weight,
            "distillation": self.distillation_weight,
        }


def add_size(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option `--size`, None where it is absent; `default` describes the size used then."""
    parser.add_argument(
        "--size",
        type=read_size,
        metavar="HEIGHTxWIDTH",
        help=f"size of the pictures, multiples of {SIZE_MULTIPLE} (default: {default})",
    )


def read_size(text: str) -> tuple[int, int]:
    """Return the (height, width) of "HEIGHTxWIDTH".

    Raises ArgumentTypeError for other texts and unsupported sizes.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write HEIGHTxWIDTH, such as 384x640")
    if any(side < 1 or side % SIZE_MULTIPLE for side in (int(height), int(width))):
        raise argparse.ArgumentTypeError(f"'{text}': height and width must be multiples of {SIZE_MULTIPLE}")
    return int(height), int(width)


def read_settings(path: Path, section: str = STAGES[0]) -> NetworkTraining:
    """Return the network's section of a configuration file.

    Raises PosecError naming an unknown or missing entry.
    """
    stored = read_section(path, section)
    losses = {**LOSS_WEIGHTS, **stored.pop("loss_weights", {})}
    mixture, stored = _with_tuples(stored.pop("mixture", {})), _with_tuples(stored)
    if unknown := set(losses) - set(LOSS_WEIGHTS):
        raise PosecError(f"'{path}': no loss {', '.join(sorted(unknown))}; known: {', '.join(LOSS_WEIGHTS)}")
    check_names(path, section, stored, known=NetworkTraining.__dataclass_fields__)
    check_names(path, f"{section}.mixture", mixture, known=Mixture.__dataclass_fields__)
    return NetworkTraining(**stored, loss_weights=losses, mixture=Mixture(**mixture))


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
