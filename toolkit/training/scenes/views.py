"""Views for test sets: one difficulty in each, everything else as in random scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """What a random scene is drawn from.

    Attributes:
        sizes: (height, width) of pictures; none draws from those of random scenes.
        places: kinds of places; none draws from all.
        pitch: lowest and highest pitch of the camera downwards in degrees; None draws as random scenes do.
        field_of_view: smallest and largest horizontal field of view in degrees.
        height_m: lowest and highest camera above the ground.
        away_m: nearest and farthest person.
        facing: lowest and highest yaw of people in degrees, relative to facing the camera.
        people: lowest and highest number; None draws as random scenes do.
        cut_off: the border cuts off each person's head or feet.
        covered: every second person stands behind the one before.
    """

    sizes: tuple[tuple[int, int], ...] = ()
    places: tuple[str, ...] = ()
    pitch: tuple[float, float] | None = None
    field_of_view: tuple[float, float] = (40, 75)
    height_m: tuple[float, float] = (0.8, 2.8)
    away_m: tuple[float, float] = (1.8, 9.0)
    facing: tuple[float, float] = (0.0, 360.0)
    people: tuple[int, int] | None = None
    cut_off: bool = False
    covered: bool = False


_HIGH_PLACES = ("hall", "street", "park")  # high enough for a camera near the ceiling, and deep

VIEWS: Mapping[str, View] = {
    "steep": View(places=_HIGH_PLACES, pitch=(30, 60), height_m=(2.6, 4.8)),
    "back": View(facing=(135, 225)),
    "cut-off": View(away_m=(1.8, 3.5), people=(1, 3), cut_off=True),
    "covered": View(people=(2, 5), covered=True),
    "portrait": View(sizes=((640, 360), (480, 270))),
    "small": View(places=_HIGH_PLACES, field_of_view=(60, 80), away_m=(10.5, 12.8)),
    "empty": View(people=(0, 0)),
}
