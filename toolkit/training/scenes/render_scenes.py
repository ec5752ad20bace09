"""Render labelled sets of scenes: `python -m toolkit.training.scenes.render_scenes`. What is there already is kept."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...runtime.files.pictures import write_picture
from ...runtime.files.plain_files import write_plain
from ..motion.clips import KINDS, Clips, read_clips
from ..render.bodies import BodyModel
from .random_scene import random_scene, scene_record

# (height, width) and how often: mostly wide, some 4:3, a few upright.
SIZES = ((360, 640), (360, 480), (480, 360))
SIZE_WEIGHTS = (0.82, 0.12, 0.06)
SAVE_EVERY = 10


def write_json(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write a list, one record per line, whole or not at all."""
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    write_plain(path, f"[\n{lines}\n]\n")


def render_scenes(
    model: BodyModel,
    sources: Sequence[Clips],
    split: str,
    pictures: Path,
    truth: Path,
    count: int,
    seed: int,
    empty: int = 0,
    quality: int = 90,
) -> list[dict[str, Any]]:
    """Render `count` scenes as JPEG into a folder and their truth into a JSON file; return the truth.

    Args:
        model, sources, split: see `random_scene`.
        pictures: folder for the pictures.
        truth: JSON file; scenes that it names already are kept.
        count: scenes, of which the first `empty` show nobody.
        seed: of the whole set; every scene draws from its own generator.
        quality: of the JPEG files.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    records = json.loads(truth.read_text(encoding="utf-8")) if truth.is_file() else []
    begun = time.perf_counter()
    for index in range(len(records), count):
        rng = np.random.default_rng([seed, index])
        size = SIZES[int(rng.choice(len(SIZES), p=SIZE_WEIGHTS))]
        picture, truths, camera = random_scene(model, sources, split, size, rng, 0 if index < empty else None)
        name = f"{index:03d}.jpg"
        write_picture(pictures / name, picture, quality)
        records.append(scene_record(name, camera, truths))
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == count:
            write_json(truth, records)
            people = sum(len(record["people"]) for record in records)
            print(
                f"{index + 1} of {count} scenes, {people} people, {time.perf_counter() - begun:.0f} s",
                flush=True,
            )
    return records


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(
        prog="posec train scenes",
        description="Render scenes of several people with exact 3D joints.",
        epilog="example: posec train scenes --mocap mocap/ --split train --count 500 --out scenes/",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the pictures and scenes.json")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--empty", type=int, default=10, help="how many of them show nobody")
    parser.add_argument("--seed", type=int, default=77)
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    out = Path(given.out)
    sources = [read_clips(given.mocap, kind) for kind in KINDS]
    render_scenes(
        BodyModel(), sources, given.split, out, out / "scenes.json", given.count, given.seed, given.empty
    )


if __name__ == "__main__":
    main()
