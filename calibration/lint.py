"""What is wrong with calibration frames, and what to do about it, before they spoil a network."""

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
from .survey import Look, Scene, look

ENOUGH_FRAMES = 32
# A share of frames that look like one and the same.
ONE_SCENE = 0.8
FEW_WITH_PEOPLE = 0.25
# Of 255. Photographs deviate by 40 to 80 from their mean; a picture scaled to 0..1 before it was stored, by less than 1.
FLAT_DEVIATION = 12.0
# Heads of people this sure, this coloured (of 255), so many of them; in photographs up to 30 % are bluer than red.
SURE, COLOURED, ENOUGH_HEADS, BLUE_HEADS = 0.4, 2.0, 12, 0.6
# How far a tensor's two ranges, of either half, may be apart, as a share of the wider one.
HALVES_DIFFER = 0.25


@dataclass(frozen=True)
class Finding:
    """One thing wrong.

    Attributes:
        check: short name: overlap, few, people, scene, colour, contrast, halves, unreadable, repeated.
        text: what was found, with numbers.
        advice: what to do.
        stops: whether calibrating on these frames must not go on unless the user insists.
    """

    check: str
    text: str
    advice: str
    stops: bool = False

    def __str__(self) -> str:
        return f"{'stop' if self.stops else 'warning'}: {self.check}: {self.text}; {self.advice}"


def lint_frames(
    graph: Graph, frames: Frames, scenes: Sequence[Scene], evaluation: Frames | None = None
) -> list[Finding]:
    """Return what is wrong with frames, what stops first.

    Args:
        graph: the float network; its spec is used.
        frames: to calibrate on.
        scenes: of `survey(graph, frames)`.
        evaluation: what accuracy will be measured on; None skips the check for overlap.

    Raises PosecError where `scenes` are of other frames.
    """
    if [scene.look.sha256 for scene in scenes] != list(frames.hashes):
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
    """Return a finding where the ranges of two halves of the frames differ: then more frames would change them again.

    `halves` are sweeps of the prepared graph; of every tensor that a layer with weights reads, the extremes are compared.
    """
    first, second = (sweep.ranges() for sweep in halves)
    names = dict.fromkeys(node.input[0] for node in weighted_layers(prepared.model))
    apart = {name: _apart(first, second, name) for name in names}
    worst = max(apart, key=lambda name: apart[name], default="")
    many = sum(value > HALVES_DIFFER for value in apart.values())
    if not worst or many <= len(apart) // 10:
        return []
    text = f"{many} of {len(apart)} tensors differ by more than {100 * HALVES_DIFFER:.0f} % between two halves, '{worst}' by {100 * apart[worst]:.0f} %"
    return [Finding("halves", text, "give more frames, and more kinds of scene")]


def _apart(first: Ranges, second: Ranges, name: str) -> float:
    widths = [ranges.tensors[name][1] - ranges.tensors[name][0] for ranges in (first, second)]
    return abs(widths[0] - widths[1]) / max(*widths, 1e-12)


def _overlap(frames: Frames, scenes: Sequence[Scene], evaluation: Frames | None) -> Iterable[Finding]:
    if evaluation is None:
        return
    theirs = [look(picture) for picture in evaluation]
    pairs = [(name, evaluation.names[index]) for name, scene in zip(frames.names, scenes, strict=True)
             if (index := _resembled(scene.look, theirs)) is not None]  # fmt: skip
    if pairs:
        listed = ", ".join(f"'{mine}' is '{yours}'" for mine, yours in pairs[:3]) + (
            ", …" if len(pairs) > 3 else ""
        )
        text = f"{len(pairs)} of {len(frames)} frames are in the evaluation set '{evaluation.source}', the same or nearly: {listed}"
        yield Finding(
            "overlap", text, "take them out: figures measured on what was calibrated on flatter", stops=True
        )


def _resembled(mine: Look, others: Sequence[Look]) -> int | None:
    return next((index for index, other in enumerate(others) if mine.resembles(other)), None)


def _unreadable(frames: Frames) -> Iterable[Finding]:
    if frames.unreadable:
        name, why = frames.unreadable[0]
        yield Finding(
            "unreadable",
            f"{len(frames.unreadable)} files of '{frames.source}' were left out, '{name}': {why}",
            "repair or remove them",
        )


def _number(scenes: Sequence[Scene]) -> Iterable[Finding]:
    if len(scenes) < ENOUGH_FRAMES:
        yield Finding(
            "few",
            f"{len(scenes)} frames",
            f"give at least {ENOUGH_FRAMES}; 64 to 256 are usual, beyond that little changes",
        )


def _sameness(scenes: Sequence[Scene]) -> Iterable[Finding]:
    repeated = len(scenes) - len({scene.look.sha256 for scene in scenes})
    if repeated:
        yield Finding(
            "repeated",
            f"{repeated} of {len(scenes)} frames are copies of others",
            "remove the copies: they add time and nothing else",
        )
    largest = max(
        (sum(scene.look.shares_view(other.look) for other in scenes) for scene in scenes), default=0
    )
    if len(scenes) > 1 and largest >= ONE_SCENE * len(scenes):
        text = f"{largest} of {len(scenes)} frames show one and the same view"
        yield Finding(
            "scene", text, "add frames of other places and other light, or the ranges fit this view alone"
        )


def _people(scenes: Sequence[Scene]) -> Iterable[Finding]:
    shown = sum(len(scene.scores) > 0 for scene in scenes)
    advice = "give frames with people as the camera will see them"
    if not shown:
        yield Finding("people", f"the float network finds nobody on {len(scenes)} frames", advice, stops=True)
    elif shown < FEW_WITH_PEOPLE * len(scenes):
        yield Finding("people", f"the float network finds people on {shown} of {len(scenes)} frames", advice)


def _contrast(graph: Graph, scenes: Sequence[Scene]) -> Iterable[Finding]:
    flat = sum(max(scene.deviations) < FLAT_DEVIATION for scene in scenes)
    if flat > len(scenes) / 2:
        spread, light = (
            float(np.median(values))
            for values in ([max(s.deviations) for s in scenes], [s.light for s in scenes])
        )
        text = f"{flat} of {len(scenes)} frames are nearly one colour: grey {light:.0f}, deviation {spread:.1f} of 255"
        means = ", ".join(f"{value:g}" for value in graph.spec.mean)
        advice = f"give pictures as cameras write them, 0 to 255; the network's own normalization (mean {means}) is applied here"
        yield Finding("contrast", text, advice, stops=True)


def _colour(graph: Graph, scenes: Sequence[Scene]) -> Iterable[Finding]:
    """Look at people's heads: skin and hair of every colour are redder than blue."""
    warmth = np.concatenate([scene.warmth[scene.scores > SURE] for scene in scenes] or [np.zeros(0)])
    warmth = warmth[np.isfinite(warmth) & (np.abs(warmth) > COLOURED)]
    blue = int((warmth < 0).sum())
    if len(warmth) >= ENOUGH_HEADS and blue > BLUE_HEADS * len(warmth):
        advice = f"write the pictures anew from their source; they are read as BGR and turned to {graph.spec.colour_order} here"
        yield Finding(
            "colour", f"{blue} of {len(warmth)} heads are bluer than red: red and blue seem exchanged", advice
        )
