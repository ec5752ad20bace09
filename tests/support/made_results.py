"""Results with figures of one's own, as valid as files of `posec bench`."""

import json
from dataclasses import replace

from toolkit.device.result import Result, parse_result

MACHINE = {"cpu": "Cortex-A76", "usable_cpus": 4, "board": "Raspberry Pi 5"}
RATIO = {"of_medians": 0.42, "p10": 0.4, "p90": 0.5}


def made_result(precision="int8", *, p90=20.0, drift=None, pck=None, bench=None, name="net", **bundle):
    """Return a result: p90 in ms, PCK on rendered scenes, `drift` and `bench` over those of a good one."""
    times = {"p50_ms": 0.8 * p90, "p90_ms": p90, "p99_ms": 1.5 * p90}
    stages = ("preprocess", "inference", "decode", "total", "cpu")
    limits = {"drift_mm": 8.0, "people_lost": 0.03, "people_invented": 0.03}
    figures = {"drift_mm": 5.0, "people_lost": 0.0, "people_invented": 0.0, "blame": {}, **(drift or {})}
    missed = [limit for limit, most in limits.items() if figures[limit] > most]
    plain = {
        "bundle": {
            "name": name,
            "target": "raspberry-pi-5",
            "precision": precision,
            "sha256": f"{abs(hash((precision, p90, name))):064x}"[-64:],
            "model_bytes": 7_000_000,
            "graph_sha256": "g",
            "input_size": [256, 448],
            **bundle,
        },
        "bench": {
            "run": "r1",
            "measured_at": "2026-11-28T00:00:00Z",
            "status": "ran",
            "reason": "",
            "machine": MACHINE,
            "bundle": precision,
            "ratios": {} if precision == "float32" else {"float32": RATIO},
            "latency": dict.fromkeys(stages, times),
            "inputs": {
                "pictures": [],
                "resized_to": None,
                "seconds": 1,
                "frames_per_turn": 1,
                "threads": None,
            },
            "samples": {"rounds": [[[1.0, 2.0, 3.0, p90, 5.0, 1]]]},
            "noise": {"spread": 0.02, "reasons": []},
            **(bench or {}),
        },
        "drift": {**figures, "within": not missed, "missed": missed, "allowed": limits},
        "accuracy": [{"protocol": "rendered-scenes", "subset": "all", "pck_rel150": pck}] if pck else [],
        "unjudged": "",
        "pictures": [],
        "format": 1,
    }
    return parse_result(json.dumps(plain), "made")


def changed_machine(result: Result, **facts) -> Result:
    """Return a result of another machine."""
    return replace(result, bench={**result.bench, "machine": {**result.bench["machine"], **facts}})
