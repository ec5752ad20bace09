"""Where the network goes beyond its teacher: estimators side by side on the same rendered scenes, by who was to be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from ...device.matching import heights_px, match_people
from ...evaluation.run import Estimate
from ...evaluation.scenes import CROWDS, LEAST_VISIBLE, TALL_PX, Scene, Scenes, evaluate_scenes
from ...runtime.pose import PoseFrame, Skeleton

# Limits between well hidden, partly hidden and seen: shares of the person that are visible.
LOW, HIGH = 0.6, 0.9
GROUPS: dict[str, Callable[[Scene], np.ndarray]] = {
    f"visible <{LOW}": lambda scene: scene.visible < LOW,
    f"visible {LOW}-{HIGH}": lambda scene: (scene.visible >= LOW) & (scene.visible <= HIGH),
    f"visible >{HIGH}": lambda scene: scene.visible > HIGH,
    f"height <{TALL_PX} px": lambda scene: heights_px(scene.people) < TALL_PX,
    f"height >={TALL_PX} px": lambda scene: heights_px(scene.people) >= TALL_PX,
}
ERRORS = ("mpjpe_mm", "pa_mpjpe_mm", "root_depth_mm")
People = Mapping[str, PoseFrame]


def compare_on_scenes(
    found: Mapping[str, People], scenes: Scenes, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """Return a row per group of true people and estimator: that of `evaluate_scenes`, with `group`, `by` and `common`.

    Groups: everybody, by visible share, by height in the picture, by people in the picture. Errors in millimetres are of the
    `common` people alone, whom every estimator found, so that nobody gains by missing the hard ones; all else is of everybody in
    the group. A false alarm is of no group of people: precision and AP are stated where a group is whole pictures.

    Args:
        found: who found them → picture → people, for every picture.
        scenes: the truth.
        skeleton: of all.
    """
    common = {
        name: _found_by_all([people[name] for people in found.values()], scene, skeleton)
        for name, scene in scenes.scenes.items()
    }
    rows = []
    for group, part in _parts(scenes).items():
        shared = _asking_for(part, common)
        for who, people in found.items():
            of_part = {name: people[name] for name in part.scenes}
            row, errors = (evaluate_scenes(of_part, asked, skeleton)[0] for asked in (part, shared))
            if group in GROUPS:
                row |= {"centre_precision": None, "ap_root25": None}
            rows.append(
                {
                    **row,
                    **{name: errors[name] for name in ERRORS},
                    "common": errors["people"],
                    "group": group,
                    "by": who,
                }
            )
    return rows


def _parts(scenes: Scenes) -> dict[str, Scenes]:
    """Return, by group, the scenes that ask for its people."""
    parts = {"all": scenes}
    parts |= {
        group: _asking_for(scenes, {name: of(scene) for name, scene in scenes.scenes.items()})
        for group, of in GROUPS.items()
    }
    for crowd, least, most in CROWDS:
        kept = {name: scene for name, scene in scenes.scenes.items() if least <= len(scene.people) <= most}
        parts[crowd] = Scenes(kept, scenes.source)
    return parts


def _asking_for(scenes: Scenes, chosen: Mapping[str, np.ndarray]) -> Scenes:
    # Whom nobody can see is not asked for, and finding them is no fault: so the protocol itself leaves the others out.
    asked = {
        name: replace(scene, visible=np.where(chosen[name], scene.visible, 0))
        for name, scene in scenes.scenes.items()
    }
    return Scenes(asked, scenes.source)


def _found_by_all(everyone: list[PoseFrame], scene: Scene, skeleton: Skeleton) -> np.ndarray:
    matched = [{true for _, true in match_people(people, scene.people, skeleton)} for people in everyone]
    return np.array([all(person in found for found in matched) for person in range(len(scene.people))], bool)


def compare_time(
    estimators: Mapping[str, Estimate], scenes: Scenes, repeats: int = 2
) -> list[dict[str, Any]]:
    """Return median milliseconds per picture, by people to be seen in it: rows with `group`, `pictures` and one entry per estimator.

    Estimators take turns, picture by picture, so that what else the machine does meets all of them. The first picture warms up.
    """
    crowds = [("nobody", 0, 0), *CROWDS]
    taken: dict[str, dict[str, list[float]]] = {
        crowd: {who: [] for who in estimators} for crowd, _, _ in crowds
    }
    for index, (name, picture, focal_px) in enumerate(scenes):
        present = int((scenes.scenes[name].visible >= LEAST_VISIBLE).sum())
        crowd = next(crowd for crowd, least, most in crowds if least <= present <= most)
        if index == 0:
            for estimate in estimators.values():
                estimate(picture, focal_px=focal_px)
        for _ in range(repeats):
            for who, estimate in estimators.items():
                started = perf_counter()
                estimate(picture, focal_px=focal_px)
                taken[crowd][who].append(1000 * (perf_counter() - started))
    pictures = {crowd: len(next(iter(times.values()))) // repeats for crowd, times in taken.items()}
    return [{"group": crowd, "pictures": pictures[crowd], **{who: median(spent) for who, spent in times.items()}}
            for crowd, times in taken.items() if pictures[crowd]]  # fmt: skip
