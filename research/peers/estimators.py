"""The estimators of the comparison: each finds the people of a picture and measures its own time.

MediaPipe Pose and MoveNet run in processes of their own, see `mediapipe_pose.py` and `movenet.mjs`.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from toolkit.evaluation.joints import in_joints, restrict
from toolkit.ir.float_engine import float_estimator
from toolkit.ir.graph import Graph
from toolkit.network.embedding import load_embedding
from toolkit.runtime.pose import MUPOTS17, PoseFrame
from toolkit.training.labels.fit_keypoints import FitSettings, fit_keypoints
from toolkit.training.labels.lifter import load_lifter
from toolkit.training.release.lifted_people import people_of_lifted

# Joint → the points of MediaPipe Pose, and of COCO, whose mean it is.
MEDIAPIPE = {
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
COCO = {
    "neck": (5, 6),
    "right_shoulder": (6,),
    "right_elbow": (8,),
    "right_wrist": (10,),
    "left_shoulder": (5,),
    "left_elbow": (7,),
    "left_wrist": (9,),
    "right_hip": (12,),
    "right_knee": (14,),
    "right_ankle": (16,),
    "left_hip": (11,),
    "left_knee": (13,),
    "left_ankle": (15,),
    "pelvis": (11, 12),
}
SKELETON = restrict(MUPOTS17, tuple(name for name in MUPOTS17.names if name in COCO))
PELVIS, NECK = SKELETON.index("pelvis"), SKELETON.index("neck")
MOVENET_SIDE, MOVENET_SCORE = 256, 0.25  # the score of the npm package pose-detection
NO_DISTANCE_MM = (0.0, 0.0, 4000.0)
MARGIN = 0.25  # of a person's box, on each side


class Found(NamedTuple):
    """The people of a picture, joints of SKELETON, and the time without reading the picture."""

    people: PoseFrame
    wall_ms: float
    cpu_ms: float


# (picture, true boxes (N, 4) left, top, right, bottom) → found.
Estimator = Callable[[np.ndarray, np.ndarray], Found]


class Peer:
    """A process that answers a line of JSON with a line of JSON."""

    def __init__(self, command: Sequence[str | Path], folder: Path | None = None) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)

    def ask(self, **question: str) -> dict[str, Any]:
        """Return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def posec(graph: Graph) -> Estimator:
    """Return posec's estimator of a prepared float network, in ONNX Runtime."""
    estimate = float_estimator(graph)

    def find(picture: np.ndarray, boxes: np.ndarray) -> Found:
        start, start_cpu = time.perf_counter(), time.process_time()
        people = estimate(picture)
        times = 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu)
        return Found(in_joints(people, graph.spec.skeleton, SKELETON.names, root="pelvis"), *times)

    return find


def mediapipe(peer: Peer, *, each_person: bool) -> Estimator:
    """Return the estimator of MediaPipe Pose: one look at the picture, or one at each true box."""

    def find(picture: np.ndarray, boxes: np.ndarray) -> Found:
        height, width = picture.shape[:2]
        looks = boxes.astype(int) if each_person else np.array([[0, 0, width, height]])
        points_px, points_m, scores, wall_ms, cpu_ms = [], [], [], 0.0, 0.0
        for left, top, right, bottom in looks:
            part = np.ascontiguousarray(picture[top:bottom, left:right])
            answer = peer.ask(png=base64.b64encode(cv2.imencode(".png", part)[1].tobytes()).decode())
            wall_ms, cpu_ms = wall_ms + answer["wall_ms"], cpu_ms + answer["cpu_ms"]
            if answer["points_px"] is not None:
                points_px.append(np.array(answer["points_px"]) + np.array([left, top]))
                points_m.append(np.array(answer["points_m"]))
                scores.append(float(np.mean(answer["seen"])))
        joints_px, joints_m = _joints(points_px, MEDIAPIPE, 2), _joints(points_m, MEDIAPIPE, 3)
        return Found(people_of(np.array(scores), joints_px, 1000 * joints_m), wall_ms, cpu_ms)

    return find


def movenet(peer: Peer, embedding: Path, lifter: Path) -> Estimator:
    """Return the estimator of MoveNet.MultiPose with posec's lifter, without a fit."""
    decoder, network, settings = load_embedding(embedding), load_lifter(lifter), FitSettings(steps=0)

    def find(picture: np.ndarray, boxes: np.ndarray) -> Found:
        start, start_cpu = time.perf_counter(), time.process_time()
        scale = MOVENET_SIDE / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        square = np.zeros((MOVENET_SIDE, MOVENET_SIDE, 3), np.uint8)
        square[: small.shape[0], : small.shape[1]] = small[..., ::-1]
        wall_ms, cpu_ms = time.perf_counter() - start, time.process_time() - start_cpu
        answer = peer.ask(rgb=base64.b64encode(square.tobytes()).decode())
        start, start_cpu = time.perf_counter(), time.process_time()
        rows = np.array(answer["people"])
        rows = rows[rows[:, 55] >= MOVENET_SCORE]
        keypoints = rows[:, :51].reshape(-1, 17, 3)[..., [1, 0, 2]]
        keypoints[..., :2] *= max(picture.shape[:2])
        people = _joints(list(keypoints[..., :2]), COCO, 2)
        joints_mm = np.zeros((len(rows), len(SKELETON.names), 3))
        if len(rows):
            lifted = fit_keypoints(keypoints.astype(np.float32), decoder, network, settings=settings)
            posed = people_of_lifted(lifted, rows[:, 55], picture.shape[:2], focal_px=max(picture.shape[:2]))
            joints_mm = in_joints(posed, MUPOTS17, SKELETON.names, root="pelvis").joints_mm
        wall_ms, cpu_ms = wall_ms + time.perf_counter() - start, cpu_ms + time.process_time() - start_cpu
        times = answer["wall_ms"] + 1000 * wall_ms, answer["cpu_ms"] + 1000 * cpu_ms
        return Found(people_of(rows[:, 55], people, joints_mm), *times)

    return find


def people_of(scores: np.ndarray, joints_px: np.ndarray, joints_mm: np.ndarray) -> PoseFrame:
    """Return N people, pelvis-relative; peers give no distance, so all stand at the same one."""
    return PoseFrame(
        np.asarray(scores, np.float32).clip(0, 1),
        joints_px[:, [NECK, PELVIS]].mean(1).astype(np.float32),
        (joints_mm - joints_mm[:, PELVIS : PELVIS + 1]).astype(np.float32),
        np.tile(np.float32(NO_DISTANCE_MM), (len(scores), 1)),
        joints_px.astype(np.float32),
    )


def with_margin(low: np.ndarray, high: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return boxes (N, 4) around corners (N, 2) with the margin, inside a picture of (height, width)."""
    margin = MARGIN * (high - low).max(1, keepdims=True)
    edges = [size[1], size[0]] * 2
    return np.asarray(np.concatenate([low - margin, high + margin], 1).clip(0, edges))


def _joints(points: Sequence[np.ndarray], joints: Mapping[str, tuple[int, ...]], size: int) -> np.ndarray:
    """Return the joints of SKELETON (N, 14, size) from N lists of points."""
    if not len(points):
        return np.zeros((0, len(SKELETON.names), size))
    stacked = np.stack(points)
    return np.stack([stacked[:, list(joints[name])].mean(1) for name in SKELETON.names], 1)
