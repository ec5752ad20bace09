"""Comparison of estimators on rendered scenes, by visibility and size of people."""

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

# Bounds of the visible share of partly hidden people.
LOW, HIGH = 0.6, 0.9
GROUPS: dict[str, Callable[[Scene], np.ndarray]] = {
    f"visible <{LOW}": lambda scene: scene.visible < LOW,
    f"visible {LOW}-{HIGH}": lambda scene: (scene.visible >= LOW) & (scene.visible <= HIGH),
    f"visible >{HIGH}": lambda scene: scene.visible > HIGH,
    f"height <{TALL_PX} px": lambda scene: heights_px(scene.people) < TALL_PX,
    f"height >={TALL_PX} px": lambda scene: heights_px(scene.people) >= TALL_PX,
}
ERRORS = ("mpjpe_mm", "pa_mpjpe_mm", "root_depth_mm")
# People of every picture, by file name.
People = Mapping[str, PoseFrame]


def compare_on_scenes(
    people: Mapping[str, People], scenes: Scenes, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """Return a row of `evaluate_scenes` per group of people and estimator, with `group`, `by` and `common`.

    Groups: all people, by visible share, by height in the picture, by people per picture. Errors in
    millimetres are over the `common` people, which every estimator detected, so that no estimator gains by
    missing difficult people; all other figures are over all people of the group. Precision and AP are given
    where a group consists of whole pictures, because a false positive belongs to no person.

    Args:
        people: detected people by estimator.
        scenes: the truth.
        skeleton: of all people.
    """
    common = {
        name: _detected_by_all([detected[name] for detected in people.values()], scene, skeleton)
        for name, scene in scenes.scenes.items()
    }
    rows = []
    for group, part in _groups(scenes).items():
        shared = _restricted(part, common)
        for estimator, detected in people.items():
            of_part = {name: detected[name] for name in part.scenes}
            row, errors = (evaluate_scenes(of_part, truth, skeleton)[0] for truth in (part, shared))
            if group in GROUPS:
                row |= {"centre_precision": None, "ap_root25": None}
            row |= {name: errors[name] for name in ERRORS}
            rows.append({**row, "common": errors["people"], "group": group, "by": estimator})
    return rows


def _groups(scenes: Scenes) -> dict[str, Scenes]:
    """Return, by group, the scenes restricted to its people."""
    groups = {"all": scenes}
    for group, of in GROUPS.items():
        groups[group] = _restricted(scenes, {name: of(scene) for name, scene in scenes.scenes.items()})
    for crowd, least, most in CROWDS:
        kept = {name: scene for name, scene in scenes.scenes.items() if least <= len(scene.people) <= most}
        groups[crowd] = Scenes(kept, scenes.source)
    return groups


def _restricted(scenes: Scenes, chosen: Mapping[str, np.ndarray]) -> Scenes:
    """Return scenes in which only the chosen people are required; the others count as invisible."""
    restricted = {
        name: replace(scene, visible=np.where(chosen[name], scene.visible, 0))
        for name, scene in scenes.scenes.items()
    }
    return Scenes(restricted, scenes.source)


def _detected_by_all(estimates: list[PoseFrame], scene: Scene, skeleton: Skeleton) -> np.ndarray:
    """Return, for every true person, whether each of the estimates has a match, as bool (P,)."""
    matched = [{true for _, true in match_people(people, scene.people, skeleton)} for people in estimates]
    return np.array([all(person in found for found in matched) for person in range(len(scene.people))], bool)


def compare_time(
    estimators: Mapping[str, Estimate], scenes: Scenes, repeats: int = 2
) -> list[dict[str, Any]]:
    """Return rows with `group` (visible people), `pictures`, and the median ms of each estimator.

    Estimators take turns on each picture, so that other load on the machine affects all of them. The first
    picture is a warm-up as well.
    """
    crowds = [("no people", 0, 0), *CROWDS]
    times: dict[str, dict[str, list[float]]] = {
        crowd: {name: [] for name in estimators} for crowd, _, _ in crowds
    }
    for index, (name, picture, focal_px) in enumerate(scenes):
        visible = int((scenes.scenes[name].visible >= LEAST_VISIBLE).sum())
        crowd = next(crowd for crowd, least, most in crowds if least <= visible <= most)
        if index == 0:
            for estimate in estimators.values():
                estimate(picture, focal_px=focal_px)
        for _ in range(repeats):
            for estimator, estimate in estimators.items():
                started = perf_counter()
                estimate(picture, focal_px=focal_px)
                times[crowd][estimator].append(1000 * (perf_counter() - started))
    rows = []
    for crowd, spent in times.items():
        pictures = len(next(iter(spent.values()))) // repeats
        if pictures:
            medians = {estimator: median(values) for estimator, values in spent.items()}
            rows.append({"group": crowd, "pictures": pictures, **medians})
    return rows
