"""What PoseNet itself says of a picture: key points grouped into people, to compare a network with what its trunk already knew.

Greedy grouping along displacements (Papandreou et al., PersonLab, ECCV 2018): from the strongest key point that no person has yet,
along the limbs to all others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..network.maps import DISPLACEMENTS, JOINTS, LIMBS, MAP_STRIDE
from ..network.pose_network import reference_spec
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseFrame, Skeleton
from ..runtime.preprocess import Batch
from .anchor import PoseNetAnchor
from .posenet import load_trunk

LEAST_SEED = 0.4
LEAST_PERSON = 0.2
TAKEN_PX = 20.0
HALF = len(LIMBS)


def posenet_estimator(path: Path, skeleton: Skeleton, people_of: Callable[[np.ndarray, Skeleton], PoseFrame]) -> Callable[..., PoseFrame]:
    """Return a function from a picture (H, W, 3) uint8 BGR to the people that PoseNet finds at the size of the reference network.

    `path` is PoseNet's .tflite file; `people_of` makes a PoseFrame of COCO key points (N, 17, 3) in the picture.
    """
    spec, trunk, anchor = reference_spec(), load_trunk(path).eval(), PoseNetAnchor(path)
    batch = Batch(spec, FrameInput("float32", "NCHW", spec.colour_order, normalized=True))

    @torch.no_grad()
    def estimate(picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        letterbox = batch.fill(picture_bgr)
        outputs = anchor.outputs(trunk(torch.from_numpy(batch.array))[1])[0].numpy()
        people = group(outputs)
        people[..., :2] = letterbox.to_picture(people[..., :2])
        return people_of(people, skeleton)

    return estimate


def group(outputs: np.ndarray) -> np.ndarray:
    """Return people (N, 17, 3: x, y in pixels of the input, heat) of PoseNet's outputs (115, h, w)."""
    heat = 1 / (1 + np.exp(-outputs[:JOINTS]))
    height, width = heat.shape[1:]

    def cell(point: np.ndarray) -> tuple[int, int]:
        column, row = np.clip(np.round(point / MAP_STRIDE), 0, (width - 1, height - 1)).astype(int)
        return int(row), int(column)

    def settled(joint: int, row: int, column: int) -> np.ndarray:
        y, x = outputs[[JOINTS + joint, 2 * JOINTS + joint], row, column]
        return np.array([column * MAP_STRIDE + x, row * MAP_STRIDE + y])

    def follow(points: np.ndarray, limb: int) -> None:
        start, end = DISPLACEMENTS[limb]
        first = 3 * JOINTS + (limb // HALF) * 2 * HALF + limb % HALF
        y, x = outputs[[first, first + HALF], *cell(points[start, :2])]
        point = points[start, :2] + (x, y)
        for _ in range(2):
            row, column = cell(point)
            point = settled(end, row, column)
        points[end] = (*point, heat[end, row, column])

    around = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    highest = np.max([around[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    seeds = sorted(zip(*np.nonzero((heat >= highest) & (heat > LEAST_SEED)), strict=True), key=lambda at: -heat[at])
    people: list[np.ndarray] = []
    for joint, row, column in seeds:
        seed = settled(joint, row, column)
        if any(np.linalg.norm(person[joint, :2] - seed) < TAKEN_PX for person in people):
            continue
        points = np.zeros((JOINTS, 3))
        points[joint] = (*seed, heat[joint, row, column])
        done = {joint}
        for limb in [*reversed(range(HALF)), *range(HALF, 2 * HALF)]:
            start, end = DISPLACEMENTS[limb]
            if start in done and end not in done:
                follow(points, limb)
                done.add(end)
        if points[:, 2].mean() > LEAST_PERSON:
            people.append(points)
    return np.array(people).reshape(-1, JOINTS, 3)
