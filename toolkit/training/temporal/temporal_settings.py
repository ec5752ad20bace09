"""Settings of the training of the temporal stage, and the weights of its losses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TemporalTraining:
    """Settings of the run.

    Attributes:
        steps: of the optimizer.
        batch: tracks per step.
        frames: per track.
        detected_share: share of tracks from clips, where there are some; the others are simulated.
        jump_share: share of tracks that jump to another of their times.
        learning_rate, weight_decay, clip_norm: of AdamW.
        velocity_weight, acceleration_weight: of changes of errors; positions have weight 1.
        distance_weight: of the log distance, in metres.
        label_share: of the motion-capture clips that are used.
        detected_labels: 1 to use the labels of the tracks from clips, 0 to use none of them.
        projection_weight: of key points against projected joints, on tracks without labels.
        scale_weight: of the mean scale of tracks without labels, against that of the others.
        correction_share: of the network's own corrections that the file keeps beside the filters, 0 to 1.
        report_every: steps between reports.
        seed: of everything.
    """

    steps: int = 600
    batch: int = 16
    frames: int = 40
    detected_share: float = 0.4
    jump_share: float = 0.15
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    velocity_weight: float = 1.0
    acceleration_weight: float = 4.0
    distance_weight: float = 0.5
    confidence_weight: float = 0.02
    label_share: float = 1.0
    detected_labels: int = 1
    projection_weight: float = 0.0
    scale_weight: float = 0.0
    correction_share: float = 0.5
    report_every: int = 200
    seed: int = 0


def weights_of(settings: TemporalTraining) -> dict[str, float]:
    """Return the weight of each loss."""
    weights = {"confidence": settings.confidence_weight}
    weights |= {"projection": settings.projection_weight, "scale": settings.scale_weight}
    for name, weight in (
        ("joints", 1.0),
        ("picture", 0.5),
        ("centre", 0.5),
        ("distance", settings.distance_weight),
    ):
        weights[name] = weight
        weights[f"{name}_velocity"] = weight * settings.velocity_weight
        weights[f"{name}_acceleration"] = weight * settings.acceleration_weight
    return weights
