"""Posec's int8 and other quantizers: same float network, same frames, same engine, same metrics.

    python -m research.benchmarks.quantizers reference --photos person_keypoints.json images.tar \\
           -o out/quantizers

Every quantizer's model becomes a bundle, so `posec verify`, `posec evaluate` and `posec bench` give the
same figures. Drift, people lost and invented are relative to the float network, on the rendered test scenes
and on photographs (tall: more than 64 px). MPJPE, PCK, center recall and precision are relative to the
truth of the scenes; recall and OKS to the labels of the photographs.

Latency is the median of the model alone, all models of one engine in turn; its ratio is to float32 in the
same engine (OpenVINO: true float32, not bf16). "CPU ms" is the processor time of whole calls with decoding,
which other processes disturb least. Without TensorRT, ONNX Runtime runs a Jetson's graph, and it has no
latency. `--page` writes the tables between the page's marks, such as `<!-- figures: intel-cpu -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import calibration
import targets
from calibration.collect import Sweep
from toolkit.commands.interface import inputs
from toolkit.commands.interface.terminal import progress, say, table, write_text
from toolkit.compiler.build import build
from toolkit.device.result import Result
from toolkit.device.timing.turns import BenchSettings
from toolkit.errors import PosecError
from toolkit.evaluation.photos import TINY_COCO, Photos, read_photos
from toolkit.evaluation.scenes import RENDERED_SCENES, Scenes, read_scenes
from toolkit.ir.graph import Graph
from toolkit.ir.ranges import Ranges
from toolkit.ir.scheme import Scheme
from toolkit.ir.target import Job, Target
from toolkit.passes import prepare
from toolkit.report.measure import DriftReference, measure_bundles
from toolkit.runtime.bundle import DECODER, read_bundle, write_bundle
from toolkit.runtime.command.refusals import exit_status
from toolkit.training.release.card_markup import put_table
from toolkit.verification.float_reference import FloatReference
from toolkit.verification.sensitivity import SensitivitySettings, measure_sensitivity
from toolkit.verification.verify import verify_against

from .rivals import PIXELS, RIVALS, as_bundle, batches, folded, without_dead_channels

BLAME_FRAMES = 16
KEPT_FLOAT = (1, 2, 4, 8)
FLOAT = "float32"
COLUMNS = (
    "int8 by",
    "drift mm: mean / p50 / p95",
    "lost (tall), invented",
    "MPJPE mm",
    "PCK_rel %",
    "recall",
    "precision",
    "photos: drift mm",
    "lost (tall), invented",
    "recall",
    "mean OKS",
    "ms",
    "of float32",
    "CPU of float32",
)
JETSON = "jetson-orin-nano"
TALL_PX = 64


@dataclass(frozen=True)
class Contest:
    """One network, the frames to calibrate on, and what to judge on."""

    graph: Graph
    swept: Sweep
    frames: Sequence[np.ndarray]
    scenes: Scenes
    photos: Photos | None
    out: Path
    threads: int
    seconds: float
    variants: bool
    scene_reference: FloatReference
    photo_reference: FloatReference | None


def contestants(contest: Contest, target: Target, observers: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Build the bundles that meet in one engine; yield what each is called, and its folder, float32 first."""

    def built(
        name: str, board: Target, ranges: Ranges | None, keep_float: Sequence[str] = ()
    ) -> tuple[str, Path]:
        folder = contest.out / target.name / str(next(number))
        build(
            contest.graph,
            board,
            "int8" if ranges else FLOAT,
            ranges=ranges,
            out=folder,
            golden=[],
            keep_float=keep_float,
            overwrite=True,
        )
        return name, folder

    def say_built(name: str) -> None:
        say(f"{target.name}: {name}")

    number = itertools.count()
    reference = built(FLOAT, target, None)
    yield reference
    usual = contest.swept.ranges()
    for observer in observers:
        say_built(observer)
        yield built(f"posec, {observer}", target, contest.swept.ranges(observer))
    if contest.variants:
        yield built("posec, biases not corrected", target, replace(usual, means={}))
        say_built("integer heads, and the worst layers float")
        worst = _worst_layers(contest, target, usual)
        tried = [("posec, heads in integers", _integer_heads(target), [])]
        for name, board, layers in tried + [
            (f"posec, {count} worst layers float", target, worst[:count]) for count in KEPT_FLOAT
        ]:
            try:
                yield built(name, board, usual, layers)
            except PosecError as error:
                say(f"left out: {name}: {error}")
    rivals = RIVALS.get(target.name, ())
    alive = contest.out / target.name / "alive"
    float_model = (
        build(without_dead_channels(contest.graph), target, out=alive, golden=[], overwrite=True).model_path
        if rivals
        else None
    )
    for name, package, quantize in rivals:
        say_built(name)
        frame = read_bundle(reference[1]).frame if target.name == "raspberry-pi-5" else PIXELS
        model = folded(contest.graph)
        try:
            files = quantize(
                model,
                batches(contest.graph, contest.frames, frame),
                float_model.read_bytes() if float_model else b"",
            )
        except ImportError as error:
            say(f"left out: {name}: {error}; pip install {package}")
            continue
        folder, described = (
            contest.out / target.name / str(next(number)),
            json.loads((reference[1] / "bundle.json").read_text()),
        )
        info = {**as_bundle(described, name, frame, files), "precision": "int8"}
        write_bundle(folder, info, {**files, DECODER: (reference[1] / DECODER).read_bytes()}, overwrite=True)
        yield name, folder


def _integer_heads(target: Target) -> Target:
    """Return the target with a back end that quantizes the heads as well."""
    module = target.backend

    def scheme(job: Job) -> Scheme:
        plain = module.scheme(job)
        return replace(
            plain,
            activations=replace(plain.activations, quantize_results=True),
            exceptions=replace(plain.exceptions, float_heads=False),
        )

    changed = {"scheme": scheme}
    return replace(target, backend=SimpleNamespace(**{**vars(module), **changed}))


def _worst_layers(contest: Contest, target: Target, ranges: Ranges) -> list[str]:
    pictures = [picture for _, picture, _ in contest.scenes][:BLAME_FRAMES]
    settings = SensitivitySettings(float_only=False)
    found = measure_sensitivity(
        contest.graph,
        target,
        ranges,
        frames=pictures,
        settings=settings,
        progress=progress("ranking layers"),
    )
    return [each.layer for each in found.layers]


def row(name: str, result: Result, reference: Result, on_photos: Mapping[str, Any]) -> list[str]:
    """Return a contestant's line of the table; a dash for what was not measured."""
    scenes, photos = result.row(RENDERED_SCENES), result.row(TINY_COCO)
    return [
        name,
        *_drift(result.drift or {}),
        _number(scenes.get("mpjpe_mm"), 1),
        _number(scenes.get("pck_rel150"), 2),
        _number(scenes.get("centre_recall"), 3),
        _number(scenes.get("centre_precision"), 3),
        *_drift(on_photos),
        _number(photos.get("centre_recall"), 3),
        _number(photos.get("mean_oks"), 3),
        *_times(_medians_ms(result), _medians_ms(reference)),
    ]


def _drift(drift: Mapping[str, Any]) -> list[str]:
    if not drift:
        return ["-", "-"]
    millimetres = " / ".join(_number(drift[key], 1) for key in ("drift_mm", "drift_p50_mm", "drift_p95_mm"))
    tall = sum(stray["height_px"] > TALL_PX for stray in drift["lost"])
    return [millimetres, f"{len(drift['lost'])} ({tall}), {len(drift['invented'])}"]


def _medians_ms(result: Result) -> tuple[float | None, float | None]:
    """Return the model's time, and processor time of the whole call, which other processes disturb least.

    None where another engine than the board's ran it.
    """
    if not result.bench or not result.has_run or result.bench["engine"]["engine"] != result.bundle["engine"]:
        return None, None
    latency = result.bench["latency"]
    return latency["inference"]["p50_ms"], latency["cpu"]["p50_ms"]


def _times(mine: Sequence[float | None], reference: Sequence[float | None]) -> list[str]:
    shares = [a / b if a and b else None for a, b in zip(mine, reference, strict=True)]
    return [_number(mine[0], 1), *(_number(share, 2) for share in shares)]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def compete(contest: Contest, target: Target, observers: Sequence[str]) -> list[list[str]]:
    """Return the table's lines of one engine."""
    names, folders = zip(*contestants(contest, target, observers), strict=True)
    shown = [contest.scenes.source / name for name in contest.scenes.scenes]
    protocols: list[Photos | Scenes] = [contest.scenes, *([contest.photos] if contest.photos else [])]
    settings = BenchSettings(shown, seconds=contest.seconds, threads=contest.threads)
    results = measure_bundles(
        folders,
        protocols=protocols,
        reference=DriftReference(contest.scene_reference),
        settings=settings,
        progress=progress("measuring, seconds"),
        report=say,
    )
    on_photos = [
        verify_against(folder, contest.photo_reference, threads=contest.threads).to_dict()
        if contest.photo_reference and result.has_run
        else {}
        for folder, result in zip(folders, results, strict=True)
    ]
    measured = [
        {"name": name, "photos": drift, **result.to_dict()}
        for name, result, drift in zip(names, results, on_photos, strict=True)
    ]
    write_text(contest.out / f"{target.name}.json", json.dumps(measured))
    return [
        row(name, result, results[0], drift)
        for name, result, drift in zip(names, results, on_photos, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="folder of a checkpoint, or reference")
    parser.add_argument(
        "--frames",
        default="samples",
        help="to calibrate on: folder, listing or video; samples for those that are shipped",
    )
    parser.add_argument("--count", type=int, help="how many of them")
    parser.add_argument("--scenes", default="samples", help="scenes.json of rendered scenes to judge on")
    parser.add_argument(
        "--photos",
        nargs=2,
        metavar=("ANNOTATIONS", "PICTURES"),
        help="COCO key points, and the folder or tar file of the pictures",
    )
    parser.add_argument(
        "--targets", nargs="+", default=[*RIVALS, JETSON], help="engines, by a target that uses them"
    )
    parser.add_argument("--observers", nargs="+", default=list(calibration.OBSERVERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0, help="of latency per contestant")
    parser.add_argument("--no-variants", action="store_true", help="leave out variants of posec's own int8")
    parser.add_argument("--page", type=Path, help="Markdown file with marks, to put the tables into")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    graph = inputs.checkpoint(options.checkpoint)
    frames = list(inputs.frames(options.frames, graph.spec, options.count))
    scenes = read_scenes(inputs.sample(options.scenes, "scenes.json"))
    photos = read_photos(*options.photos) if options.photos else None
    swept = calibration.sweep(prepare(graph), frames, progress("calibrating"))
    contest = Contest(
        graph,
        swept,
        frames,
        scenes,
        photos,
        options.out,
        options.threads,
        options.seconds,
        not options.no_variants,
        FloatReference(graph, [picture for _, picture, _ in scenes]),
        FloatReference(graph, [picture for _, picture, _ in photos]) if photos else None,
    )
    for name in options.targets:
        board = targets.load(name)
        if why := board.backend.missing():
            say(f"left out: {name}: {why}")
            continue
        lines = [list(COLUMNS), *compete(contest, board, options.observers)]
        print(f"{name}\n{table(lines)}\n", flush=True)
        text = "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ["---"] * len(COLUMNS), *lines[1:]])
        write_text(options.out / f"{name}.md", text + "\n")
        if options.page:
            write_text(options.page, put_table(options.page.read_text(), name, text))


if __name__ == "__main__":
    sys.exit(exit_status(main))
