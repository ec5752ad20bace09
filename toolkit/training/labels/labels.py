"""3D labels of people: fitted to the key points of a 2D teacher, or exact from known joints.

Both give the arrays that `pictures.people.read_people` reads, in the same frames of reference.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ...errors import PosecError
from ...evaluation.scenes import LEAST_VISIBLE, Scene, Scenes
from ...network.embedding import PoseEmbedding
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics, mirror_directions, torso_frame
from ...runtime.decoding.kinematics import ray_rotation
from ...runtime.pose import MUPOTS17
from ..motion.mocap import poses_from_joints
from ..pictures.people import BODY_KEYPOINTS, KEYPOINT_JOINTS, STATURE_M
from .fit_keypoints import COCO_BODY, FitSettings, fit_keypoints
from .label_files import Labels, read_arrays, read_teacher
from .lifter import Lifter

# Shoulders and hips among the body key points.
TORSO_KEYPOINTS = [0, 1, 6, 7]


class ExactPeople(NamedTuple):
    """N people with known 3D joints."""

    true_m: np.ndarray  # (N, 17, 3) relative to the pelvis, frame of the viewing ray
    pelvis_px: np.ndarray  # (N, 2)
    px_per_m: np.ndarray  # (N,) at the pelvis
    keypoints_px: np.ndarray  # (N, 12, 2)
    visible: np.ndarray  # (N, 12) whether they are inside the picture


def label_photos(
    teacher_path: str | Path,
    embedding: PoseEmbedding,
    lifter: Lifter,
    *,
    settings: FitSettings | None = None,
    trusted: Collection[str] | None = None,
) -> Labels:
    """Return 3D labels of all people that a 2D teacher detected in a set of photographs.

    Args:
        teacher_path: an .npz, see `read_teacher`; key points are x, y in px and confidence, in COCO's order.
        embedding, lifter: frozen networks on one device.
        settings: of the fit.
        trusted: photographs known to show people; detections in all others are not usable. None trusts all.

    Raises PosecError where the file contradicts itself.
    """
    settings = settings or FitSettings()
    teacher = read_teacher(teacher_path)
    chunks = _chunks(teacher["kpts"], settings.batch)
    parts = [fit_keypoints(chunk, embedding, lifter, settings=settings) for chunk in chunks]
    labels = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # People without key points take scale and position from their box.
    hidden, boxes = labels["seen"].sum(1) == 0, teacher["boxes"]
    labels["px_per_m"][hidden] = (boxes[:, 2:] - boxes[:, :2]).max(1)[hidden] / STATURE_M
    labels["pelvis_px"][hidden] = (boxes[:, :2] + boxes[:, 2:])[hidden] / 2
    labels["usable"] = _usable(teacher["kpts"], labels, settings)
    if trusted is not None:
        known = np.array([str(name) in trusted for name in teacher["names"]], bool)
        labels["usable"] &= np.repeat(known, np.diff(teacher["ptr"]))
    return {"names": teacher["names"], "ptr": teacher["ptr"], "boxes": teacher["boxes"], **labels}


def _usable(keypoints: np.ndarray, labels: Labels, settings: FitSettings) -> np.ndarray:
    """Return the mask (M,) of people with enough confident key points and a close fit."""
    torso = keypoints[:, COCO_BODY, 2][:, TORSO_KEYPOINTS]
    return (
        ((keypoints[..., 2] > settings.usable_confidence).sum(1) >= settings.min_points)
        & ((torso >= settings.visible_confidence).sum(1) >= settings.min_torso_points)
        & (labels["residual"] < settings.max_residual)
        & (labels["px_per_m"] > 1)
    )


def label_bodies(bodies_path: str | Path, embedding: PoseEmbedding) -> Labels:
    """Return the labels of rendered bodies, one person per picture, from their true joints.

    Args:
        bodies_path: an .npz with `names` (N,) and the arrays of `render_bodies.CutOut`.
        embedding: the frozen pose embedding.

    Raises PosecError where an array is missing or has another shape.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "joints_m": (17, 3),
        "pelvis_px": (2,),
        "px_per_m": (),
        "keypoints_px": (BODY_KEYPOINTS, 2),
    }
    bodies = read_arrays(bodies_path, ("names", *shapes))
    count = len(bodies["names"])
    for name, shape in shapes.items():
        if bodies[name].shape != (count, *shape) or not np.isfinite(bodies[name]).all():
            raise PosecError(
                f"'{bodies_path}': {name} must be finite {(count, *shape)}, got {bodies[name].shape}"
            )
    people = ExactPeople(
        true_m=bodies["joints_m"],
        pelvis_px=bodies["pelvis_px"],
        px_per_m=bodies["px_per_m"],
        keypoints_px=bodies["keypoints_px"],
        visible=np.ones((count, BODY_KEYPOINTS)),
    )
    labels = exact_labels(people, embedding)
    return {"names": bodies["names"], "ptr": np.arange(count + 1), **labels, "usable": np.ones(count, bool)}


def label_scenes(scenes: Scenes, embedding: PoseEmbedding) -> Labels:
    """Return the labels of pictures of people with known 3D joints: full supervision.

    People with less than `LEAST_VISIBLE` of their silhouette visible keep only their position. The principal
    point is the centre of the picture.

    Args:
        scenes: see `evaluation.scenes.read_scenes`; the pictures are opened for their size.
        embedding: the frozen pose embedding.

    Raises PosecError where a picture cannot be read or a pelvis lies behind the camera.
    """
    parts = []
    for name, picture, _ in scenes:
        scene = scenes.scenes[name]
        joints_px, depths_m = scene.people.joints_px, scene.people.roots_mm[:, 2] / 1000
        is_finite = np.isfinite(joints_px).all() and np.isfinite(scene.people.joints_mm).all()
        if not (is_finite and (depths_m > 0).all()):
            requirement = "joints must be finite and pelvises before the camera"
            raise PosecError(f"'{name}': {requirement}; correct or remove the picture")
        parts.append(_scene_people(scene, np.array(picture.shape[1::-1])))
    labels = exact_labels(
        ExactPeople(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True))), embedding
    )
    all_scenes = list(scenes.scenes.values())
    return {
        "names": np.array(list(scenes.scenes)),
        "ptr": np.cumsum([0, *(len(scene.people) for scene in all_scenes)]),
        **labels,
        "usable": np.concatenate([scene.visible >= LEAST_VISIBLE for scene in all_scenes]),
        "exact": np.ones(len(labels["px_per_m"]), bool),
    }


def _scene_people(scene: Scene, size_wh: np.ndarray) -> ExactPeople:
    """Return the people of a picture of (width, height) in the frames of their viewing rays."""
    neck, pelvis = MUPOTS17.index("neck"), MUPOTS17.root
    joints_px = scene.people.joints_px
    centres_px = joints_px[:, [neck, pelvis]].mean(1)
    rays = np.column_stack([(centres_px - (size_wh - 1) / 2) / scene.focal_px, np.ones(len(centres_px))])
    keypoints_px = joints_px[:, KEYPOINT_JOINTS]
    return ExactPeople(
        true_m=scene.people.joints_mm / 1000 @ ray_rotation(rays),
        pelvis_px=joints_px[:, pelvis],
        px_per_m=scene.focal_px / (scene.people.roots_mm[:, 2] / 1000),
        keypoints_px=keypoints_px,
        visible=np.all((keypoints_px > -0.5) & (keypoints_px < size_wh - 0.5), axis=-1),
    )


def exact_labels(people: ExactPeople, embedding: PoseEmbedding) -> Labels:
    """Return the arrays of a label file, without `usable`, of people with known joints.

    `joints_m` and `px_per_m` are those of the reference skeleton in the same pose, scaled to fit the true
    joints in the least-squares sense. `residual` is the remaining distance of its key points, in half box
    sizes.
    """
    true_m, keypoints_px = people.true_m.astype(np.float32), people.keypoints_px.astype(np.float32)
    rotation = torso_frame(true_m)
    directions = torch.from_numpy(poses_from_joints(true_m))
    joints_m = forward_kinematics(directions, bone_lengths_m()).numpy() @ rotation.transpose(0, 2, 1)
    factor = (joints_m * true_m).sum((1, 2)) / np.maximum((joints_m**2).sum((1, 2)), 1e-9)
    px_per_m = people.px_per_m * factor
    low, high = keypoints_px.min(1), keypoints_px.max(1)
    half = np.maximum((high - low).max(1) / 2, 1e-3)
    projected_px = people.pelvis_px[:, None] + px_per_m[:, None, None] * joints_m[:, KEYPOINT_JOINTS, :2]
    device = next(embedding.parameters()).device
    with torch.no_grad():
        code, mirrored_code = (
            embedding.encode(pose.to(device)).cpu().numpy()
            for pose in (directions, mirror_directions(directions))
        )
    labels = {
        "boxes": np.concatenate([low, high], 1),
        "embedding": code,
        "embedding_mirrored": mirrored_code,
        "rotation": rotation,
        "px_per_m": px_per_m,
        "pelvis_px": people.pelvis_px,
        "joints_m": joints_m,
        "keypoints_px": keypoints_px,
        "seen": people.visible,
        "residual": np.linalg.norm(projected_px - keypoints_px, axis=-1).mean(1) / half,
    }
    return {name: array.astype(np.float32) for name, array in labels.items()}


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the rows in chunks of at most `size`; no rows give one empty chunk."""
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]
