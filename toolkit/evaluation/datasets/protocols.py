"""The protocols of MuPoTS-3D, MPI-INF-3DHP, CMU Panoptic and 3DPW.

Matching    As MuPoTS-3D's evaluation for all four: true people in file order each take the unmatched
            prediction with most joints from neck to ankles within 40 px on both axes, if there is one.
            Greedy, so that the order counts. False positives change neither PCK nor MPJPE.
all         every joint of an unmatched person is wrong; "matched" ignores unmatched people.
PCK_rel     poses relative to the pelvis, error strictly below 150 mm, on 14 joints: head top, neck,
            shoulders, elbows, wrists, hips, knees, ankles. Of MuPoTS-3D and MPI-INF-3DHP on `universal`
            poses.
PCK_abs     the same in the camera frame, on poses in true size (Moon et al., ICCV 2019).
AUC         mean PCK over the thresholds 0, 5, … 150 mm (Mehta et al., 3DV 2017).
AP_root@25  see `metrics.root_hits` and `metrics.average_precision`; over all pictures.
MRPE        mean distance of the matched pelvis, and per axis (Moon et al., ICCV 2019).
MPJPE       matched people, relative to the pelvis, all shared joints; PA-MPJPE after `metrics.procrustes`.
MPJVE       mean error of the joints' velocities, mm per frame, where a person is matched in two consecutive
            frames (Pavllo et al., CVPR 2019).

MuPoTS-3D   found bones get their true lengths before PCK and AUC; figures are unweighted means of the
            sequences (Mehta et al., 3DV 2018).
MPI-INF-3DHP no bones are rescaled; figures are means over joints of all frames.
CMU Panoptic unweighted means over sequences; MPJPE is the published figure (Zanfir et al., CVPR 2018).
3DPW        means over all people; MPJPE and PA-MPJPE are the published figures, see `threedpw`.

Joints are compared by name; those that either side lacks are left out of every figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import PosecError
from ...runtime.pose import PoseFrame, Skeleton
from .. import metrics
from ..intervals import AveragePrecision, Measure, Ratio, Subset
from ..joints import in_joints, restrict, shared_joints
from .judged import Joints, Judged, Rules, Sums, judge_frame, with_velocity
from .labelled import DataSet

RULES = {
    "mupots-3d": Rules(rescale=True, by_sequence=True),
    "mpi-inf-3dhp": Rules(rescale=False, by_sequence=False),
    "cmu-panoptic": Rules(rescale=False, by_sequence=True),
    "3dpw": Rules(rescale=False, by_sequence=False),
}


def judge_data_set(predictions: Mapping[str, PoseFrame], data: DataSet, skeleton: Skeleton) -> list[Subset]:
    """Return the figures of a data set: "all", and each sequence if there are several.

    Args:
        predictions: picture's file → people found; a missing file counts as no people found.
        data: the truth.
        skeleton: of the predictions.

    Raises PosecError for a skeleton without a pelvis, or without joints to score.
    """
    rules = RULES[data.protocol]
    names = shared_joints(skeleton, data.skeleton, needed=("pelvis",))
    scored = [names.index(name) for name in metrics.MUPOTS_SCORED if name in names]
    matching = [names.index(name) for name in metrics.MUPOTS_SCORED[1:] if name in names]
    if not matching:
        raise PosecError(
            "the network's skeleton has no joint to score; name its joints as the labels do: "
            f"{', '.join(metrics.MUPOTS_SCORED)}"
        )
    joints = Joints(restrict(data.skeleton, names), scored, matching)
    judged: list[Judged] = []
    for frame in data.frames:
        found = predictions.get(frame.file)
        mine = in_joints(found, skeleton, names, root="pelvis") if found is not None else None
        part = judge_frame(mine, frame, labels=data.skeleton, joints=joints, rules=rules)
        judged.append(with_velocity(part, judged[-1]) if judged else part)
    sequences = list(dict.fromkeys(frame.sequence for frame in data.frames))
    subsets = [_subset(data.protocol, "all", judged, sequences if rules.by_sequence else [])]
    if len(sequences) > 1:
        for sequence in sequences:
            members = [part for part in judged if part.frame.sequence == sequence]
            subsets.append(_subset(data.protocol, sequence, members, []))
    missing = len([name for name in data.skeleton.names if name not in names])
    return [part._replace(counts={**part.counts, "joints_missing": missing}) for part in subsets]


def _subset(protocol: str, name: str, judged: Sequence[Judged], sequences: Sequence[str]) -> Subset:
    """Return a row; `sequences` are averaged without weights, none gives figures of all joints."""
    each = Sums(*np.array([part.sums for part in judged], float).T)
    strata = {sequence: index for index, sequence in enumerate(sequences)}
    groups = np.array([strata[part.frame.sequence] for part in judged]) if sequences else None

    def ratio(above: Any, below: Any, scale: float = 1.0) -> Ratio:
        return Ratio(above, below, scale, groups)

    measures: dict[str, Measure] = {
        "matched_share": ratio(each.matched, each.people),
        "pck_rel150": ratio(each.near_rel, each.asked, 100.0),
        "pck_rel150_matched": ratio(each.near_rel, each.asked_matched, 100.0),
        "auc_rel": ratio(each.auc, each.asked, 100.0),
        "auc_rel_matched": ratio(each.auc, each.asked_matched, 100.0),
        "pck_abs150": ratio(each.near_abs, each.asked, 100.0),
        "pck_abs150_matched": ratio(each.near_abs, each.asked_matched, 100.0),
        "mpjpe_mm": ratio(each.mpjpe, each.joints),
        "pa_mpjpe_mm": ratio(each.pa_mpjpe, each.joints),
        "mpjve_mm": ratio(each.mpjve, each.moving),
        "root_mm": ratio(each.root, each.matched),
        **{f"root_{axis}_mm": ratio(getattr(each, f"root_{axis}"), each.matched) for axis in "xyz"},
        "false_positives": Ratio(np.asarray(each.predictions) - each.matched, np.ones(len(judged))),
        "ap_root25": AveragePrecision(
            np.concatenate([part.scores for part in judged]),
            np.concatenate([part.hits for part in judged]),
            np.repeat(np.arange(len(judged)), [len(part.scores) for part in judged]),
            np.asarray(each.people),
        ),
    }
    counts = {
        "people": int(np.sum(each.people)),
        "matched": int(np.sum(each.matched)),
        "predictions": int(np.sum(each.predictions)),
    }
    return Subset(protocol, name, counts, measures, len(judged), groups)
