"""Limits of the reference network: accuracy of key points, and accuracy with parts of the truth as input.

    python -m research.benchmarks.limits --teacher teacher/ --embedding embedding.safetensors \\
           --lifter lifter.safetensors -o out/limits.md

It runs on the rendered test scenes, whose truth is exact. "Given" is the truth that replaces outputs of the
network: key points of the fit, key-point offsets of the lifting head, the torso's rotation, or the pose of
the people found. The last rows need no network: exact key points of all people, each moved by a share of
the person's height, lifted and fitted as training labels are.

A key point is found if one of its kind lies within a share of the torso's length, without foreshortening,
of the joint. Joints outside the picture and people less than a quarter visible are ignored; hidden joints
are included.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from toolkit.commands.interface.terminal import say, write_text
from toolkit.device.matching import match_people, torsos_px
from toolkit.evaluation.scenes import LEAST_VISIBLE, Scene, Scenes, evaluate_scenes, read_scenes
from toolkit.frontend.trace import REFERENCE, checkpoint_folder
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.embedding import load_embedding
from toolkit.network.heads import to_units
from toolkit.network.keypoints import JOINTS, encode_offsets
from toolkit.network.network import KeypointNetwork
from toolkit.network.torch_kinematics import torso_frame
from toolkit.runtime.command.refusals import exit_status
from toolkit.runtime.decoding.bone_prior import REFINEMENT
from toolkit.runtime.decoding.decode import DecodeOptions, decode_heads
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.keypoints import Keypoints, find_keypoints
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import KEYPOINT_HEADS, KeypointGrid, PoseFrame, PoseSpec
from toolkit.runtime.preprocess import Batch, Letterbox
from toolkit.training.labels.fit_keypoints import FitSettings, fit_keypoints
from toolkit.training.labels.lifter import load_lifter
from toolkit.training.labels.teacher import open_teacher
from toolkit.training.pictures.people import KEYPOINT_JOINTS
from toolkit.training.release.card_markup import table
from toolkit.training.release.lifted_people import people_of_lifted

SCENES = Path(__file__).parents[2] / "toolkit/samples/scenes.json"
NEAR_TORSOS = (0.1, 0.2)
ENLARGED = (1.0, 1.5, 2.0)
OFF_BY_HEIGHT = (0.0, 0.02, 0.05)
FACE = JOINTS - len(KEYPOINT_JOINTS)
FIGURES = {
    "given": "given",
    "centre_recall": "recall",
    "pck_rel150": "PCK_rel@150",
    "mpjpe_mm": "MPJPE mm",
    "pa_mpjpe_mm": "PA-MPJPE mm",
}

Looked = tuple[str, Scene, Letterbox, torch.Tensor, float | None]


def looks(scenes: Scenes, spec: PoseSpec) -> Iterator[Looked]:
    """Yield name, truth, letterbox, network input (1, 3, H, W) and focal length of every scene."""
    batch = Batch(spec, FrameInput("float32", "NCHW", spec.colour_order, normalized=True))
    for name, picture, focal_px in scenes:
        letterbox = batch.fill(picture)
        yield name, scenes.scenes[name], letterbox, torch.from_numpy(batch.array.copy()), focal_px


def joints_px(scene: Scene, letterbox: Letterbox) -> np.ndarray:
    """Return the true body joints (N, 12, 2) in pixels of the network's input."""
    points = scene.people.joints_px[:, KEYPOINT_JOINTS]
    return (
        np.asarray(letterbox.to_input(points.reshape(-1, 2)), np.float32).reshape(points.shape)
        if len(points)
        else points
    )


def exact_keypoints(
    scene: Scene, letterbox: Letterbox, grid: KeypointGrid, own: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the network's heads with a certain key point at every joint of the evaluated people."""
    heat, offset = (np.zeros_like(own[name]) for name in KEYPOINT_HEADS)
    points = joints_px(scene, letterbox)[scene.visible >= LEAST_VISIBLE]
    at = (points - grid.cell_origin_px) / grid.stride
    cells = np.rint(at).astype(int)
    person, kind = np.nonzero(((cells >= 0) & (cells < heat.shape[:0:-1])).all(-1))
    columns, rows = cells[person, kind].T
    heat[FACE + kind, rows, columns] = 1
    offset[FACE + kind, rows, columns], offset[JOINTS + FACE + kind, rows, columns] = (at - cells)[
        person, kind
    ].T
    return dict(zip(KEYPOINT_HEADS, (heat, offset), strict=True))


def exact_offsets(scene: Scene, letterbox: Letterbox, spec: PoseSpec, own: torch.Tensor) -> torch.Tensor:
    """Return offsets (1, 102, h, w): exact to body joints of the nearest person, the network's to faces."""
    people = scene.visible >= LEAST_VISIBLE
    if not people.any():
        return own
    points = torch.from_numpy(joints_px(scene, letterbox)[people])
    centres = np.asarray(
        scene.people.joints_px[people][:, [spec.skeleton.index(name) for name in spec.centre_joints]].mean(1)
    )
    at = torch.from_numpy(np.asarray(letterbox.to_input(centres), np.float32))
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in own.shape[2:]), indexing="ij")
    cells = torch.stack([columns, rows], -1).flatten(0, 1) * float(spec.stride) + spec.cell_origin_px
    nearest = (cells[:, None] - at).norm(dim=-1).argmin(1)
    offsets_px = torch.zeros(len(cells), JOINTS, 2)
    offsets_px[:, FACE:] = points[nearest] - cells[:, None]
    given = encode_offsets(offsets_px).T.unflatten(1, own.shape[2:])[None]
    body = torch.arange(len(given[0])) % JOINTS >= FACE
    return torch.where(body[:, None, None], given, own)


def readings(find: Callable[[Looked], Keypoints], scenes: Scenes, spec: PoseSpec) -> dict[str, float]:
    """Return the shares of joints that are read, by `NEAR_TORSOS`."""
    away = []
    for look in looks(scenes, spec):
        _, scene, letterbox, _, _ = look
        found, points, torsos = (
            find(look),
            joints_px(scene, letterbox),
            torsos_px(scene.people, spec.skeleton) * letterbox.scale,
        )
        for person in np.flatnonzero(scene.visible >= LEAST_VISIBLE):
            for kind, place in enumerate(points[person]):
                if (place > 0).all() and (place < spec.input_size[::-1]).all():
                    distances = np.linalg.norm(found.points[found.kinds == kind] - place, axis=1)
                    away.append(distances.min(initial=np.inf) / torsos[person])
    return {f"within {share:g} torsos": float(np.mean(np.array(away) < share)) for share in NEAR_TORSOS}


class GivenTruth:
    """The network's outputs on every scene, decoded with parts of them replaced by the truth."""

    def __init__(self, folder: Path, scenes: Scenes) -> None:
        network, decoder, self.spec, _ = load_checkpoint(folder)
        assert isinstance(network, KeypointNetwork)
        assert self.spec.keypoints is not None
        self.network, self.grid = network, self.spec.keypoints
        self.decoder, self.scenes = layers(decoder), scenes

    @torch.no_grad()
    def heads(self, look: Looked, offsets: bool) -> dict[str, np.ndarray]:
        """Return the heads of a scene; with `offsets` the lifting head reads the true ones."""
        network, (_, scene, letterbox, image, _) = self.network, look
        fine, deep = network.backbone(image)
        branches = network.keypoint_head(fine)
        features, latent = network.encode(branches, deep)
        if offsets:
            own = network.keypoint_head.regression(functional.avg_pool2d(branches["regression"], 2))
            latent = network.lifting_head.latent(exact_offsets(scene, letterbox, self.spec, own), features)
        heads = to_units(
            {"centre": network.heads["centre"](features), **network.poses(network.lifting_head(latent))}
        )._asdict()
        heads["keypoints"], heads["keypoint_offset"] = network.keypoint_head.outputs(branches)
        return {name: value[0].numpy() for name, value in heads.items()}

    def people(
        self, offsets: bool = False, keypoints: bool = False, fit: bool = True
    ) -> dict[str, PoseFrame]:
        """Return the people of every scene, with exact offsets, exact key points, or neither."""
        found = {}
        for look in looks(self.scenes, self.spec):
            name, scene, letterbox, _, focal_px = look
            heads = self.heads(look, offsets)
            if keypoints:
                heads |= exact_keypoints(scene, letterbox, self.grid, heads)
            found[name] = decode_heads(
                heads,
                self.spec,
                self.decoder,
                letterbox=letterbox,
                camera=pinhole(focal_px, letterbox.picture_size),
                options=DecodeOptions(refinement=REFINEMENT if fit else None),
            )
        return found


def with_truth(
    people: dict[str, PoseFrame], scenes: Scenes, spec: PoseSpec, what: str
) -> dict[str, PoseFrame]:
    """Return found people whose torso's `rotation`, or whose `pose` within it, is the true one."""
    corrected = {}
    for name, frame in people.items():
        truth, joints = scenes.scenes[name].people, frame.joints_mm.copy()
        for mine, theirs in match_people(frame, truth, spec.skeleton):
            own, true = torso_frame(joints[mine]), torso_frame(truth.joints_mm[theirs])
            joints[mine] = (
                joints[mine] @ own @ true.T if what == "rotation" else truth.joints_mm[theirs] @ true @ own.T
            )
        corrected[name] = replace(frame, joints_mm=joints)
    return corrected


def lifted(scenes: Scenes, spec: PoseSpec, embedding: Path, lifter: Path, off: float) -> dict[str, PoseFrame]:
    """Return people lifted and fitted to exact key points plus noise; its scale is a share of the height."""
    chance, model, lift = np.random.default_rng(0), load_embedding(embedding), load_lifter(lifter)
    found = {}
    for name, picture, focal_px in scenes:
        scene = scenes.scenes[name]
        points = scene.people.joints_px[scene.visible >= LEAST_VISIBLE]
        if not len(points):
            continue
        keypoints = np.zeros((len(points), JOINTS, 3), np.float32)
        body, height_px = points[:, KEYPOINT_JOINTS], np.ptp(points[..., 1], 1)[:, None, None]
        keypoints[:, FACE:, :2] = body + off * height_px * chance.normal(size=body.shape)
        size = picture.shape[:2]
        keypoints[:, FACE:, 2] = ((keypoints[:, FACE:, :2] > 0) & (keypoints[:, FACE:, :2] < size[::-1])).all(
            -1
        )
        poses = fit_keypoints(keypoints, model, lift, settings=FitSettings())
        assert focal_px is not None
        found[name] = people_of_lifted(poses, np.ones(len(points)), size, focal_px=focal_px)
    return found


def enlarged(given: GivenTruth, factor: float) -> Callable[[Looked], Keypoints]:
    """Return a function from a scene to the network's key points with its input enlarged by a factor."""

    @torch.no_grad()
    def find(look: Looked) -> Keypoints:
        network, image = given.network, look[3]
        if factor != 1:
            image = functional.interpolate(image, scale_factor=factor, mode="bicubic", align_corners=False)
        maps = network(image)
        heads = {"keypoints": maps.keypoints[0].numpy(), "keypoint_offset": maps.keypoint_offset[0].numpy()}
        found = find_keypoints(heads, given.spec, REFINEMENT.least_heat)
        return found._replace(points=(found.points + 0.5) / factor - 0.5)

    return find


def taught(folder: Path, spec: PoseSpec) -> Callable[[Looked], Keypoints]:
    """Return a function from a scene to the key points that the teacher finds in the network's input."""
    teacher = open_teacher(folder)

    def find(look: Looked) -> Keypoints:
        image = look[3][0].numpy().transpose(1, 2, 0) * spec.std + spec.mean
        keypoints = teacher(
            np.ascontiguousarray(image[..., ::-1].round().clip(0, 255).astype(np.uint8))
        ).keypoints[:, FACE:]
        flat = keypoints.reshape(-1, 3)
        kinds, sure = np.tile(np.arange(keypoints.shape[1]), len(keypoints)), flat[:, 2] > 0.3
        return Keypoints(kinds[sure], flat[sure, :2].astype(np.float32), flat[sure, 2].astype(np.float32))

    return find


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?", default=REFERENCE)
    parser.add_argument("--teacher", type=Path, help="folder of the 2D teacher")
    parser.add_argument("--embedding", type=Path, required=True)
    parser.add_argument("--lifter", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/limits.md"))
    chosen = parser.parse_args(arguments)
    folder = checkpoint_folder(chosen.checkpoint)
    spec = load_checkpoint(folder).spec
    scenes = read_scenes(SCENES)
    given = GivenTruth(folder, scenes)

    finders = {
        f"network, its input enlarged {factor:g} times" if factor != 1 else "network": enlarged(given, factor)
        for factor in ENLARGED
    }
    if chosen.teacher:
        finders["teacher, on the network's input"] = taught(chosen.teacher, spec)
    read = []
    for name, find in finders.items():
        read.append({"key points of": name, **readings(find, scenes, spec)})
        say(" ".join(map(str, read[-1].values())))

    found = given.people()
    variants: dict[str, Callable[[], dict[str, PoseFrame]]] = {
        "nothing, without the fit": lambda: given.people(fit=False),
        "nothing": lambda: found,
        "key points": lambda: given.people(keypoints=True),
        "offsets, without the fit": lambda: given.people(offsets=True, fit=False),
        "offsets and key points": lambda: given.people(offsets=True, keypoints=True),
        "the torso's rotation": lambda: with_truth(found, scenes, spec, "rotation"),
        "the pose within the torso": lambda: with_truth(found, scenes, spec, "pose"),
        **{
            f"no network: key points {f'off by {off:.0%}' if off else ''} lifted".replace(
                "  ", " "
            ): lambda off=off: lifted(scenes, spec, chosen.embedding, chosen.lifter, off)
            for off in OFF_BY_HEIGHT
        },
    }
    rows = []
    for name, people in variants.items():
        rows.append({"given": name, **evaluate_scenes(people(), scenes, spec.skeleton)[0]})
        say(" ".join(str(rows[-1][figure]) for figure in FIGURES))
    tables = table(read, {column: column for column in read[0]}) + "\n\n" + table(rows, FIGURES)
    write_text(chosen.out, tables + "\n")
    print(tables)


if __name__ == "__main__":
    sys.exit(exit_status(main))
