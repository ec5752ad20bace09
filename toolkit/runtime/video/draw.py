"""Draw people over their picture: skeletons, numbers, distances, and views from above and from the side."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from ..pose import PoseFrame, Skeleton

Colour = Tuple[int, int, int]

# BGR. Left warm, right cool, middle pale: color-blind people can tell them apart.
LEFT: Colour = (40, 150, 255)
RIGHT: Colour = (255, 170, 50)
MIDDLE: Colour = (235, 235, 235)
OUTLINE: Colour = (25, 25, 25)
PANEL: Colour = (38, 32, 30)
GRID: Colour = (80, 72, 68)
SCALE: Colour = (160, 150, 145)
TEXT: Colour = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
# cv2 draws at fractions of a pixel where points are given in sixteenths.
SHIFT = 4
# A lower picture has no room for the views from above and from the side.
LEAST_VIEWS_PX = 16


def draw_people(
    picture: np.ndarray,
    people: PoseFrame,
    skeleton: Skeleton,
    *,
    numbers: Optional[Sequence[int]] = None,
    inset: bool = False,
) -> np.ndarray:
    """Return a copy of a picture (H, W, 3) uint8 BGR with its people drawn in, the farthest first.

    Args:
        picture: the picture of these people.
        people: may be empty; people with non-finite values are omitted.
        skeleton: names of joints, and bones.
        numbers: one per person, shown before the score; see `track.Tracker`.
        inset: append views from above and from the side at the right, half as wide as the picture is high;
            pictures of fewer than LEAST_VIEWS_PX rows get none.
    """
    if numbers is not None:
        numbers = [number for number, kept in zip(numbers, is_finite(people)) if kept]
    people = finite_people(people)
    drawn = np.array(picture, order="C")
    unit = max(min(picture.shape[:2]) / 360.0, 0.6)  # lines and letters grow with the picture
    near_first = np.argsort(people.roots_mm[:, 2], kind="stable")
    for person in near_first[::-1]:
        _skeleton(drawn, people.joints_px[person], skeleton, unit=unit)
    names = [f"{number}: " for number in numbers] if numbers is not None else [""] * len(people)
    texts = [
        f"{names[person]}{people.scores[person]:.2f}  {people.roots_mm[person, 2] / 1000:.1f} m"
        for person in near_first
    ]
    _labels(drawn, texts, people.joints_px[near_first], unit=unit)
    if not inset or drawn.shape[0] < LEAST_VIEWS_PX:
        return drawn
    return np.hstack([drawn, views(people, skeleton, drawn.shape[0], numbers=numbers)])


def finite_people(people: PoseFrame) -> PoseFrame:
    """Return the people with finite values; JSON and pictures cannot represent others."""
    kept = is_finite(people)
    return people if kept.all() else people[kept]


def is_finite(people: PoseFrame) -> np.ndarray:
    """Return (N,) bool, True for people with finite values alone."""
    if not len(people):
        return np.ones(0, bool)
    fields = [getattr(people, name).reshape(len(people), -1) for name in people.__dataclass_fields__]
    return np.isfinite(np.concatenate(fields, axis=1)).all(axis=1)


def side_colours(skeleton: Skeleton) -> Tuple[Colour, ...]:
    """Return a colour per bone: the side of the joint at its end."""
    return tuple(
        LEFT
        if skeleton.names[joint].startswith("left")
        else RIGHT
        if skeleton.names[joint].startswith("right")
        else MIDDLE
        for joint in skeleton.bones
    )


def _fixed(point: np.ndarray) -> Tuple[int, int]:
    """Return a point in sixteenths of a pixel, kept within the range of cv2's integers."""
    x, y = np.rint(np.clip(point, -30000, 30000) * (1 << SHIFT))
    return int(x), int(y)


def _skeleton(drawn: np.ndarray, joints_px: np.ndarray, skeleton: Skeleton, *, unit: float) -> None:
    """Draw bones and joints with a dark outline, to be visible on any background."""
    body_px = float(np.ptp(joints_px, axis=0).max())
    thickness = int(np.clip(round(body_px / 60), 1, max(2, round(4 * unit))))
    ends = [
        (_fixed(joints_px[skeleton.parents[joint]]), _fixed(joints_px[joint])) for joint in skeleton.bones
    ]
    for start, end in ends:
        cv2.line(drawn, start, end, OUTLINE, thickness + 2, cv2.LINE_AA, SHIFT)
    for (start, end), colour in zip(ends, side_colours(skeleton)):
        cv2.line(drawn, start, end, colour, thickness, cv2.LINE_AA, SHIFT)
    if thickness > 1:
        for point in joints_px:
            cv2.circle(
                drawn,
                _fixed(point),
                int((thickness + 1) * 0.7 * (1 << SHIFT)),
                OUTLINE,
                -1,
                cv2.LINE_AA,
                SHIFT,
            )
            cv2.circle(
                drawn, _fixed(point), int(thickness * 0.55 * (1 << SHIFT)), TEXT, -1, cv2.LINE_AA, SHIFT
            )


def _labels(drawn: np.ndarray, texts: Sequence[str], joints_px: np.ndarray, *, unit: float) -> None:
    """Write a label above each person; one that would overlap an earlier label moves below it."""
    scale, margin, thickness = 0.36 * unit, round(3 * unit), max(1, round(0.9 * unit))
    taken: List[Tuple[int, int, int, int]] = []
    for text, points in zip(texts, joints_px):
        (width, height), below = cv2.getTextSize(text, FONT, scale, thickness)
        wide, high = width + 2 * margin, height + below + 2 * margin
        left = int(np.clip(points[:, 0].mean() - wide / 2, 0, max(0, drawn.shape[1] - wide)))
        top = int(np.clip(points[:, 1].min() - high - 2 * unit, 0, max(0, drawn.shape[0] - high)))
        # From the top down, so that a moved label cannot overlap one that was checked before.
        for other_left, other_top, other_right, other_bottom in sorted(taken, key=lambda box: box[1]):
            if (
                left < other_right
                and other_left < left + wide
                and top < other_bottom
                and other_top < top + high
            ):
                top = other_bottom + 1
        taken.append((left, top, left + wide, top + high))
        box = drawn[top : top + high, left : left + wide]
        box[...] = (0.35 * box + 0.65 * np.asarray(OUTLINE)).astype(np.uint8)
        cv2.putText(
            drawn, text, (left + margin, top + margin + height), FONT, scale, TEXT, thickness, cv2.LINE_AA
        )


def views(
    people: PoseFrame, skeleton: Skeleton, height: int, *, numbers: Optional[Sequence[int]] = None
) -> np.ndarray:
    """Return a picture (height, height // 2, 3) uint8 BGR of the people in the camera frame.

    The upper half is the view from above, with the camera at the bottom.
    The lower half is the view from the side, with the camera at the left. Both have the same scale.
    """
    side, joints_m = height // 2, (people.joints_mm + people.roots_mm[:, None]) / 1000
    panel = np.empty((height, side, 3), np.uint8)
    panel[...] = PANEL
    reach_m = max(joints_m[..., 2].max(), 2 * np.abs(joints_m[..., :2]).max()) if len(people) else 0.0
    far_m = float(np.clip(1.1 * reach_m, 3.0, 200.0))
    for top, title, from_above in ((0, "from above", True), (side, "from the side", False)):
        view = panel[top : top + side]
        _grid(view, far_m, from_above)
        for person in np.argsort(-people.roots_mm[:, 2], kind="stable"):
            x, y, z = joints_m[person].T * (side / far_m)
            points = np.stack([side / 2 + x, side - 1 - z] if from_above else [z, side / 2 + y], axis=1)
            for joint, colour in zip(skeleton.bones, side_colours(skeleton)):
                start, end = _fixed(points[skeleton.parents[joint]]), _fixed(points[joint])
                cv2.line(view, start, end, colour, max(1, side // 200), cv2.LINE_AA, SHIFT)
            if numbers is not None and from_above:
                where = _fixed(points[skeleton.root] + side / 40)
                cv2.putText(
                    view,
                    str(numbers[person]),
                    (where[0] >> SHIFT, where[1] >> SHIFT),
                    FONT,
                    side / 500,
                    TEXT,
                    1,
                    cv2.LINE_AA,
                )
        cv2.putText(
            view, title, (side // 40, side // 14), FONT, side / 480, TEXT, max(1, side // 300), cv2.LINE_AA
        )
    cv2.line(panel, (0, side), (side, side), GRID, max(1, side // 200))
    return panel


def _grid(view: np.ndarray, far_m: float, from_above: bool) -> None:
    """Draw lines at round distances from the camera, in metres."""
    side = view.shape[1]
    step_m = next(step for step in (0.5, 1, 2, 5, 10, 20, 50) if far_m / step <= 5)
    for distance_m in np.arange(step_m, far_m, step_m):
        at = int(distance_m / far_m * side)
        start, end = (
            ((0, side - 1 - at), (side - 1, side - 1 - at)) if from_above else ((at, 0), (at, side - 1))
        )
        cv2.line(view, start, end, GRID, 1)
        place = (side // 80, side - 4 - at) if from_above else (at + 3, side - side // 40)
        cv2.putText(view, f"{distance_m:g} m", place, FONT, side / 600, SCALE, 1, cv2.LINE_AA)
