"""Protocol "tiny-coco": real photos with hand-made 2D joints in COCO's format.

An annotated person is matched to one prediction at most, once by centre and once by OKS:

centre   For people with all four torso joints labelled, the centre must lie within half a torso of the middle
         of those joints. The torso is mid-shoulders to mid-hips, but at least a tenth of the longer side of
         the box. For other people it must lie in their box. Nearest first, in half torsos, or in box
         diagonals from the middle of the box.
OKS      The labelled ones of 12 body joints (shoulders to ankles), COCO's sigmas, the annotated area; best
         first. A person without a prediction counts as 0. Face joints are not scored: MuPoTS-3D's 17 joints
         have none.
PCK@0.2  For the same pairs, labelled body joints nearer than a fifth of the torso's diagonal, from a shoulder
         to the opposite hip. People with neither diagonal labelled are ignored. Joints of unmatched people
         are wrong.

Joints are compared by name; those that the network's skeleton lacks are left out and counted in
`joints_missing`.

Scored people have key points and are not crowds. A prediction is off-person when its centre lies in no
annotated box, crowds included, grown by 5 pixels. `>=96` and `<96` split by the height of the box in pixels
of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..device.matching import nearest_first
from ..errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from .coco import BODY, BODY_NAMES, COCO_JOINTS, Annotated, Photos
from .coco import read_photos as read_photos
from .intervals import Bootstrap, Measure, Ratio, Subset, rows_of
from .joints import CENTRE_JOINTS, with_centres
from .metrics import COCO_SIGMAS, oks

TINY_COCO = "tiny-coco"
TORSO = np.array([5, 6, 11, 12])
DIAGONALS = ((5, 12), (6, 11))
PCK_DIAGONAL = 0.2
TALL_PX = 96


class Judged(NamedTuple):
    """The result for one annotated person.

    Attributes:
        height_px: of the box.
        centre_hit: whether a prediction's centre matches.
        has_body: whether a body joint is labelled.
        oks: 0 without a prediction.
        joints: number of joints that PCK scores.
        joints_near: number of those that are near enough.
    """

    height_px: float
    centre_hit: bool
    has_body: bool
    oks: float
    joints: int
    joints_near: int


def body_joints_px(people: PoseFrame, skeleton: Skeleton) -> np.ndarray:
    """Return the body joints (N, 12, 2) in COCO's order; NaN for those that the skeleton lacks."""
    points = np.full((len(people), len(BODY_NAMES), 2), np.nan)
    for index, name in enumerate(BODY_NAMES):
        if name in skeleton.names:
            points[:, index] = people.joints_px[:, skeleton.index(name)]
    return points


def centre_distance(centre_px: np.ndarray, person: Annotated) -> float:
    """Return the distance of a centre from a person: below 1 for a hit, else infinite; see the protocol."""
    x, y, width, height = person.box
    torso = person.joints[TORSO]
    if (torso[:, 2] > 0).all():
        trunk_px = np.linalg.norm(torso[:2, :2].mean(axis=0) - torso[2:, :2].mean(axis=0))
        half_torso_px = max(float(trunk_px), 0.1 * max(width, height), 1.0) / 2
        distance = float(np.linalg.norm(centre_px - torso[:, :2].mean(axis=0))) / half_torso_px
    elif x <= centre_px[0] <= x + width and y <= centre_px[1] <= y + height:
        distance = math.hypot(centre_px[0] - x - width / 2, centre_px[1] - y - height / 2) / max(
            math.hypot(width, height), 1.0
        )
    else:
        return math.inf
    return distance if distance < 1 else math.inf


def is_on_person(centre_px: np.ndarray, people: tuple[Annotated, ...], margin_px: float = 5) -> bool:
    """Return whether a centre lies in any annotated box, crowds included."""
    return any(
        (person.box[:2] - margin_px <= centre_px).all()
        and (centre_px <= person.box[:2] + person.box[2:] + margin_px).all()
        for person in people
    )


def evaluate_photos(
    predictions: Mapping[str, PoseFrame],
    photos: Photos,
    skeleton: Skeleton,
    *,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
    bootstrap: Bootstrap | None = None,
) -> list[dict[str, Any]]:
    """Return the rows all, >=96 and <96 of protocol "tiny-coco".

    Args:
        predictions: file name → people found; a missing name counts as no people found.
        photos: the annotations.
        skeleton: of the predictions.
        centre_joints: the centres of the predictions are the mean of these joints.
        bootstrap: adds 95 % intervals, see `rows_of`.

    Returns:
        Rows with `protocol`, `subset`, `people`, `centre_recall`, `oks_people`, `oks50`, `oks75`, `mean_oks`,
        `pck20`. They are fractions, and None without people in the subset. Row "all" also has `predictions`,
        `off_person`, and `false_positives`, its mean per picture; all rows have `joints_missing` if the
        network's skeleton lacks body joints.

    Raises PosecError for predictions without annotations, and a skeleton without body joints.
    """
    return rows_of(judge_photos(predictions, photos, skeleton, centre_joints=centre_joints), bootstrap)


def judge_photos(
    predictions: Mapping[str, PoseFrame],
    photos: Photos,
    skeleton: Skeleton,
    *,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
) -> list[Subset]:
    """Return what `evaluate_photos` makes rows of."""
    unknown = set(predictions) - set(photos.people)
    if unknown:
        raise PosecError(
            f"predictions for pictures that are not annotated: {', '.join(sorted(unknown)[:3])}; "
            "use the names of the annotations"
        )
    body = np.array([COCO_JOINTS.index(name) for name in BODY_NAMES if name in skeleton.names], int)
    if not len(body):
        raise PosecError(
            "the network's skeleton has no joint to score; name its joints as COCO does: "
            f"{', '.join(BODY_NAMES)}"
        )
    judged: list[list[Judged]] = []
    off_person = []
    for name, people in photos.people.items():
        scored = [person for person in people if person.scored]
        found = predictions.get(name)
        if found is None or not len(found):
            judged.append([_missed(person, body) for person in scored])
            off_person.append(0)
            continue
        found = with_centres(found, skeleton, centre_joints)
        judged.append(_judge(found, scored, body_joints_px(found, skeleton)[:, body - BODY[0]], body=body))
        off_person.append(
            sum(not is_on_person(centre, people) for centre in found.centres_px.astype(np.float64))
        )
    missing = len(BODY) - len(body)
    extra = {"joints_missing": missing} if missing else {}
    subsets = [
        _subset("all", judged, extra, lambda height: True),
        _subset(f">={TALL_PX}", judged, extra, lambda height: height >= TALL_PX),
        _subset(f"<{TALL_PX}", judged, extra, lambda height: height < TALL_PX),
    ]
    counts = {"predictions": sum(map(len, predictions.values())), "off_person": sum(off_person)}
    false_positives = Ratio(np.array(off_person), np.ones(len(judged)))
    subsets[0] = subsets[0]._replace(
        counts={**subsets[0].counts, **counts},
        measures={**subsets[0].measures, "false_positives": false_positives},
    )
    return subsets


def _missed(person: Annotated, body: np.ndarray) -> Judged:
    """Return the result for a person without a prediction; `body` are COCO's indices of the scored joints."""
    asked = int((person.joints[body, 2] > 0).sum())
    return Judged(float(person.box[3]), False, asked > 0, 0.0, asked if _diagonal_px(person) else 0, 0)


def _diagonal_px(person: Annotated) -> float:
    """Return the length of the first labelled torso diagonal, 0 without one."""
    for shoulder, hip in DIAGONALS:
        if person.joints[shoulder, 2] > 0 and person.joints[hip, 2] > 0:
            return float(np.linalg.norm(person.joints[shoulder, :2] - person.joints[hip, :2]))
    return 0.0


def _judge(
    found: PoseFrame, scored: list[Annotated], joints_px: np.ndarray, *, body: np.ndarray
) -> list[Judged]:
    """Return the result for each scored person of a picture; `joints_px` (N, len(body), 2) are predicted."""
    centres_px = found.centres_px.astype(np.float64)
    similar = np.full((len(scored), len(found)), np.nan)
    distances = np.full(similar.shape, math.inf)
    for row, person in enumerate(scored):
        truth = person.joints[body]
        for column in range(len(found)):
            similar[row, column] = oks(
                joints_px[column],
                truth[:, :2],
                truth[:, 2] > 0,
                area_px=person.area,
                sigmas=COCO_SIGMAS[body],
            )
            distances[row, column] = centre_distance(centres_px[column], person)
    best = dict(nearest_first(np.where(np.isnan(similar), np.inf, -similar)))
    hits = dict(nearest_first(distances))
    judged = []
    for row, person in enumerate(scored):
        missed = _missed(person, body)._replace(centre_hit=row in hits)
        if row in best:
            labelled = person.joints[body, 2] > 0
            near = np.linalg.norm(
                joints_px[best[row]] - person.joints[body, :2], axis=1
            ) < PCK_DIAGONAL * _diagonal_px(person)
            missed = missed._replace(
                oks=float(similar[row, best[row]]), joints_near=int((near & labelled).sum())
            )
        judged.append(missed)
    return judged


def _subset(
    name: str, judged: list[list[Judged]], extra: Mapping[str, int], keep: Callable[[float], bool]
) -> Subset:
    """Return a row's counts and measures, by the people whose box has a height that `keep` accepts."""
    kept = [[person for person in people if keep(person.height_px)] for people in judged]

    def total(value: Callable[[Judged], float]) -> np.ndarray:
        return np.array([sum(value(person) for person in people) for people in kept], float)

    people, oks_people = total(lambda person: 1), total(lambda person: person.has_body)
    counts = {"people": int(people.sum()), "oks_people": int(oks_people.sum()), **extra}
    measures: dict[str, Measure] = {
        "centre_recall": Ratio(total(lambda person: person.centre_hit), people),
        "oks50": Ratio(total(lambda person: person.has_body and person.oks >= 0.5), oks_people),
        "oks75": Ratio(total(lambda person: person.has_body and person.oks >= 0.75), oks_people),
        "mean_oks": Ratio(total(lambda person: person.oks if person.has_body else 0), oks_people),
        "pck20": Ratio(total(lambda person: person.joints_near), total(lambda person: person.joints)),
    }
    return Subset(TINY_COCO, name, counts, measures, len(judged))
