"""Convert people to the joints of another skeleton, by name.

A network and its labels may list the same joints in another order, or have joints that the other lacks.
Metrics compare the joints that both have, and report the number of others.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton

CENTRE_JOINTS = ("neck", "pelvis")


def shared_joints(found: Skeleton, truth: Skeleton, needed: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the joints of both skeletons in the order of `truth`.

    Raises PosecError where a needed one is missing.
    """
    names = tuple(name for name in truth.names if name in found.names)
    missing = [name for name in needed if name not in names]
    if missing:
        raise PosecError(
            f"the labels need joint '{missing[0]}', the network's skeleton has {', '.join(found.names)}; "
            "name its joints as the labels do"
        )
    return names


def restrict(skeleton: Skeleton, names: Sequence[str]) -> Skeleton:
    """Return the skeleton of some joints, root included; bones span the joints left out."""
    if tuple(names) == skeleton.names:
        return skeleton
    kept = {skeleton.index(name): index for index, name in enumerate(names)}
    lengths = dict(zip(skeleton.bones, skeleton.bone_lengths_mm))
    parents, spans = [], {}
    for joint in kept:
        parent, span = skeleton.parents[joint], lengths.get(joint, 0.0)
        while parent >= 0 and parent not in kept:
            parent, span = skeleton.parents[parent], span + lengths.get(parent, 0.0)
        parents.append(kept.get(parent, -1))
        spans[joint] = span
    bones = [joint for joint in skeleton.bones if joint in kept and joint != skeleton.root]
    mirror = tuple(kept.get(skeleton.mirror[joint], index) for joint, index in kept.items())
    return Skeleton(
        tuple(names),
        tuple(parents),
        tuple(kept[joint] for joint in bones),
        tuple(spans[joint] for joint in bones),
        mirror,
    )


def in_joints(people: PoseFrame, skeleton: Skeleton, names: Sequence[str], *, root: str) -> PoseFrame:
    """Return people with the joints `names`, in that order, relative to joint `root`."""
    joints_mm, roots_mm = people.joints_mm, people.roots_mm
    if skeleton.names[skeleton.root] != root:
        origin_mm = joints_mm[:, skeleton.index(root)]
        joints_mm, roots_mm = joints_mm - origin_mm[:, None], roots_mm + origin_mm
    if tuple(names) == skeleton.names:
        return PoseFrame(people.scores, people.centres_px, joints_mm, roots_mm, people.joints_px)
    order = [skeleton.index(name) for name in names]
    return PoseFrame(
        people.scores, people.centres_px, joints_mm[:, order], roots_mm, people.joints_px[:, order]
    )


def with_centres(people: PoseFrame, skeleton: Skeleton, centre_joints: Sequence[str]) -> PoseFrame:
    """Return people with the mean of neck and pelvis as centres, as the protocols define them.

    Args:
        people: found by a network.
        skeleton: of the network.
        centre_joints: the network's centres are the mean of these joints.
    """
    if set(centre_joints) == set(CENTRE_JOINTS):
        return people
    named = [name for name in CENTRE_JOINTS if name in skeleton.names]
    if len(named) < len(CENTRE_JOINTS):
        return people
    centres_px = people.joints_px[:, [skeleton.index(name) for name in named]].mean(axis=1)
    return PoseFrame(people.scores, centres_px, people.joints_mm, people.roots_mm, people.joints_px)
