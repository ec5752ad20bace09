"""Write the label files that the network learns from: 3D people of photographs, fitted or known, or of rendered bodies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...evaluation.scenes import read_scenes
from ...network.embedding import load_embedding
from ...runtime.pose import MUPOTS17
from .fit_keypoints import FitSettings
from .labels import Labels, label_bodies, label_photos, label_scenes, pictures_with_people, write_labels
from .lifter import load_lifter


def write_photo_labels(
    teacher_path: str | Path,
    embedding_path: str | Path,
    lifter_path: str | Path,
    *, out: str | Path,
    index_path: str | Path | None = None,
    settings: FitSettings | None = None,
    device: str = "cpu",
) -> dict[str, float]:
    """Label the people that a 2D teacher found in photographs, write the file, and return figures.

    Args:
        teacher_path: see `label_photos`.
        embedding_path, lifter_path: safetensors files of the frozen networks.
        out: the .npz file to write.
        index_path: CSV with the columns `file` and `annotated_persons`; only pictures that it counts people in are trusted.
        settings: settings of the fit.
        device: a torch device.
    """
    trusted = None if index_path is None else pictures_with_people(index_path)
    labels = label_photos(
        teacher_path, load_embedding(embedding_path, device), load_lifter(lifter_path, device), settings=settings, trusted=trusted
    )
    write_labels(out, labels)
    return _figures(labels)


def write_body_labels(
    bodies_path: str | Path, embedding_path: str | Path, out: str | Path, *, device: str = "cpu"
) -> dict[str, float]:
    """Label rendered bodies (see `label_bodies`), write the file, and return figures."""
    labels = label_bodies(bodies_path, load_embedding(embedding_path, device))
    write_labels(out, labels)
    return _figures(labels)


def write_scene_labels(
    scenes_path: str | Path, embedding_path: str | Path, out: str | Path, *, device: str = "cpu"
) -> dict[str, float]:
    """Label people whose 3D joints are known (see `label_scenes`), write the file, and return figures."""
    labels = label_scenes(read_scenes(scenes_path, MUPOTS17), load_embedding(embedding_path, device))
    write_labels(out, labels)
    return _figures(labels)


def _figures(labels: Labels) -> dict[str, float]:
    """Return how many people there are, how many usable, and the median misfit of those in half box sizes, before and after the fit."""
    usable = labels["usable"]
    figures = {"people": float(len(usable)), "usable": float(usable.sum())}
    for name in ("lifted_residual", "residual"):
        if name in labels and usable.any():
            figures[name] = float(np.median(labels[name][usable]))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `write_photo_labels` or `write_body_labels` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train labels",
        description="Write 3D labels of people in photographs or of rendered bodies.",
        epilog="example: posec train labels --teacher photos.npz --embedding embedding.safetensors --lifter lifter.safetensors --out labels.npz",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--teacher", help=".npz of a 2D teacher's people in photographs")
    source.add_argument("--bodies", help=".npz of rendered bodies")
    source.add_argument(
        "--scenes", help="scenes.json of pictures whose people's 3D joints are known, the pictures beside it"
    )
    parser.add_argument("--embedding", required=True, help="safetensors file of the pose embedding")
    parser.add_argument("--lifter", help="safetensors file of the lifter; photographs need it")
    parser.add_argument("--index", help="CSV that counts the people of the photographs")
    parser.add_argument("--out", required=True, help=".npz file to write")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    if chosen.bodies:
        figures = write_body_labels(chosen.bodies, chosen.embedding, chosen.out, device=chosen.device)
    elif chosen.scenes:
        figures = write_scene_labels(chosen.scenes, chosen.embedding, chosen.out, device=chosen.device)
    elif chosen.lifter:
        paths = (chosen.teacher, chosen.embedding, chosen.lifter, chosen.out, chosen.index)
        figures = write_photo_labels(*paths, device=chosen.device)
    else:
        raise PosecError(
            "labels of photographs need a lifter; give --lifter, the file that train_lifter wrote"
        )
    print(", ".join(f"{name} {value:g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
