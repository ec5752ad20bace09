"""Write the checkpoint that is shipped, with float16 weights, a licence, and a chosen threshold."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...device.matching import match_people
from ...evaluation.scenes import LEAST_VISIBLE, Scenes, read_scenes
from ...frontend.trace import trace
from ...ir.float_engine import float_estimator
from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.network import PRETRAINED_PREFIXES, KeypointNetwork
from ...runtime.command.refusals import exit_status
from ...runtime.decoding.intrinsics import focal_length
from ...runtime.pose import PoseSpec

LICENCE = "Apache-2.0"
THRESHOLDS = tuple(float(value) for value in np.arange(0.1, 0.6, 0.05).round(2))


def choose_threshold(checkpoint: Path, scenes: Scenes) -> tuple[float, float]:
    """Return the centre threshold with the best F1 over labelled scenes, and that F1.

    The scenes must belong to the training split. As in the protocol "rendered-scenes", people who are hardly
    visible are neither required nor false positives.
    """
    estimator = float_estimator(trace(checkpoint))
    spec = estimator.spec
    results = [
        (*estimator.infer(picture), focal_px, scenes.scenes[name]) for name, picture, focal_px in scenes
    ]
    scores = {}
    for threshold in THRESHOLDS:
        estimator.spec = replace(spec, centre_threshold=threshold)
        matched = detected = labelled = 0
        for heads, letterbox, focal_px, scene in results:
            camera = None if focal_px is None else focal_length(focal_px)
            people = estimator.decode(heads, letterbox, camera)
            visible = scene.visible >= LEAST_VISIBLE
            pairs = match_people(people, scene.people, spec.skeleton)
            matched += sum(bool(visible[truth]) for _, truth in pairs)
            detected += len(people) - sum(not visible[truth] for _, truth in pairs)
            labelled += int(visible.sum())
        scores[threshold] = 2 * matched / max(1, detected + labelled)
    best = max(scores, key=lambda threshold: (round(scores[threshold], 4), -threshold))
    return best, scores[best]


def blend(start: KeypointNetwork, trained: KeypointNetwork, share: float) -> KeypointNetwork:
    """Interpolate weights between the start of a training (`share` 0) and its end (1), in `trained`.

    The interpolation is more robust than either end (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022).
    """
    first, last = start.state_dict(), trained.state_dict()
    trained.load_state_dict(
        {
            name: first[name].lerp(value, share) if value.is_floating_point() else value
            for name, value in last.items()
        }
    )
    return trained


def ship(checkpoint: Path, out: Path, threshold: float, *, name: str = "") -> PoseSpec:
    """Write a checkpoint folder as it is shipped and return its specification.

    An empty `name` keeps the checkpoint's. Pretrained weights stay float32: they are on the int8 grid, and
    float16 would move them off it.
    """
    network, decoder, spec, temporal = load_checkpoint(checkpoint)
    spec = replace(spec.with_threshold(threshold), name=name or spec.name)
    save_checkpoint(
        out,
        network,
        decoder,
        spec=spec,
        licence=LICENCE,
        float32_prefixes=PRETRAINED_PREFIXES,
        temporal=temporal,
    )
    return spec


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `ship` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train ship",
        description="Write the checkpoint that is shipped.",
        epilog="example: posec train ship --checkpoint network/checkpoint "
        "--scenes toolkit/samples/calibration.json --out toolkit/reference",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a trained checkpoint")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--scenes", type=Path, help="labelled scenes of the training split, to choose the threshold on"
    )
    source.add_argument(
        "--threshold", type=float, help="threshold of the centre map, for networks trained on such scenes"
    )
    parser.add_argument(
        "--start", type=Path, help="checkpoint that the training started from, to interpolate with"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.75,
        help="of the trained weights in the interpolation (default: 0.75)",
    )
    parser.add_argument("--name", default="", help="of the network (default: the checkpoint's)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    trained = load_checkpoint(options.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        if options.start:
            network = blend(load_checkpoint(options.start).network, trained.network, options.share)
            save_checkpoint(
                Path(folder) / "blend",
                network,
                trained.decoder,
                spec=trained.spec,
                temporal=trained.temporal,
            )
            options.checkpoint = Path(folder) / "blend"
        threshold, reason = options.threshold, "as given"
        if options.scenes:
            scenes = read_scenes(options.scenes)
            threshold, score = choose_threshold(options.checkpoint, scenes)
            reason = f"F1 {score:.3f} on {options.scenes}"
        ship(options.checkpoint, options.out, threshold, name=options.name)
    print(f"{options.out}: threshold {threshold:g} ({reason})")


if __name__ == "__main__":
    sys.exit(exit_status(main))
