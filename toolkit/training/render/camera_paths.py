"""Moving cameras: smooth random paths about a camera, as sums of slow sines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..motion.turns import about
from .cameras import Camera

_SINES = 4


@dataclass(frozen=True)
class Sway:
    """The motion of a kind of camera.

    Attributes:
        yaw, tilt: amplitudes in degrees; tilt applies to pitch and roll.
        aside_m, along_m: amplitudes of the position, sideways and in the other directions.
        hertz: lowest and highest frequency.
    """

    yaw: float = 0.0
    tilt: float = 0.0
    aside_m: float = 0.0
    along_m: float = 0.0
    hertz: tuple[float, float] = (0.1, 0.3)


PATHS = {
    "static": Sway(),
    "handheld": Sway(yaw=1.5, tilt=1.0, aside_m=0.04, along_m=0.03, hertz=(0.3, 2.0)),
    "pan": Sway(yaw=14.0, tilt=1.5, hertz=(0.1, 0.35)),
    "dolly": Sway(yaw=3.0, tilt=0.5, aside_m=0.8, along_m=0.1, hertz=(0.1, 0.35)),
}


def camera_path(
    rng: np.random.Generator, camera: Camera, kind: str, times_s: Sequence[float]
) -> list[Camera]:
    """Return the camera at each time.

    Args:
        rng: the only source of randomness.
        camera: about which the path moves.
        kind: of PATHS.
        times_s: seconds.
    """
    sway, times = PATHS[kind], np.asarray(times_s, np.float64)
    yaw, pitch, roll, aside, up, away = (_waves(rng, times, sway.hertz) for _ in range(6))
    cameras = []
    for index in range(len(times)):
        turn = about("z", sway.tilt * roll[index]) @ about("x", sway.tilt * pitch[index])
        shift = [sway.aside_m * aside[index], sway.along_m * up[index], sway.along_m * away[index]]
        cameras.append(
            replace(
                camera,
                rotation=turn @ camera.rotation @ about("y", sway.yaw * yaw[index]),
                position_m=camera.position_m + shift,
            )
        )
    return cameras


def _waves(rng: np.random.Generator, times: np.ndarray, hertz: tuple[float, float]) -> np.ndarray:
    """Return a sum (T,) of sines of random phase within -1..1; amplitudes fall with the frequency."""
    frequencies = rng.uniform(*hertz, _SINES)
    amplitudes = hertz[0] / frequencies
    phases = rng.uniform(0, 2 * np.pi, _SINES)
    waves = np.sin(2 * np.pi * frequencies * times[:, None] + phases) @ amplitudes
    return np.asarray(waves / amplitudes.sum())
