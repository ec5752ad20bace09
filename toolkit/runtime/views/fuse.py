"""Merge the people that several cameras find at one instant, in the frame of the first camera.

A camera measures well across its viewing ray and badly along it. People are averages of what the cameras
measure, weighted by the inverse of these variances and by their scores; across two rays, the average of the
positions is a triangulation.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from ..pose import PoseFrame
from .camera_poses import CameraPose


class FuseSettings(NamedTuple):
    """Limits of one person in two cameras, and deviations of what a camera measures.

    Attributes:
        gap_mm: largest gap between the viewing rays of the pelvis.
        pose_mm: largest mean distance of joints relative to the pelvis.
        depth_ratio: largest ratio of a distance along a ray and the camera's estimate, and its inverse.
        across: deviation of the pelvis across the ray, relative to its distance.
        along: the same along the ray.
        joints_across_mm, joints_along_mm: deviations of joints relative to the pelvis.
    """

    gap_mm: float = 350.0
    pose_mm: float = 300.0
    depth_ratio: float = 1.8
    across: float = 0.01
    along: float = 0.2
    joints_across_mm: float = 50.0
    joints_along_mm: float = 100.0


SETTINGS = FuseSettings()


class FusedPeople(NamedTuple):
    """N people of one instant.

    Attributes:
        people: `joints_mm` and `roots_mm` in the frame of the first camera; pixels are those in the picture
            of the first camera that sees the person.
        members: for each person, camera → index among that camera's people, in the order of the cameras.
    """

    people: PoseFrame
    members: List[Dict[int, int]]


class _World(NamedTuple):
    """People of one camera in the frame of the first."""

    rays: np.ndarray  # (N, 3) unit vectors to the pelvis
    roots_mm: np.ndarray
    joints_mm: np.ndarray


def fuse(
    views: Sequence[PoseFrame], poses: Sequence[CameraPose], settings: FuseSettings = SETTINGS
) -> FusedPeople:
    """Return the people of all cameras, each once, best first.

    Args:
        views: the people of each camera, with the same joints.
        poses: of the cameras.
        settings: see FuseSettings.
    """
    world = [_in_world(people, pose) for people, pose in zip(views, poses)]
    members = _groups(views, world, poses, settings)
    fused = [_merged(group, views, world, poses, settings) for group in members]
    order = sorted(range(len(fused)), key=lambda index: -fused[index][0])
    if not order:
        return FusedPeople(views[0][:0], [])
    columns = [np.array([fused[index][part] for index in order], np.float32) for part in range(5)]
    return FusedPeople(PoseFrame(*columns), [members[index] for index in order])


def ray_gap(
    start_a: np.ndarray, ray_a: np.ndarray, start_b: np.ndarray, ray_b: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gap (...,) between lines at their nearest points, and the distances of these points.

    Distances are from the starts, infinite or NaN for parallel lines. Arguments (..., 3) broadcast.
    """
    between = np.asarray(start_b - start_a, np.float64)
    cosine = (ray_a * ray_b).sum(-1)
    along_a, along_b = (between * ray_a).sum(-1), (between * ray_b).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        far_a = (along_a - cosine * along_b) / (1 - cosine**2)
        far_b = (cosine * along_a - along_b) / (1 - cosine**2)
        apart = between + far_b[..., None] * ray_b - far_a[..., None] * ray_a
    return np.linalg.norm(apart, axis=-1), far_a, far_b


def _in_world(people: PoseFrame, pose: CameraPose) -> _World:
    roots_mm = people.roots_mm.astype(np.float64) @ pose.rotation.T
    lengths = np.maximum(np.linalg.norm(roots_mm, axis=-1, keepdims=True), 1e-9)
    joints_mm = people.joints_mm.astype(np.float64) @ pose.rotation.T
    return _World(roots_mm / lengths, roots_mm + pose.position_mm, joints_mm)


def _groups(
    views: Sequence[PoseFrame],
    world: Sequence[_World],
    poses: Sequence[CameraPose],
    settings: FuseSettings,
) -> List[Dict[int, int]]:
    """Return camera → row of each person: the likeliest pairs first, one row of a camera in each."""
    pairs = []
    for a in range(len(views)):
        for b in range(a + 1, len(views)):
            costs = _costs(world[a], world[b], poses[a], poses[b], settings)
            pairs += [(costs[i, j], (a, int(i)), (b, int(j))) for i, j in np.argwhere(np.isfinite(costs))]
    group_of = {(view, row): {view: row} for view, people in enumerate(views) for row in range(len(people))}
    for _, one, other in sorted(pairs):
        mine, theirs = group_of[one], group_of[other]
        if mine is not theirs and not set(mine) & set(theirs):
            mine.update(theirs)
            for member in theirs.items():
                group_of[member] = mine
    distinct = {id(group): group for group in group_of.values()}
    return [dict(sorted(group.items())) for group in distinct.values()]


def _costs(
    a: _World, b: _World, pose_a: CameraPose, pose_b: CameraPose, settings: FuseSettings
) -> np.ndarray:
    """Return (N, M) costs of people of two cameras as one, infinite beyond the limits."""
    gap_mm, far_a, far_b = ray_gap(pose_a.position_mm, a.rays[:, None], pose_b.position_mm, b.rays[None])
    pose_mm = np.linalg.norm(a.joints_mm[:, None] - b.joints_mm[None], axis=-1).mean(-1)
    own_a = np.linalg.norm(a.roots_mm - pose_a.position_mm, axis=-1)[:, None]
    own_b = np.linalg.norm(b.roots_mm - pose_b.position_mm, axis=-1)[None]
    low, high = 1 / settings.depth_ratio, settings.depth_ratio
    with np.errstate(invalid="ignore"):
        is_ahead = (
            (low * own_a < far_a) & (far_a < high * own_a) & (low * own_b < far_b) & (far_b < high * own_b)
        )
        likely = is_ahead & (gap_mm < settings.gap_mm) & (pose_mm < settings.pose_mm)
    return np.where(likely, gap_mm / settings.gap_mm + pose_mm / settings.pose_mm, np.inf)


def _merged(
    group: Dict[int, int],
    views: Sequence[PoseFrame],
    world: Sequence[_World],
    poses: Sequence[CameraPose],
    settings: FuseSettings,
) -> Tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return score, centre, joints, root and pixels of one person, in the order of PoseFrame."""
    first, row = next(iter(group.items()))
    seen = views[first]
    pixels = seen.centres_px[row], seen.joints_px[row]
    scores = [float(views[view].scores[row]) for view, row in group.items()]
    rays = [world[view].rays[row] for view, row in group.items()]
    roots = [world[view].roots_mm[row] for view, row in group.items()]
    joints = [world[view].joints_mm[row] for view, row in group.items()]
    away = [float(np.linalg.norm(root - poses[view].position_mm)) for root, view in zip(roots, group)]
    root_weights = [
        score * _information(ray, settings.across * far, settings.along * far)
        for score, ray, far in zip(scores, rays, away)
    ]
    joint_weights = [
        score * _information(ray, settings.joints_across_mm, settings.joints_along_mm)
        for score, ray in zip(scores, rays)
    ]
    return max(scores), pixels[0], _mean(joints, joint_weights), _mean(roots, root_weights), pixels[1]


def _information(ray: np.ndarray, across_mm: float, along_mm: float) -> np.ndarray:
    """Return the inverse covariance (3, 3) of a point with deviations across and along a unit ray."""
    outer = np.outer(ray, ray)
    return np.asarray((np.eye(3) - outer) / max(across_mm, 1e-3) ** 2 + outer / max(along_mm, 1e-3) ** 2)


def _mean(points: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of points (..., 3) weighted by matrices (3, 3)."""
    total = sum(point @ weight for point, weight in zip(points, weights))
    return np.asarray(np.linalg.solve(sum(weights), np.asarray(total)[..., None])[..., 0])
