"""Train the temporal stage on simulated tracks of motion capture and on detected tracks of rendered clips.

Run it as `posec train temporal` or `python -m toolkit.training.temporal.train_temporal`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from ...network.network import KeypointNetwork
from ...network.temporal import TemporalNetwork, temporal_arrays
from ...runtime.files.plain_files import write_plain
from ...runtime.temporal.correction import output_size
from ...runtime.temporal.weights import LOOKAHEADS
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Run, RunFiles, RunPlan, seed_all
from ..run.steps import set_learning_rates, take_step, warm_cosine
from .batches import Batch, batch_of
from .error_model import DEFAULT, load_errors
from .losses import Predicted, projection_loss, scale_loss, supervised_losses
from .material import Material
from .motion import read_motion
from .temporal_settings import TemporalTraining, weights_of
from .tracks import Track, load_tracks

NORMALIZED_TRACKS = 200
LEAST_SCALE = 0.02
OUTPUTS = output_size(KeypointNetwork().spec())


def normalize(network: TemporalNetwork, batch: Batch) -> None:
    """Set the network's normalization from the features of a batch."""
    values = batch.features.transpose(0, 1).flatten(1)
    network.mean.copy_(values.mean(1))
    network.scale.copy_(values.std(1).clamp(min=LEAST_SCALE))


def step_losses(corrections: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the losses of the corrections of a batch."""
    predicted = Predicted(corrections, batch)
    return {
        **supervised_losses(predicted, batch),
        "projection": projection_loss(predicted, batch),
        "scale": scale_loss(predicted, batch.is_labelled),
    }


@torch.no_grad()
def figures_of(network: TemporalNetwork, tracks: Sequence[Track]) -> dict[str, float]:
    """Return mean errors in mm of whole tracks, without and with the stage, by name.

    Joints relative to the pelvis with the skeleton's bone lengths; accelerations in mm/frame² of tracks at
    more than 45 Hz.
    """
    network.eval()
    sums: dict[str, list[float]] = {}
    for track in tracks:
        batch = batch_of([track])
        for name, corrections in (
            ("before", torch.zeros(1, OUTPUTS, len(track.seconds))),
            ("after", network(batch.features)),
        ):
            losses = supervised_losses(
                Predicted(corrections, batch), batch._replace(calm=batch.calm.clamp(min=1.0))
            )
            sums.setdefault(f"{name}_mpjpe_mm", []).append(1000 * float(losses["joints"]))
            if track.seconds[0] < 1 / 45:
                acceleration = 1000 * float(losses["joints_acceleration"])
                sums.setdefault(f"{name}_acceleration_mm", []).append(acceleration)
    return {name: float(np.mean(values)) for name, values in sums.items()}


def train_temporal(
    settings: TemporalTraining,
    material: Material,
    out: str | Path,
    *,
    validation: Mapping[str, Sequence[Track]],
) -> TemporalNetwork:
    """Train the stage and write its arrays as safetensors in float16; an interrupted run resumes.

    Args:
        settings: of the run.
        material: tracks.
        out: the file to write; `.jsonl` (log) and `.state` (to resume from) are beside it.
        validation: tracks by name, for the reported figures.
    """
    generator = seed_all(settings.seed)
    network = TemporalNetwork(KeypointNetwork().spec())
    normalize(network, batch_of(material.tracks(NORMALIZED_TRACKS)))
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    run = Run(
        RunPlan(settings, settings.report_every, steps=settings.steps),
        {"network": network, "optimizer": optimizer},
        generator,
        files=RunFiles.beside(out),
        save=lambda: save_stage(Path(out), network, settings.correction_share),
    )
    weights = weights_of(settings)
    while run.done < 1:
        set_learning_rates(optimizer, settings.learning_rate * warm_cosine(run.step, run.done, 50))
        batch = material.batch()
        later = LOOKAHEADS[1 + run.step % (len(LOOKAHEADS) - 1)]
        hidden = network.train().hidden(batch.features)
        losses = step_losses(network.corrections(hidden, batch.features), batch)
        ahead = step_losses(network.corrections(hidden, batch.features, later), batch)
        loss = sum((weights[name] * (losses[name] + 0.5 * ahead[name]) for name in losses), torch.zeros(()))
        take_step(optimizer, loss, settings.clip_norm)
        run.advance({name: losses[name] for name in ("joints", "joints_acceleration", "centre", "distance")})
        if run.report_due or run.done >= 1:
            run.report(
                {
                    f"{name}_{figure}": value
                    for name, tracks in validation.items()
                    for figure, value in figures_of(network, tracks).items()
                }
            )
            run.keep()
    run.finish()
    return network


def save_stage(path: Path, network: TemporalNetwork, correction_share: float) -> None:
    """Write the stage's arrays as safetensors, in float16, with a share of the network's own corrections.

    Corrections learned on few people may be wrong for others; the filters are left.
    """
    arrays = {name: values.astype(np.float16) for name, values in temporal_arrays(network).items()}
    for name, values in arrays.items():
        if name.startswith("output"):
            values[: OUTPUTS - 1] *= np.float16(correction_share)
    write_plain(path, save(arrays))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train temporal`."""
    parser = argparse.ArgumentParser(
        prog="posec train temporal",
        description="Train the temporal stage; put the file beside a checkpoint's spec.toml to export it.",
        epilog="example: posec train temporal --mocap mocap/ --tracks tracks.npz --out temporal.safetensors",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--errors", type=Path, default=DEFAULT, help="file of `posec train errors`")
    parser.add_argument("--tracks", type=Path, help="file of `posec train errors --tracks`")
    parser.add_argument("--validation", type=Path, help="the same of clips of the val split, for the log")
    parser.add_argument("--out", required=True, help="safetensors file to write")
    add_settings(parser, TemporalTraining, "temporal")
    given = parser.parse_args(arguments)
    settings = chosen_settings(given, TemporalTraining)
    detected = load_tracks(given.tracks) if given.tracks else []
    errors = load_errors(given.errors)
    material = Material(read_motion(given.mocap, "train"), errors, detected, settings=settings)
    unseen = Material(read_motion(given.mocap, "val"), errors, [], settings=settings)
    validation = {"simulated": unseen.tracks(60)}
    if given.validation:
        validation["clips"] = load_tracks(given.validation)
    train_temporal(settings, material, given.out, validation=validation)


if __name__ == "__main__":
    main()
