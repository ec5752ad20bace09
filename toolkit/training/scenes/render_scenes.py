"""Render labelled sets of scenes; existing scenes are kept.

Run it as `posec train scenes` or `python -m toolkit.training.scenes.render_scenes`.
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

from ...runtime.command.refusals import exit_status
from ...runtime.files.pictures import write_picture
from ...runtime.files.plain_files import write_plain
from ..motion.clips import KINDS, read_clips
from ..render.bodies import BodyModel
from .placing import ANY
from .random_scene import PeopleSource, random_scene, scene_record
from .scenes import Record
from .views import VIEWS, View

# (height, width) and their probabilities: mostly wide, some 4:3, a few upright.
SIZES = ((360, 640), (360, 480), (480, 360))
SIZE_WEIGHTS = (0.82, 0.12, 0.06)
SAVE_EVERY = 10


@dataclass(frozen=True)
class SceneSet:
    """The set of scenes to render.

    Attributes:
        pictures: folder for the JPEG files.
        truth: JSON file of the labels; scenes that it lists are kept.
        count: number of scenes.
        seed: of the whole set; every scene draws from its own generator.
        empty: number of scenes without people, at the beginning.
        quality: of the JPEG files, 0 to 100.
        view: what the scenes are drawn from.
    """

    pictures: Path
    truth: Path
    count: int
    seed: int
    empty: int = 0
    quality: int = 90
    view: View = ANY


def write_json(path: Path, records: Sequence[Record]) -> None:
    """Write a list atomically, one record per line."""
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    write_plain(path, f"[\n{lines}\n]\n")


def render_scenes(source: PeopleSource, scenes: SceneSet) -> list[Record]:
    """Render a set of scenes as JPEG files, write their labels and return the labels."""
    scenes.pictures.mkdir(parents=True, exist_ok=True)
    truth = scenes.truth
    records = json.loads(truth.read_text(encoding="utf-8")) if truth.is_file() else []
    begun = time.perf_counter()
    for index in range(len(records), scenes.count):
        rng = np.random.default_rng([scenes.seed, index])
        if scenes.view.sizes:
            size = scenes.view.sizes[int(rng.integers(len(scenes.view.sizes)))]
        else:
            size = SIZES[int(rng.choice(len(SIZES), p=SIZE_WEIGHTS))]
        count = 0 if index < scenes.empty else None
        scene = random_scene(source, size, rng, count=count, view=scenes.view)
        path = scenes.pictures / f"{index:03d}.jpg"
        write_picture(path, scene.picture, scenes.quality)
        records.append(scene_record(path.name, scene))
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == scenes.count:
            write_json(truth, records)
            people = sum(len(record["people"]) for record in records)
            seconds = time.perf_counter() - begun
            print(f"{index + 1} of {scenes.count} scenes, {people} people, {seconds:.0f} s", flush=True)
    return records


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train scenes`."""
    parser = argparse.ArgumentParser(
        prog="posec train scenes",
        description="Render scenes of several people with exact 3D joints.",
        epilog="example: posec train scenes --mocap mocap/ --split train --count 500 --out scenes/",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the pictures and scenes.json")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="of the clips")
    parser.add_argument("--count", type=int, default=300, help="number of scenes")
    parser.add_argument(
        "--empty", type=int, help="number of scenes without people (default: 10; 0 with --view)"
    )
    parser.add_argument("--view", choices=tuple(VIEWS), help="a test set of one difficulty (default: none)")
    parser.add_argument("--seed", type=int, default=77, help="of the whole set")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    out = Path(given.out)
    source = PeopleSource(BodyModel(), [read_clips(given.mocap, kind) for kind in KINDS], given.split)
    empty = given.empty if given.empty is not None else 0 if given.view else 10
    view = VIEWS[given.view] if given.view else ANY
    truth = out / "scenes.json"
    render_scenes(source, SceneSet(out, truth, count=given.count, seed=given.seed, empty=empty, view=view))


if __name__ == "__main__":
    sys.exit(exit_status(main))
