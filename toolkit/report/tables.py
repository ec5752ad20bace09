"""The report's tables, from results to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..device.result import Result
from ..device.worker import STAGES
from .charts import stage_bar
from .formatting import DASH, listed, megabytes, milliseconds, number, percent, safe

PILLS = {
    "ran": "good",
    "failed": "bad",
    "not measured": "unknown",
    "accepted": "good",
    "rejected": "bad",
    "not judged": "unknown",
}
SCENES, PHOTOS = "rendered-scenes", "tiny-coco"
GROUPS = {"all": "everybody", ">=96": "96 px and taller", "<96": "below 96 px"}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str, kind: str = "") -> str:
    """Return a table whose cells know their heading, so that a narrow screen can show each row as a card. Cells are HTML."""
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
    """Return this result's latency over that of float32 for the same target, measured in the same run; None where there is none."""
    if not result.bench or result.bundle["precision"] == "float32":
        return None
    for other in results:
        same = (
            other.bench
            and other.bench["run"] == result.bench["run"]
            and other.bundle["target"] == result.bundle["target"]
        )
        if same and other.bench and other.bundle["precision"] == "float32":
            return result.bench["ratios"].get(other.bench["bundle"])
    return None


def overview(results: Sequence[Result]) -> str:
    """Return target by precision: did it run, is it good enough, how big, how fast, how true."""
    longest = max(
        (
            result.bench["latency"]["total"]["p50_ms"]
            for result in results
            if result.bench and result.bench["latency"]
        ),
        default=0.0,
    )
    headings = ("target", "precision", "status", "verdict", "MB", "p50<br>ms", "p90<br>ms", "stages", "over<br>float32", "drift<br>mm",
                "people<br>lost", "people<br>invented", "PCK<br>@150", "MPJPE<br>mm", "recall")  # fmt: skip
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
        rows.append((
            f"<strong>{safe(result.bundle['target'])}</strong><small>{safe(result.bundle.get('engine', ''))}</small>",
            f"{safe(result.bundle['precision'])}<small>{safe(result.bundle.get('scheme') or '')}</small>",
            pill(result.status, result.reason), pill(result.verdict, result.reason), megabytes(result.bundle["model_bytes"]),
            f"{milliseconds(total.get('p50_ms'))}{_small('cpu', milliseconds((latency or {}).get('cpu', {}).get('p50_ms')))}",
            milliseconds(total.get("p90_ms")), stages,
            f'<span title="{number(ratio["p10"], 2)} to {number(ratio["p90"], 2)} over the rounds">× {number(ratio["of_medians"], 2)}</span>{_small("cpu ×", number(ratio.get("of_cpu"), 2))}' if ratio else DASH,
            _limited(number(drift.get("drift_mm")), allowed.get("drift_mm"), "drift_mm" in drift.get("missed", ()), "mm"),
            _limited(percent(drift.get("people_lost")), allowed.get("people_lost"), "people_lost" in drift.get("missed", ()), "share"),
            _limited(percent(drift.get("people_invented")), allowed.get("people_invented"), "people_invented" in drift.get("missed", ()), "share"),
            number(scenes.get("pck_rel150")), number(scenes.get("mpjpe_mm"), 0), percent(recall, 0),
        ))  # fmt: skip
    return table(
        headings,
        rows,
        "Status says that it ran; the verdict says whether the people are still the same, within the allowance. "
        "cpu: processor time per frame, of all threads.",
        "overview",
    )


def _small(word: str, told: str) -> str:
    return "" if told == DASH else f"<small>{word} {told}</small>"


def _limited(told: str, limit: Any, missed: bool, unit: str) -> str:
    """Return a figure with its limit in small print, marked where the limit is not kept."""
    if limit is None:
        return told
    allowance = f"of {limit:g}" if unit == "mm" else f"of {100 * limit:g} %"
    return f'<span class="{"missed" if missed else ""}">{told}</span><small>{allowance}</small>'


def accuracy(results: Sequence[Result], protocol: str) -> str:
    """Return the rows of one protocol, subset by subset, bundle beside bundle; empty where nobody measured it."""
    columns: Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        SCENES: (("people", lambda row: number(row.get("people"), 0)), ("recall", lambda row: percent(row.get("centre_recall"))),
                 ("precision", lambda row: percent(row.get("centre_precision"))), ("PCK_rel<br>@150", lambda row: number(row.get("pck_rel150"))),
                 ("PCK_rel<br>matched", lambda row: number(row.get("pck_rel150_matched"))), ("AUC", lambda row: number(row.get("auc_rel"))),
                 ("MPJPE<br>mm", lambda row: number(row.get("mpjpe_mm"), 0)), ("PA-MPJPE<br>mm", lambda row: number(row.get("pa_mpjpe_mm"), 0)),
                 ("AP_root<br>@25 cm", lambda row: number(row.get("ap_root25"))), ("root depth<br>mm", lambda row: number(row.get("root_depth_mm"), 0))),
        PHOTOS: (("people", lambda row: number(row.get("people"), 0)), ("centre recall", lambda row: number(row.get("centre_recall"), 2)),
                 ("OKS.5", lambda row: number(row.get("oks50"), 2)), ("OKS.75", lambda row: number(row.get("oks75"), 2)),
                 ("mean OKS", lambda row: number(row.get("mean_oks"), 2)), ("predictions", lambda row: number(row.get("predictions"), 0)),
                 ("off person", lambda row: number(row.get("off_person"), 0))),
    }[protocol]  # fmt: skip
    found = [(row, result) for result in results for row in result.accuracy if row["protocol"] == protocol]
    if not found:
        return ""
    subsets = list(dict.fromkeys(row["subset"] for row, _ in found))
    ordered = sorted(found, key=lambda pair: subsets.index(pair[0]["subset"]))
    cells = [
        (
            safe(GROUPS.get(row["subset"], row["subset"])),
            safe(result.name),
            *(told(row) for _, told in columns),
        )
        for row, result in ordered
    ]
    headings = ("group", "bundle", *(heading for heading, _ in columns))
    everybody = sum(row["subset"] == subsets[0] for row, _ in ordered)
    shown = table(headings, cells[:everybody], f"Protocol “{protocol}”.", "accuracy")
    if everybody == len(cells):
        return shown
    return f"{shown}<details><summary>group by group</summary>{table(headings, cells[everybody:], f'Protocol “{protocol}”.', 'accuracy')}</details>"


def machines(results: Sequence[Result]) -> str:
    """Return the machines that were measured on, one column each, with what was noticed while measuring."""
    seen: dict[str, Mapping[str, Any]] = {}
    for result in results:
        if result.bench:
            seen.setdefault(str(result.bench["run"]), result.bench["machine"])
    if not seen:
        return "<p>Nothing was measured on a machine.</p>"
    told: Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]] = (
        ("board", lambda m: str(m.get("board") or DASH)),
        ("processor", lambda m: f"{m.get('cpu') or DASH}, {m.get('usable_cpus')} of {m.get('logical_cpus')} logical processors, {m.get('architecture')}"),
        ("memory", lambda m: number(m.get("memory_mb"), 0, "MB")),
        ("virtual machine", lambda m: "yes: clocks and temperature are out of sight" if m.get("virtual") else "no"),
        ("system", lambda m: f"{m.get('os')}, kernel {m.get('kernel')}, Python {m.get('python')}"),
        ("power mode", lambda m: str(m.get("power_mode") or DASH)),
        ("governor", lambda m: str((m.get("before") or {}).get("governor") or DASH)),
        ("clocks, MHz", lambda m: _before_after(m, "frequencies_mhz", lambda value: "/".join(map(str, value)))),
        ("temperature, °C", lambda m: _before_after(m, "temperatures_c", listed)),
        ("throttling", lambda m: _before_after(m, "throttled", lambda value: listed(value) if any(value.values()) else "none")),
        ("processors taken by others", lambda m: percent((m.get("busy") or {}).get("others"), 0)),
        ("stolen by the hypervisor", lambda m: percent((m.get("busy") or {}).get("stolen"), 1)),
        ("libraries", lambda m: listed(m.get("libraries") or {})),
    )  # fmt: skip
    rows = [(safe(name), *(safe(tell(machine)) for machine in seen.values())) for name, tell in told]
    return table(
        ("", *(f"run {safe(run)}" for run in seen)),
        rows,
        "Read from the system, before and after measuring.",
        "facts",
    )


def _before_after(machine: Mapping[str, Any], name: str, tell: Callable[[Any], str]) -> str:
    values = [(machine.get(when) or {}).get(name) for when in ("before", "after")]
    return " → ".join(tell(value) for value in values) if all(values) else DASH


def bundles(results: Sequence[Result]) -> str:
    """Return what each bundle is made of: hashes, passes, versions, licence; for whoever wants to do it again."""
    rows = []
    for result in results:
        bundle = result.bundle
        engine = listed((result.bench or {}).get("engine") or {})
        passes = ", ".join(f"{name} {count}" for name, count in bundle.get("passes") or [])
        hashes = "".join(f"<small>{word} <code>{safe(str(bundle.get(field) or DASH)[:16])}</code></small>"
                         for word, field in (("bundle", "sha256"), ("model", "model_sha256"), ("graph", "graph_sha256"), ("ranges", "ranges_sha256")))  # fmt: skip
        rows.append(
            (
                safe(result.name),
                safe(engine),
                safe(listed(bundle.get("tools") or {})),
                safe(passes),
                hashes,
                safe(bundle.get("licence", DASH)),
            )
        )
    return table(("bundle", "runs in", "built with", "passes, places rewritten", "SHA-256, first 16", "licence of the weights"), rows,
                 "Every file of a bundle is hashed in its bundle.json and checked when it is opened.", "facts")  # fmt: skip
