"""MediaPipe Pose (full) as a process with an environment of its own: a line of JSON in, a line of JSON out.

    pip install mediapipe==0.10.14

Asked: `png` (base64). Answered: `cpu_ms`, `wall_ms`, and `points_px` (33, 2), `points_m` (33, 3) and `seen`
(33), or null where no person was found. MediaPipe finds one person in each picture.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time

import cv2
import mediapipe
import numpy as np


def main() -> None:
    """Answer until stdin ends; MediaPipe prints to stdout, so the answers have a pipe of their own."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pose = mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1)
    pose.process(np.zeros((64, 64, 3), np.uint8))
    for line in sys.stdin:
        answers.write(json.dumps(look_at(pose, json.loads(line)["png"])) + "\n")
        answers.flush()


def look_at(pose: object, png: str) -> dict[str, object]:
    """Return the person in a picture."""
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
    start, start_cpu = time.perf_counter(), time.process_time()
    result = pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    times = {
        "wall_ms": 1000 * (time.perf_counter() - start),
        "cpu_ms": 1000 * (time.process_time() - start_cpu),
    }
    if result.pose_landmarks is None:
        return {**times, "points_px": None, "points_m": None, "seen": None}
    flat, world = result.pose_landmarks.landmark, result.pose_world_landmarks.landmark
    size = np.array(picture.shape[1::-1])
    return {
        **times,
        "points_px": (np.array([[point.x, point.y] for point in flat]) * size).tolist(),
        "points_m": [[point.x, point.y, point.z] for point in world],
        "seen": [point.visibility for point in flat],
    }


if __name__ == "__main__":
    main()
