"""The JSON files that the report reads beside results: their formats, endings and schemas."""

from __future__ import annotations

from ..device.checked_files import Kind
from ..device.schema import Fields, Flag, Items, Maybe, Number, Text

CANDIDATES_ENDING = ".candidates.json"
CANDIDATES_ENDINGS = (CANDIDATES_ENDING, ".ladder.json")  # the second is the name in earlier versions
INSTRUCTIONS_ENDING = ".instructions.json"
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
