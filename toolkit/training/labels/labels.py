"""Labels of people in 3D: refined from a 2D teacher's key points, or exact from known joints.

Both write the arrays that `toolkit.training.pictures.people` reads. Frames as there: pixels, and the axes of the viewing ray in metres.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from ...errors import PosecError
from ...evaluation.scenes import LEAST_VISIBLE, Scenes
from ...network.embedding import PoseEmbedding
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics, mirror_directions, torso_frame
from ...runtime.decoding.kinematics import ray_rotation
from ...runtime.files.plain_files import write_whole
from ...runtime.pose import MUPOTS17
from ..motion.mocap import poses_from_joints
from ..pictures.people import BODY_KEYPOINTS, KEYPOINT_JOINTS, STATURE_M
from .fit_keypoints import COCO_BODY, Refinement, refine
from .lifter import Lifter

Labels = dict[str, np.ndarray]
TORSO_KEYPOINTS = [0, 1, 6, 7]
MAX_PEOPLE = 5_000_000


def label_photos(
    teacher_path: str | Path,
    embedding: PoseEmbedding,
    lifter: Lifter,
    how: Refinement | None = None,
    trusted: Collection[str] | None = None,
) -> Labels:
    """Return 3D labels of all people that a 2D teacher found in a set of photographs.

    Args:
        teacher_path: an .npz with `names` (P,), `ptr` (P + 1,), `boxes` (M, 4 or 5) and `kpts` (M, 17, 3): x, y in pixels and
            confidence, in COCO's order.
        embedding, lifter: frozen networks on one device.
        how: settings of the fit.
        trusted: photographs known to show people; in all others the teacher's people are not usable. None trusts all.

    Raises PosecError where the file contradicts itself.
    """
    how = how or Refinement()
    teacher = read_teacher(teacher_path)
    parts = [refine(part, embedding, lifter, how) for part in _chunks(teacher["kpts"], how.batch)]
    labels = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # Of whom no key point is known the box says where they are.
    unseen, boxes = labels["seen"].sum(1) == 0, teacher["boxes"]
    labels["px_per_m"][unseen] = (boxes[:, 2:] - boxes[:, :2]).max(1)[unseen] / STATURE_M
    labels["pelvis_px"][unseen] = (boxes[:, :2] + boxes[:, 2:])[unseen] / 2
    confidence = teacher["kpts"][:, COCO_BODY, 2]
    labels["usable"] = (
        ((teacher["kpts"][..., 2] > how.sure_confidence).sum(1) >= how.sure_points)
        & ((confidence[:, TORSO_KEYPOINTS] >= how.seen_confidence).sum(1) >= how.torso_points)
        & (labels["residual"] < how.most_residual)
        & (labels["px_per_m"] > 1)
    )
    if trusted is not None:
        known = np.array([str(name) in trusted for name in teacher["names"]], bool)
        labels["usable"] &= np.repeat(known, np.diff(teacher["ptr"]))
    return {"names": teacher["names"], "ptr": teacher["ptr"], "boxes": teacher["boxes"], **labels}


def label_bodies(bodies_path: str | Path, embedding: PoseEmbedding) -> Labels:
    """Return the labels of rendered bodies, one person per picture, from their true joints.

    Args:
        bodies_path: an .npz with `names` (N,), `joints_m` (N, 17, 3) relative to the pelvis in the viewing ray's frame, `pelvis_px`
            (N, 2), `px_per_m` (N,) at the pelvis, `keypoints_px` (N, 12, 2).
        embedding: the frozen pose embedding.
    """
    shapes = {"joints_m": (17, 3), "pelvis_px": (2,), "px_per_m": (), "keypoints_px": (BODY_KEYPOINTS, 2)}
    bodies = _read(bodies_path, ("names", *shapes))
    count = len(bodies["names"])
    for name, shape in shapes.items():
        if bodies[name].shape != (count, *shape) or not np.isfinite(bodies[name]).all():
            raise PosecError(
                f"'{bodies_path}': {name} must be finite {(count, *shape)}, got {bodies[name].shape}"
            )
    seen = np.ones((count, BODY_KEYPOINTS))
    labels = exact_labels(
        bodies["joints_m"], bodies["pelvis_px"], bodies["px_per_m"], bodies["keypoints_px"], seen, embedding
    )
    return {"names": bodies["names"], "ptr": np.arange(count + 1), **labels, "usable": np.ones(count, bool)}


def label_scenes(scenes: Scenes, embedding: PoseEmbedding) -> Labels:
    """Return the labels of photographs or renderings whose people's 3D joints are known: full supervision, variant F of the learning.

    Of whom less than `LEAST_VISIBLE` can be seen, the place alone is known. The principal point is the middle of the picture.

    Args:
        scenes: see `evaluation.scenes.read_scenes`; the pictures are opened for their size.
        embedding: the frozen pose embedding.

    Raises PosecError where a picture cannot be read, or somebody stands nowhere.
    """
    neck, pelvis = MUPOTS17.index("neck"), MUPOTS17.root
    known: dict[str, list[np.ndarray]] = {
        name: [] for name in ("true_m", "pelvis_px", "px_per_m", "keypoints_px", "seen")
    }
    for name, picture, _ in scenes:
        scene, size = scenes.scenes[name], np.array(picture.shape[1::-1])
        joints_px, depths_m = scene.people.joints_px, scene.people.roots_mm[:, 2] / 1000
        if not (
            np.isfinite(joints_px).all()
            and np.isfinite(scene.people.joints_mm).all()
            and (depths_m > 0).all()
        ):
            raise PosecError(
                f"'{name}': joints must be finite and pelvises before the camera; correct or leave out the picture"
            )
        centres_px = joints_px[:, [neck, pelvis]].mean(1)
        rays = np.column_stack([(centres_px - (size - 1) / 2) / scene.focal_px, np.ones(len(centres_px))])
        keypoints_px = joints_px[:, KEYPOINT_JOINTS]
        known["true_m"].append(scene.people.joints_mm / 1000 @ ray_rotation(rays))
        known["pelvis_px"].append(joints_px[:, pelvis])
        known["px_per_m"].append(scene.focal_px / depths_m)
        known["keypoints_px"].append(keypoints_px)
        known["seen"].append(np.all((keypoints_px > -0.5) & (keypoints_px < size - 0.5), axis=-1))
    labels = exact_labels(
        **{name: np.concatenate(parts) for name, parts in known.items()}, embedding=embedding
    )
    everybody = list(scenes.scenes.values())
    return {
        "names": np.array(list(scenes.scenes)),
        "ptr": np.cumsum([0, *(len(scene.people) for scene in everybody)]),
        **labels,
        "usable": np.concatenate([scene.visible >= LEAST_VISIBLE for scene in everybody]),
        "exact": np.ones(len(labels["px_per_m"]), bool),
    }


def exact_labels(
    true_m: np.ndarray,
    pelvis_px: np.ndarray,
    px_per_m: np.ndarray,
    keypoints_px: np.ndarray,
    seen: np.ndarray,
    embedding: PoseEmbedding,
) -> Labels:
    """Return the arrays of `People`, but `usable`, of people whose joints are known.

    `px_per_m` and `joints_m` are those of the reference skeleton in the same pose, sized to fit the true joints best; `residual` is
    what its joints then differ from the true ones, in half box sizes.

    Args:
        true_m: (N, 17, 3) relative to the pelvis, in the viewing ray's frame.
        pelvis_px: (N, 2).
        px_per_m: (N,) at the pelvis.
        keypoints_px: (N, 12, 2).
        seen: (N, 12) whether they are in the picture.
        embedding: the frozen pose embedding.
    """
    true_m, keypoints_px = true_m.astype(np.float32), keypoints_px.astype(np.float32)
    rotation = torso_frame(true_m)
    directions = torch.from_numpy(poses_from_joints(true_m))
    joints_m = forward_kinematics(directions, bone_lengths_m()).numpy() @ rotation.transpose(0, 2, 1)
    factor = (joints_m * true_m).sum((1, 2)) / np.maximum((joints_m**2).sum((1, 2)), 1e-9)
    px_per_m = px_per_m * factor
    low, high = keypoints_px.min(1), keypoints_px.max(1)
    half = np.maximum((high - low).max(1) / 2, 1e-3)
    projected_px = pelvis_px[:, None] + px_per_m[:, None, None] * joints_m[:, KEYPOINT_JOINTS, :2]
    device = next(embedding.parameters()).device
    with torch.no_grad():
        codes = [
            embedding.encode(pose_.to(device)).cpu().numpy()
            for pose_ in (directions, mirror_directions(directions))
        ]
    labels = {
        "boxes": np.concatenate([low, high], 1),
        "embedding": codes[0],
        "embedding_mirrored": codes[1],
        "rotation": rotation,
        "px_per_m": px_per_m,
        "pelvis_px": pelvis_px,
        "joints_m": joints_m,
        "keypoints_px": keypoints_px,
        "seen": seen,
        "residual": np.linalg.norm(projected_px - keypoints_px, axis=-1).mean(1) / half,
    }
    return {name: array.astype(np.float32) for name, array in labels.items()}


def read_teacher(path: str | Path) -> Labels:
    """Return `names`, `ptr`, `boxes` (M, 4) and `kpts` (M, 17, 3) of a teacher's file; raise PosecError where they disagree."""
    teacher = _read(path, ("names", "ptr", "boxes", "kpts"))
    people, pictures = len(teacher["kpts"]), len(teacher["names"])
    starts = teacher["ptr"]
    if (
        teacher["kpts"].shape != (people, 17, 3)
        or not np.isfinite(teacher["kpts"]).all()
        or people > MAX_PEOPLE
    ):
        raise PosecError(
            f"'{path}': kpts must be finite (M, 17, 3) with M at most {MAX_PEOPLE}, got {teacher['kpts'].shape}"
        )
    if teacher["boxes"].ndim != 2 or len(teacher["boxes"]) != people or teacher["boxes"].shape[1] < 4:
        raise PosecError(f"'{path}': boxes must be ({people}, 4), got {teacher['boxes'].shape}")
    if (
        starts.shape != (pictures + 1,)
        or starts[0] != 0
        or starts[-1] != people
        or (np.diff(starts) < 0).any()
    ):
        raise PosecError(f"'{path}': ptr must rise from 0 to {people} in {pictures + 1} entries")
    return {
        **teacher,
        "boxes": teacher["boxes"][:, :4].astype(np.float32),
        "kpts": teacher["kpts"].astype(np.float32),
    }


def pictures_with_people(index_path: str | Path) -> set[str]:
    """Return the files that a CSV index (`file`, `annotated_persons`) counts at least one person in; empty counts are unknown."""
    with open(index_path, newline="") as index:
        return {
            row["file"] for row in csv.DictReader(index) if row["annotated_persons"].strip() not in ("", "0")
        }


def write_labels(path: str | Path, labels: Labels) -> None:
    """Write labels as a compressed .npz, whole or not at all."""
    with write_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **labels)


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]


def _read(path: str | Path, names: tuple[str, ...]) -> Labels:
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in names if name not in stored.files]
            if missing:
                raise PosecError(f"'{path}' lacks {', '.join(missing)}; found: {', '.join(stored.files)}")
            return {name: stored[name] for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise PosecError(f"cannot read '{path}': {error}") from error
