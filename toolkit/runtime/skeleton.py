"""The skeleton: joints as a tree, and the checks that every part of a pose specification shares."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Tuple

from .errors import PoseError

LARGEST_NUMBER = 1e9  # of a specification, in any unit: float32 then has room for what is computed
MOST_JOINTS = 256  # far above any body, hands and face included; bounds what a file can ask for
ROOT, NECK = (
    "pelvis",
    "neck",
)  # joints that every skeleton has: the torso's length and axis are measured between them
_LONGEST_NAME = 200


class SpecError(PoseError):
    """An inconsistent pose specification; the message names the field."""


def check_type(name: str, values: Any, kind: type) -> None:
    """Raise SpecError unless `values` is a tuple of bounded printable str, Integral or Real."""
    if not isinstance(values, tuple) or not all(
        isinstance(value, kind) and not isinstance(value, bool) for value in values
    ):
        kinds = "names" if kind is str else "whole numbers" if kind is Integral else "numbers"
        raise SpecError(f"{name} must be a list of {kinds}, got {values!r:.80}")
    if kind is str and not all(value.isprintable() and len(value) <= _LONGEST_NAME for value in values):
        raise SpecError(
            f"{name} must be printable and of at most {_LONGEST_NAME} characters, got {values!r:.80}"
        )
    if kind is not str and not all(abs(value) < LARGEST_NUMBER for value in values):
        raise SpecError(f"{name} must be finite numbers below {LARGEST_NUMBER:g}, got {values!r:.80}")


@dataclass(frozen=True)
class Skeleton:
    """Joints as a tree, with the lengths of the bones.

    Attributes:
        names: J joint names, all different. In a network's skeleton "pelvis" is the root and "neck" another;
            see `check_torso`.
        parents: J parent indices, -1 for the root.
        bones: J - 1 joint indices, parents before children; bone k ends at joint bones[k].
        bone_lengths_mm: J - 1 lengths above 0, in the order of `bones`.
        mirror: J indices; mirror[j] is the joint that j becomes in a mirror.
    """

    names: Tuple[str, ...]
    parents: Tuple[int, ...]
    bones: Tuple[int, ...]
    bone_lengths_mm: Tuple[float, ...]
    mirror: Tuple[int, ...]

    def __post_init__(self) -> None:
        for name, kind in (
            ("names", str),
            ("parents", Integral),
            ("bones", Integral),
            ("bone_lengths_mm", Real),
            ("mirror", Integral),
        ):
            check_type(f"skeleton.{name}", getattr(self, name), kind)
        count = len(self.names)
        if not 2 <= count <= MOST_JOINTS:
            raise SpecError(f"skeleton.names must have 2 to {MOST_JOINTS} entries, got {count}")
        for name, size in (
            ("parents", count),
            ("mirror", count),
            ("bones", count - 1),
            ("bone_lengths_mm", count - 1),
        ):
            if len(getattr(self, name)) != size:
                raise SpecError(f"skeleton.{name} must have {size} entries, got {len(getattr(self, name))}")
        if list(self.parents).count(-1) != 1:
            raise SpecError("skeleton.parents must name exactly one root by -1")
        placed = {self.root}
        for joint in self.bones:
            if not 0 <= joint < count or self.parents[joint] not in placed or joint in placed:
                raise SpecError(
                    "skeleton.bones must list every joint but the root once, parents first; "
                    f"see joint {joint}"
                )
            placed.add(joint)
        if min(self.bone_lengths_mm) <= 0:
            raise SpecError(f"skeleton.bone_lengths_mm must be above 0, got {min(self.bone_lengths_mm)}")
        if sorted(self.mirror) != list(range(count)):
            raise SpecError(f"skeleton.mirror must name every joint once, got {self.mirror!r:.80}")
        if len(set(self.names)) < count:
            raise SpecError("skeleton.names must all be different")

    @property
    def root(self) -> int:
        """Index of the joint without a parent."""
        return self.parents.index(-1)

    def check_torso(self) -> None:
        """Raise SpecError unless the skeleton has both ends of the torso, by which people are measured."""
        if self.names[self.root] != ROOT or NECK not in self.names:
            raise SpecError(
                f"skeleton.names must have '{ROOT}' as the root and a '{NECK}', which span the torso; "
                f"got {', '.join(self.names):.200} with "
                f"the root '{self.names[self.root]}'; "
                "add the middle of the hips and of the shoulders where the network has neither"
            )

    def index(self, name: str) -> int:
        """Return the index of a joint by its name."""
        if name not in self.names:
            raise SpecError(f"no joint '{name}'; known: {', '.join(self.names)}")
        return self.names.index(name)


# The 17 joints of MuPoTS-3D in its order. Lengths: medians over the people that the 2D teacher labelled.
MUPOTS17 = Skeleton(
    names=(
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "pelvis", "spine", "head",
    ),
    parents=(16, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1),
    bones=(15, 1, 16, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
    bone_lengths_mm=(235, 290, 205, 105, 185, 280, 225, 185, 280, 225, 92, 390, 360, 92, 390, 360),
    mirror=(0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 14, 15, 16),
)  # fmt: skip
