"""Tables of the report: accuracy on labelled pictures, one table per protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...device.result import Result
from ..formatting import number, percent, safe
from ..tables import table

if TYPE_CHECKING:
    _Cell = Callable[[Mapping[str, Any]], str]

SCENES, PHOTOS = "rendered-scenes", "tiny-coco"
_SMALL_PRINT = "Small print: 95 % interval, pictures drawn with replacement."
_GROUPS = {"all": "all people", ">=96": "96 px and taller", "<96": "below 96 px"}


def _figure(name: str, show: Callable[[float | None], str]) -> _Cell:
    """Return the cell of a figure, with its interval in small print."""

    def cell(row: Mapping[str, Any]) -> str:
        bounds = (row.get("intervals") or {}).get(name)
        interval = f"<small>{show(bounds[0])} to {show(bounds[1])}</small>" if bounds else ""
        return show(row.get(name)) + interval

    return cell


def _number(name: str, digits: int = 1) -> _Cell:
    return _figure(name, lambda value: number(value, digits))


def _percent(name: str) -> _Cell:
    return _figure(name, percent)


_COLUMNS: Mapping[str, Mapping[str, _Cell]] = {
    SCENES: {
        "people": _number("people", 0),
        "recall": _percent("centre_recall"),
        "precision": _percent("centre_precision"),
        "PCK_rel<br>@150": _number("pck_rel150"),
        "PCK_rel<br>matched": _number("pck_rel150_matched"),
        "AUC": _number("auc_rel"),
        "MPJPE<br>mm": _number("mpjpe_mm", 0),
        "PA-MPJPE<br>mm": _number("pa_mpjpe_mm", 0),
        "AP_root<br>@25 cm": _number("ap_root25"),
        "root depth<br>mm": _number("root_depth_mm", 0),
    },
    PHOTOS: {
        "people": _number("people", 0),
        "centre recall": _number("centre_recall", 2),
        "OKS.5": _number("oks50", 2),
        "OKS.75": _number("oks75", 2),
        "mean OKS": _number("mean_oks", 2),
        "predictions": _number("predictions", 0),
        "off person": _number("off_person", 0),
    },
}


def accuracy_section(results: Sequence[Result]) -> str:
    """Return the section as HTML; empty where no accuracy was measured."""
    tables = "".join(_accuracy(results, protocol) for protocol in _COLUMNS)
    return f"<section><h2>Accuracy on labelled pictures</h2>{tables}</section>" if tables else ""


def _accuracy(results: Sequence[Result], protocol: str) -> str:
    """Return the rows of one protocol, grouped by subset; subsets after the first are folded."""
    columns = _COLUMNS[protocol]
    found = [(row, result) for result in results for row in result.accuracy if row["protocol"] == protocol]
    if not found:
        return ""
    subsets = list(dict.fromkeys(row["subset"] for row, _ in found))
    found.sort(key=lambda pair: subsets.index(pair[0]["subset"]))
    cells = []
    for row, result in found:
        group = safe(_GROUPS.get(row["subset"], row["subset"]))
        cells.append((group, safe(result.name), *(cell(row) for cell in columns.values())))
    headings, caption = ("group", "bundle", *columns), f"Protocol “{protocol}”. {_SMALL_PRINT}"
    overall = sum(row["subset"] == subsets[0] for row, _ in found)
    first = table(headings, cells[:overall], caption, kind="accuracy")
    if overall == len(cells):
        return first
    others = table(headings, cells[overall:], caption, kind="accuracy")
    return f"{first}<details><summary>group by group</summary>{others}</details>"
