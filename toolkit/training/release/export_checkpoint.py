"""From a finished training to the checkpoint that is shipped: float16 where that is enough, a licence, and the threshold of the centre map."""

from __future__ import annotations

import argparse
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
from ...network.network import KeypointNetwork
from ...runtime.decoding.intrinsics import focal_length
from ...runtime.pose import PoseSpec

LICENCE = "Apache-2.0"
# Are integers of one step per channel, those of `grid`, and become the same integers again (`passes.quantize.qparams`) if kept as they are.
WHOLE = ("trunk.", "reader.")
THRESHOLDS = tuple(float(value) for value in np.arange(0.1, 0.6, 0.05).round(2))


def choose_threshold(checkpoint: Path, scenes: Scenes) -> tuple[float, float]:
    """Return the threshold of the centre map with the best F1 over labelled scenes, the lowest of equals, and that F1.

    The scenes must be of the training side. As in the protocol "rendered-scenes", hardly visible people count neither way.
    """
    estimator = float_estimator(trace(checkpoint))
    spec = estimator.spec
    seen = [(*estimator.infer(picture), focal_px, scenes.scenes[name]) for name, picture, focal_px in scenes]
    scores = {}
    for threshold in THRESHOLDS:
        estimator.spec = replace(spec, centre_threshold=threshold)
        right = predicted = wanted = 0
        for heads, letterbox, focal_px, scene in seen:
            camera = None if focal_px is None else focal_length(focal_px)
            found = estimator.decode(heads, letterbox, camera)
            clear = scene.visible >= LEAST_VISIBLE
            pairs = match_people(found, scene.people, spec.skeleton)
            right += sum(bool(clear[truth]) for _, truth in pairs)
            predicted += len(found) - sum(not clear[truth] for _, truth in pairs)
            wanted += int(clear.sum())
        scores[threshold] = 2 * right / max(1, predicted + wanted)
    best = max(scores, key=lambda threshold: (round(scores[threshold], 4), -threshold))
    return best, scores[best]


def blend(start: KeypointNetwork, trained: KeypointNetwork, share: float) -> KeypointNetwork:
    """Return `trained` with weights on the way from those that its training started from: `share` 0 is the start, 1 the end.

    What both ends know survives better than at either (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    first, last = start.state_dict(), trained.state_dict()
    trained.load_state_dict(
        {
            name: first[name].lerp(value, share) if value.is_floating_point() else value
            for name, value in last.items()
        }
    )
    return trained


def ship(checkpoint: Path, out: Path, threshold: float, name: str = "") -> PoseSpec:
    """Write a checkpoint folder as it is shipped, under a name of its own if one is given, and return its specification."""
    network, decoder, spec = load_checkpoint(checkpoint)
    spec = replace(spec.with_threshold(threshold), name=name or spec.name)
    save_checkpoint(out, network, decoder, spec, LICENCE, WHOLE)
    return spec


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `ship` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train ship",
        description="Write the checkpoint that is shipped.",
        epilog="example: posec train ship --checkpoint network/checkpoint --scenes toolkit/samples/calibration.json --out toolkit/reference",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that a training wrote")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--scenes", type=Path, help="labelled scenes of the training side, to choose the threshold on"
    )
    how.add_argument(
        "--threshold",
        type=float,
        help="the threshold; the scenes say little where the network learned from such scenes",
    )
    parser.add_argument("--start", type=Path, help="checkpoint that the training started from, to blend with")
    parser.add_argument(
        "--share", type=float, default=0.75, help="of the trained weights in the blend (default: 0.75)"
    )
    parser.add_argument("--name", default="", help="of the network (default: the checkpoint's)")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    trained = load_checkpoint(chosen.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.start:
            network = blend(load_checkpoint(chosen.start).network, trained.network, chosen.share)
            save_checkpoint(Path(folder) / "blend", network, trained.decoder, trained.spec)
            chosen.checkpoint = Path(folder) / "blend"
        threshold, why = chosen.threshold, "as given"
        if chosen.scenes:
            threshold, score = choose_threshold(chosen.checkpoint, read_scenes(chosen.scenes))
            why = f"F1 {score:.3f} on {chosen.scenes}"
        ship(chosen.checkpoint, chosen.out, threshold, chosen.name)
    print(f"{chosen.out}: threshold {threshold:g} ({why})")


if __name__ == "__main__":
    main()
