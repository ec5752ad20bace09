"""Section of the report: people over time on rendered clips, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...device.checked_files import read_checked
from ..file_kinds import OVER_TIME
from ..formatting import number, percent, safe
from ..plots.course_plot import course_plot
from ..tables import table

_HEADINGS = (
    "frames",
    "filter",
    "found",
    "MPJPE<br>mm",
    "PA-MPJPE<br>mm",
    "PCK_rel<br>@150",
    "MPJVE<br>mm/frame",
    "acceleration<br>mm/frame²",
    "sides<br>exchanged",
    "facing<br>exchanged",
    "id<br>switches",
    "gaps",
    "false tracks<br>per minute",
    "delay<br>ms",
    "delay at<br>a step, ms",
    "time<br>ms/frame",
)
_CAPTION = (
    "The same detections through each filter. Acceleration and MPJVE are errors against exact 3D joints; "
    "the true acceleration is in parentheses. Delay is that of joints faster than 1 m/s; at a step, that of "
    "half the way between two held pictures."
)


def read_over_time(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Return the content of files of `posec evaluate --clips --out`.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [read_checked(Path(path), OVER_TIME) for path in paths]


def over_time_section(measured: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty without files."""
    if not measured:
        return ""
    body = "".join(_one(plain) for plain in measured)
    return f"<section><h2>People over time</h2>{body}</section>"


def _one(plain: Mapping[str, Any]) -> str:
    subsets = list(dict.fromkeys(row["subset"] for row in plain["rows"]))
    rows = sorted(plain["rows"], key=lambda row: subsets.index(row["subset"]))
    shown = table(_HEADINGS, [_row(row) for row in rows], f"{plain['network']}. {_CAPTION}", kind="accuracy")
    course = plain["course"]
    if course is None:
        return shown
    about = (
        f"{course['joint'].replace('_', ' ')} of one person, clip {course['clip']}, {course['fps']:g} Hz; "
        "the truth is dashed"
    )
    return f"{shown}<figure>{course_plot(course)}<figcaption>{safe(about)}</figcaption></figure>"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    true = number(row["true_acceleration_mm"], 1)
    return (
        safe(row["subset"]),
        safe(row["method"]),
        percent(row["found_share"]),
        number(row["mpjpe_mm"], 1),
        number(row["pa_mpjpe_mm"], 1),
        number(row["pck_rel150"], 1),
        number(row["mpjve_mm"], 1),
        f"{number(row['acceleration_mm'], 1)} ({true})",
        _percentage(row["sides_exchanged"]),
        _percentage(row["facing_exchanged"]),
        number(row["id_switches"], 0),
        number(row["gaps"], 0),
        number(row["false_tracks_per_min"], 1),
        number(row["delay_ms"], 0),
        number(row["step_ms"], 0),
        number(row["update_ms"], 2),
    )


def _percentage(value: float | None) -> str:
    return percent(None if value is None else value / 100)
