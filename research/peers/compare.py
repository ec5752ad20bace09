"""posec and MediaPipe Pose on the same rendered scenes, by the rule of `posec evaluate`, on shared joints.

    python research/peers/compare.py MEDIAPIPE_PYTHON WORK_FOLDER

MediaPipe finds one person in each look, so it is measured twice: on whole pictures, and on the true boxes of
all people, one look each, as a detector without errors would give them. Times are of the processor, over all
threads: they depend little on other programs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.commands.interface import inputs
from toolkit.commands.interface.terminal import table
from toolkit.evaluation.joints import in_joints, restrict
from toolkit.evaluation.scenes import Scenes, evaluate_scenes, read_scenes
from toolkit.ir.float_engine import float_estimator
from toolkit.passes import prepare
from toolkit.runtime.command.refusals import exit_status
from toolkit.runtime.pose import MUPOTS17, PoseFrame

# Joint → the points of MediaPipe Pose whose mean it is.
POINTS = {
    "neck": (11, 12),
    "right_shoulder": (12,),
    "right_elbow": (14,),
    "right_wrist": (16,),
    "left_shoulder": (11,),
    "left_elbow": (13,),
    "left_wrist": (15,),
    "right_hip": (24,),
    "right_knee": (26,),
    "right_ankle": (28,),
    "left_hip": (23,),
    "left_knee": (25,),
    "left_ankle": (27,),
    "pelvis": (23, 24),
}
SKELETON = restrict(MUPOTS17, tuple(name for name in MUPOTS17.names if name in POINTS))
MARGIN = 0.25  # of a person's box, on each side
COLUMNS = ("centre_recall", "pck_rel150", "pck_rel150_matched", "mpjpe_mm", "pa_mpjpe_mm")


def boxes_of(people: PoseFrame) -> list[list[int]]:
    """Return (left, top, right, bottom) around the joints of each person, with a margin."""
    low, high = people.joints_px.min(1), people.joints_px.max(1)
    margin = MARGIN * (high - low).max(1, keepdims=True)
    return [
        [int(max(0, value)) for value in box]
        for box in np.concatenate([low - margin, high + margin], 1).tolist()
    ]


def looks_of(scenes: Scenes, *, each_person: bool) -> list[dict[str, Any]]:
    """Return the looks for `mediapipe_pose.py`."""
    looks = []
    for name, scene in scenes.scenes.items():
        picture = str((scenes.source / name).resolve())
        looks += [
            {"picture": picture, "box": box} for box in (boxes_of(scene.people) if each_person else [None])
        ]
    return looks


def people_of(found: Sequence[dict[str, Any]]) -> PoseFrame:
    """Return the people of one picture from the answers to its looks."""
    seen = [each for each in found if each["points_px"] is not None]

    def joints(name: str, size: int) -> np.ndarray:
        if not seen:
            return np.zeros((0, len(SKELETON.names), size), np.float32)
        points = np.array([each[name] for each in seen], np.float32)
        return np.stack([points[:, list(POINTS[joint])].mean(1) for joint in SKELETON.names], 1)

    joints_px, joints_mm = joints("points_px", 2), 1000 * joints("points_m", 3)
    pelvis, neck = SKELETON.index("pelvis"), SKELETON.index("neck")
    return PoseFrame(
        np.array([np.mean(each["seen"]) for each in seen], np.float32).clip(0, 1),
        joints_px[:, [neck, pelvis]].mean(1),
        joints_mm - joints_mm[:, pelvis : pelvis + 1],
        np.tile(np.float32([0, 0, 4000]), (len(seen), 1)),  # MediaPipe gives no distance
        joints_px,
    )


def mediapipe(
    python: str, folder: Path, scenes: Scenes, *, each_person: bool
) -> tuple[dict[str, Any], float]:
    """Return the row of MediaPipe Pose, and its processor time per picture in ms."""
    looks = looks_of(scenes, each_person=each_person)
    asked, answered = folder / "looks.json", folder / "people.json"
    asked.write_text(json.dumps(looks))
    subprocess.run([python, str(Path(__file__).parent / "mediapipe_pose.py"), asked, answered], check=True)
    answers = json.loads(answered.read_text())
    by_picture: dict[str, list[dict[str, Any]]] = {name: [] for name in scenes.scenes}
    for look, answer in zip(looks, answers, strict=True):
        by_picture[Path(look["picture"]).name].append(answer)
    people = {name: people_of(found) for name, found in by_picture.items()}
    cpu_ms = sum(answer["cpu_ms"] for answer in answers) / len(scenes)
    return evaluate_scenes(people, scenes, SKELETON)[0], cpu_ms


def posec(scenes: Scenes, checkpoint: str) -> tuple[dict[str, Any], float]:
    """Return the row of a network in float32 in ONNX Runtime, and its processor time per picture in ms."""
    graph = prepare(inputs.checkpoint(checkpoint))
    estimate: Callable[..., PoseFrame] = float_estimator(graph)
    people, cpu_ms = {}, 0.0
    for name, picture, focal_px in scenes:
        start = time.process_time()
        found = estimate(picture, focal_px=focal_px)
        cpu_ms += 1000 * (time.process_time() - start)
        people[name] = in_joints(found, graph.spec.skeleton, SKELETON.names, root="pelvis")
    return evaluate_scenes(people, scenes, SKELETON)[0], cpu_ms / len(scenes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each estimator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("python", help="interpreter of an environment with MediaPipe")
    parser.add_argument("folder", type=Path, help="for files in between")
    parser.add_argument("--scenes", type=Path, default=inputs.SAMPLES / "scenes.json")
    parser.add_argument("--checkpoint", default="reference")
    args = parser.parse_args(arguments)
    args.folder.mkdir(parents=True, exist_ok=True)
    scenes = read_scenes(args.scenes)
    rows = [["estimator", *COLUMNS, "cpu ms / picture"]]
    for name, (row, cpu_ms) in {
        f"posec {args.checkpoint}, float32": posec(scenes, args.checkpoint),
        "MediaPipe Pose full, whole picture": mediapipe(args.python, args.folder, scenes, each_person=False),
        "MediaPipe Pose full, true boxes": mediapipe(args.python, args.folder, scenes, each_person=True),
    }.items():
        cells = ["-" if row[column] is None else f"{row[column]:.3f}" for column in COLUMNS]
        rows.append([name, *cells, f"{cpu_ms:.0f}"])
    print(table(rows))


if __name__ == "__main__":
    sys.exit(exit_status(main))
