"""From a source of pictures to people: JSON lines, and the pictures with the people drawn in."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import deque
from pathlib import Path
from typing import IO, Any, Callable, Deque, Dict, List, Optional, Union

import cv2
import numpy as np

from ..errors import PoseError
from ..estimator import PoseEstimator
from ..pose import PoseFrame
from .draw import draw_people
from .sources import Shot, open_source
from .track import Tracker

LINES, CLIP, CLIP_FPS = "people.jsonl", "overlay.mp4", 15.0
# A camera may run for months: the median times are of so many of the last pictures.
TIMED = 10_000
# A clip's rate is that of so many first pictures: the first two may have been waiting, or the first inference takes longer.
RATED = 8
Progress = Callable[[int, PoseFrame], None]


def watch(
    estimator: PoseEstimator, source: str, out: Union[str, Path, None] = None, lines: Optional[IO[str]] = None, most: Optional[int] = None,
    overlay: bool = True, inset: bool = True, overwrite: bool = False, progress: Optional[Progress] = None, report: Optional[Callable[[str], None]] = None,
) -> Dict[str, Any]:  # fmt: skip
    """Find people in every picture of a source, until it ends, the user interrupts or nobody reads the lines any more.

    Args:
        estimator: of `load`.
        source: see `sources.open_source`.
        out: folder to write: `people.jsonl`, one line per picture, and with `overlay` the pictures with people drawn in, as
            JPEG for files and as `overlay.mp4` for videos and cameras. It appears when all is written.
        lines: also write the JSON lines here.
        most: stop after so many pictures.
        inset: show the people from above and from the side, too.
        overwrite: replace a folder that is there.
        progress: called with the pictures seen and the people of the last.
        report: told of pictures that are skipped.

    Returns:
        `pictures`, `with_people`, `people` (sum), `median_ms` per stage (of the last 10,000 pictures), `seconds`, `written` (paths),
        `interrupted`.

    Raises PoseError where the source cannot be read or the folder exists.
    """
    folder = None if out is None else Path(out)
    if folder is not None and folder.exists() and not overwrite:
        raise PoseError(f"'{folder}' is there already; name another folder, or say --overwrite")
    shots = open_source(source, report)
    beside = None if folder is None else folder.with_name(folder.name + ".part")
    if beside is not None:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
    album = _Album(beside if overlay else None, still=Path(source).exists() and not _is_video(source))
    tracker, interrupted = Tracker(), False
    pictures = with_people = people = 0
    stages: Deque[Dict[str, float]] = deque(maxlen=TIMED)
    started = time.monotonic()
    try:
        with open(beside / LINES if beside else os.devnull, "w") as file:
            try:
                for shot in shots:
                    frame = estimator(shot.picture)
                    numbers = None if album.still else tracker.update(frame, shot.seconds)
                    line = json.dumps(_line(shot, frame, numbers)) + "\n"
                    file.write(line)
                    album.add(shot, frame, estimator, numbers, inset)
                    stages.append(dict(estimator.stages_ms))
                    pictures, with_people, people = (
                        pictures + 1,
                        with_people + (len(frame) > 0),
                        people + len(frame),
                    )
                    # Recorded first: who is told and then stops it has what they were told of.
                    if lines is not None:
                        lines.write(line)
                        lines.flush()
                    if progress is not None:
                        progress(pictures, frame)
                    if most is not None and pictures >= most:
                        break
            except KeyboardInterrupt:
                interrupted = True
            except BrokenPipeError:
                interrupted = True
                _forget(lines)
        album.close()
        if beside is not None and folder is not None:
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(beside, folder)
    except BaseException:
        album.close()
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        raise
    written = [] if folder is None else sorted(str(path) for path in folder.iterdir())
    return {"pictures": pictures, "with_people": with_people, "people": people,
            "median_ms": {name: round(float(np.median([row[name] for row in stages])), 3) for name in (stages[0] if stages else ())},
            "seconds": round(time.monotonic() - started, 2), "written": written, "interrupted": interrupted}  # fmt: skip


def _forget(lines: Optional[IO[str]]) -> None:
    """Send what is still to be written nowhere: its reader is gone, as `head` is after its lines."""
    if lines is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, lines.fileno())
        os.close(nowhere)


def _is_video(source: str) -> bool:
    return Path(source).is_file() and Path(source).suffix.lower() in (
        ".mp4",
        ".avi",
        ".mkv",
        ".mov",
        ".webm",
        ".m4v",
        ".mjpeg",
        ".mpg",
        ".ts",
    )


def _line(shot: Shot, frame: PoseFrame, numbers: Optional[np.ndarray]) -> Dict[str, Any]:
    height, width = shot.picture.shape[:2]
    plain: Dict[str, Any] = {
        "picture": shot.name,
        "seconds": round(shot.seconds, 4),
        "size": [height, width],
        **frame.to_dict(),
    }
    if numbers is not None:
        plain["numbers"] = [int(number) for number in numbers]
    return plain


class _Album:
    """Where overlays go: a JPEG per still picture, one clip for moving ones."""

    def __init__(self, folder: Optional[Path], still: bool) -> None:
        self.folder, self.still = folder, still
        self._clip: Any = None
        self._waiting: List[np.ndarray] = []
        self._seconds: List[float] = []

    def add(
        self,
        shot: Shot,
        frame: PoseFrame,
        estimator: PoseEstimator,
        numbers: Optional[np.ndarray],
        inset: bool,
    ) -> None:
        """Draw and write one picture."""
        if self.folder is None:
            return
        known = None if numbers is None else [int(number) for number in numbers]
        drawn = draw_people(shot.picture, frame, estimator.bundle.spec.skeleton, known, inset)
        if self.still:
            path = self.folder / (Path(shot.name).stem + ".jpg")
            if not cv2.imwrite(str(path), drawn, [cv2.IMWRITE_JPEG_QUALITY, 92]):
                raise PoseError(f"cannot write '{path.name}'; is the disk full?")
            return
        if self._clip is not None:
            self._clip.write(drawn)
            return
        self._waiting.append(drawn)
        self._seconds.append(shot.seconds)
        if len(self._waiting) == RATED:
            self._open()

    def _open(self) -> None:
        if self.folder is None or not self._waiting:
            return
        apart = float(np.median(np.diff(self._seconds))) if len(self._seconds) > 1 else 1 / CLIP_FPS
        fps = 1.0 / max(apart, 1e-3)
        height, width = self._waiting[0].shape[:2]
        self._clip = cv2.VideoWriter(
            str(self.folder / CLIP),
            cv2.VideoWriter.fourcc(*"mp4v"),
            min(max(fps, 1.0), 120.0),
            (width, height),
        )
        if not self._clip.isOpened():
            raise PoseError("this cv2 cannot write mp4 clips; say --no-overlay")
        for drawn in self._waiting:
            self._clip.write(drawn)
        self._waiting = []

    def close(self) -> None:
        """Finish the clip."""
        if self._clip is None:
            self._open()
        if self._clip is not None:
            self._clip.release()
            self._clip = None
