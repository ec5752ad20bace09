"""The command `posec`: the only file that imports all three packages. Every verb is one function here."""

from __future__ import annotations

import argparse
import functools
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import __version__
from .cli_arguments import COMMANDS, STAGES
from .errors import PosecError
from .runtime.errors import PoseError

SAMPLES = Path(__file__).parent / "samples"
EXIT_OK, EXIT_FAILED, EXIT_REFUSED = 0, 1, 2


def _say(line: str = "") -> None:
    print(line, file=sys.stderr, flush=True)


def _progress(what: str) -> Callable[[int, int], None]:
    """Return a callback (done, of how many) that keeps one line on a terminal and a few lines in a log."""
    shown = [-1]

    def show(done: int, count: int) -> None:
        part = 2 * done // count if count else done // 100
        if sys.stderr.isatty():
            print(f"\r{what} {done}{f'/{count}' if count else ''} ", end="\n" if done == count else "", file=sys.stderr, flush=True)
        elif part != shown[0]:
            _say(f"{what} {done}{f'/{count}' if count else ''}")
        shown[0] = part

    return show


def _step(step: str) -> None:
    _say(f"  {step}")


def _print(args: argparse.Namespace, plain: Any, text: str) -> None:
    """Print JSON where a program reads, else text for a person."""
    print(json.dumps(plain, indent=1) if args.json else text)


def _table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _sample(path: str, default: str) -> Path:
    """Return a path; the word "samples" means what is shipped."""
    return SAMPLES / default if path == "samples" else Path(path)


@functools.lru_cache(maxsize=2)
def _graph(checkpoint: str) -> Any:
    from .frontend import trace

    return trace(checkpoint)


def _frames(path: str, spec: Any, count: int | None, seed: int = 0, samples: str = "calibration") -> Any:
    import calibration

    where = _sample(path, samples)
    take = calibration.folder if where.is_dir() else calibration.video
    return take(where, spec, count=count, seed=seed)


def targets(args: argparse.Namespace) -> int:
    """List the boards: back end, precisions, what is missing here."""
    import targets as boards

    known = [boards.load(name) for name in boards.names()]
    plain = [{"name": t.name, "title": t.title, "engine": t.backend.ENGINE, "precisions": list(t.precisions),
              "refusals": dict(t.refusals), "advice": dict(t.advice), "missing": t.backend.missing()} for t in known]  # fmt: skip
    rows = [["target", "board", "engine", "precisions", "exports here"]]
    rows += [[t.name, t.title, t.backend.ENGINE, ", ".join(t.precisions), t.backend.missing() or "yes"] for t in known]
    notes = [f"{t.name}: no {precision}: {reason}" for t in known for precision, reason in t.refusals.items()]
    _print(args, plain, _table(rows) + ("\n\n" + "\n".join(notes) if notes else ""))
    return EXIT_OK


def plan(args: argparse.Namespace) -> int:
    """Say what an export would do, and do nothing."""
    import targets as boards

    from .compiler import plan as make_plan
    from .ranges import Ranges

    ranges = Ranges.load(args.calibration) if args.calibration else None
    planned = make_plan(_graph(args.checkpoint), boards.load(args.target), args.precision, ranges)
    _print(args, planned, "\n".join(f"{key}: {_line(value)}" for key, value in planned.items()))
    return EXIT_OK


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {_line(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_line(inner) for inner in value) or "none"
    return str(value)


def calibrate(args: argparse.Namespace) -> int:
    """Collect the ranges of every tensor of the float graph."""
    import calibration

    graph = _graph(args.checkpoint)
    frames = _frames(args.frames, graph.spec, args.count, args.seed)
    ranges = calibration.collect(graph, frames, observer=args.observer, progress=_progress("calibrating"))
    ranges.save(args.out)
    plain = {"written": str(args.out), "observer": ranges.observer, "frames": len(ranges.frames_sha256), "tensors": len(ranges.tensors)}
    _print(args, plain, f"{args.out}: ranges of {plain['tensors']} tensors over {plain['frames']} frames ({ranges.observer})")
    return EXIT_OK


def export(args: argparse.Namespace) -> int:
    """Compile a checkpoint into a bundle for one board."""
    import targets as boards

    from .compiler import build
    from .ranges import Ranges

    ranges = Ranges.load(args.calibration) if args.calibration else None
    bundle = build(_graph(args.checkpoint), boards.load(args.target), precision=args.precision, ranges=ranges,
                   out=args.out, keep_float=tuple(args.keep_float), overwrite=args.overwrite, progress=_step)  # fmt: skip
    size = sum(path.stat().st_size for path in Path(args.out).rglob("*") if path.is_file())
    plain = {"written": str(args.out), "target": bundle.target, "precision": bundle.precision, "bytes": size}
    _print(args, plain, f"{args.out}: {bundle.target}, {bundle.precision}, {size / 1e6:.1f} MB")
    return EXIT_OK


def verify(args: argparse.Namespace) -> int:
    """Compare the people that a bundle finds with those of the float network."""
    from . import drift as judge

    if args.frames:
        graph = _graph(args.checkpoint)
        found = judge.verify(
            args.bundle, graph, _frames(args.frames, graph.spec, args.count, samples="scenes"), args.threads, _progress("comparing")
        )
    else:
        found = judge.verify_golden(args.bundle, args.threads)
    _print(args, found.to_dict(), f"{args.bundle}: {'PASS' if found else 'FAIL'}: {found}")
    return EXIT_OK if found else EXIT_FAILED


def run(args: argparse.Namespace) -> int:
    """Find people in pictures, a video or a camera."""
    from .runtime import load
    from .runtime.live import watch

    source = str(SAMPLES / "clip.mp4") if args.source == "samples" else args.source
    estimator = load(args.bundle, args.threads, args.focal_px)
    shown = _progress("pictures")
    found = watch(estimator, source, args.out, sys.stdout if args.json else None, args.most, not args.no_overlay, not args.no_inset,
                  args.overwrite, lambda seen, people: shown(seen, args.most or 0), _say)  # fmt: skip
    stages = ", ".join(f"{name} {ms:.2f} ms" for name, ms in found["median_ms"].items())
    _say(f"{found['pictures']} pictures, people on {found['with_people']}; median {stages or 'of nothing'}")
    for path in found["written"]:
        _say(f"wrote {path}")
    if not any((found["people"], args.out, args.json)) or (found["pictures"] == 1 and not found["people"]):
        _say("nobody found; `--explain` says what the network saw")
    return EXIT_OK


def explain(args: argparse.Namespace) -> int:
    """Say what the network saw in the first picture of the source."""
    from .runtime import load
    from .runtime.sources import open_source

    print(load(args.bundle, args.threads, args.focal_px).explain(next(open_source(args.source, _say)).picture))
    return EXIT_OK


def _again(args: argparse.Namespace) -> int:
    """Measure one bundle as an earlier result says, and compare."""
    from .report.consistency import measure_again
    from .report.result import read_result

    if len(args.bundle) != 1:
        raise PosecError(f"--again compares one bundle with one result; got {len(args.bundle)} bundles")
    found = measure_again(read_result(args.again), args.bundle[0], args.source, args.threads)
    _print(args, {"consistent": bool(found), "contradictions": found.contradictions, "differences": found.differences}, str(found))
    return EXIT_OK if found else EXIT_FAILED


def bench(args: argparse.Namespace) -> int:
    """Measure bundles side by side: latency stage by stage, drift, accuracy on labelled scenes."""
    from .evaluation.scenes import read_scenes
    from .report.measure import measure_bundles
    from .runtime.bundle import read_bundle

    if args.again:
        return _again(args)
    spec = read_bundle(args.bundle[0]).spec
    protocols = [] if args.no_accuracy else [read_scenes(SAMPLES / "scenes.json", spec.skeleton)]
    graph = _graph(args.checkpoint) if args.checkpoint else None
    frames = _frames("samples", spec, None, samples="scenes") if graph else None
    results = measure_bundles(args.bundle, args.out, protocols, graph, frames, say=_say, progress=_progress("measuring, seconds"), pictures=_sample(args.source, "scenes") if args.source else (),
                              size=args.size, seconds=args.seconds, threads=args.threads, sustained_seconds=args.sustained)  # fmt: skip
    rows = [["bundle", "status", "verdict", "p50 ms", "p90 ms", "p99 ms", "inference ms"]]
    for folder, result in zip(args.bundle, results, strict=True):
        times = result.bench["latency"] if result.bench and result.status == "ran" else {}
        total, inference = times.get("total", {}), times.get("inference", {})
        rows.append([folder, result.status, result.verdict, *(f"{total[key]:.2f}" if total else "-" for key in ("p50_ms", "p90_ms", "p99_ms")),
                     f"{inference['p50_ms']:.2f}" if inference else "-"])  # fmt: skip
    _print(args, [result.to_dict() for result in results], _table(rows) + (f"\nwritten to {args.out}" if args.out else ""))
    return EXIT_OK if all(result.verdict == "accepted" for result in results) else EXIT_FAILED


def evaluate(args: argparse.Namespace) -> int:
    """Measure the accuracy of a checkpoint or a bundle on labelled pictures."""
    from .evaluation.photos import read_photos
    from .evaluation.run import evaluate as judge
    from .evaluation.scenes import read_scenes
    from .float_estimator import FloatEstimator
    from .runtime import load

    estimator: Any
    if (Path(args.network) / "bundle.json").is_file():
        estimator = load(args.network, args.threads)
        skeleton = estimator.bundle.spec.skeleton
    else:
        estimator, skeleton = FloatEstimator(_graph(args.network), args.threads), _graph(args.network).spec.skeleton
    scenes = SAMPLES / "scenes.json" if args.scenes == "samples" else args.scenes
    pictures = read_photos(*args.photos) if args.photos else read_scenes(scenes, skeleton)
    rows = judge(estimator, pictures, skeleton, _progress("pictures"))
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names] + [[f"{row[name]:.3f}" if isinstance(row.get(name), float) else row.get(name, "-") for name in names] for row in rows]
    _print(args, rows, _table(table))
    return EXIT_OK


def report(args: argparse.Namespace) -> int:
    """Write one page: pictures, table, accuracy against latency."""
    from .report.html import write_report

    write_report(args.results, args.out)
    _print(args, {"written": str(args.out)}, f"{args.out}: open it in a browser; it needs no network")
    return EXIT_OK


def train(args: argparse.Namespace) -> int:
    """Run one stage of the reference network's training; docs/training.md has them in order."""
    try:
        stage = import_module(f".training.{STAGES[args.stage]}", __package__)
    except ModuleNotFoundError as error:
        raise PosecError(f"stage '{args.stage}' needs {error.name}: pip install 'posec[train]'") from error
    stage.main(args.rest)
    return EXIT_OK


def demo(args: argparse.Namespace) -> int:
    """Go the whole way with what posec ships, by the commands that you would give."""
    from .demo import demo_lines, next_steps

    started = time.monotonic()
    for line in demo_lines(args.out):
        _say(f"\n[{time.monotonic() - started:3.0f} s] $ posec {shlex.join(line)}")
        status = main(line)
        if status == EXIT_REFUSED:
            return status
    _say(f"\ndone in {time.monotonic() - started:.0f} s")
    print(next_steps(args.out))
    return EXIT_OK


FUNCTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "targets": targets, "plan": plan, "calibrate": calibrate, "export": export, "verify": verify, "run": run, "explain": explain,
    "evaluate": evaluate, "bench": bench, "report": report, "train": train, "demo": demo,
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="posec", description="The pose compiler: a trained network in, a verified bundle for one board out.",
                                  epilog="Start with: posec demo")  # fmt: skip
    top.add_argument("--version", action="version", version=f"posec {__version__}")
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (example, arguments) in COMMANDS.items():
        function = FUNCTIONS[name]
        text = (function.__doc__ or "").strip()
        verb = verbs.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        for flags, options in arguments:
            verb.add_argument(*flags, **options)
        verb.set_defaults(function=function)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 a missed allowance, 2 a request that cannot be met."""
    args = parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except (PosecError, PoseError) as error:
        _say(f"posec {args.command}: {error}")
    except OSError as error:
        _say(
            f"posec {args.command}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}; nothing half written is left"
        )
    except KeyboardInterrupt:
        _say(f"posec {args.command}: interrupted")
    return EXIT_REFUSED
