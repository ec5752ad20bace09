"""The recording of a run as a sink: JSON lines, and pictures with the people drawn in."""

from __future__ import annotations

import os
from typing import Any, Dict

import numpy as np

from ..console import Report, redact, say
from ..skeleton import Skeleton
from ..video.draw import draw_people
from ..video.recording.recording_folder import check_apart
from ..video.recording.writers import Recording
from ..video.result import Result
from ..video.settings import RecordingSettings, Summary

_DEFAULTS = RecordingSettings()


class Recorder:
    """Records results in a folder: `people.jsonl`, and overlays if the settings have them.

    Overlays are JPEG files for pictures, and `overlay.mkv` for videos and cameras.
    """

    def __init__(
        self,
        folder: str,
        source: str,
        skeleton: Skeleton,
        *,
        settings: RecordingSettings = _DEFAULTS,
        report: Report = say,
    ) -> None:
        """Lock the folder. Raises OutputError if it holds the source, or as `Recording` does."""
        check_apart(source, folder)
        self._recording = Recording(folder, settings, report)
        self._skeleton, self._settings, self._report = skeleton, settings, report

    def write(self, result: Result) -> None:
        """Record one picture. Raises OutputError if that fails."""
        self._recording.write_line(result.line)
        if not self._settings.overlay:
            return
        frame, source = result.frame, result.source
        drawn = draw_people(
            frame.picture, result.people, self._skeleton, numbers=result.numbers, inset=self._settings.inset
        )
        if self._settings.beside and not source.still:
            drawn = np.hstack([draw_people(frame.picture, result.detected, self._skeleton), drawn])
        if source.still:
            self._recording.write_still(frame.name, drawn)
        else:
            self._recording.write_frame(drawn, frame.seconds, rate=source.rate, live=source.live)

    def close(self, summary: Summary) -> None:
        """List the files in the manifest, and release the folder."""
        recording = self._recording
        if summary.failed and recording.pictures and recording.is_in_place:
            self._report(f"the {recording.pictures} pictures recorded so far are kept in '{recording.shown}'")
        summary.written += recording.close(_manifest(summary))


def _manifest(summary: Summary) -> Dict[str, Any]:
    """Return the content of a recording's manifest."""
    return {
        "source": redact(os.fsencode(summary.source).decode("utf-8", "backslashreplace")),
        "pictures": summary.pictures,
        "skipped": summary.skipped,
        "people": summary.people,
        "seconds": summary.seconds,
        "interrupted": summary.interrupted,
        "gone": summary.gone,
    }
