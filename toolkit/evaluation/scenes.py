"""Protocol "rendered-scenes": pictures rendered with exact 3D.

People pair one-to-one, nearest centres first, within half a true torso (`match_people`). A person of whom less than a
quarter is visible is not asked for: missing them is no fault, finding them is no false alarm.

PCK_rel@150  MuPoTS-3D's: relative to the pelvis, found bones rescaled to their true lengths, 14 joints, error strictly
             below 150 mm. "all" counts every joint of a missed person as wrong, "matched" leaves missed people out.
MPJPE        17 joints of matched people, relative to the pelvis, sizes as they are. PA-MPJPE: with rotation and scale.
AP_root@25cm The pelvis in space, nearest true pelvis within 250 mm, over all pictures of the row.
Depth, root  Mean absolute error of the matched pelvis' z, and its mean distance (MRPE); with the scenes' focal lengths.

Rows by size take people by the height of the box around their joints in the picture; a false alarm has no true size,
so precision and AP are stated only for rows of whole pictures.

Valid Python 3.8: a board runs this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..device.matching import heights_px, match_people
from ..errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from . import metrics
from .pictures import read_picture

RENDERED_SCENES = "rendered-scenes"
LEAST_VISIBLE = 0.25
TALL_PX = 96
CROWDS = (("1 person", 1, 1), ("2-3 people", 2, 3), ("4+ people", 4, 10**6))


@dataclass(frozen=True)
class Scene:
    """One picture: its people as exact as the renderer knows them, `visible` (N,) 0..1, the camera's focal length."""

    people: PoseFrame
    visible: np.ndarray
    focal_px: float


@dataclass(frozen=True)
class Scenes:
    """Rendered scenes by file name, and the folder or tar file of their pictures."""

    scenes: Mapping[str, Scene]
    source: Path

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, float | None]]:
        """Yield (name, BGR picture, focal length in its pixels), read as they come."""
        return (
            (name, read_picture(self.source, name), scene.focal_px) for name, scene in self.scenes.items()
        )


def read_scenes(path: str | Path, skeleton: Skeleton, pictures: str | Path | None = None) -> Scenes:
    """Read the truth that `training.scenes.render_scenes` writes: a list with one record per picture.

    The pictures lie in `pictures`, or in the folder beside the file that has its name (scenes/ for scenes.json), or, where
    there is none, in the file's own folder. Raises PosecError.
    """
    try:
        plain = json.loads(Path(path).read_text())
        scenes = {str(scene["file"]): _scene(scene, skeleton) for scene in plain}
    except OSError as error:
        raise PosecError(f"no scenes '{path}'; give the scenes.json of a rendered set") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PosecError(f"'{path}' is not a file of rendered scenes: {error!r}; render it again") from error
    beside = Path(path).with_suffix("")
    return Scenes(scenes, Path(pictures or (beside if beside.is_dir() else beside.parent)))


def _scene(plain: Mapping[str, Any], skeleton: Skeleton) -> Scene:
    people, joints = plain["people"], len(skeleton.names)
    stack = {name: np.array([person[name] for person in people], np.float32).reshape(len(people), *shape)
             for name, shape in (("joints_mm", (joints, 3)), ("root_mm", (3,)), ("joints_px", (joints, 2)))}  # fmt: skip
    centres_px = stack["joints_px"][:, [skeleton.index("neck"), skeleton.index("pelvis")]].mean(axis=1)
    truth = PoseFrame(
        np.ones(len(people), np.float32), centres_px, stack["joints_mm"], stack["root_mm"], stack["joints_px"]
    )
    return Scene(truth, np.array([float(person["visible"]) for person in people]), float(plain["focal_px"]))


@dataclass
class _Judged:
    """What one picture, or a part of its people, adds to a row."""

    heights: list[float] = field(default_factory=list)  # of scored people, matched first
    errors_mm: list[np.ndarray] = field(default_factory=list)  # of matched people: joints, bones rescaled
    mpjpe_mm: list[float] = field(default_factory=list)
    pa_mpjpe_mm: list[float] = field(default_factory=list)
    root_mm: list[np.ndarray] = field(default_factory=list)  # found minus true
    scores: list[float] = field(default_factory=list)  # of predictions that are judged
    hits: list[bool] = field(default_factory=list)  # at 25 cm
    crowd: int = 0


def evaluate_scenes(
    predictions: Mapping[str, PoseFrame], scenes: Scenes, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """Return rows of protocol "rendered-scenes": all, by size of the person, by number of people in the picture.

    Args:
        predictions: the people found, by file name; a missing name counts as nobody found.
        scenes: the truth.
        skeleton: of both.

    Returns:
        Rows with `protocol`, `subset`, `people`, `found`, `centre_recall`, `pck_rel150` (all), `pck_rel150_matched`,
        `auc_rel`, `mpjpe_mm`, `pa_mpjpe_mm`, `root_depth_mm`, `root_mm`; rows of whole pictures also `predictions`,
        `centre_precision` and `ap_root25`. Units as in `metrics`; None where there is nothing to average.
    """
    unknown = set(predictions) - set(scenes.scenes)
    if unknown:
        raise PosecError(
            f"predictions for pictures that are no scenes: {', '.join(sorted(unknown)[:3])}; use the names in scenes.json"
        )
    judged = [_judge(predictions.get(name), scene, skeleton) for name, scene in scenes.scenes.items()]
    rows = [_row("all", judged, whole=True)]
    rows += [
        _row(f">={TALL_PX}", judged, lambda height: height >= TALL_PX),
        _row(f"<{TALL_PX}", judged, lambda height: height < TALL_PX),
    ]
    return rows + [
        _row(name, [part for part in judged if least <= part.crowd <= most], whole=True)
        for name, least, most in CROWDS
    ]


def _judge(found: PoseFrame | None, scene: Scene, skeleton: Skeleton) -> _Judged:
    truth, scored = scene.people, scene.visible >= LEAST_VISIBLE
    pairs = match_people(found, truth, skeleton) if found is not None else []
    kept = [(mine, theirs) for mine, theirs in pairs if scored[theirs]]
    hidden = {mine for mine, theirs in pairs if not scored[theirs]}
    heights = heights_px(truth)
    part = _Judged(crowd=len(truth))
    part.heights = [float(heights[theirs]) for _, theirs in kept]
    part.heights += [
        float(heights[i]) for i in np.flatnonzero(scored) if i not in {theirs for _, theirs in kept}
    ]
    if found is None or not len(found):
        return part
    for mine, theirs in kept:
        pose, goal = found.joints_mm[mine : mine + 1], truth.joints_mm[theirs : theirs + 1]
        rescaled = metrics.rescale_bones(pose, goal, skeleton)
        part.errors_mm.append(metrics.joint_errors_mm(rescaled, goal)[0, list(metrics.MUPOTS_SCORED)])
        part.mpjpe_mm.append(metrics.mpjpe(pose, goal))
        part.pa_mpjpe_mm.append(metrics.pa_mpjpe(pose, goal))
        part.root_mm.append(found.roots_mm[mine].astype(np.float64) - truth.roots_mm[theirs])
    judged = [mine for mine in range(len(found)) if mine not in hidden]
    part.scores = [float(found.scores[mine]) for mine in judged]
    part.hits = metrics.root_hits(
        found.scores[judged], found.roots_mm[judged], truth.roots_mm[scored]
    ).tolist()
    return part


def _row(
    subset: str, judged: Sequence[_Judged], keep: Callable[[float], bool] | None = None, whole: bool = False
) -> dict[str, Any]:
    chosen = [
        (part, person)
        for part in judged
        for person in range(len(part.errors_mm))
        if keep is None or keep(part.heights[person])
    ]
    people = sum(keep is None or keep(height) for part in judged for height in part.heights)
    errors = np.array([part.errors_mm[person] for part, person in chosen]).reshape(
        len(chosen), len(metrics.MUPOTS_SCORED)
    )
    roots = np.array([part.root_mm[person] for part, person in chosen]).reshape(-1, 3)
    everybody = np.concatenate(
        [errors, np.full((people - len(chosen), errors.shape[1]), metrics.UNMATCHED_MM)]
    )
    row = {
        "people": people, "found": len(chosen), "centre_recall": metrics.recall(len(chosen), people),
        "pck_rel150": metrics.pck(everybody), "pck_rel150_matched": metrics.pck(errors), "auc_rel": metrics.auc(everybody),
        "mpjpe_mm": _mean([part.mpjpe_mm[person] for part, person in chosen]),
        "pa_mpjpe_mm": _mean([part.pa_mpjpe_mm[person] for part, person in chosen]),
        "root_depth_mm": _mean(np.abs(roots[:, 2])), "root_mm": _mean(np.linalg.norm(roots, axis=1)),
    }  # fmt: skip
    if whole:
        scores, hits = (
            [value for part in judged for value in getattr(part, name)] for name in ("scores", "hits")
        )
        row["predictions"] = len(scores)
        row["centre_precision"] = metrics.precision(len(chosen), len(scores))
        row["ap_root25"] = metrics.average_precision(np.array(scores), np.array(hits, bool), people)
    plain = {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()
    }
    return {"protocol": RENDERED_SCENES, "subset": subset, **plain}


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
