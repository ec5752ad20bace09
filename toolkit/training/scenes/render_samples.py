"""Render the samples that travel with the package: `python -m toolkit.training.scenes.render_samples`.

Calibration frames come from clips of the train split, the labelled scenes and the film from those of the test split;
shapes, clothes and places have other seeds in each.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..motion.clips import KINDS, read_clips
from ..render.bodies import BodyModel
from .moving_people import random_walk_scene, walk_record
from .render_scenes import render_scenes, write_json

CALIBRATION_SEED, SCENES_SEED, FILM_SEED = 11, 12, 14
FILM_SIZE = (360, 640)


def write_film(path: Path, pictures: Sequence[np.ndarray], fps: float) -> None:
    """Write an MPEG-4 film, whole or not at all. Raises OSError where this build of OpenCV cannot."""
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(beside), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise OSError(f"cannot write '{path}': OpenCV has no MPEG-4 encoder here")
    for picture in pictures:
        writer.write(picture)
    writer.release()
    os.replace(beside, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(
        prog="posec train samples",
        description="Render the package's sample pictures and film.",
        epilog="example: posec train samples --mocap mocap/ --out samples/",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder of the samples")
    parser.add_argument("--calibration", type=int, default=64, help="frames to calibrate with")
    parser.add_argument("--scenes", type=int, default=70, help="labelled scenes to test with")
    parser.add_argument("--quality", type=int, default=85, help="of the JPEG files")
    parser.add_argument("--seconds", type=float, default=7.0, help="length of the film")
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second of the film")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    model, sources = BodyModel(), [read_clips(given.mocap, kind) for kind in KINDS]
    sets = (
        ("calibration", "train", given.calibration, CALIBRATION_SEED),
        ("scenes", "test", given.scenes, SCENES_SEED),
    )
    for name, split, count, seed in sets:
        render_scenes(
            model,
            sources,
            split,
            out / name,
            out / f"{name}.json",
            count,
            seed,
            empty=5,
            quality=given.quality,
        )
    frames = round(given.seconds * given.fps)
    rng = np.random.default_rng(FILM_SEED)
    pictures, truths, camera = random_walk_scene(model, sources, "test", FILM_SIZE, rng, 4, frames, given.fps)
    write_film(out / "clip.mp4", pictures, given.fps)
    write_json(out / "clip.json", [walk_record(camera, given.fps, truths)])


if __name__ == "__main__":
    main()
