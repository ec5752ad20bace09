"""The JSON files that the report reads beside results: their formats, endings and schemas."""

from __future__ import annotations

from ..device.checked_files import Kind
from ..device.schema import Fields, Flag, Items, Maybe, Number, Table, Text
from ..evaluation.retrieval.measure import RANKS

CANDIDATES_ENDING = ".candidates.json"
CANDIDATES_ENDINGS = (CANDIDATES_ENDING, ".ladder.json")  # the second is the name in earlier versions
INSTRUCTIONS_ENDING = ".instructions.json"
OVER_TIME_ENDING = ".over-time.json"
RETRIEVAL_ENDING = ".retrieval.json"
_WORD, _COUNT, _MS = Text(200), Number(0, 1e12), Number(1e-5, 1e8)

_DRIFT = Fields(
    {
        "within": Flag(),
        "missed": Items(_WORD, most=10),
        "drift_mm": Maybe(_COUNT),
        "drift_p95_mm": Maybe(_COUNT),
        "people_lost": _COUNT,
        "people_invented": _COUNT,
    }
)
_CANDIDATE = Fields(
    {
        "name": _WORD,
        "drift": _DRIFT,
        "float_layers": Items(Text(), most=10_000),
        "taken": Flag(),
        "latency_ms": _MS,
        "float32_ms": _MS,
    },
    {"passes": Flag(), "missed": Text()},
)
_SEARCH = Fields(
    {
        "network": _WORD,
        "target": _WORD,
        "taken": Maybe(_WORD),
        "rungs": Items(_CANDIDATE, most=1000),  # the candidates
        "judged_on": Fields({"frames": _COUNT, "source": Text(5000)}),
    }
)
CANDIDATES = Kind("precision search", 1, 16 << 20, "`posec export --precision auto`", _SEARCH)

_INSTRUCTIONS = Fields(
    {
        "network": _WORD,
        "precision": _WORD,
        "board": _WORD,
        "cpu": _WORD,
        "library": _WORD,
        "instructions": Number(1, 1e15),
        "simd": Number(0, 1e15),
    }
)
INSTRUCTIONS = Kind(
    "count of instructions",
    1,
    1 << 20,
    "tests/arm64/instructions.py",
    Fields({"counts": Items(_INSTRUCTIONS, most=1000)}),
)

MEASURED = (
    "found_share",
    "mpjpe_mm",
    "pa_mpjpe_mm",
    "pck_rel150",
    "mpjve_mm",
    "acceleration_mm",
    "true_acceleration_mm",
    "sides_exchanged",
    "facing_exchanged",
    "id_switches",
    "gaps",
    "false_tracks_per_min",
    "delay_ms",
    "step_ms",
    "update_ms",
)
_PLACE = Number(-1e9, 1e9)
_COURSE = Fields(
    {
        "clip": _WORD,
        "fps": Number(0, 1e4),
        "joint": _WORD,
        "axis": Text(1),
        "seconds": Items(_COUNT, fewest=2, most=1000),
        "truth_mm": Items(_PLACE, fewest=2, most=1000),
        "found_mm": Table(Items(Maybe(_PLACE), fewest=2, most=1000), most=20),
    }
)
OVER_TIME = Kind(
    "measurement over time",
    1,
    4 << 20,
    "`posec evaluate --clips`",
    Fields(
        {
            "network": _WORD,
            "rows": Items(
                Fields({"method": _WORD, "subset": _WORD, **{name: Maybe(_PLACE) for name in MEASURED}}),
                most=1000,
            ),
            "course": Maybe(_COURSE),
        }
    ),
)

RETRIEVAL = Kind(
    "measurement of retrieval",
    1,
    1 << 20,
    "`posec evaluate --views`",
    Fields(
        {
            "network": _WORD,
            "rows": Items(
                Fields(
                    {
                        "gallery": _WORD,
                        "method": _WORD,
                        "queries": _COUNT,
                        "found_share": Maybe(_COUNT),
                        **{f"mean_pa_mpjpe_{rank}_mm": Maybe(_COUNT) for rank in RANKS},
                    }
                ),
                most=1000,
            ),
        }
    ),
)
