"""Measures of a result that a plot can show on an axis and a budget can limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...device.result import Result
from ...evaluation.paired import Difference, difference_of

RENDERED_SCENES = "rendered-scenes"
PCK = "pck_rel150"
_DEFAULT_SUBSET = "all"


class Interval(NamedTuple):
    """Lower and upper bound of a value."""

    low: float
    high: float


_Reader = Callable[[Result], float | None]


@dataclass(frozen=True)
class Measure:
    """A figure of a result.

    Attributes:
        key: short name, unique.
        label: of an axis, with the unit.
        is_cost: whether it belongs on the axis of costs, such as latency; otherwise on that of quality.
        higher_is_better: the direction.
        read: returns the value of a result, or None.
        interval: returns the confidence interval of the value, or None.
        difference: returns the difference of two results, paired if of the same pictures, or None.
        digits: after the decimal point.
    """

    key: str
    label: str
    is_cost: bool
    higher_is_better: bool
    read: _Reader
    interval: Callable[[Result], Interval | None] = lambda result: None
    difference: Callable[[Result, Result], Difference | None] = lambda mine, other: None
    digits: int = 1


def _bench(*path: str) -> Callable[[Result], float | None]:
    """Return a reader of a figure of the bench; None where the bundle did not run or it was not measured."""
    return lambda result: _inside(result.bench, path) if result.has_run else None


def _drift(*path: str, scale: float = 1.0) -> Callable[[Result], float | None]:
    """Return a reader of a figure of the drift."""

    def read(result: Result) -> float | None:
        value = _inside(result.drift, path)
        return None if value is None else scale * value

    return read


def _inside(plain: Any, path: Sequence[str]) -> float | None:
    for name in path:
        if not isinstance(plain, Mapping):
            return None
        plain = plain.get(name)
    return float(plain) if isinstance(plain, (int, float)) and not isinstance(plain, bool) else None


def budget_ms(result: Result) -> float | None:
    """Return the latency that a budget limits, in ms.

    The 90th percentile at the end of the sustained run; of the single stream where there was no such run.
    """
    sustained = _bench("sustained", "last_p90_ms")(result)
    return _bench("latency", "total", "p90_ms")(result) if sustained is None else sustained


def _quantile(name: str) -> Callable[[Result], Interval | None]:
    def interval(result: Result) -> Interval | None:
        low, high = (_bench("quantiles", name, f"{end}_ms")(result) for end in ("low", "high"))
        return None if low is None or high is None else Interval(low, high)

    return interval


def _per_overlapped_frame(result: Result) -> float | None:
    fps = _bench("overlap", "fps")(result)
    return 1000 / fps if fps else None


def _model_mb(result: Result) -> float | None:
    return float(result.bundle["model_bytes"]) / 1e6


def _cost(key: str, label: str, read: _Reader, **more: Any) -> Measure:
    return Measure(key, label, is_cost=True, higher_is_better=False, read=read, **more)


def _difference(key: str, label: str, read: _Reader, digits: int = 1) -> Measure:
    """Return a measure of the difference from the float network; less is better."""
    return Measure(key, label, is_cost=False, higher_is_better=False, read=read, digits=digits)


def _percentile(name: str) -> Measure:
    read = _bench("latency", "total", f"{name}_ms")
    return _cost(f"{name}_ms", f"ms per picture, {name}", read, interval=_quantile(name))


BUDGET_MS = _cost("budget_ms", "ms per picture, p90, sustained where measured", budget_ms)
DRIFT_MM = _difference("drift_mm", "drift from float32, mm", _drift("drift_mm"))
DRIFT_RATIO = _difference(
    "drift_ratio", "drift over the network's own unsteadiness", _drift("drift_ratio"), digits=2
)
_SUSTAINED = "ms per picture, p50 at the end of the sustained run"
_MEASURES = (
    BUDGET_MS,
    *map(_percentile, ("p50", "p90", "p99")),
    _cost("sustained_ms", _SUSTAINED, _bench("sustained", "last_p50_ms")),
    _cost("overlap_ms", "ms between pictures with overlap", _per_overlapped_frame),
    _cost("cpu_ms", "processor ms per picture, p50", _bench("latency", "cpu", "p50_ms")),
    _cost("energy_mj", "mJ per picture", _bench("energy", "mj_per_frame")),
    _cost("memory_mb", "peak memory, MB", _bench("memory", "peak_mb"), digits=0),
    _cost("model_mb", "model, MB", _model_mb, digits=2),
    DRIFT_MM,
    DRIFT_RATIO,
    _difference("lost", "people lost, %", _drift("people_lost", scale=100)),
    _difference("invented", "people invented, %", _drift("people_invented", scale=100)),
)


class _Metric(NamedTuple):
    """A metric of accuracy in the rows of a protocol."""

    name: str
    label: str
    higher_is_better: bool
    scale: float
    digits: int


_METRICS = (
    _Metric(PCK, "PCK_rel@150, %", True, 1, 1),
    _Metric("mpjpe_mm", "MPJPE, mm", False, 1, 1),
    _Metric("pa_mpjpe_mm", "PA-MPJPE, mm", False, 1, 1),
    _Metric("auc_rel", "AUC_rel, %", True, 1, 1),
    _Metric("ap_root25", "AP_root@25 cm, %", True, 1, 1),
    _Metric("oks_ap", "OKS AP, %", True, 1, 1),
    _Metric("oks50", "OKS.5, %", True, 100, 1),
    _Metric("mean_oks", "mean OKS", True, 1, 3),
    _Metric("centre_recall", "recall, %", True, 100, 1),
    _Metric("false_positives", "false positives per picture", False, 1, 2),
)


def accuracy_key(protocol: str, metric: str) -> str:
    """Return the key of a metric of a protocol."""
    return f"{metric}@{protocol}"


def measures_of(
    results: Iterable[Result], instructions: Callable[[Result], float | None] | None = None
) -> list[Measure]:
    """Return the measures that at least one result has, costs first.

    `instructions` returns the millions of instructions per inference that were counted for a result.
    """
    results = list(results)
    known = list(_MEASURES)
    if instructions is not None:
        known.append(_cost("instructions_m", "million instructions per picture", instructions))
    known += [_accuracy(protocol, metric) for protocol in protocols_of(results) for metric in _METRICS]
    present = [measure for measure in known if any(measure.read(result) is not None for result in results)]
    return sorted(present, key=lambda measure: not measure.is_cost)


def protocols_of(results: Iterable[Result]) -> list[str]:
    """Return the protocols of the results; rendered scenes last, as they are the least like photographs."""
    names = dict.fromkeys(str(row["protocol"]) for result in results for row in result.accuracy)
    return sorted(names, key=lambda name: (name == RENDERED_SCENES, name))


def _accuracy(protocol: str, metric: _Metric) -> Measure:
    def read(result: Result) -> float | None:
        value = _inside(result.row(protocol, _DEFAULT_SUBSET), (metric.name,))
        return None if value is None else metric.scale * value

    def interval(result: Result) -> Interval | None:
        bounds = result.row(protocol, _DEFAULT_SUBSET).get("intervals", {}).get(metric.name)
        return Interval(metric.scale * bounds[0], metric.scale * bounds[1]) if bounds else None

    def difference(mine: Result, other: Result) -> Difference | None:
        return difference_of(mine.row(protocol), other.row(protocol), metric.name)

    name, comma, rest = metric.label.partition(", ")
    unit = comma + rest
    return Measure(
        accuracy_key(protocol, metric.name),
        f"{name} on {protocol}{unit}",
        is_cost=False,
        higher_is_better=metric.higher_is_better,
        read=read,
        interval=interval,
        difference=difference,
        digits=metric.digits,
    )
