"""Label files: the teacher's detections, and labels of people in 3D."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_files import write_whole

Labels = dict[str, np.ndarray]
MAX_PEOPLE = 5_000_000


def read_teacher(path: str | Path) -> Labels:
    """Return `names`, `ptr`, `boxes` (M, 4) and `kpts` (M, 17, 3) of a teacher's file.

    The people of picture i are rows ptr[i]:ptr[i + 1]. Raises PosecError where an array is missing or the
    arrays disagree.
    """
    teacher = read_arrays(path, ("names", "ptr", "boxes", "kpts"))
    people, pictures = len(teacher["kpts"]), len(teacher["names"])
    keypoints, boxes, starts = teacher["kpts"], teacher["boxes"], teacher["ptr"]
    if keypoints.shape != (people, 17, 3) or not np.isfinite(keypoints).all() or people > MAX_PEOPLE:
        raise PosecError(
            f"'{path}': kpts must be finite (M, 17, 3) with M at most {MAX_PEOPLE}, got {keypoints.shape}"
        )
    if boxes.ndim != 2 or len(boxes) != people or boxes.shape[1] < 4:
        raise PosecError(f"'{path}': boxes must be ({people}, 4), got {boxes.shape}")
    spans_all = starts.shape == (pictures + 1,) and starts[0] == 0 and starts[-1] == people
    if not spans_all or (np.diff(starts) < 0).any():
        raise PosecError(f"'{path}': ptr must increase from 0 to {people} in {pictures + 1} entries")
    return {**teacher, "boxes": boxes[:, :4].astype(np.float32), "kpts": keypoints.astype(np.float32)}


def pictures_with_people(index_path: str | Path) -> set[str]:
    """Return the files with at least one person in a CSV index with columns `file` and `annotated_persons`.

    An empty count is unknown and does not qualify.
    """
    with open(index_path, newline="") as index:
        rows = list(csv.DictReader(index))
    return {row["file"] for row in rows if row["annotated_persons"].strip() not in ("", "0")}


def write_labels(path: str | Path, labels: Labels) -> None:
    """Write labels as a compressed .npz, atomically."""
    with write_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **labels)


def read_arrays(path: str | Path, names: tuple[str, ...]) -> Labels:
    """Return named arrays of an .npz. Raises PosecError where it cannot be read or an array is missing."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in names if name not in stored.files]
            if missing:
                raise PosecError(f"'{path}' lacks {', '.join(missing)}; found: {', '.join(stored.files)}")
            return {name: stored[name] for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise PosecError(f"cannot read '{path}': {error}") from error
