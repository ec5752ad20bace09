"""Measure bundles on this machine: latency, drift, accuracy and annotated pictures, one result file each."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from ..device.bench import bench
from ..device.comparison.compared_pictures import ComparedPictures
from ..device.comparison.drift_parts import DriftData
from ..device.drift import ratio_limits
from ..device.golden_check import golden_drift
from ..device.result import ENDING, Result, describe_bundle, result_name, save_result
from ..device.timing.turns import BenchSettings
from ..errors import PosecError
from ..evaluation.intervals import Bootstrap
from ..evaluation.paired import rows_by_picture
from ..evaluation.photos import Photos
from ..evaluation.run import judge
from ..evaluation.scenes import Scenes
from ..runtime import load
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.errors import PoseError
from ..runtime.files.pictures import encode_picture
from ..runtime.pose import PoseFrame, Skeleton
from ..runtime.video.draw import draw_people
from ..verification.verify import verify_against

if TYPE_CHECKING:  # a board has no float networks, nor onnx
    from ..runtime.estimator import PoseEstimator
    from ..verification.float_reference import FloatReference

    Progress = Callable[[int, int], None]

_MOST_PICTURES = 4
_PICTURE_WIDTH = 960


class DriftReference(NamedTuple):
    """A float network with pictures on which bundles are compared with it.

    `data` names the pictures. `max_ratio` replaces the bundles' limits in mm, see `ratio_limits`.
    """

    floating: FloatReference
    data: DriftData | None = None
    max_ratio: float | None = None


class _Judged(NamedTuple):
    """The drift as `Drift.to_dict()`, None with a reason where it was not measured; the compared pictures."""

    drift: Mapping[str, Any] | None
    unjudged: str
    compared: Sequence[Mapping[str, Any]]


def measure_bundles(
    bundles: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    protocols: Sequence[Photos | Scenes] = (),
    reference: DriftReference | None = None,
    settings: BenchSettings | None = None,
    progress: Progress | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Bench bundles side by side, compare each with its float network, and measure its accuracy.

    Args:
        bundles: their folders.
        out: folder for one file per bundle, see `result_name`; None writes none.
        protocols: labelled pictures to measure accuracy on.
        reference: the float network to compare with, also head by head; None compares on the golden pictures.
        settings: of the bench.
        progress: of the bench, see there.
        report: called with a line for every step after the bench.

    A bundle that does not run, or that is over its drift limits, is a result and not an error.
    Raises PosecError where a folder is not a bundle, or there are no pictures to bench with.
    """
    described = [describe_bundle(read_bundle(folder)) for folder in bundles]
    settings = settings or BenchSettings()
    float_rows = _float_accuracy(reference, protocols, settings.threads)
    results = []
    for index, measured in enumerate(bench(bundles, settings=settings, progress=progress)):
        folder = str(bundles[index])
        if measured["status"] != "ran":
            results.append(Result(described[index], measured, unjudged="the bundle did not run"))
            continue
        report(
            f"comparing {folder} with the float network" + (", measuring its accuracy" if protocols else "")
        )
        bundle, estimator = read_bundle(folder), load(folder, settings.threads)
        golden = [(picture, estimator(picture)) for picture, _ in bundle.golden()]
        if reference is None:
            judged = _judge_golden(bundle, [people for _, people in golden])
        else:
            judged = _judge(bundle, reference, settings.threads)
        rows, pictures = _accuracy(estimator, protocols), annotated(golden, estimator.spec.skeleton)
        results.append(
            Result(
                described[index],
                measured,
                judged.drift,
                accuracy=rows,
                pictures=pictures,
                unjudged=judged.unjudged,
                float_accuracy=float_rows,
                compared=judged.compared,
            )
        )
    if out is not None:
        for index, name in enumerate(file_names(results)):
            save_result(results[index], Path(out) / name)
    return results


def annotated(
    found: Iterable[tuple[np.ndarray, PoseFrame]], skeleton: Skeleton, most: int = _MOST_PICTURES
) -> list[dict[str, str]]:
    """Return up to `most` pictures with their people drawn in, most people first.

    Each has a `caption` and a `jpeg` (base64).
    """
    return [
        {
            "caption": f"{len(people)} {'person' if len(people) == 1 else 'people'}",
            "jpeg": _jpeg(draw_people(picture, people, skeleton)),
        }
        for picture, people in sorted(found, key=lambda pair: -len(pair[1]))[:most]
    ]


def file_names(results: Sequence[Result]) -> list[str]:
    """Return a file name for each result, see `result_name`; copies of one bundle are numbered."""
    names: list[str] = []
    for result in results:
        plain = result_name(result.bundle)[: -len(ENDING)]
        choices = [plain, *(f"{plain}-{number}" for number in range(2, len(results) + 2))]
        names.append(next(choice + ENDING for choice in choices if choice + ENDING not in names))
    return names


def _judge(bundle: Bundle, reference: DriftReference, threads: int | None) -> _Judged:
    """Compare a bundle with its float network."""
    floating, data, ratio = reference
    pictures = ComparedPictures(floating.graph.spec.skeleton)
    try:
        allowed = ratio_limits(bundle.allowed, ratio)
        drift = verify_against(bundle, floating, threads=threads, allowed=allowed, pictures=pictures)
    except PoseError:  # the bundle cannot run
        raise
    except PosecError as error:
        return _Judged(None, str(error), ())
    return _Judged(replace(drift, data=data).to_dict(), "", pictures.to_list())


def _judge_golden(bundle: Bundle, found: Sequence[PoseFrame]) -> _Judged:
    """Compare the people that a bundle found on its golden pictures."""
    pictures = ComparedPictures(bundle.spec.skeleton)
    try:
        drift = golden_drift(bundle, found, pictures=pictures)
    except PoseError:  # the bundle cannot be read
        raise
    except PosecError as error:
        return _Judged(None, str(error), ())
    return _Judged(drift.to_dict(), "", pictures.to_list())


def _accuracy(estimator: PoseEstimator, protocols: Sequence[Photos | Scenes]) -> list[dict[str, Any]]:
    """Return the rows of all protocols, with intervals and by picture."""
    spec = estimator.spec
    rows: list[dict[str, Any]] = []
    for protocol in protocols:
        judged = judge(estimator, protocol, spec.skeleton, centre_joints=spec.centre_joints)
        rows += rows_by_picture(judged, protocol, Bootstrap())
    return rows


def _float_accuracy(
    reference: DriftReference | None, protocols: Sequence[Photos | Scenes], threads: int | None
) -> list[dict[str, Any]]:
    """Return the rows of all protocols of the float network; none without one."""
    if reference is None or not protocols:
        return []
    from ..ir.float_engine import float_estimator

    return _accuracy(float_estimator(reference.floating.graph, threads), protocols)


def _jpeg(picture: np.ndarray) -> str:
    """Return a picture as base64 of a JPEG of limited width."""
    height, width = picture.shape[:2]
    if width > _PICTURE_WIDTH:
        size = (_PICTURE_WIDTH, round(height * _PICTURE_WIDTH / width))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return base64.b64encode(encode_picture(picture, ".jpg", 85)).decode()
