"""Write label files for training: 3D people of photographs, scenes or rendered bodies."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import PosecError
from ...evaluation.scenes import read_scenes
from ...network.embedding import load_embedding
from ...runtime.command.refusals import exit_status
from ...runtime.pose import MUPOTS17
from .fit_keypoints import FitSettings
from .label_files import Labels, pictures_with_people, write_labels
from .labels import label_bodies, label_photos, label_scenes
from .lifter import load_lifter


@dataclass(frozen=True)
class LabelNetworks:
    """The frozen networks that labelling needs.

    Attributes:
        embedding: safetensors file of the pose embedding.
        lifter: safetensors file of the lifter; only photographs need it.
        device: a torch device.
    """

    embedding: str | Path
    lifter: str | Path | None = None
    device: str = "cpu"


class LabelFigures(NamedTuple):
    """Counts of a label file, and medians over usable people in half box sizes."""

    people: int
    usable: int
    lifted_residual: float | None  # before the fit; None where nothing was fitted or no person is usable
    residual: float | None  # after the fit

    def __str__(self) -> str:
        figures = {name: value for name, value in self._asdict().items() if value is not None}
        return ", ".join(f"{name} {value:g}" for name, value in figures.items())


def write_photo_labels(
    teacher_path: str | Path,
    networks: LabelNetworks,
    out: str | Path,
    *,
    index_path: str | Path | None = None,
    settings: FitSettings | None = None,
) -> LabelFigures:
    """Label the people that a 2D teacher detected in photographs, and write the file.

    Args:
        teacher_path: see `label_photos`.
        networks: files of the frozen networks, the lifter among them.
        out: the .npz file to write.
        index_path: CSV with the columns `file` and `annotated_persons`; detections count only in pictures
            with people.
        settings: of the fit.

    Raises PosecError where a file is missing or contradicts itself.
    """
    if networks.lifter is None:
        raise PosecError(
            "labels of photographs need a lifter; give --lifter, written by `posec train lifter`"
        )
    trusted = None if index_path is None else pictures_with_people(index_path)
    embedding = load_embedding(networks.embedding, networks.device)
    lifter = load_lifter(networks.lifter, networks.device)
    return _write(out, label_photos(teacher_path, embedding, lifter, settings=settings, trusted=trusted))


def write_body_labels(bodies_path: str | Path, networks: LabelNetworks, out: str | Path) -> LabelFigures:
    """Label rendered bodies (see `label_bodies`) and write the file."""
    embedding = load_embedding(networks.embedding, networks.device)
    return _write(out, label_bodies(bodies_path, embedding))


def write_scene_labels(scenes_path: str | Path, networks: LabelNetworks, out: str | Path) -> LabelFigures:
    """Label people with known 3D joints (see `label_scenes`) and write the file."""
    embedding = load_embedding(networks.embedding, networks.device)
    return _write(out, label_scenes(read_scenes(scenes_path, MUPOTS17), embedding))


def _write(out: str | Path, labels: Labels) -> LabelFigures:
    write_labels(out, labels)
    usable = labels["usable"]

    def median(name: str) -> float | None:
        return float(np.median(labels[name][usable])) if name in labels and usable.any() else None

    return LabelFigures(len(usable), int(usable.sum()), median("lifted_residual"), median("residual"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train labels`."""
    parser = argparse.ArgumentParser(
        prog="posec train labels",
        description="Write 3D labels of people in photographs or scenes, or of rendered bodies.",
        epilog="example: posec train labels --teacher photos.npz --embedding embedding.safetensors "
        "--lifter lifter.safetensors --out labels.npz",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--teacher", help=".npz of a 2D teacher's detections in photographs")
    source.add_argument("--bodies", help=".npz of rendered bodies")
    source.add_argument("--scenes", help="scenes.json with known 3D joints, next to its pictures")
    parser.add_argument("--embedding", required=True, help="safetensors file of the pose embedding")
    parser.add_argument("--lifter", help="safetensors file of the lifter; required for photographs")
    parser.add_argument("--index", help="CSV with the number of people in each photograph")
    parser.add_argument("--out", required=True, help=".npz file to write")
    parser.add_argument("--device", default="cpu", help="torch device")
    chosen = parser.parse_args(arguments)
    networks = LabelNetworks(chosen.embedding, chosen.lifter, chosen.device)
    if chosen.bodies:
        figures = write_body_labels(chosen.bodies, networks, chosen.out)
    elif chosen.scenes:
        figures = write_scene_labels(chosen.scenes, networks, chosen.out)
    else:
        figures = write_photo_labels(chosen.teacher, networks, chosen.out, index_path=chosen.index)
    print(figures)


if __name__ == "__main__":
    sys.exit(exit_status(main))
