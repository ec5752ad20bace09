"""MediaPipe Pose (full) on pictures or parts of them, in an environment of its own.

    pip install mediapipe==0.10.14
    python research/peers/mediapipe_pose.py looks.json people.json

`looks.json` lists looks: `picture`, and `box` (left, top, right, bottom) in px, null for the whole picture.
`people.json` gets one entry for each look: `cpu_ms`, `wall_ms`, and `points_px` (33, 2), `points_m` (33, 3)
and `seen` (33), or null where no person was found. MediaPipe finds one person in each look.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import cv2
import mediapipe
import numpy as np


def main(looks: str, people: str) -> None:
    """Run the looks and write what was found."""
    pose = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1)
    pose.process(np.zeros((64, 64, 3), np.uint8))
    found = [look_at(pose, **look) for look in json.loads(Path(looks).read_text())]
    Path(people).write_text(json.dumps(found))


def look_at(pose: object, picture: str, box: list[int] | None) -> dict[str, object]:
    """Return the person in a picture or a part of it."""
    whole = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
    left, top, right, bottom = box or (0, 0, whole.shape[1], whole.shape[0])
    part = np.ascontiguousarray(whole[top:bottom, left:right])
    start, start_cpu = time.perf_counter(), time.process_time()
    result = pose.process(part)
    times = {
        "wall_ms": 1000 * (time.perf_counter() - start),
        "cpu_ms": 1000 * (time.process_time() - start_cpu),
    }
    if result.pose_landmarks is None:
        return {**times, "points_px": None, "points_m": None, "seen": None}
    flat, world = result.pose_landmarks.landmark, result.pose_world_landmarks.landmark
    size = np.array([right - left, bottom - top])
    points_px = np.array([[point.x, point.y] for point in flat]) * size + [left, top]
    return {
        **times,
        "points_px": points_px.tolist(),
        "points_m": [[point.x, point.y, point.z] for point in world],
        "seen": [point.visibility for point in flat],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
