"""Key points as heads of a network: COCO's 17, and which joints of MUPOTS17 they are."""

from __future__ import annotations

from ..runtime.pose import KEYPOINT_HEADS, Head

JOINTS = 17
# COCO's key points by the joints of MUPOTS17, which has no face.
KEYPOINTS = ("",) * 5 + tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
# The key point exchanged for each one in a mirror.
MIRROR = [0, *(joint + (1 if joint % 2 else -1) for joint in range(1, JOINTS))]
OFFSET_CELLS = 2.0


def keypoint_heads() -> dict[str, Head]:
    """Return the contract of the heads of key points, by name."""
    ranges = ((JOINTS, 0.0, 1.0), (2 * JOINTS, -OFFSET_CELLS, OFFSET_CELLS))
    return {name: Head(name, *bounds) for name, bounds in zip(KEYPOINT_HEADS, ranges, strict=True)}
