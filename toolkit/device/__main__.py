"""Check or measure a deployed bundle on the board, or examine the board.

python -m toolkit.device check BUNDLE
python -m toolkit.device bench BUNDLE RESULT SECONDS [THREADS]
python -m toolkit.device doctor [BUNDLE] [--json]

The last line of stdout of `check` and `bench` is the answer, as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..runtime.command.arguments import Parser, count
from ..runtime.command.refusals import exit_status
from ..runtime.errors import PosecError, PoseError
from .doctor.doctor import main as doctor
from .machine import machine_facts

if TYPE_CHECKING:
    from .comparison.compared_pictures import ComparedPictures
    from .result import Result

CAMERA_SIZE = (720, 1280)


def check(
    folder: str, threads: int | None = None, pictures: ComparedPictures | None = None
) -> dict[str, Any]:
    """Return `bundle`, `machine`, golden `drift`, and `unjudged`, the reason if `drift` is None.

    `pictures` takes the compared pictures.
    """
    from ..runtime.bundle import read_bundle
    from .golden_check import verify_golden
    from .result import describe_bundle

    described, drift, unjudged = describe_bundle(read_bundle(folder)), None, ""
    try:
        drift = verify_golden(folder, threads, pictures=pictures).to_dict()
    except PoseError:  # the bundle cannot run
        raise
    except PosecError as error:
        unjudged = str(error)
    return {"bundle": described, "drift": drift, "unjudged": unjudged, "machine": machine_facts()}


def measure(folder: str, path: str, *, seconds: float, threads: int | None = None) -> Result:
    """Measure the bundle on its golden pictures, resized to a camera's size, and write the result."""
    from ..runtime.bundle import read_bundle
    from .bench import bench
    from .comparison.compared_pictures import ComparedPictures
    from .result import Result, save_result
    from .timing.turns import BenchSettings

    pictures = ComparedPictures(read_bundle(folder).spec.skeleton)
    checked = check(folder, threads, pictures)
    (measured,) = bench([folder], settings=BenchSettings(size=CAMERA_SIZE, seconds=seconds, threads=threads))
    result = Result(
        checked["bundle"],
        measured,
        checked["drift"],
        unjudged=checked["unjudged"],
        compared=pictures.to_list(),
    )
    save_result(result, path)
    return result


def parser() -> argparse.ArgumentParser:
    """Return the parser of the requests; `doctor` has its own."""
    top = Parser(prog="python -m toolkit.device", description=(__doc__ or "").splitlines()[0])
    requests = top.add_subparsers(dest="request", required=True, metavar="REQUEST")
    for name in ("check", "bench", "doctor"):
        requests.add_parser(name).add_argument("bundle", help="a folder that `posec export` wrote")
    measured = requests.choices["bench"]
    measured.add_argument("result", help="file to write")
    measured.add_argument("seconds", type=float, help="to measure for")
    measured.add_argument(
        "threads", type=count, nargs="?", help="of the engine (default: as the bundle states)"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one request and print its answer. Returns 0, or 1 for a bundle that would not run."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["doctor"]:  # without numpy, too
        return doctor(words[1:])
    args = parser().parse_args(words)
    if args.request == "check":
        answer: Any = check(args.bundle)
    else:
        answer = measure(args.bundle, args.result, seconds=args.seconds, threads=args.threads).name
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
