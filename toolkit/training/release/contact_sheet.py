"""A contact sheet of pictures with detected people, evenly spread over a set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...evaluation.photos import Photos, read_photos
from ...evaluation.scenes import Scenes, read_scenes
from ...frontend.trace import trace
from ...ir.float_engine import float_estimator
from ...runtime.command.refusals import exit_status
from ...runtime.files.pictures import encode_picture
from ...runtime.files.plain_files import write_plain
from ...runtime.pose import PoseFrame, Skeleton
from ...runtime.video.draw import draw_people

# Height and width of a tile, with the views from above and from the side.
TILE = (270, 615)
GROUND = 32


def contact_sheet(
    estimate: Callable[..., PoseFrame],
    pictures: Photos | Scenes,
    skeleton: Skeleton,
    *,
    count: int,
    columns: int,
) -> np.ndarray:
    """Return a sheet (H, W, 3) uint8 BGR of `count` pictures at equal steps through a set.

    Args:
        estimate: picture and focal length to people.
        pictures: the set.
        skeleton: of the people.
        count: number of pictures.
        columns: tiles per row.
    """
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
    free_rows, free_columns = TILE[0] - small.shape[0], TILE[1] - small.shape[1]
    top, left = free_rows // 2, free_columns // 2
    borders = (top, free_rows - top, left, free_columns - left)
    return cv2.copyMakeBorder(small, *borders, cv2.BORDER_CONSTANT, value=(GROUND,) * 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw a sheet from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train sheet",
        description="Draw a contact sheet of detected people.",
        epilog="example: posec train sheet --scenes toolkit/samples/scenes.json --out sheet.jpg",
    )
    parser.add_argument("--checkpoint", default="reference", help="the network (default: the shipped one)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--scenes", type=Path, help="scenes.json of rendered scenes")
    source.add_argument(
        "--photos",
        nargs=2,
        metavar=("JSON", "PICTURES"),
        help="COCO key points, and the folder or tar of their pictures",
    )
    parser.add_argument("--count", type=int, default=24, help="number of pictures (default: 24)")
    parser.add_argument("--columns", type=int, default=3, help="tiles per row (default: 3)")
    parser.add_argument("--out", type=Path, required=True, help=".jpg file to write")
    options = parser.parse_args(arguments)
    graph = trace(options.checkpoint)
    skeleton = graph.spec.skeleton
    pictures = read_scenes(options.scenes) if options.scenes else read_photos(*options.photos)
    sheet = contact_sheet(
        float_estimator(graph), pictures, skeleton, count=options.count, columns=options.columns
    )
    write_plain(options.out, encode_picture(sheet, ".jpg", 82))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
