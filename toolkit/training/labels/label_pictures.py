"""Run a 2D teacher once over pictures and store its detections, the input of 3D labelling.

A teacher is any function from a picture (H, W, 3) uint8 BGR to `Detections`, which may be empty.
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
from ...runtime.command.refusals import exit_status
from ...runtime.video.sources import PICTURES
from .label_files import Labels, write_labels
from .teacher import KEYPOINTS, Detections, Teacher, open_teacher

Progress = Callable[[int, int], None]
Report = Callable[[str], None]


def label_pictures(
    teacher: Teacher, source: str | Path, progress: Progress | None = None, *, report: Report = print
) -> Labels:
    """Return the detections of a teacher in the pictures of a folder or uncompressed tar, sorted by name.

    Args:
        teacher: see the module; its results are checked.
        source: the folder or tar; files of other kinds are ignored.
        progress: called with the number of pictures done and the number of all pictures.
        report: called with one sentence for each unreadable picture, which is skipped.

    Returns:
        `names` (P,), `ptr` (P + 1,), `boxes` (M, 5), `kpts` (M, 17, 3) and `size_wh` (P, 2). The people of
        picture i are rows ptr[i]:ptr[i + 1]. `label_files.read_teacher` reads this format.

    Raises PosecError where no picture can be read or the teacher returns arrays of other shapes.
    """
    candidates, names, sizes, people = picture_names(source), [], [], []
    for done, name in enumerate(candidates, 1):
        try:
            picture = read_picture(source, name)
        except PosecError as error:
            report(f"skipped: {error}")
        else:
            people.append(_checked(teacher(picture), name))
            names.append(name)
            sizes.append(picture.shape[1::-1])
        if progress:
            progress(done, len(candidates))
    if not names:
        reason = f"none of the {len(candidates)} pictures in '{source}' can be read"
        raise PosecError(f"{reason}; give pictures that OpenCV reads")
    return {
        "names": np.array(names),
        "ptr": np.cumsum([0, *(len(group.boxes) for group in people)]).astype(np.int32),
        "boxes": np.concatenate([group.boxes for group in people]),
        "kpts": np.concatenate([group.keypoints for group in people]),
        "size_wh": np.array(sizes, np.int32),
    }


def picture_names(source: str | Path) -> list[str]:
    """Return the sorted names of the pictures in a folder or tar. Raises PosecError where there is none."""
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


def _checked(detections: Detections, name: str) -> Detections:
    arrays = []
    for field, array, shape in zip(Detections._fields, detections, ((5,), (KEYPOINTS, 3)), strict=True):
        array, required = np.asarray(array, np.float32), (len(detections.boxes), *shape)
        if array.shape != required or not np.isfinite(array).all():
            requirement = f"the teacher's {field} of '{name}' must be finite {required}"
            raise PosecError(f"{requirement}, got {array.shape}; fix the teacher")
        arrays.append(array)
    return Detections(*arrays)


def _show(done: int, count: int) -> None:
    if done == count or done % 50 == 0:
        print(f"{done} of {count} pictures", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train teacher`."""
    parser = argparse.ArgumentParser(
        prog="posec train teacher",
        description="Detect people and 2D key points with the teacher, for `posec train labels`.",
        epilog="example: posec train teacher --teacher teacher/ --pictures photos/ --out photos.npz",
    )
    parser.add_argument(
        "--teacher", required=True, help="folder of the OpenVINO files PicoDet-S and PP-TinyPose"
    )
    parser.add_argument("--pictures", required=True, help="folder or uncompressed tar of pictures")
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    parser.add_argument("--threads", type=int, help="number of OpenVINO threads (default: all cores)")
    chosen = parser.parse_args(arguments)
    if not chosen.out.parent.is_dir():
        raise PosecError(f"no folder '{chosen.out.parent}' to write '{chosen.out.name}' into; make it first")
    labels = label_pictures(open_teacher(chosen.teacher, chosen.threads), chosen.pictures, _show)
    write_labels(chosen.out, labels)
    print(f"wrote {chosen.out}: {len(labels['kpts'])} people in {len(labels['names'])} pictures")


if __name__ == "__main__":
    sys.exit(exit_status(main))
