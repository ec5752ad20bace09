"""Measure bundles on this machine: latency, drift, accuracy, annotated pictures; one result file each. Valid Python 3.8."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from ..device.bench import BenchSettings, bench
from ..device.golden_check import verify_golden
from ..device.result import ENDING, Result, describe_bundle, result_name, save_result
from ..errors import PosecError
from ..evaluation.photos import Photos
from ..evaluation.run import evaluate
from ..evaluation.scenes import Scenes
from ..runtime import load
from ..runtime.bundle import read_bundle
from ..runtime.errors import PoseError
from ..runtime.files.pictures import encode_picture
from ..runtime.video.draw import draw_people
from ..verification.verify import verify

if TYPE_CHECKING:
    from ..ir.graph import Graph
    from ..runtime.estimator import PoseEstimator

    Progress = Callable[[int, int], None]

PICTURES = 4
PICTURE_WIDTH = 960


class FloatReference(NamedTuple):
    """A float network, and BGR pictures (H, W, 3) uint8 to compare bundles with it on."""

    graph: Graph
    frames: Iterable[np.ndarray]


def measure_bundles(
    bundles: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    protocols: Sequence[Photos | Scenes] = (),
    reference: FloatReference | None = None,
    settings: BenchSettings | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Bench bundles side by side, compare each with its float network, and measure its accuracy.

    Args:
        bundles: their folders.
        out: folder that gets one file per bundle, see `result_name`; None writes none.
        protocols: labelled pictures to measure accuracy on.
        reference: what to compare with, also head by head; None compares on the golden pictures.
        settings: of the bench.
        progress: of the bench, see there.
        say: called with a line for every step after the bench.

    Raises PosecError where a folder is no bundle, or there are no pictures to bench with. A bundle that does not run, or
    that misses its drift limits, is a result, not an error.
    """
    described = [describe_bundle(read_bundle(folder)) for folder in bundles]
    settings = settings or BenchSettings()
    threads = settings.threads
    compared = None if reference is None else FloatReference(reference.graph, list(reference.frames))
    results = []
    for index, measured in enumerate(bench(bundles, settings=settings, progress=progress)):
        folder, ran = str(bundles[index]), measured["status"] == "ran"
        say(f"comparing {folder} with the float network" + (", measuring its accuracy" if protocols else ""))
        drift, unjudged = _judge(folder, compared, threads) if ran else (None, "the bundle did not run")
        estimator = load(folder, threads) if ran else None
        spec = estimator.spec if estimator else None
        rows = [
            row
            for protocol in protocols
            if estimator and spec
            for row in evaluate(estimator, protocol, spec.skeleton, centre_joints=spec.centre_joints)
        ]
        pictures = (
            annotated(estimator, [picture for picture, _ in read_bundle(folder).golden()])
            if estimator
            else []
        )
        results.append(Result(described[index], measured, drift, rows, pictures, unjudged))
    if out is not None:
        for name, result in zip(file_names(results), results):  # noqa: B905  as many names as results, and Python 3.8
            save_result(result, Path(out) / name)
    return results


def annotated(
    estimator: PoseEstimator, pictures: Sequence[np.ndarray], most: int = PICTURES
) -> list[dict[str, str]]:
    """Return up to `most` pictures with the people drawn that an estimator finds, most people first."""
    found = sorted(((picture, estimator(picture)) for picture in pictures), key=lambda pair: -len(pair[1]))[
        :most
    ]
    return [
        {
            "caption": f"{len(people)} {'person' if len(people) == 1 else 'people'}",
            "jpeg": _jpeg(draw_people(picture, people, estimator.spec.skeleton)),
        }
        for picture, people in found
    ]


def file_names(results: Sequence[Result]) -> list[str]:
    """Return a file name for each result, see `result_name`; copies of one bundle are numbered."""
    names: list[str] = []
    for result in results:
        plain = result_name(result.bundle)[: -len(ENDING)]
        choices = [plain, *(f"{plain}-{number}" for number in range(2, len(results) + 2))]
        names.append(next(choice + ENDING for choice in choices if choice + ENDING not in names))
    return names


def _judge(
    folder: str, reference: FloatReference | None, threads: int | None
) -> tuple[dict[str, Any] | None, str]:
    """Return the drift, or None and why it cannot be judged."""
    try:
        drift = verify(folder, *reference, threads=threads) if reference else verify_golden(folder, threads)
    except PoseError:  # the bundle cannot run
        raise
    except PosecError as error:
        return None, str(error)
    return drift.to_dict(), ""


def _jpeg(picture: np.ndarray) -> str:
    height, width = picture.shape[:2]
    if width > PICTURE_WIDTH:
        picture = cv2.resize(
            picture, (PICTURE_WIDTH, round(height * PICTURE_WIDTH / width)), interpolation=cv2.INTER_AREA
        )
    return base64.b64encode(encode_picture(picture, ".jpg", 85)).decode()
