"""Comma-separated values: one row per picture, person and joint."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO

from ..runtime.pose import Skeleton
from .recording import RecordedPicture
from .takes import no_person

COLUMNS = ("picture", "seconds", "person", "score", "joint", "x_mm", "y_mm", "z_mm", "x_px", "y_px")
# Spreadsheets compute a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@")


def write_csv(
    file: IO[str], pictures: Iterable[RecordedPicture], skeleton: Skeleton, only: int | None = None
) -> int:
    """Write the rows of all people, or of one by number; return their number.

    Coordinates in mm are in the camera frame. A person without a number gets its place in the picture. The
    name of a picture that a spreadsheet would take for a formula gets a leading apostrophe.

    Raises ConvertError if the one person is not found.
    """
    writer, rows = csv.writer(file, lineterminator="\n"), 0
    found: set[int] = set()
    writer.writerow(COLUMNS)
    for picture in pictures:
        numbers = picture.numbers or range(1, 1 + len(picture.people))
        found.update(numbers)
        shown = f"'{picture.picture}" if picture.picture.startswith(_FORMULA) else picture.picture
        for number, person in zip(numbers, picture.people, strict=True):
            if only not in (None, number):
                continue
            for name, mm, px in zip(
                skeleton.names, person.joints_mm + person.root_mm, person.joints_px, strict=True
            ):
                row = [shown, f"{picture.seconds:.4f}", number, f"{person.score:.4f}", name]
                writer.writerow([*row, *(f"{value:.2f}" for value in (*mm, *px))])
                rows += 1
    if only is not None and only not in found:
        raise no_person(only, found)
    return rows
