"""Scene renderer: several people in one perspective picture with occlusion, ground shadows and exact labels.

World frame: metres, x right, y down, z away, ground at y = 0. Labels are in the camera frame, millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from ...runtime.pose import MUPOTS17
from ..motion.turns import about
from ..render.backgrounds import Backdrop, finish, paint_place
from ..render.bodies import Body, Surface
from ..render.cameras import Camera
from ..render.dressed_body import DressedBody, colours, dress
from ..render.outfits import Outfit
from ..render.places import Place
from ..render.props import Prop
from ..render.rasterise import NEAR_M, Fragments, Light, rasterise

Record = dict[str, object]

SUPERSAMPLING = 2
SILHOUETTE_SCALE = 0.25
CONTACT_M = 0.3


@dataclass(frozen=True)
class Actor:
    """A person in a scene: the body in the world frame, the outfit and the name of the clip of the pose."""

    body: Body
    outfit: Outfit
    clip: str


@dataclass(frozen=True)
class Truth:
    """The labels of one person in a picture.

    Attributes:
        joints_mm: (17, 3) relative to the pelvis, camera frame.
        root_mm: (3,) position of the pelvis, camera frame.
        joints_px: (17, 2) projected joints.
        visible: share of the person's silhouette that is inside the picture and not occluded.
        clip: name of the motion-capture clip of the pose.
    """

    joints_mm: np.ndarray
    root_mm: np.ndarray
    joints_px: np.ndarray
    visible: float
    clip: str

    def to_dict(self) -> Record:
        """Return values for JSON, rounded to 0.1 mm and 0.01 px."""
        return {
            "joints_mm": np.round(self.joints_mm, 1).tolist(),
            "root_mm": np.round(self.root_mm, 1).tolist(),
            "joints_px": np.round(self.joints_px, 2).tolist(),
            "visible": round(self.visible, 3),
            "clip": self.clip,
        }


def stand(body: Body, spot_m: np.ndarray, yaw: float, *, lift_m: float = 0.0) -> Body:
    """Return a body on the ground.

    Args:
        body: facing -z.
        spot_m: (2,) x and z of its pelvis.
        yaw: degrees to turn it by.
        lift_m: height of its lowest point above the ground.
    """
    turn = about("y", yaw).T
    vertices, joints = body.vertices_m @ turn, body.joints_m @ turn
    pelvis = joints[MUPOTS17.root]
    shift = np.array([spot_m[0] - pelvis[0], -lift_m - vertices[:, 1].max(), spot_m[1] - pelvis[2]])
    return Body(vertices + shift, joints + shift)


def truth_of(actor: Actor, camera: Camera, visible: float) -> Truth:
    """Return the labels of an actor for a camera."""
    joints = camera.to_camera(actor.body.joints_m)
    root = joints[MUPOTS17.root]
    return Truth(1000 * (joints - root), 1000 * root, camera.to_picture(joints), visible, actor.clip)


class Stage(NamedTuple):
    """The mesh of all people, the camera and the light of a picture, and the resolution of its shadows.

    `shadow_scale` is 1 or SUPERSAMPLING; 1 is faster and only blurs the edges of shadows a little more.
    """

    surface: Surface
    camera: Camera
    light: Light
    shadow_scale: int = SUPERSAMPLING


def render_scene(
    place: Place, props: Sequence[Prop], actors: Sequence[Actor], *, stage: Stage
) -> tuple[np.ndarray, list[Truth]]:
    """Render a place with props and people.

    Returns:
        The picture (H, W, 3) uint8 BGR and the truth of each actor, in their order.
    """
    backdrop = paint_place(place, stage.camera.enlarged(SUPERSAMPLING), stage.light)
    return render_people(backdrop, props, actors, stage=stage, soft=place.indoors)


def render_people(
    backdrop: Backdrop, props: Sequence[Prop], actors: Sequence[Actor], *, stage: Stage, soft: bool = False
) -> tuple[np.ndarray, list[Truth]]:
    """Render props and people in front of a backdrop.

    Args:
        backdrop: from `paint_place`, for the camera enlarged by SUPERSAMPLING.
        props: in any order.
        actors: the people.
        stage: mesh, camera (not enlarged) and light.
        soft: blur the shadows, as under lamps indoors.

    Returns:
        As `render_scene`.
    """
    surface, camera, light, shadow_scale = stage
    large = camera.enlarged(SUPERSAMPLING)
    layers = _Layers(backdrop.colours.copy(), backdrop.depth_m.copy(), np.full(len(backdrop.depth_m), -1))
    outlines = [Outline(actor.body.vertices_m, surface.faces) for actor in actors]
    outlines += [Outline(prop.mesh.vertices_m, prop.mesh.faces) for prop in props]
    ground = backdrop.ground
    shadow = ground_shadow(outlines, camera.enlarged(shadow_scale), light, soft=soft)
    shadow = enlarge(shadow, camera.enlarged(shadow_scale).size, SUPERSAMPLING // shadow_scale)
    layers.picture[ground] *= shadow[ground, None]
    for prop in props:
        points = large.to_camera(prop.mesh.vertices_m)
        fragments = rasterise(large.to_picture(points), points[:, 2], prop.mesh.faces, size=large.size)
        layers.draw(fragments, prop.colours(fragments, large, light), owner=-1)
    truths = []
    areas = []
    for index, actor in enumerate(actors):
        dressed = dress(large.to_camera(actor.body.vertices_m), surface, actor.outfit)
        points = dressed.vertices_m
        fragments = rasterise(large.to_picture(points), points[:, 2], surface.faces, size=large.size)
        bgr = colours(dressed, surface, fragments, light=light, down=large.down)
        layers.draw(fragments, bgr, owner=index)
        areas.append((len(fragments), share_in_picture(dressed, surface, camera)))
    for index, (actor, (area, share)) in enumerate(zip(actors, areas, strict=True)):
        visible = share * float((layers.owner == index).sum()) / max(area, 1)
        truths.append(truth_of(actor, camera, visible))
    return finish(layers.picture.reshape(*large.size, 3), camera.size), truths


def enlarge(pixels: np.ndarray, size: tuple[int, int], factor: int) -> np.ndarray:
    """Return the pixels (H * W, ...) of a picture of `size`, every pixel repeated as in `Camera.enlarged`."""
    if factor == 1:
        return pixels
    grid = pixels.reshape(*size, *pixels.shape[1:]).repeat(factor, axis=0).repeat(factor, axis=1)
    return grid.reshape(-1, *pixels.shape[1:])


class _Layers(NamedTuple):
    """The picture under construction, its z-buffer and the index of the actor at each pixel, -1 for none."""

    picture: np.ndarray
    depth: np.ndarray
    owner: np.ndarray

    def draw(self, fragments: Fragments, bgr: np.ndarray, owner: int) -> None:
        """Draw the fragments (P,) that are nearer than the picture so far, with colours (P, 3)."""
        nearer = fragments.depth < self.depth[fragments.pixels]
        pixels = fragments.pixels[nearer]
        self.picture[pixels] = bgr[nearer]
        self.depth[pixels], self.owner[pixels] = fragments.depth[nearer], owner


def share_in_picture(dressed: DressedBody, surface: Surface, camera: Camera) -> float:
    """Return the share of a person's silhouette inside the picture, 0..1, ignoring occlusion."""
    height, width = camera.size
    points = camera.to_picture(dressed.vertices_m)
    ahead = (dressed.vertices_m[:, 2] > NEAR_M).all()
    if ahead and ((points >= 0) & (points <= [width - 1, height - 1])).all():
        return 1.0
    height, width = (int(np.ceil(side * SILHOUETTE_SCALE)) for side in camera.size)
    # The canvas is three pictures wide and high, with the picture in the middle.
    x, y = (coordinate * SILHOUETTE_SCALE for coordinate in camera.principal_px)
    small = replace(camera, focal_px=camera.focal_px * SILHOUETTE_SCALE, principal_px=(x + width, y + height))
    points, canvas = dressed.vertices_m, (3 * height, 3 * width)
    fragments = rasterise(small.to_picture(points), points[:, 2], surface.faces, size=canvas)
    row, column = np.divmod(fragments.pixels, 3 * width)
    inside = (row >= height) & (row < 2 * height) & (column >= width) & (column < 2 * width)
    return float(inside.sum()) / max(len(fragments), 1)


class Outline(NamedTuple):
    """A mesh that casts a shadow, world frame."""

    vertices_m: np.ndarray  # (V, 3)
    faces: np.ndarray  # (T, 3)


def ground_shadow(outlines: Sequence[Outline], camera: Camera, light: Light, *, soft: bool) -> np.ndarray:
    """Return the brightness of the ground (H * W,), 1 without shadow.

    It combines the shadow cast by the lamp with contact shadows below objects.

    Args:
        outlines: all meshes that cast a shadow.
        camera: of the picture.
        light: its direction is in the camera frame.
        soft: blur more and darken less.
    """
    towards = camera.rotation.T @ light.direction
    cast, contact = (np.zeros(camera.size[0] * camera.size[1], np.float32) for _ in range(2))
    along_light, straight_down = towards / min(towards[1], -0.15), np.array([0.0, 1.0, 0.0])
    for vertices, faces in outlines:
        low = -vertices[faces, 1].max(1) < CONTACT_M
        _project_shadow(cast, Outline(vertices, faces), along_light, camera=camera)
        _project_shadow(contact, Outline(vertices, faces[low]), straight_down, camera=camera)
    lamp = light.lamp * max(-towards[1], 0.15)
    strength = lamp / (lamp + light.ambient) * (0.55 if soft else 0.95)
    unit = camera.size[0] / 720
    cast = cv2.GaussianBlur(cast.reshape(camera.size), (0, 0), (9 if soft else 2) * unit).reshape(-1)
    contact = cv2.GaussianBlur(contact.reshape(camera.size), (0, 0), 5 * unit).reshape(-1)
    return (1 - strength * cast) * (1 - 0.4 * contact)


def _project_shadow(mask: np.ndarray, outline: Outline, direction: np.ndarray, *, camera: Camera) -> None:
    """Set the pixels of `mask` (H * W,) to 1 where a mesh, projected along a direction to y = 0, lies."""
    flat = outline.vertices_m - outline.vertices_m[:, 1:2] * direction
    flat[:, 1] = 0.0
    points, size = camera.to_camera(flat), camera.size
    shadow = rasterise(camera.to_picture(points), points[:, 2], outline.faces, size=size, two_sided=True)
    mask[shadow.pixels] = 1
