"""Comma-separated values: one row per picture, person and joint."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO

from ..runtime.pose import Skeleton
from .recording import RecordedPicture

COLUMNS = ("picture", "seconds", "person", "score", "joint", "x_mm", "y_mm", "z_mm", "x_px", "y_px")


def write_csv(
    file: IO[str], pictures: Iterable[RecordedPicture], skeleton: Skeleton, only: int | None = None
) -> int:
    """Write the rows of all people, or of one by number; return their number.

    Coordinates in mm are in the camera frame. A person without a number gets its place in the picture.
    """
    writer, rows = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(COLUMNS)
    for picture in pictures:
        numbers = picture.numbers or range(1, 1 + len(picture.people))
        for number, person in zip(numbers, picture.people, strict=True):
            if only not in (None, number):
                continue
            for name, mm, px in zip(
                skeleton.names, person.joints_mm + person.root_mm, person.joints_px, strict=True
            ):
                row = [picture.picture, f"{picture.seconds:.4f}", number, f"{person.score:.4f}", name]
                writer.writerow([*row, *(f"{value:.2f}" for value in (*mm, *px))])
                rows += 1
    return rows
