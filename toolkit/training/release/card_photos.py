"""Photographs with annotated people for the model card, and the 2D teacher's detections on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...evaluation.photos import BODY, BODY_NAMES, Annotated, Photos, read_photos
from ...runtime.pose import PoseFrame, Skeleton
from ..labels.labels import read_teacher
from ..pictures.photos import held_out

# Joints of LSPET in COCO's order, left shoulder to right ankle.
LSPET_AS_COCO = (9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0)
# Area of a person's outline, which COCO's protocol uses, as a share of the box with its margin.
OUTLINE_SHARE = 0.45
BOX_MARGIN = 0.1
MIN_CONFIDENCE = 0.5
MIN_POINTS = 6


def tiny_coco(data: Path) -> Photos:
    """Return the photographs of tiny_coco in a data folder."""
    return read_photos(data / "eval/tiny_coco/person_keypoints.json", data / "eval/tiny_coco/images.tar")


def read_lspet(data: Path, kept: bool = True) -> Photos:
    """Return the held-out tenth of Leeds Sports Pose Extended, or the rest where `kept` is False."""
    with np.load(data / "photos/lspet/joints.npz", allow_pickle=False) as stored:
        columns = (stored["names"], stored["joints"], stored["labelled"])
        rows = [(str(name), joints, labelled) for name, joints, labelled in zip(*columns, strict=True)]
    people = {}
    for name, joints, labelled in rows:
        if held_out(name) == kept:
            points = np.zeros((17, 3))
            points[BODY] = np.column_stack([joints, 2.0 * labelled])[list(LSPET_AS_COCO)]
            people[name] = (_annotated(points),)
    return Photos(people, data / "photos/lspet/photos.tar")


def held_out_ccp(data: Path) -> Photos:
    """Return the held-out tenth of Clothing Co-Parsing, annotated by the 2D teacher."""
    teacher = read_teacher(data / "labels/ccp.npz")
    people = {}
    for index, name in enumerate(map(str, teacher["names"])):
        if held_out(name):
            points = teacher["kpts"][teacher["ptr"][index] : teacher["ptr"][index + 1]].astype(np.float64)
            points[..., 2] = 2.0 * (points[..., 2] > MIN_CONFIDENCE)
            confident = [person for person in points if (person[BODY, 2] > 0).sum() >= MIN_POINTS]
            people[name] = tuple(_annotated(person) for person in confident)
    return Photos(people, data / "photos/ccp/photos.tar")


def _annotated(points: np.ndarray) -> Annotated:
    """Return key points (17, 3) as an annotated person with the box around them."""
    labelled = points[points[:, 2] > 0, :2]
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    margin = BOX_MARGIN * (high - low).max()
    width, height = high - low + 2 * margin
    box = np.array([*(low - margin), width, height])
    return Annotated(box, points, float(OUTLINE_SHARE * width * height), True)


def people_of_keypoints(keypoints: np.ndarray, skeleton: Skeleton) -> PoseFrame:
    """Return people with COCO key points (N, 17, 3: x, y, confidence) as joints; 3D values are zero."""
    count, joints = len(keypoints), len(skeleton.names)
    joints_px = np.zeros((count, joints, 2), np.float32)
    for index, name in zip(BODY, BODY_NAMES, strict=True):
        joints_px[:, skeleton.index(name)] = keypoints[:, index, :2]
    scores = keypoints[:, :, 2].mean(axis=1).astype(np.float32)
    torso_px = keypoints[:, [5, 6, 11, 12], :2].mean(axis=1).astype(np.float32)
    zeros = np.zeros((count, joints, 3), np.float32)
    return PoseFrame(scores, torso_px, zeros, zeros[:, 0], joints_px)


def teachers_people(path: Path, photos: Photos, skeleton: Skeleton) -> dict[str, PoseFrame]:
    """Return the people that the 2D teacher detected in the photographs, from the file of its key points."""
    teacher = read_teacher(path)
    starts = teacher["ptr"]
    people = {}
    for index, name in enumerate(map(str, teacher["names"])):
        if name in photos.people:
            points = teacher["kpts"][starts[index] : starts[index + 1]]
            people[name] = people_of_keypoints(points, skeleton)
    return people
