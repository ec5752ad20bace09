"""Schema of a result file: every value that the report, the board or `bench --again` reads."""

from __future__ import annotations

from typing import Any

from .comparison.drift_schema import COMPARED, DRIFT
from .schema import (
    SCALAR,
    Digest,
    Either,
    Fields,
    Items,
    Maybe,
    Number,
    Row,
    Rule,
    SchemaError,
    Table,
    Text,
)

STAGES = ("preprocess", "inference", "decode", "total")
_MS = Number(0, 1e8)
_WHOLE_MS = Number(1e-5, 1e8)  # of a whole picture: the report divides by it
_COUNT = Number(0, 1e12)
_RATIO = Number(0, 1e9)
_SHARE = Number(0, 1e6)
_SIDE = Number(1, 1 << 14, whole=True)
_WORD = Text(2000)
_LONG = Text(10_000)

BUNDLE = Fields(
    {"name": _WORD, "target": _WORD, "precision": _WORD, "sha256": Digest(), "model_bytes": _COUNT},
    {
        "engine": _WORD,
        "scheme": Maybe(_WORD),
        "folder": _WORD,
        "licence": _LONG,
        "bytes": _COUNT,
        "input_size": Row((_SIDE, _SIDE)),
        "passes": Maybe(Items(Row((_WORD, _COUNT)), most=1000)),
        "tools": Maybe(Table(_WORD)),
        "model_sha256": Maybe(_WORD),
        "graph_sha256": Maybe(_WORD),
        "ranges_sha256": Maybe(_WORD),
    },
)
_STATE = Fields(
    {},
    {
        "governor": Maybe(_WORD),
        "frequencies_mhz": Maybe(Items(_COUNT, most=4096)),
        "temperatures_c": Maybe(Table(Number())),
        "throttled": Maybe(Table(Either((Number(), Items(_WORD, most=100))))),
    },
)
MACHINE = Fields(
    {},
    {
        **dict.fromkeys(
            (
                "board",
                "cpu",
                "architecture",
                "virtual",
                "logical_cpus",
                "usable_cpus",
                "os",
                "kernel",
                "python",
                "power_mode",
            ),
            SCALAR,
        ),
        "memory_mb": Maybe(_COUNT),
        "before": Maybe(_STATE),
        "after": Maybe(_STATE),
        "libraries": Maybe(Table(SCALAR)),
        "busy": Maybe(Fields({}, {"others": _SHARE, "stolen": _SHARE})),
    },
)


def _percentiles(rule: Rule) -> Fields:
    return Fields({"p50_ms": rule, "p90_ms": rule, "p99_ms": rule})


_LATENCY = Fields(
    {**{stage: _percentiles(_MS) for stage in STAGES}, "total": _percentiles(_WHOLE_MS)},
    {"cpu": _percentiles(_MS)},
)
_SUSTAINED = Fields(
    {"slower": _RATIO, "seconds": _COUNT, "slices": Items(Fields({"at_s": _COUNT, "p50_ms": _MS}), fewest=1)},
    {"last_p50_ms": _WHOLE_MS, "last_p90_ms": _WHOLE_MS},
)
_QUANTILE = Fields({"value_ms": _MS, "low_ms": Maybe(_MS), "high_ms": Maybe(_MS), "needs": _COUNT})
_NOISE = Fields({"spread": _RATIO, "reasons": Items(_WORD, most=20)})
_STAGES_MS = Fields(dict.fromkeys(("preprocess", "inference", "decode"), _MS))
_OVERLAP = Fields(
    {"frames": _COUNT, "fps": _RATIO, "p50_ms": _MS, "p90_ms": _MS, "p99_ms": _MS},
    {"stages_ms": _STAGES_MS, "quantiles": Table(_QUANTILE)},
)
_ENERGY = Fields({}, {"absent": _WORD, "sensor": _WORD, "watts": _COUNT, "mj_per_frame": Maybe(_COUNT)})
_INPUTS = Fields(
    {
        "pictures": Items(Fields({"name": Text(), "sha256": Digest()}), most=100_000),
        "resized_to": Maybe(Row((_SIDE, _SIDE))),
        "seconds": Number(0, 86_400),
        "frames_per_turn": Number(1, 100_000, whole=True),
        "threads": Maybe(Number(1, 1024, whole=True)),
    }
)
BENCH = Fields(
    {
        "run": _WORD,
        "measured_at": _WORD,
        "status": Text(choices=("ran", "failed")),
        "reason": _LONG,
        "machine": MACHINE,
        "bundle": Text(5000),
        "ratios": Table(Fields({"of_medians": _RATIO, "p10": _RATIO, "p90": _RATIO}, {"of_cpu": _RATIO})),
        "latency": Maybe(_LATENCY),
        "inputs": _INPUTS,
        "samples": Fields({"rounds": Items(Items(Items(_MS, fewest=4, most=16), fewest=1))}),
    },
    {
        "quantiles": Maybe(Table(_QUANTILE)),
        "noise": Maybe(_NOISE),
        "overlap": Maybe(_OVERLAP),
        "energy": Maybe(_ENERGY),
        "sustained": Maybe(_SUSTAINED),
        "engine": Maybe(Table(SCALAR)),
        "cold": Maybe(Table(Maybe(_MS))),
        "memory": Maybe(Fields({}, {"peak_mb": Maybe(_COUNT), "resident_mb": Maybe(_COUNT)})),
        "decode_us": Maybe(
            Items(
                Fields({"people": _COUNT, "p50_us": _COUNT, "p90_us": _COUNT}, {"unfitted_p50_us": _COUNT}),
                most=1000,
            )
        ),
    },
)
_INTERVALS, _BY_PICTURE = "intervals", "by_picture"
_PARTS = Items(Number(), most=100_000)
_PICTURES = Fields(
    {
        "pictures": Digest(),
        "measures": Table(Fields({"scale": Number(), "above": _PARTS, "below": _PARTS})),
    }
)


class _Accuracy:
    """A row of accuracy: names of protocol and subset, numbers, perhaps their intervals and parts."""

    _named = Fields({"protocol": _WORD, "subset": _WORD})
    _numbers = Table(Maybe(Number()))
    _intervals = Table(Row((Number(), Number())))

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError if a name is missing or a measure is not a number."""
        self._named.check(value, where)
        self._numbers.check(
            {
                name: measure
                for name, measure in value.items()
                if name not in (*self._named.needed, _INTERVALS, _BY_PICTURE)
            },
            where,
        )
        if _INTERVALS in value:
            self._intervals.check(value[_INTERVALS], f"{where}.{_INTERVALS}")
        if _BY_PICTURE in value:
            _PICTURES.check(value[_BY_PICTURE], f"{where}.{_BY_PICTURE}")


class _Result:
    """A whole result; one that ran has latencies and samples."""

    _fields = Fields(
        {
            "bundle": BUNDLE,
            "bench": Maybe(BENCH),
            "drift": Maybe(DRIFT),
            "accuracy": Items(_Accuracy(), most=100_000),
            "unjudged": _LONG,
            "pictures": Items(Fields({"caption": Text(), "jpeg": Text(8 << 20)}), most=100),
        },
        {
            "float_accuracy": Items(_Accuracy(), most=100_000),
            "compared": Items(COMPARED, most=100),
        },
    )

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError if the file cannot be shown or measured again."""
        self._fields.check(value, where)
        bench = value["bench"]
        if bench and bench["status"] == "ran" and not (bench["latency"] and bench["samples"]["rounds"]):
            raise SchemaError("bench ran but holds no latency or no samples")


RESULT: Rule = _Result()
