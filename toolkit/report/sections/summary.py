"""The top of the report: headline, pictures, key figures and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...device.comparison.drift_parts import USER
from ...device.result import Result
from ..choosing.options import float_ratio
from ..formatting import DASH, THIN, is_jpeg, milliseconds, number, percent, safe
from .accuracy import SCENES
from .figures import total_p50_ms

_BUSY = 0.15  # share of the processors that other processes may take without a warning
_MOST_NOTES = 4  # of single results
_VERDICTS = {"accepted": ".", "rejected": ": over the drift limits.", "not judged": ": drift not measured."}


def best(results: Sequence[Result]) -> Result | None:
    """Return the fastest accepted result, or the fastest that ran."""
    ran = [result for result in results if result.bench and result.has_run]
    accepted = [result for result in ran if result.verdict == "accepted"]
    return min(accepted or ran, key=total_p50_ms, default=None)


def headline(results: Sequence[Result], chosen: Result | None, *, recommended: bool = False) -> str:
    """Return the main finding in one sentence.

    `chosen` is the `recommended` result, within the budgets, or the `best`.
    """
    if chosen is None:
        return "No bundle ran."
    p50 = milliseconds(total_p50_ms(chosen))
    bundle = chosen.bundle
    parts = [f"{bundle['precision']} on {bundle['target']} takes {p50} ms from picture to people"]
    ratio = float_ratio(chosen, results)
    if ratio:
        parts.append(f"{number(ratio['of_medians'], 2)} of float32's time")
    if chosen.drift:
        lost = percent(chosen.drift["people_lost"]) if chosen.drift["people_lost"] else "none"
        drift_mm = number(chosen.drift["drift_mm"])
        parts.append(f"{drift_mm} mm from the float network, {lost} of its people lost")
    if recommended and chosen.verdict == "rejected":
        return ", ".join(parts) + ": within your budgets, over its target's own limits."
    return ", ".join(parts) + _VERDICTS[chosen.verdict]


def warnings(results: Sequence[Result]) -> str:
    """Return a note for each failed, rejected or noisy result, for rendered data, and for a busy machine."""
    notes = [
        f"{result.name}: {'failed' if result.status == 'failed' else result.verdict} – {result.reason}"
        for result in results
        if result.status == "failed" or result.verdict == "rejected"
    ]
    if len(notes) > _MOST_NOTES:
        notes[_MOST_NOTES:] = [f"{len(notes) - _MOST_NOTES} more failed or were rejected: see the table."]
    noisy = [result for result in results if result.noise]
    if noisy:
        others = f" and {len(noisy) - 1} more" if len(noisy) > 1 else ""
        notes.append(f"Latency too noisy to trust: {noisy[0].name} ({noisy[0].noise}){others}.")
    kinds = {((result.drift or {}).get("data") or {}).get("kind", USER) for result in results}
    if kinds - {USER}:
        notes.append(
            "Drift was measured on posec's own pictures for some; people in photographs move farther: "
            "measure with --frames and pictures of your camera."
        )
    busy = max(map(_busy_share, results))
    if busy > _BUSY:
        notes.append(
            f"Other processes took {percent(busy, 0)} of the processors during the measurement: latencies "
            "are upper bounds. Compare processor time (cpu) instead."
        )
    return "".join(f"<p class='warning' role='note'>{safe(note)}</p>" for note in notes)


def _busy_share(result: Result) -> float:
    machine = (result.bench or {}).get("machine") or {}
    return float((machine.get("busy") or {}).get("others", 0.0))


def pictures(results: Sequence[Result], chosen: Result | None) -> str:
    """Return the annotated pictures of the chosen result, or of the first that has some; one is large."""
    chosen = next((result for result in (chosen, *results) if result and result.pictures), None)
    if chosen is None:
        return ""
    shown = [_picture(picture, chosen.name) for picture in chosen.pictures if is_jpeg(picture["jpeg"])]
    if not shown:
        return ""
    return f"<section class='pictures' aria-label='Detected people'>{''.join(shown)}</section>"


def _picture(picture: Mapping[str, str], bundle: str) -> str:
    caption = safe(f"{picture['caption']}, detected by {bundle}")
    image = f"<img src='data:image/jpeg;base64,{picture['jpeg']}' alt='{caption}'>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def tiles(chosen: Result | None) -> str:
    """Return the key figures of the chosen result."""
    if chosen is None or not chosen.bench:
        return ""
    drift, scenes = chosen.drift or {}, chosen.row(SCENES)
    figures = [
        (milliseconds(total_p50_ms(chosen)), "ms", "picture to people, p50"),
        (number(1000 / total_p50_ms(chosen), 0), "fps", "one picture after the other"),
        (number(drift.get("drift_mm")), "mm", "from the float network"),
        (percent(drift.get("people_lost")).rstrip(f"{THIN}%"), "%", "of its people lost"),
        (number(scenes.get("pck_rel150"), 0), "%", "PCK_rel@150, rendered scenes"),
        (number((chosen.bench.get("memory") or {}).get("peak_mb"), 0), "MB", "peak memory"),
    ]
    body = "".join(
        f"<div><b>{value}<i>{unit}</i></b><span>{label}</span></div>"
        for value, unit, label in figures
        if value != DASH
    )
    name = safe(chosen.name)
    section = f"<section class='tiles' aria-label='{name}'>{body}</section>"
    return f"{section}<p class='of'>{name}, {safe(chosen.verdict)}</p>"
