"""Schema of the drift and of the compared pictures in a result file."""

from __future__ import annotations

from ..drift import LIMITS, RATIO_LIMIT
from ..schema import Digest, Fields, Flag, Items, Maybe, Number, Row, Table, Text

_COUNT = Number(0, 1e12)
_SHARE = Number(0, 1e6)
_SIDE = Number(1, 1 << 14, whole=True)
_WORD = Text(2000)
_LIMIT = Number(0, 1e12)
_REPAIR = Fields({"drift_mm": Maybe(_LIMIT), "people_lost": _SHARE}, {"people_invented": _SHARE})
_MOVED = Fields(
    {
        "frame": _COUNT,
        "height_px": _COUNT,
        "drift_mm": _LIMIT,
        "joint": _WORD,
        "joint_mm": _LIMIT,
        "cause": _WORD,
    }
)
_UNSTEADINESS = Fields(
    {
        "drift_mm": Maybe(_LIMIT),
        "drift_p50_mm": Maybe(_LIMIT),
        "drift_p95_mm": Maybe(_LIMIT),
        "people_lost": _SHARE,
        "people_invented": _SHARE,
        "perturbation": _WORD,
    }
)
DRIFT = Fields(
    {
        "within": Flag(),
        "missed": Items(Text(choices=(*LIMITS, RATIO_LIMIT)), most=4),
        "allowed": Fields({name: Maybe(_LIMIT) for name in LIMITS}, {RATIO_LIMIT: Maybe(_LIMIT)}),
        "drift_mm": Maybe(_LIMIT),
        "people_lost": _SHARE,
        "people_invented": _SHARE,
        "blame": Table(_REPAIR),
    },
    {
        "drift_p50_mm": Maybe(_LIMIT),
        "drift_p95_mm": Maybe(_LIMIT),
        "drift_ratio": Maybe(_LIMIT),
        "people": _COUNT,
        "frames": _COUNT,
        "people_mm": Items(_LIMIT, most=100_000),
        "moved": Items(_MOVED, most=100),
        "unsteadiness": Maybe(_UNSTEADINESS),
        "data": Maybe(Fields({"source": _WORD, "kind": _WORD})),
    },
)


_POINT = Number(-1e6, 1e6)
_PERSON = Fields(
    {
        "score": Number(),
        "joints_px": Items(Row((_POINT, _POINT)), most=1000),
        "joints_mm": Items(Row((_POINT, _POINT, _POINT)), most=1000),
    }
)
_PEOPLE = Items(_PERSON, most=1000)
COMPARED = Fields(
    {
        "sha256": Digest(),
        "size": Row((_SIDE, _SIDE)),
        "jpeg": Text(8 << 20),
        "joints": Items(Text(100), most=1000),
        "bones": Items(Row((_COUNT, _COUNT)), most=1000),
        "float": _PEOPLE,
        "compiled": _PEOPLE,
        "pairs": Items(Row((_COUNT, _COUNT)), most=1000),
    }
)
