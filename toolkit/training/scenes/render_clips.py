"""Render labelled video clips; existing clips are kept.

Run it as `posec train clips` or `python -m toolkit.training.scenes.render_clips`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...errors import PosecError
from ...runtime.command.refusals import exit_status
from ...runtime.files.pictures import write_picture
from ...runtime.files.plain_files import write_plain
from ..motion.clips import KINDS, read_clips
from ..render.bodies import BodyModel
from ..render.camera_paths import PATHS
from ..render.cameras import Camera
from .placing import PEOPLE_WEIGHTS
from .random_clip import Clip, ClipFrame, ClipSettings, random_clip
from .random_scene import PeopleSource
from .random_views import MOST_VIEWS, random_views
from .scenes import Record, Truth

RATES = (10.0, 30.0, 60.0)
SIZE = (270, 480)
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ClipSet:
    """The set of clips to render.

    Attributes:
        out: folder; clip 7 becomes the labels `007.json` and the frames `007/0000.jpg`, ... With several
            cameras, `007-0.json` and `007-0/0000.jpg` are of the first.
        seed: of the whole set; every clip draws from its own generator.
        count, frames: numbers of clips, and of frames in each.
        rates: frames per second; clips take them in turn.
        size: (height, width) of the frames.
        quality: of the JPEG files, 0 to 100.
        views: number of cameras; several are static and see the same people at the same instants.
        people: number in each clip; None takes 1 to 6 in turn.
    """

    out: Path
    seed: int
    count: int
    frames: int
    rates: Sequence[float] = RATES
    size: tuple[int, int] = SIZE
    quality: int = 92
    views: int = 1
    people: int | None = None

    def settings(self, index: int) -> ClipSettings:
        """Return the settings of one clip: numbers of people and kinds of cameras also come in turn."""
        round_, turn = divmod(index, len(self.rates))
        kinds = list(PATHS)
        return ClipSettings(
            size=self.size,
            people=self.people or 1 + round_ % len(PEOPLE_WEIGHTS),
            frames=self.frames,
            fps=self.rates[turn],
            camera="static" if self.views > 1 else kinds[(round_ + turn) % len(kinds)],
        )


def render_clips(source: PeopleSource, clips: ClipSet) -> None:
    """Render a set of clips: JPEG files and labels. The labels of a clip are written last."""
    for index in range(clips.count):
        name = f"{index:03d}"
        names = [name] if clips.views == 1 else [f"{name}-{view}" for view in range(clips.views)]
        if all((clips.out / f"{each}.json").is_file() for each in names):
            continue
        begun, settings = time.perf_counter(), clips.settings(index)
        record: Record = {"split": source.split, "seed": [clips.seed, index], "fps": settings.fps}
        record |= {"camera": settings.camera}
        if clips.views == 1:
            rendered = [random_clip(source, settings, np.random.default_rng([clips.seed, index]))]
        else:
            # Places and bodies differ between splits of an equal seed, too.
            seed = [clips.seed, index, SPLITS.index(source.split)]
            rendered = random_views(source, settings, clips.views, np.random.default_rng(seed))
            record |= {"recording": name}
        for each, clip in zip(names, rendered, strict=True):
            _write_clip(clips.out / each, clip, record, clips.quality)
        seconds = time.perf_counter() - begun
        print(
            f"clip {index}: {settings.people} people, {settings.fps:g} Hz, {settings.camera}, "
            f"{seconds:.0f} s",
            flush=True,
        )


def _write_clip(folder: Path, clip: Clip, record: Record, quality: int) -> None:
    """Write the frames of a clip into a folder, and then its labels beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {**record, "place": clip.place, "motions": clip.motions}
    frames: list[Record] = []
    for number, frame in enumerate(clip.frames):
        write_picture(folder / f"{number:04d}.jpg", frame.picture, quality)
        record |= _intrinsics(frame.camera)
        frames.append(_frame_record(frame))
    record["frames"] = frames
    write_plain(folder.with_suffix(".json"), json.dumps(record, separators=(",", ":")) + "\n")


def _intrinsics(camera: Camera) -> Record:
    return {
        "size": list(camera.size),
        "focal_px": round(camera.focal_px, 3),
        "principal_px": list(camera.principal_px),
    }


def _frame_record(frame: ClipFrame) -> Record:
    return {
        "rotation": np.round(frame.camera.rotation, 6).tolist(),
        "position_m": np.round(frame.camera.position_m, 5).tolist(),
        "people": [_person_record(truth) for truth in frame.truths],
    }


def _person_record(truth: Truth) -> Record:
    return {name: value for name, value in truth.to_dict().items() if name != "clip"}


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"a size such as 270x480 is needed, got '{text}'")
    return int(height), int(width)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train clips`."""
    parser = argparse.ArgumentParser(
        prog="posec train clips",
        description="Render video clips of moving people with exact 3D joints, by static and moving cameras.",
        epilog="example: posec train clips --mocap mocap/ --split test --count 21 --out clips/",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the frames and labels")
    parser.add_argument("--split", default="test", choices=SPLITS, help="of the motion capture")
    parser.add_argument("--count", type=int, default=21, help="number of clips")
    parser.add_argument("--frames", type=int, default=100, help="number of frames per clip")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=RATES, help="frames per second, taken in turn"
    )
    parser.add_argument("--size", type=_size, default=SIZE, help="height x width, such as 270x480")
    parser.add_argument(
        "--views", type=int, default=1, help="number of static cameras around the same people (default: 1)"
    )
    parser.add_argument("--people", type=int, help="number in each clip (default: 1 to 6 in turn)")
    parser.add_argument("--seed", type=int, default=24, help="of the whole set")
    given = parser.parse_args(arguments)
    if given.count < 1 or given.frames < 2 or min(given.rates) <= 0 or (given.people or 1) < 1:
        raise PosecError(
            "clips need --count and --people of at least 1, --frames of at least 2 and --rates above 0"
        )
    if not 1 <= given.views <= MOST_VIEWS:
        raise PosecError(f"--views takes a number from 1 to {MOST_VIEWS}, got {given.views}")
    cv2.setNumThreads(1)
    source = PeopleSource(BodyModel(), [read_clips(given.mocap, kind) for kind in KINDS], given.split)
    clips = ClipSet(
        Path(given.out),
        given.seed,
        given.count,
        given.frames,
        rates=given.rates,
        size=given.size,
        views=given.views,
        people=given.people,
    )
    render_clips(source, clips)


if __name__ == "__main__":
    sys.exit(exit_status(main))
