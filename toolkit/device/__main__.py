"""Check or measure a deployed bundle on the board, or examine the board.

python -m toolkit.device check BUNDLE
python -m toolkit.device bench BUNDLE RESULT SECONDS [THREADS]
python -m toolkit.device doctor [BUNDLE] [--json]

The last line of stdout of `check` and `bench` is the answer, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..runtime.errors import PosecError, PoseError
from .doctor.doctor import main as doctor
from .machine import machine_facts

if TYPE_CHECKING:
    from .result import Result

CAMERA_SIZE = (720, 1280)


def check(folder: str, threads: int | None = None) -> dict[str, Any]:
    """Return `bundle`, `machine`, golden `drift`, and `unjudged`, the reason if `drift` is None."""
    from ..runtime.bundle import read_bundle
    from .golden_check import verify_golden
    from .result import describe_bundle

    described, drift, unjudged = describe_bundle(read_bundle(folder)), None, ""
    try:
        drift = verify_golden(folder, threads).to_dict()
    except PoseError:  # the bundle cannot run
        raise
    except PosecError as error:
        unjudged = str(error)
    return {"bundle": described, "drift": drift, "unjudged": unjudged, "machine": machine_facts()}


def measure(folder: str, path: str, *, seconds: float, threads: int | None = None) -> Result:
    """Measure the bundle on its golden pictures, resized to a camera's size, and write the result."""
    from .bench import BenchSettings, bench
    from .result import Result, save_result

    checked = check(folder, threads)
    (measured,) = bench([folder], settings=BenchSettings(size=CAMERA_SIZE, seconds=seconds, threads=threads))
    result = Result(checked["bundle"], measured, checked["drift"], (), (), checked["unjudged"])
    save_result(result, path)
    return result


def main(arguments: Sequence[str]) -> int:
    """Run one request. Returns 0, 1 for a bundle that would not run, or 2 after a sentence on stderr."""
    if arguments[0] == "doctor":  # without numpy, too
        return doctor(arguments[1:])
    request, folder, *rest = arguments
    try:
        if request == "check":
            answer: Any = check(folder)
        else:
            answer = measure(
                folder, rest[0], seconds=float(rest[1]), threads=int(rest[2]) if len(rest) > 2 else None
            ).name
    except PosecError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
