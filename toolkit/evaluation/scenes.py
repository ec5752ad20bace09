"""Protocol "rendered-scenes": pictures rendered with exact 3D.

People are matched one-to-one, nearest centres first, within half a true torso (`match_people`). People
less than a quarter visible are ignored: missing them is no error, finding them is no false positive.

PCK_rel@150   as MuPoTS-3D: relative to the pelvis, found bones rescaled to their true lengths, 14 joints,
              error strictly below 150 mm. "all" counts every joint of a missed person as wrong, "matched"
              ignores them.
MPJPE         17 joints of matched people, relative to the pelvis, without rescaling. PA-MPJPE: after the best
              rotation and scale.
AP_root@25cm  the pelvis in the camera frame, nearest true pelvis within 250 mm, over all pictures of the row.
depth, root   mean absolute error of the matched pelvis' z, and its mean distance (MRPE), at the scenes' focal
              lengths.

Joints are compared by name. Those that the network's skeleton lacks are left out of every metric and counted
in `joints_missing`; the pelvis is required.

Rows by size select people by the height of the box around their joints in the picture. A false positive has
no true size, so precision and AP are stated only for rows of whole pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..device.matching import heights_px, match_people
from ..errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from . import metrics
from .intervals import AveragePrecision, Bootstrap, Measure, Ratio, Subset, rows_of
from .joints import CENTRE_JOINTS, in_joints, restrict, shared_joints, with_centres
from .scene_file import Scene, Scenes, read_scenes

__all__ = ["RENDERED_SCENES", "Scene", "Scenes", "evaluate_scenes", "judge_scenes", "read_scenes"]

RENDERED_SCENES = "rendered-scenes"
LEAST_VISIBLE = 0.25
TALL_PX = 96
CROWDS = (("1 person", 1, 1), ("2-3 people", 2, 3), ("4+ people", 4, 10**6))


@dataclass
class _Judged:
    """The contribution of one picture to a row."""

    heights: list[float] = field(default_factory=list)  # of scored people, matched people first
    errors_mm: list[np.ndarray] = field(default_factory=list)  # of matched people: joints, bones rescaled
    mpjpe_mm: list[float] = field(default_factory=list)
    pa_mpjpe_mm: list[float] = field(default_factory=list)
    root_mm: list[np.ndarray] = field(default_factory=list)  # found minus true
    scores: list[float] = field(default_factory=list)  # of scored predictions
    hits: list[bool] = field(default_factory=list)  # at 25 cm
    crowd: int = 0


def evaluate_scenes(
    predictions: Mapping[str, PoseFrame],
    scenes: Scenes,
    skeleton: Skeleton,
    *,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
    bootstrap: Bootstrap | None = None,
) -> list[dict[str, Any]]:
    """Return rows of protocol "rendered-scenes": all, by size of people, by number of people in a picture.

    Args:
        predictions: file name → people found; a missing name counts as no people found.
        scenes: the truth.
        skeleton: of the predictions.
        centre_joints: the centres of the predictions are the mean of these joints.
        bootstrap: adds 95 % intervals, see `rows_of`.

    Returns:
        Rows with `protocol`, `subset`, `people`, `found`, `centre_recall`, `pck_rel150` (all),
        `pck_rel150_matched`, `auc_rel`, `mpjpe_mm`, `pa_mpjpe_mm`, `root_depth_mm`, `root_mm`; rows of whole
        pictures also `predictions`, `centre_precision`, `false_positives` (per picture) and `ap_root25`; all
        rows `joints_missing` if the network's skeleton lacks joints. Units as in `metrics`; None where there
        is nothing to average. Pictures without people have a row "no people" if there are any.

    Raises PosecError for predictions without a scene, and a skeleton without a pelvis or without joints to
    score.
    """
    return rows_of(judge_scenes(predictions, scenes, skeleton, centre_joints=centre_joints), bootstrap)


def judge_scenes(
    predictions: Mapping[str, PoseFrame],
    scenes: Scenes,
    skeleton: Skeleton,
    *,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
) -> list[Subset]:
    """Return what `evaluate_scenes` makes rows of."""
    unknown = set(predictions) - set(scenes.scenes)
    if unknown:
        raise PosecError(
            f"predictions for pictures that are no scenes: {', '.join(sorted(unknown)[:3])}; "
            "use the names in scenes.json"
        )
    names = shared_joints(skeleton, scenes.skeleton, needed=("pelvis",))
    joints = _Joints(
        scenes.skeleton,
        restrict(scenes.skeleton, names),
        [names.index(name) for name in metrics.MUPOTS_SCORED if name in names],
    )
    if not joints.scored:
        raise PosecError(
            "the network's skeleton has no joint to score; name its joints as the labels do: "
            f"{', '.join(metrics.MUPOTS_SCORED)}"
        )
    judged = []
    for name, scene in scenes.scenes.items():
        found = predictions.get(name)
        if found is not None:
            found = in_joints(with_centres(found, skeleton, centre_joints), skeleton, names, root="pelvis")
        judged.append(_judge(found, scene, joints))
    missing = len(scenes.skeleton.names) - len(names)
    subsets = [
        _subset("all", judged, whole=True),
        _subset(f">={TALL_PX}", judged, keep=lambda height: height >= TALL_PX),
        _subset(f"<{TALL_PX}", judged, keep=lambda height: height < TALL_PX),
        *(
            _subset(name, [part for part in judged if least <= part.crowd <= most], whole=True)
            for name, least, most in CROWDS
        ),
    ]
    if empty := [part for part in judged if not part.crowd]:
        subsets.append(_subset("no people", empty, whole=True))
    extra = {"joints_missing": missing} if missing else {}
    return [subset._replace(counts={**subset.counts, **extra}) for subset in subsets]


class _Joints(NamedTuple):
    """The labels' skeleton, the part of it that the network has, and the indices in it that PCK scores."""

    labels: Skeleton
    shared: Skeleton
    scored: list[int]


def _judge(found: PoseFrame | None, scene: Scene, joints: _Joints) -> _Judged:
    truth, scored = scene.people, scene.visible >= LEAST_VISIBLE
    pairs = match_people(found, truth, joints.labels) if found is not None else []
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
    goals = in_joints(truth, joints.labels, joints.shared.names, root="pelvis")
    for mine, theirs in kept:
        pose, goal = found.joints_mm[mine : mine + 1], goals.joints_mm[theirs : theirs + 1]
        rescaled = metrics.rescale_bones(pose, goal, joints.shared)
        part.errors_mm.append(metrics.joint_errors_mm(rescaled, goal)[0, joints.scored])
        part.mpjpe_mm.append(metrics.mpjpe(pose, goal))
        part.pa_mpjpe_mm.append(metrics.pa_mpjpe(pose, goal))
        part.root_mm.append(found.roots_mm[mine].astype(np.float64) - goals.roots_mm[theirs])
    judged = [mine for mine in range(len(found)) if mine not in hidden]
    part.scores = [float(found.scores[mine]) for mine in judged]
    part.hits = metrics.root_hits(
        found.scores[judged], found.roots_mm[judged], goals.roots_mm[scored]
    ).tolist()
    return part


def _subset(
    name: str,
    judged: Sequence[_Judged],
    *,
    keep: Callable[[float], bool] | None = None,
    whole: bool = False,
) -> Subset:
    """Return a row's counts and measures, by the people whose height `keep` accepts."""
    sums = np.array([_sums(part, keep) for part in judged]).reshape(len(judged), len(_Sums._fields))
    each = _Sums(*sums.T)
    counts = {"people": int(each.people.sum()), "found": int(each.found.sum())}
    measures: dict[str, Measure] = {
        "centre_recall": Ratio(each.found, each.people),
        "pck_rel150": Ratio(each.near, each.people, 100.0),
        "pck_rel150_matched": Ratio(each.near, each.found, 100.0),
        "auc_rel": Ratio(each.auc, each.people),
        "mpjpe_mm": Ratio(each.mpjpe, each.found),
        "pa_mpjpe_mm": Ratio(each.pa_mpjpe, each.found),
        "root_depth_mm": Ratio(each.depth, each.found),
        "root_mm": Ratio(each.root, each.found),
    }
    if whole:
        predictions = np.array([len(part.scores) for part in judged], int)
        counts["predictions"] = int(predictions.sum())
        measures["centre_precision"] = Ratio(each.found, predictions)
        measures["false_positives"] = Ratio(predictions - each.found, np.ones(len(judged)))
        measures["ap_root25"] = AveragePrecision(
            np.array([score for part in judged for score in part.scores], float),
            np.array([hit for part in judged for hit in part.hits], bool),
            np.repeat(np.arange(len(judged)), predictions),
            each.people,
        )
    return Subset(RENDERED_SCENES, name, counts, measures, len(judged))


class _Sums(NamedTuple):
    """Sums over the people of one picture; `near` and `auc` add the shares of each person's joints."""

    people: Any
    found: Any
    near: Any
    auc: Any
    mpjpe: Any
    pa_mpjpe: Any
    depth: Any
    root: Any


def _sums(part: _Judged, keep: Callable[[float], bool] | None) -> _Sums:
    chosen = [person for person in range(len(part.errors_mm)) if keep is None or keep(part.heights[person])]
    errors = [part.errors_mm[person] for person in chosen]
    return _Sums(
        people=sum(keep is None or keep(height) for height in part.heights),
        found=len(chosen),
        near=sum(float((joints < metrics.PCK_MM).mean()) for joints in errors),
        auc=sum(metrics.auc(joints) for joints in errors),
        mpjpe=sum(part.mpjpe_mm[person] for person in chosen),
        pa_mpjpe=sum(part.pa_mpjpe_mm[person] for person in chosen),
        depth=sum(abs(float(part.root_mm[person][2])) for person in chosen),
        root=sum(float(np.linalg.norm(part.root_mm[person])) for person in chosen),
    )
