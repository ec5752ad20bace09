"""Run a 2D teacher once over pictures and keep what it says: the key points that 3D labels are made of.

A teacher is a function from a picture (H, W, 3) uint8 BGR to `Detections`: boxes (N, 5) x0, y0, x1, y1, score and key points (N, 17, 3)
x, y, confidence in COCO's order, both in pixels of the picture; N may be 0. `label_pictures` takes any.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...evaluation.pictures import read_picture
from ...runtime.video.sources import PICTURES
from .labels import Labels, write_labels
from .teacher import KEYPOINTS, Detections, Teacher, open_teacher

Progress = Callable[[int, int], None]
Report = Callable[[str], None]


def label_pictures(
    teacher: Teacher, source: str | Path, progress: Progress | None = None, *, report: Report = print
) -> Labels:
    """Return what a teacher says of the pictures of a folder or plain tar, in the order of their names.

    Args:
        teacher: see above; what it returns is checked.
        source: the folder or tar; other files in it are passed over.
        progress: is told (pictures done, pictures in all).
        report: is told, in one sentence each, which pictures cannot be read; they are left out.

    Returns:
        `names` (P,), `ptr` (P + 1,): people of picture i are rows ptr[i]:ptr[i + 1] of `boxes` (M, 5) and `kpts` (M, 17, 3);
        `size_wh` (P, 2). This is what `labels.read_teacher` reads.

    Raises PosecError where there is no picture to read, or where the teacher returns something else.
    """
    wanted, names, sizes, people = picture_names(source), [], [], []
    for done, name in enumerate(wanted, 1):
        try:
            picture = read_picture(source, name)
        except PosecError as error:
            report(f"skipped: {error}")
        else:
            people.append(_checked(teacher(picture), name))
            names.append(name)
            sizes.append(picture.shape[1::-1])
        if progress:
            progress(done, len(wanted))
    if not names:
        raise PosecError(
            f"none of the {len(wanted)} pictures in '{source}' can be read; give pictures that OpenCV reads"
        )
    return {
        "names": np.array(names),
        "ptr": np.cumsum([0, *(len(found.boxes) for found in people)]).astype(np.int32),
        "boxes": np.concatenate([found.boxes for found in people]),
        "kpts": np.concatenate([found.keypoints for found in people]),
        "size_wh": np.array(sizes, np.int32),
    }


def picture_names(source: str | Path) -> list[str]:
    """Return the names of the pictures in a folder or plain tar, sorted. Raises PosecError where there is none."""
    path = Path(source)
    try:
        if path.is_dir():
            names: Iterable[str] = (file.name for file in path.iterdir() if file.is_file())
        else:
            with tarfile.open(path, "r:") as archive:
                names = {member.name for member in archive if member.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise PosecError(
            f"cannot read pictures from '{source}': {error}; give a folder, or a tar that is not compressed"
        ) from error
    if not (pictures := sorted(name for name in names if Path(name).suffix.lower() in PICTURES)):
        raise PosecError(f"no pictures in '{source}'; known: {', '.join(kind[1:] for kind in PICTURES)}")
    return pictures


def _checked(found: Detections, name: str) -> Detections:
    arrays = []
    for what, array, shape in zip(Detections._fields, found, ((5,), (KEYPOINTS, 3)), strict=True):
        array, wanted = np.asarray(array, np.float32), (len(found[0]), *shape)
        if array.shape != wanted or not np.isfinite(array).all():
            raise PosecError(
                f"the teacher's {what} of '{name}' must be finite {wanted}, got {array.shape}; correct the teacher"
            )
        arrays.append(array)
    return Detections(*arrays)


def _show(done: int, count: int) -> None:
    if done == count or done % 50 == 0:
        print(f"{done} of {count} pictures", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the teacher of the reference network over the pictures that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="posec train teacher",
        description="Find people and their 2D key points with the teacher, once, and write them for `posec train labels`.",
        epilog="example: posec train teacher --teacher teacher/ --pictures photos/ --out photos.npz",
    )
    parser.add_argument(
        "--teacher", required=True, help="folder of the teacher's OpenVINO files: PicoDet-S and PP-TinyPose"
    )
    parser.add_argument(
        "--pictures", required=True, help="a folder of pictures, or a tar of them that is not compressed"
    )
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    parser.add_argument("--threads", type=int, help="of OpenVINO (default: all cores)")
    chosen = parser.parse_args(arguments)
    if not chosen.out.parent.is_dir():
        raise PosecError(f"no folder '{chosen.out.parent}' to write '{chosen.out.name}' into; make it first")
    labels = label_pictures(open_teacher(chosen.teacher, chosen.threads), chosen.pictures, _show)
    write_labels(chosen.out, labels)
    print(f"wrote {chosen.out}: {len(labels['kpts'])} people in {len(labels['names'])} pictures")


if __name__ == "__main__":
    main()
