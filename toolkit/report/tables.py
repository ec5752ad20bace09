"""The report's tables, from results to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..device.result import Result
from ..device.timing.worker import STAGES
from .charts import stage_bar
from .formatting import DASH, megabytes, milliseconds, number, percent, safe

PILLS = {
    "ran": "good",
    "failed": "bad",
    "not measured": "unknown",
    "accepted": "good",
    "rejected": "bad",
    "not judged": "unknown",
}
SCENES, PHOTOS = "rendered-scenes", "tiny-coco"
GROUPS = {"all": "all people", ">=96": "96 px and taller", "<96": "below 96 px"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str, *, kind: str = "") -> str:
    """Return a table; each cell carries its heading, so that a narrow screen can show a row as a card. Cells are HTML."""
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    plain = [heading.replace("<br>", " ") for heading in headings]
    body = ""
    for index, row in enumerate(rows):
        opens = kind == "accuracy" and index > 0 and row[0] != rows[index - 1][0]
        cells = "".join(_cell(plain[column], row[column]) for column in range(len(row)))
        body += f"<tr{' class=group' if opens else ''}>{cells}</tr>"
    return f'<div class="scroll"><table class="{kind}"><caption>{safe(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(heading: str, content: str) -> str:
    kind = ' class="none"' if content == DASH else ""
    return f'<td data-label="{safe(heading)}"{kind}>{content}</td>'


def pill(word: str, why: str = "") -> str:
    """Return a status or verdict in its colour, with the reason behind it."""
    return f'<span class="pill {PILLS[word]}" title="{safe(why)}">{safe(word)}</span>'


def float_ratio(result: Result, results: Sequence[Result]) -> Mapping[str, float] | None:
    """Return this result's latency over that of float32 of the same network and target, measured in the same run."""
    if not result.bench or result.bundle["precision"] == "float32":
        return None
    for other in results:
        same = [
            other.bundle.get(field) == result.bundle.get(field)
            for field in ("target", "name", "graph_sha256")
        ]
        if (
            all(same)
            and other.bench
            and other.bench["run"] == result.bench["run"]
            and other.bundle["precision"] == "float32"
        ):
            return result.bench["ratios"].get(other.bench["bundle"])
    return None


def overview(results: Sequence[Result]) -> str:
    """Return the table target by precision: status, verdict, size, latency, drift, accuracy."""
    longest = max(
        (
            result.bench["latency"]["total"]["p50_ms"]
            for result in results
            if result.bench and result.bench["latency"]
        ),
        default=0.0,
    )
    headings = (
        "target",
        "precision",
        "status",
        "verdict",
        "MB",
        "p50<br>ms",
        "p90<br>ms",
        "stages",
        "over<br>float32",
        "drift<br>mm",
        "people<br>lost",
        "people<br>invented",
        "PCK<br>@150",
        "MPJPE<br>mm",
        "recall",
    )
    rows = []
    for result in results:
        latency, drift, scenes, ratio = (
            (result.bench or {}).get("latency"),
            result.drift or {},
            result.row(SCENES),
            float_ratio(result, results),
        )
        allowed = drift.get("allowed", {})
        total = latency["total"] if latency else {}
        stages = (
            stage_bar([(stage, latency[stage]["p50_ms"]) for stage in STAGES], longest) if latency else DASH
        )
        recall = scenes.get("centre_recall", result.row(PHOTOS).get("centre_recall"))
        rows.append(
            (
                f"<strong>{safe(result.bundle['target'])}</strong><small>{safe(result.bundle.get('engine', ''))}</small>"
                + (f"<small>{safe(result.title)}</small>" if result.title else ""),
                f"{safe(result.bundle['precision'])}<small>{safe(result.bundle.get('scheme') or '')}</small>",
                pill(result.status, result.reason),
                pill(result.verdict, result.reason),
                megabytes(result.bundle["model_bytes"]),
                f"{milliseconds(total.get('p50_ms'))}{_small('cpu', milliseconds((latency or {}).get('cpu', {}).get('p50_ms')))}",
                milliseconds(total.get("p90_ms")),
                stages,
                f'<span title="{number(ratio["p10"], 2)} to {number(ratio["p90"], 2)} over the rounds">× {number(ratio["of_medians"], 2)}</span>{_small("cpu ×", number(ratio.get("of_cpu"), 2))}'
                if ratio
                else DASH,
                _limited(
                    number(drift.get("drift_mm")),
                    allowed.get("drift_mm"),
                    "drift_mm" in drift.get("missed", ()),
                    unit="mm",
                ),
                _limited(
                    percent(drift.get("people_lost")),
                    allowed.get("people_lost"),
                    "people_lost" in drift.get("missed", ()),
                    unit="share",
                ),
                _limited(
                    percent(drift.get("people_invented")),
                    allowed.get("people_invented"),
                    "people_invented" in drift.get("missed", ()),
                    unit="share",
                ),
                number(scenes.get("pck_rel150")),
                number(scenes.get("mpjpe_mm"), 0),
                percent(recall, 0),
            )
        )
    return table(
        headings,
        rows,
        "Status: whether the bundle ran. Verdict: whether its drift from the float network is within the limits. "
        "cpu: processor time per frame, summed over threads.",
        kind="overview",
    )


def _small(word: str, figure: str) -> str:
    return "" if figure == DASH else f"<small>{word} {figure}</small>"


def _limited(figure: str, limit: Any, missed: bool, *, unit: str) -> str:
    """Return a figure with its limit in small print, marked where the limit is not kept."""
    if limit is None:
        return figure
    allowance = f"of {limit:g}" if unit == "mm" else f"of {100 * limit:g} %"
    return f'<span class="{"missed" if missed else ""}">{figure}</span><small>{allowance}</small>'


def accuracy(results: Sequence[Result], protocol: str) -> str:
    """Return the rows of one protocol, subset by subset, bundle beside bundle; empty where it was not measured."""
    columns: Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        SCENES: (
            ("people", lambda row: number(row.get("people"), 0)),
            ("recall", lambda row: percent(row.get("centre_recall"))),
            ("precision", lambda row: percent(row.get("centre_precision"))),
            ("PCK_rel<br>@150", lambda row: number(row.get("pck_rel150"))),
            ("PCK_rel<br>matched", lambda row: number(row.get("pck_rel150_matched"))),
            ("AUC", lambda row: number(row.get("auc_rel"))),
            ("MPJPE<br>mm", lambda row: number(row.get("mpjpe_mm"), 0)),
            ("PA-MPJPE<br>mm", lambda row: number(row.get("pa_mpjpe_mm"), 0)),
            ("AP_root<br>@25 cm", lambda row: number(row.get("ap_root25"))),
            ("root depth<br>mm", lambda row: number(row.get("root_depth_mm"), 0)),
        ),
        PHOTOS: (
            ("people", lambda row: number(row.get("people"), 0)),
            ("centre recall", lambda row: number(row.get("centre_recall"), 2)),
            ("OKS.5", lambda row: number(row.get("oks50"), 2)),
            ("OKS.75", lambda row: number(row.get("oks75"), 2)),
            ("mean OKS", lambda row: number(row.get("mean_oks"), 2)),
            ("predictions", lambda row: number(row.get("predictions"), 0)),
            ("off person", lambda row: number(row.get("off_person"), 0)),
        ),
    }[protocol]
    found = [(row, result) for result in results for row in result.accuracy if row["protocol"] == protocol]
    if not found:
        return ""
    subsets = list(dict.fromkeys(row["subset"] for row, _ in found))
    ordered = sorted(found, key=lambda pair: subsets.index(pair[0]["subset"]))
    cells = [
        (
            safe(GROUPS.get(row["subset"], row["subset"])),
            safe(result.name),
            *(shown(row) for _, shown in columns),
        )
        for row, result in ordered
    ]
    headings = ("group", "bundle", *(heading for heading, _ in columns))
    overall = sum(row["subset"] == subsets[0] for row, _ in ordered)
    first = table(headings, cells[:overall], f"Protocol “{protocol}”.", kind="accuracy")
    if overall == len(cells):
        return first
    return f"{first}<details><summary>group by group</summary>{table(headings, cells[overall:], f'Protocol “{protocol}”.', kind='accuracy')}</details>"
