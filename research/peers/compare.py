"""posec, MediaPipe Pose and MoveNet with a lifter on the same pictures, by the rule of `posec evaluate`.

    python -m research.peers.compare --mediapipe OTHER_PYTHON --movenet NODE_FOLDER MOVENET.json \\
           --lifter embedding.safetensors lifter.safetensors --photos person_keypoints.json images.tar

All are judged on the 14 joints that they share; on photographs by their 2D joints. MediaPipe finds one person
in each look: it gets whole pictures, and the true boxes of all people, as a detector without errors would
give them. For each picture the estimators take turns; times are medians over pictures, of the clock and of
the processor over all threads, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.commands.interface import inputs
from toolkit.commands.interface.terminal import progress, table
from toolkit.evaluation.intervals import Bootstrap, rows_of
from toolkit.evaluation.photos import Photos, judge_photos, read_photos
from toolkit.evaluation.scenes import Scenes, judge_scenes, read_scenes
from toolkit.passes import prepare
from toolkit.runtime.command.refusals import exit_status

from .estimators import SKELETON, Estimator, Found, Peer, mediapipe, movenet, posec, with_margin

COLUMNS: Mapping[type, Sequence[str]] = {
    Scenes: (
        "centre_recall",
        "pck_rel150",
        "pck_rel150_matched",
        "mpjpe_mm",
        "pa_mpjpe_mm",
        "false_positives",
    ),
    Photos: ("centre_recall", "oks50", "oks75", "mean_oks", "false_positives"),
}


def true_boxes(pictures: Scenes | Photos, name: str, size: Sequence[int]) -> np.ndarray:
    """Return the boxes (N, 4) of the people that a protocol scores, with a margin."""
    if isinstance(pictures, Scenes):
        joints_px = pictures.scenes[name].people.joints_px
        corners = joints_px.min(1), joints_px.max(1)
    else:
        boxes = np.array([each.box for each in pictures.people[name] if each.scored]).reshape(-1, 4)
        corners = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return with_margin(*corners, size)


def measure(estimators: Mapping[str, Estimator], pictures: Scenes | Photos) -> list[list[str]]:
    """Return a row for each estimator, the header first."""
    found: dict[str, dict[str, Found]] = {name: {} for name in estimators}
    report = progress("pictures")
    for number, (picture_name, picture, _) in enumerate(pictures):
        boxes = true_boxes(pictures, picture_name, picture.shape[:2])
        order = list(estimators)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            found[name][picture_name] = estimators[name](picture, boxes)
        report(number + 1, len(pictures))
    columns = COLUMNS[type(pictures)]
    rows = [["estimator", *columns, "ms", "processor ms"]]
    for name, each in found.items():
        row = judged(pictures, each)
        times = [
            float(np.median([getattr(one, time) for one in each.values()])) for time in ("wall_ms", "cpu_ms")
        ]
        rows.append([name, *(_cell(row, column) for column in columns), *(f"{time:.1f}" for time in times)])
    return rows


def judged(pictures: Scenes | Photos, found: Mapping[str, Found]) -> dict[str, Any]:
    """Return the row of all people, with intervals."""
    people = {name: each.people for name, each in found.items()}
    if isinstance(pictures, Photos):
        return rows_of(judge_photos(people, pictures, SKELETON), Bootstrap())[0]
    return rows_of(judge_scenes(people, pictures, SKELETON), Bootstrap())[0]


def _cell(row: Mapping[str, Any], column: str) -> str:
    if row[column] is None:
        return "-"
    digits = 1 if "pck" in column or "mm" in column else 3
    low, high = row["intervals"][column]
    return f"{row[column]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for the scenes, and one for the photographs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mediapipe", metavar="PYTHON", help="of an environment with MediaPipe")
    parser.add_argument("--movenet", nargs=2, metavar=("FOLDER", "JSON"), help="see movenet.mjs")
    parser.add_argument("--lifter", nargs=2, type=Path, metavar=("EMBEDDING", "LIFTER"))
    parser.add_argument("--scenes", type=Path, default=inputs.SAMPLES / "scenes.json")
    parser.add_argument("--photos", nargs=2, metavar=("JSON", "PICTURES"), help="COCO key points")
    parser.add_argument("--checkpoint", default="reference")
    args = parser.parse_args(arguments)
    here, peers = Path(__file__).parent, []
    estimators = {f"posec {args.checkpoint}, float32": posec(prepare(inputs.checkpoint(args.checkpoint)))}
    if args.mediapipe:
        peers.append(Peer([args.mediapipe, here / "mediapipe_pose.py"]))
        estimators["MediaPipe Pose full, whole picture"] = mediapipe(peers[-1], each_person=False)
        estimators["MediaPipe Pose full, true boxes"] = mediapipe(peers[-1], each_person=True)
    if args.movenet:
        folder, model = map(Path, args.movenet)
        peers.append(Peer(["node", (here / "movenet.mjs").resolve(), model.resolve()], folder))
        estimators["MoveNet.MultiPose, lifted"] = movenet(peers[-1], *args.lifter)
    sets: list[Scenes | Photos] = [read_scenes(args.scenes)]
    if args.photos:
        sets.append(read_photos(*args.photos))
    for pictures in sets:
        print(f"{len(pictures)} pictures of {pictures.source.name}")
        print(table(measure(estimators, pictures)))
        print(f"load: {os.getloadavg()[0]:.1f}\n", flush=True)
    for peer in peers:
        peer.close()


if __name__ == "__main__":
    sys.exit(exit_status(main))
