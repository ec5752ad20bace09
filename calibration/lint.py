"""Find problems in calibration frames before they degrade a network, and advise what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph
from toolkit.ir.ranges import Ranges
from toolkit.passes.edit.graph_index import weighted_layers

from .collect import Sweep
from .frames import Frames
from .survey import FrameStats, PerceptualHash, perceptual_hash

ENOUGH_FRAMES = 32
# A share of frames with one view.
ONE_SCENE = 0.8
FEW_WITH_PEOPLE = 0.25
# Standard deviation, of 255. Photographs have far more, pictures scaled to 0..1 far less.
FLAT_DEVIATION = 12.0
# Least score and colour (of 255) of a head, least number of heads, largest share of bluish heads.
SURE, COLOURED, ENOUGH_HEADS, BLUE_HEADS = 0.4, 2.0, 12, 0.6
# Largest difference of a tensor's ranges on two halves of the frames, as a share of the wider one.
HALVES_DIFFER = 0.25


@dataclass(frozen=True)
class Finding:
    """One problem.

    Attributes:
        check: short name: overlap, few, people, scene, colour, contrast, halves, unreadable, repeated.
        text: the problem, with numbers.
        advice: what to do next.
        stops: whether calibration stops here without --force.
    """

    check: str
    text: str
    advice: str
    stops: bool = False

    def __str__(self) -> str:
        return f"{'stop' if self.stops else 'warning'}: {self.check}: {self.text}; {self.advice}"


def lint_frames(
    graph: Graph, frames: Frames, scenes: Sequence[FrameStats], *, evaluation: Frames | None = None
) -> list[Finding]:
    """Return the problems of frames, those that stop a calibration first.

    Args:
        graph: the float network; its spec is used.
        frames: calibration frames.
        scenes: result of `survey(graph, frames)`.
        evaluation: pictures of the evaluation set; None skips the check for overlap.

    Raises PosecError where `scenes` belong to other frames.
    """
    if [scene.picture_hash.sha256 for scene in scenes] != list(frames.hashes):
        raise PosecError("the scenes are not those of these frames; survey the frames that are linted")
    found = [
        *_overlap(frames, scenes, evaluation),
        *_unreadable(frames),
        *_number(scenes),
        *_sameness(scenes),
    ]
    found += [*_people(scenes), *_contrast(graph, scenes), *_colour(graph, scenes)]
    return sorted(found, key=lambda finding: not finding.stops)


def lint_halves(prepared: Graph, halves: tuple[Sweep, Sweep]) -> list[Finding]:
    """Return a finding where two halves of the frames give different ranges: more frames would change them.

    `halves` are sweeps of the prepared graph. The inputs of all layers with weights are compared.
    """
    first, second = (sweep.ranges() for sweep in halves)
    names = dict.fromkeys(node.input[0] for node in weighted_layers(prepared.model))
    apart = {name: _apart(first, second, name) for name in names}
    worst = max(apart, key=lambda name: apart[name], default="")
    many = sum(value > HALVES_DIFFER for value in apart.values())
    if not worst or many <= len(apart) // 10:
        return []
    text = (
        f"{many} of {len(apart)} tensors differ by more than {100 * HALVES_DIFFER:.0f} % between two halves, "
        f"'{worst}' by {100 * apart[worst]:.0f} %"
    )
    return [Finding("halves", text, "give more frames, and more kinds of scene")]


def _apart(first: Ranges, second: Ranges, name: str) -> float:
    widths = [ranges.tensors[name][1] - ranges.tensors[name][0] for ranges in (first, second)]
    return abs(widths[0] - widths[1]) / max(*widths, 1e-12)


def _overlap(frames: Frames, scenes: Sequence[FrameStats], evaluation: Frames | None) -> Iterable[Finding]:
    if evaluation is None:
        return
    theirs = [perceptual_hash(picture) for picture in evaluation]
    pairs = [
        (name, evaluation.names[index])
        for name, scene in zip(frames.names, scenes, strict=True)
        if (index := _resembled(scene.picture_hash, theirs)) is not None
    ]
    if pairs:
        listed = ", ".join(f"'{mine}' is '{yours}'" for mine, yours in pairs[:3]) + (
            ", …" if len(pairs) > 3 else ""
        )
        text = (
            f"{len(pairs)} of {len(frames)} frames are in the evaluation set '{evaluation.source}', "
            f"the same or nearly: {listed}"
        )
        yield Finding("overlap", text, "remove them: accuracy on calibration frames is too good", stops=True)


def _resembled(mine: PerceptualHash, others: Sequence[PerceptualHash]) -> int | None:
    return next((index for index, other in enumerate(others) if mine.resembles(other)), None)


def _unreadable(frames: Frames) -> Iterable[Finding]:
    if frames.unreadable:
        name, why = frames.unreadable[0]
        yield Finding(
            "unreadable",
            f"{len(frames.unreadable)} files of '{frames.source}' were left out, '{name}': {why}",
            "repair or remove them",
        )


def _number(scenes: Sequence[FrameStats]) -> Iterable[Finding]:
    if len(scenes) < ENOUGH_FRAMES:
        yield Finding(
            "few",
            f"{len(scenes)} frames",
            f"give at least {ENOUGH_FRAMES}; 64 to 256 are usual",
        )


def _sameness(scenes: Sequence[FrameStats]) -> Iterable[Finding]:
    repeated = len(scenes) - len({scene.picture_hash.sha256 for scene in scenes})
    if repeated:
        yield Finding(
            "repeated",
            f"{repeated} of {len(scenes)} frames are copies of others",
            "remove the copies: they only take time",
        )
    largest = max(
        (sum(scene.picture_hash.shares_view(other.picture_hash) for other in scenes) for scene in scenes),
        default=0,
    )
    if len(scenes) > 1 and largest >= ONE_SCENE * len(scenes):
        text = f"{largest} of {len(scenes)} frames show the same view"
        yield Finding(
            "scene", text, "add frames of other places and other light: the ranges fit this view only"
        )


def _people(scenes: Sequence[FrameStats]) -> Iterable[Finding]:
    shown = sum(len(scene.scores) > 0 for scene in scenes)
    advice = "give frames with people as in the camera's pictures"
    if not shown:
        yield Finding(
            "people", f"the float network finds no people on {len(scenes)} frames", advice, stops=True
        )
    elif shown < FEW_WITH_PEOPLE * len(scenes):
        yield Finding("people", f"the float network finds people on {shown} of {len(scenes)} frames", advice)


def _contrast(graph: Graph, scenes: Sequence[FrameStats]) -> Iterable[Finding]:
    flat = sum(max(scene.deviations) < FLAT_DEVIATION for scene in scenes)
    if flat > len(scenes) / 2:
        spread, light = (
            float(np.median(values))
            for values in ([max(s.deviations) for s in scenes], [s.light for s in scenes])
        )
        text = (
            f"{flat} of {len(scenes)} frames are nearly one colour: gray level {light:.0f}, "
            f"standard deviation {spread:.1f} of 255"
        )
        means = ", ".join(f"{value:g}" for value in graph.spec.mean)
        advice = (
            f"give pictures with values 0 to 255; posec applies the network's normalization (mean {means})"
        )
        yield Finding("contrast", text, advice, stops=True)


def _colour(graph: Graph, scenes: Sequence[FrameStats]) -> Iterable[Finding]:
    """Check the colour of heads: skin and hair of every colour are redder than blue."""
    warmth = np.concatenate([scene.warmth[scene.scores > SURE] for scene in scenes] or [np.zeros(0)])
    warmth = warmth[np.isfinite(warmth) & (np.abs(warmth) > COLOURED)]
    blue = int((warmth < 0).sum())
    if len(warmth) >= ENOUGH_HEADS and blue > BLUE_HEADS * len(warmth):
        order = graph.spec.colour_order
        advice = f"export the pictures again; posec reads them as BGR and converts them to {order}"
        yield Finding(
            "colour", f"{blue} of {len(warmth)} heads are bluer than red: red and blue seem swapped", advice
        )
