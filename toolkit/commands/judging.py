"""verify, evaluate, bench, report: drift, accuracy, latency, and all of them on one page."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..device.bench import BenchSettings
from ..device.golden_check import verify_golden
from ..device.result import read_result
from ..errors import PosecError
from ..evaluation.photos import read_photos
from ..evaluation.run import evaluate as measure_accuracy
from ..evaluation.run import unpaired_joints
from ..evaluation.scenes import read_scenes
from ..ir.float_engine import float_estimator
from ..report.consistency import measure_again
from ..report.html import write_report
from ..report.measure import FloatReference, measure_bundles
from ..runtime import load
from ..runtime.bundle import read_bundle
from ..runtime.decoding.refine import REFINEMENT
from ..verification import verify as judge
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, progress, say, table


def verify(args: argparse.Namespace) -> int:
    """Compare the people that a bundle finds with those of the float network."""
    if args.frames:
        graph = inputs.checkpoint(args.checkpoint)
        frames = inputs.frames(args.frames, graph.spec, args.count, samples="scenes")
        found = judge.verify(args.bundle, graph, frames, threads=args.threads, progress=progress("comparing"))
    else:
        found = verify_golden(args.bundle, args.threads)
    answer(args, found.to_dict(), f"{args.bundle}: {'PASS' if found else 'FAIL'}: {found}")
    return EXIT_OK if found else EXIT_FAILED


def evaluate(args: argparse.Namespace) -> int:
    """Measure the accuracy of a checkpoint or a bundle on labelled pictures."""
    pictures = (
        read_photos(*args.photos) if args.photos else read_scenes(inputs.sample(args.scenes, "scenes.json"))
    )
    if (Path(args.network) / "bundle.json").is_file():
        estimator = load(
            args.network, args.threads, refine=not args.no_refine, centre_threshold=args.threshold
        )
    else:
        graph = inputs.checkpoint(args.network)
        graph = replace(graph, spec=graph.spec.with_threshold(args.threshold))
        estimator = float_estimator(graph, args.threads, None if args.no_refine else REFINEMENT)
    spec = estimator.spec
    if missing := unpaired_joints(pictures, spec.skeleton):
        say(f"not compared, as the network's skeleton has no such joints: {', '.join(missing)}")
    rows = measure_accuracy(
        estimator, pictures, spec.skeleton, progress=progress("pictures"), centre_joints=spec.centre_joints
    )
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [
        [
            f"{row[name]:.3f}"
            if isinstance(row.get(name), float)
            else "-"
            if row.get(name) is None
            else row[name]
            for name in names
        ]
        for row in rows
    ]
    answer(args, rows, table([names, *cells]))
    return EXIT_OK


def bench(args: argparse.Namespace) -> int:
    """Measure bundles side by side: latency stage by stage, drift, accuracy on labelled scenes."""
    if args.again:
        return _again(args)
    spec = read_bundle(args.bundle[0]).spec
    protocols = [] if args.no_accuracy else [read_scenes(inputs.SAMPLES / "scenes.json")]
    reference = None
    if args.checkpoint:
        reference = FloatReference(
            inputs.checkpoint(args.checkpoint), inputs.frames("samples", spec, samples="scenes")
        )
    pictures = inputs.sample(args.source, "scenes") if args.source else ()
    settings = BenchSettings(
        pictures, args.size, args.seconds, threads=args.threads, sustained_seconds=args.sustained
    )
    results = measure_bundles(
        args.bundle,
        out=args.out,
        protocols=protocols,
        reference=reference,
        settings=settings,
        say=say,
        progress=progress("measuring, seconds"),
    )
    rows = [["bundle", "status", "verdict", "p50 ms", "p90 ms", "p99 ms", "inference ms"]]
    for folder, result in zip(args.bundle, results, strict=True):
        times = result.bench["latency"] if result.bench and result.status == "ran" else {}
        total, inference = times.get("total", {}), times.get("inference", {})
        rows.append(
            [
                folder,
                result.status,
                result.verdict,
                *(f"{total[key]:.2f}" if total else "-" for key in ("p50_ms", "p90_ms", "p99_ms")),
                f"{inference['p50_ms']:.2f}" if inference else "-",
            ]
        )
    engines = [
        (folder, ((result.bench or {}).get("engine") or {}).get("integers"))
        for folder, result in zip(args.bundle, results, strict=True)
    ]
    notes = "".join(f"\n{folder}: integers are {kind}" for folder, kind in engines if kind)
    answer(
        args,
        [result.to_dict() for result in results],
        table(rows) + notes + (f"\nwritten to {args.out}" if args.out else ""),
    )
    return EXIT_OK if all(result.verdict == "accepted" for result in results) else EXIT_FAILED


def _again(args: argparse.Namespace) -> int:
    """Repeat the measurement of an earlier result, and compare."""
    if len(args.bundle) != 1:
        raise PosecError(f"--again compares one bundle with one result; got {len(args.bundle)} bundles")
    found = measure_again(read_result(args.again), args.bundle[0], pictures=args.source, threads=args.threads)
    answer(
        args,
        {"consistent": bool(found), "contradictions": found.contradictions, "differences": found.differences},
        str(found),
    )
    return EXIT_OK if found else EXIT_FAILED


def report(args: argparse.Namespace) -> int:
    """Write one page: pictures, table, accuracy against latency."""
    write_report(args.results, args.out, ladders=args.ladder)
    answer(args, {"written": str(args.out)}, f"{args.out}: open it in a browser; it needs no network")
    return EXIT_OK
