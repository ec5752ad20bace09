"""Pictures with what a network finds on them, on one sheet, evenly spread over a set so that nobody picks the flattering ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...evaluation.photos import Photos, read_photos
from ...evaluation.scenes import Scenes, read_scenes
from ...frontend.trace import trace
from ...ir.float_engine import float_estimator
from ...runtime.files.pictures import encode_picture
from ...runtime.files.plain_files import write_plain
from ...runtime.pose import PoseFrame, Skeleton
from ...runtime.video.draw import draw_people

TILE = (270, 615)  # height; and width with the views from above and from the side
GROUND = 32


def contact_sheet(
    estimate: Callable[..., PoseFrame],
    pictures: Photos | Scenes,
    skeleton: Skeleton,
    count: int,
    columns: int,
) -> np.ndarray:
    """Return a sheet (H, W, 3) uint8 BGR of `count` pictures at equal steps through the set, each with its people and their side view."""
    chosen = set(np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int).tolist())
    tiles = []
    for index, (_, picture, focal_px) in enumerate(pictures):
        if index in chosen:
            tiles.append(
                _tile(draw_people(picture, estimate(picture, focal_px=focal_px), skeleton, inset=True))
            )
    tiles += [np.full_like(tiles[0], GROUND)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def _tile(drawn: np.ndarray) -> np.ndarray:
    scale = min(TILE[0] / drawn.shape[0], TILE[1] / drawn.shape[1])
    small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (TILE[0] - small.shape[0]) // 2, (TILE[1] - small.shape[1]) // 2
    return cv2.copyMakeBorder(small, top, TILE[0] - small.shape[0] - top, left, TILE[1] - small.shape[1] - left, cv2.BORDER_CONSTANT,
                              value=(GROUND,) * 3)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the sheet that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="posec train sheet", description="Draw what a network finds, on one sheet.",
                                     epilog="example: posec train sheet --scenes toolkit/samples/scenes.json --out sheet.jpg")  # fmt: skip
    parser.add_argument("--checkpoint", default="reference", help="the network (default: the shipped one)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--scenes", type=Path, help="scenes.json of rendered scenes")
    what.add_argument(
        "--photos",
        nargs=2,
        metavar=("JSON", "PICTURES"),
        help="COCO key points, and the folder or tar of their pictures",
    )
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="a .jpg file to write")
    chosen = parser.parse_args(arguments)
    graph = trace(chosen.checkpoint)
    skeleton = graph.spec.skeleton
    pictures = read_scenes(chosen.scenes) if chosen.scenes else read_photos(*chosen.photos)
    sheet = contact_sheet(float_estimator(graph), pictures, skeleton, chosen.count, chosen.columns)
    write_plain(chosen.out, encode_picture(sheet, ".jpg", 82))
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    main()
