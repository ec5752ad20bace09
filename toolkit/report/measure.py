"""Everything about some bundles on this machine: latency, drift, accuracy, pictures; one result file each. Valid Python 3.8."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..device.bench import bench
from ..device.result import ENDING, Result, describe_bundle, save_result
from ..errors import PosecError
from ..evaluation.photos import Photos
from ..evaluation.run import evaluate
from ..evaluation.scenes import Scenes
from ..runtime import load
from ..runtime.bundle import read_bundle
from ..runtime.video.draw import draw_people
from ..verification.verify import verify, verify_golden

if TYPE_CHECKING:
    from ..ir.graph import Graph
    from ..runtime.estimator import PoseEstimator

    Progress = Callable[[int, int], None]

PICTURES = 4
PICTURE_WIDTH = 960


def measure_bundles(
    bundles: Sequence[str | Path], out: str | Path | None = None, protocols: Sequence[Photos | Scenes] = (), graph: Graph | None = None,
    frames: Iterable[np.ndarray] | None = None, progress: Progress | None = None,
    say: Callable[[str], None] = lambda line: None, **bench_options: Any,
) -> list[Result]:  # fmt: skip
    """Bench bundles side by side, compare each with its float network, and measure its accuracy.

    Args:
        bundles: their folders.
        out: folder that gets one file per bundle, `<target>-<precision>.result.json`; None writes none.
        protocols: labelled pictures to measure accuracy on.
        graph, frames: the float network and BGR pictures to compare on, which also tells which head is to blame; without
            them the golden pictures are compared.
        progress: of the bench, see there.
        say: is told what is measured after the bench, one line at a time.
        bench_options: `pictures`, `size`, `seconds`, `frames_per_turn`, `threads`, `sustained_seconds` of `bench`.

    Raises PosecError where a folder is no bundle, or there is nothing to bench with. A bundle that does not run, and one
    that finds other people than its float network, are results.
    """
    described = [describe_bundle(read_bundle(folder)) for folder in bundles]
    threads = bench_options.get("threads")
    shown = None if frames is None else list(frames)
    results = []
    for index, measured in enumerate(bench(bundles, progress=progress, **bench_options)):
        folder, ran = str(bundles[index]), measured["status"] == "ran"
        say(f"comparing {folder} with the float network" + (", measuring its accuracy" if protocols else ""))
        drift, unjudged = _judge(folder, graph, shown, threads) if ran else (None, "did not run")
        estimator = load(folder, threads) if ran else None
        rows = [
            row
            for protocol in protocols
            if estimator
            for row in evaluate(estimator, protocol, estimator.bundle.spec.skeleton)
        ]
        pictures = (
            annotated(estimator, [picture for picture, _ in estimator.bundle.golden()]) if estimator else []
        )
        results.append(Result(described[index], measured, drift, rows, pictures, unjudged))
    if out is not None:
        for name, result in zip(file_names(results), results):  # noqa: B905  as many names as results, and Python 3.8
            save_result(result, Path(out) / name)
    return results


def annotated(
    estimator: PoseEstimator, pictures: Sequence[np.ndarray], most: int = PICTURES
) -> list[dict[str, str]]:
    """Return up to `most` pictures with the people drawn that an estimator finds, those with most people first."""
    found = sorted(((picture, estimator(picture)) for picture in pictures), key=lambda pair: -len(pair[1]))[
        :most
    ]
    return [{"caption": f"{len(people)} {'person' if len(people) == 1 else 'people'}", "jpeg": _jpeg(draw_people(picture, people, estimator.bundle.spec.skeleton))}
            for picture, people in found]  # fmt: skip


def file_names(results: Sequence[Result]) -> list[str]:
    """Return a file name for each result, by target and precision; of two alike the second gets a number."""
    names: list[str] = []
    for result in results:
        plain = "".join(
            letter if letter.isascii() and letter.isalnum() else "-" for letter in result.name.lower()
        )
        choices = [plain, *(f"{plain}-{number}" for number in range(2, len(results) + 2))]
        names.append(next(choice + ENDING for choice in choices if choice + ENDING not in names))
    return names


def _judge(
    folder: str, graph: Graph | None, frames: Sequence[np.ndarray] | None, threads: int | None
) -> tuple[dict[str, Any] | None, str]:
    """Return the drift, or None and why it cannot be judged."""
    try:
        drift = (
            verify(folder, graph, frames, threads)
            if graph is not None and frames is not None
            else verify_golden(folder, threads)
        )
    except PosecError as error:
        return None, str(error)
    return drift.to_dict(), ""


def _jpeg(picture: np.ndarray) -> str:
    height, width = picture.shape[:2]
    if width > PICTURE_WIDTH:
        picture = cv2.resize(
            picture, (PICTURE_WIDTH, round(height * PICTURE_WIDTH / width)), interpolation=cv2.INTER_AREA
        )
    return base64.b64encode(
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    ).decode()
