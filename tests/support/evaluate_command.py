"""Label files that `posec evaluate` reads, and the command on them."""

import json
from pathlib import Path

import numpy as np
import pytest

from toolkit.cli import main
from toolkit.evaluation.coco import COCO_JOINTS
from toolkit.runtime.pose import MUPOTS17, PoseFrame


def coco_of(found: dict[str, PoseFrame], names: tuple[str, ...] = COCO_JOINTS) -> dict:
    """A whole COCO file of people, key points in the order `names`."""
    entries = []
    for image, people in enumerate(found.values()):
        for joints in people.joints_px.astype(float):
            known = [name.lower().replace(" ", "_") for name in names]
            points = [
                (*joints[MUPOTS17.index(name)], 2) if name in MUPOTS17.names else (0, 0, 0) for name in known
            ]
            low, size = joints.min(axis=0), np.ptp(joints, axis=0)
            entries.append(
                {
                    "image_id": image,
                    "category_id": 1,
                    "keypoints": np.array(points).ravel().tolist(),
                    "iscrowd": 0,
                    "num_keypoints": 12,
                    "area": float(np.prod(size)),
                    "bbox": [*low, *size],
                }
            )
    images = [{"id": image, "file_name": name} for image, name in enumerate(found)]
    return {
        "images": images,
        "annotations": entries,
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }


def scenes_of(found: dict[str, PoseFrame]) -> list[dict]:
    return [
        {
            "file": name,
            "focal_px": 200.0,
            "people": [
                {
                    "joints_mm": people.joints_mm[i].tolist(),
                    "root_mm": people.roots_mm[i].tolist(),
                    "joints_px": people.joints_px[i].tolist(),
                    "visible": 1.0,
                }
                for i in range(len(people))
            ],
        }
        for name, people in found.items()
    ]


def evaluated(capsys: pytest.CaptureFixture, network: Path, *options: object) -> dict:
    capsys.readouterr()
    assert main(["evaluate", str(network), *map(str, options), "--threads", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)[0]


def refused(capsys: pytest.CaptureFixture, network: Path, *options: object) -> str:
    capsys.readouterr()
    assert main(["evaluate", str(network), *map(str, options), "--threads", "1"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def without(name: str):
    return lambda plain: [entry.pop(name) for entry in plain["annotations"]]


def put(name: str, value: object):
    return lambda plain: [entry.update({name: value}) for entry in plain["annotations"]]
