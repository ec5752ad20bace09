"""Render the samples of the package: calibration frames, labelled scenes and a labelled video.

Calibration frames use clips of the train split; the scenes and the video use clips of the test split. Each
set has its own seed. Run it as `posec train samples` or `python -m toolkit.training.scenes.render_samples`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ...runtime.command.refusals import exit_status
from ..motion.clips import KINDS, read_clips
from ..render.bodies import BodyModel
from .moving_people import VideoSettings, random_video, video_record
from .random_scene import PeopleSource
from .render_scenes import SceneSet, render_scenes, write_json

CALIBRATION_SEED, SCENES_SEED, VIDEO_SEED = 11, 12, 14
VIDEO_SIZE = (360, 640)


def write_video(path: Path, pictures: Sequence[np.ndarray], fps: float) -> None:
    """Write an MPEG-4 video atomically. Raises OSError where this build of OpenCV has no encoder."""
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(beside), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise OSError(f"cannot write '{path}': this build of OpenCV has no MPEG-4 encoder")
    for picture in pictures:
        writer.write(picture)
    writer.release()
    os.replace(beside, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train samples`."""
    parser = argparse.ArgumentParser(
        prog="posec train samples",
        description="Render the package's sample pictures and video.",
        epilog="example: posec train samples --mocap mocap/ --out samples/",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the samples")
    parser.add_argument("--calibration", type=int, default=64, help="number of calibration frames")
    parser.add_argument("--scenes", type=int, default=70, help="number of labelled scenes")
    parser.add_argument("--quality", type=int, default=85, help="of the JPEG files, 0 to 100")
    parser.add_argument("--seconds", type=float, default=7.0, help="length of the video")
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second of the video")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    train = PeopleSource(BodyModel(), [read_clips(given.mocap, kind) for kind in KINDS], "train")
    test = train._replace(split="test")
    sets = (
        ("calibration", train, given.calibration, CALIBRATION_SEED),
        ("scenes", test, given.scenes, SCENES_SEED),
    )
    for name, source, count, seed in sets:
        truth = out / f"{name}.json"
        scenes = SceneSet(out / name, truth, count=count, seed=seed, empty=5, quality=given.quality)
        render_scenes(source, scenes)
    settings = VideoSettings(
        size=VIDEO_SIZE, people=4, frames=round(given.seconds * given.fps), fps=given.fps
    )
    video = random_video(test, settings, np.random.default_rng(VIDEO_SEED))
    write_video(out / "clip.mp4", video.pictures, given.fps)
    write_json(out / "clip.json", [video_record(video)])


if __name__ == "__main__":
    sys.exit(exit_status(main))
