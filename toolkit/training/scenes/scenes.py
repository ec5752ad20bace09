"""Several people in one perspective picture: true occlusion by depth, shadows on the ground, and exact truth.

World: metres, x right, y down, z away, the ground at y = 0. Truth is in the camera frame, millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ...runtime.pose import MUPOTS17
from ..motion.poses import about
from ..render.backgrounds import Place, finish, paint_place
from ..render.bodies import Body, Surface
from ..render.cameras import Camera
from ..render.dressed_body import Figure, colours, dress
from ..render.outfits import Outfit
from ..render.props import Prop
from ..render.rasterise import Light, rasterise

SUPERSAMPLING = 2
SILHOUETTE_SCALE = 0.25
CONTACT_M = 0.3


@dataclass(frozen=True)
class Actor:
    """A body standing in the world, what it wears, and the clip its pose is from."""

    body: Body
    outfit: Outfit
    clip: str


@dataclass(frozen=True)
class Truth:
    """What is known of one person of a picture.

    Attributes:
        joints_mm: (17, 3) relative to the pelvis, camera frame.
        root_mm: (3,) the pelvis, camera frame.
        joints_px: (17, 2).
        visible: share of the person's outline that is in the picture and hidden by nobody and nothing.
        clip: name of the captured clip.
    """

    joints_mm: np.ndarray
    root_mm: np.ndarray
    joints_px: np.ndarray
    visible: float
    clip: str

    def to_dict(self) -> dict[str, Any]:
        """Return lists for JSON, to 0.1 mm and 0.01 px."""
        return {
            "joints_mm": np.round(self.joints_mm, 1).tolist(),
            "root_mm": np.round(self.root_mm, 1).tolist(),
            "joints_px": np.round(self.joints_px, 2).tolist(),
            "visible": round(self.visible, 3),
            "clip": self.clip,
        }


def stand(body: Body, spot_m: np.ndarray, yaw: float, lift_m: float = 0.0) -> Body:
    """Return a body turned by `yaw` degrees with its pelvis above a spot (x, z) and its lowest point `lift_m` above the ground."""
    turn = about("y", yaw).T
    vertices, joints = body.vertices_m @ turn, body.joints_m @ turn
    pelvis = joints[MUPOTS17.root]
    shift = np.array([spot_m[0] - pelvis[0], -lift_m - vertices[:, 1].max(), spot_m[1] - pelvis[2]])
    return Body(vertices + shift, joints + shift)


def truth_of(actor: Actor, camera: Camera, visible: float) -> Truth:
    """Return where the joints of an actor are for a camera."""
    joints = camera.to_camera(actor.body.joints_m)
    root = joints[MUPOTS17.root]
    return Truth(1000 * (joints - root), 1000 * root, camera.to_picture(joints), visible, actor.clip)


def render_scene(
    place: Place,
    props: Sequence[Prop],
    actors: Sequence[Actor],
    surface: Surface,
    camera: Camera,
    light: Light,
) -> tuple[np.ndarray, list[Truth]]:
    """Draw a place with things and people in it.

    Returns:
        The picture (H, W, 3) uint8 BGR and the truth of each actor, in their order.
    """
    backdrop = paint_place(place, camera.enlarged(SUPERSAMPLING), light)
    return render_people(backdrop, props, actors, surface, camera, light, soft=place.indoors)


def render_people(
    backdrop: tuple[np.ndarray, np.ndarray, np.ndarray],
    props: Sequence[Prop],
    actors: Sequence[Actor],
    surface: Surface,
    camera: Camera,
    light: Light,
    soft: bool = False,
) -> tuple[np.ndarray, list[Truth]]:
    """Draw things and people in front of a backdrop that `paint_place` drew for the camera enlarged by SUPERSAMPLING.

    `soft` blurs the shadows, as lamps indoors do. Returns as `render_scene`.
    """
    large = camera.enlarged(SUPERSAMPLING)
    picture, depth, ground = backdrop[0].copy(), backdrop[1].copy(), backdrop[2]
    outlines = [(actor.body.vertices_m, surface.faces) for actor in actors] + [
        (prop.vertices_m, prop.faces) for prop in props
    ]
    picture[ground] *= ground_shadow(outlines, large, light, soft)[ground, None]
    owner = np.full(len(depth), -1)
    for prop in props:
        seen = large.to_camera(prop.vertices_m)
        fragments = rasterise(large.to_picture(seen), seen[:, 2], prop.faces, large.size)
        nearer = fragments.depth < depth[fragments.pixels]
        pixels = fragments.pixels[nearer]
        picture[pixels] = prop.colours(fragments, large, light)[nearer]
        depth[pixels], owner[pixels] = fragments.depth[nearer], -1
    covered = []
    for index, actor in enumerate(actors):
        figure = dress(large.to_camera(actor.body.vertices_m), surface, actor.outfit)
        fragments = rasterise(
            large.to_picture(figure.vertices_m), figure.vertices_m[:, 2], surface.faces, large.size
        )
        nearer = fragments.depth < depth[fragments.pixels]
        pixels = fragments.pixels[nearer]
        picture[pixels] = colours(figure, surface, fragments, light, large.down)[nearer]
        depth[pixels], owner[pixels] = fragments.depth[nearer], index
        covered.append((len(fragments), share_in_picture(figure, surface, camera)))
    truths = [
        truth_of(actor, camera, share * float((owner == index).sum()) / max(count, 1))
        for index, (actor, (count, share)) in enumerate(zip(actors, covered, strict=True))
    ]
    return finish(picture.reshape(*large.size, 3), camera.size), truths


def share_in_picture(figure: Figure, surface: Surface, camera: Camera) -> float:
    """Return how much of a figure's outline lies inside the picture, 0..1, nothing hiding it."""
    height, width = (int(np.ceil(side * SILHOUETTE_SCALE)) for side in camera.size)
    # A canvas of three pictures by three, the picture in the middle.
    small = replace(
        camera,
        focal_px=camera.focal_px * SILHOUETTE_SCALE,
        principal_px=(
            camera.principal_px[0] * SILHOUETTE_SCALE + width,
            camera.principal_px[1] * SILHOUETTE_SCALE + height,
        ),
    )
    fragments = rasterise(
        small.to_picture(figure.vertices_m), figure.vertices_m[:, 2], surface.faces, (3 * height, 3 * width)
    )
    row, column = np.divmod(fragments.pixels, 3 * width)
    inside = (row >= height) & (row < 2 * height) & (column >= width) & (column < 2 * width)
    return float(inside.sum()) / max(len(fragments), 1)


def ground_shadow(
    outlines: Sequence[tuple[np.ndarray, np.ndarray]], camera: Camera, light: Light, soft: bool
) -> np.ndarray:
    """Return how bright the ground is (H * W,), 1 where no shadow falls: cast by the lamp, and dark where things touch it.

    Args:
        outlines: (vertices (V, 3) in the world, faces) of everything that casts a shadow.
        camera: whose picture it is.
        light: its direction is in the camera frame.
        soft: blur more and darken less.
    """
    towards = camera.rotation.T @ light.direction
    cast, contact = (np.zeros(camera.size[0] * camera.size[1], np.float32) for _ in range(2))
    sunwards = towards / min(towards[1], -0.15)
    for vertices, faces in outlines:
        low = -vertices[faces, 1].max(1) < CONTACT_M
        for mask, way, casting in ((cast, sunwards, faces), (contact, np.array([0.0, 1.0, 0.0]), faces[low])):
            # Down along the light, or straight down, to y = 0.
            flat = vertices - vertices[:, 1:2] * way
            flat[:, 1] = 0.0
            seen = camera.to_camera(flat)
            mask[
                rasterise(camera.to_picture(seen), seen[:, 2], casting, camera.size, two_sided=True).pixels
            ] = 1
    lamp = light.lamp * max(-towards[1], 0.15)
    strength = lamp / (lamp + light.ambient) * (0.55 if soft else 0.95)
    unit = camera.size[0] / 720
    cast = cv2.GaussianBlur(cast.reshape(camera.size), (0, 0), (9 if soft else 2) * unit).reshape(-1)
    contact = cv2.GaussianBlur(contact.reshape(camera.size), (0, 0), 5 * unit).reshape(-1)
    return (1 - strength * cast) * (1 - 0.4 * contact)
