"""Find people in a source: the body of `posec run` and of `python -m toolkit.runtime`."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, Dict, List, NamedTuple, Sequence

from .. import load
from ..console import printable, say, show_progress
from ..decoding.camera_file import choose_camera
from ..engines import EngineError
from ..errors import PoseError
from ..estimator import PoseEstimator
from ..outputs.lines import LineSink
from ..outputs.recorder import Recorder
from ..outputs.systemd import systemd_sink
from ..outputs.udp import UdpSink
from ..outputs.unix import UnixSink
from ..tracking.choice import OverTimeSettings, people_over_time
from ..video.over_time import Following
from ..video.recording.output_error import OutputError
from ..video.result import Sink
from ..video.settings import RecordingSettings, StreamSettings, Summary
from ..video.stream import stream
from ..views.camera_poses import CameraPose, read_poses
from ..views.run_fused import stream_fused
from .arguments import EXIT_CAMERA_GONE, EXIT_ENGINE_FAILED, EXIT_OUTPUT_FAILED

EXIT_OK = 0


def run(args: argparse.Namespace, sources: Sequence[str]) -> int:
    """Find people in sources; return the exit status, see `arguments`. Raises PoseError at the start."""
    _stop_on_signals()
    try:
        return _run(args, sources)
    except KeyboardInterrupt:  # `stream` takes those that come later
        raise PoseError("interrupted before the first picture") from None


class RunSettings(NamedTuple):
    """The settings that the arguments of a run state."""

    stream: StreamSettings
    recording: RecordingSettings
    over_time: OverTimeSettings


def run_settings(args: argparse.Namespace) -> RunSettings:
    """Return the settings of parsed arguments. Raises PoseError for those that contradict each other."""
    recording = RecordingSettings(
        overlay=not (args.no_overlay or args.fuse),
        inset=not args.no_inset,
        beside=args.beside,
        overwrite=args.overwrite,
        rotation=args.rotate,
        most_bytes=args.max_disk,
        fsync=args.fsync,
    )
    return RunSettings(
        StreamSettings(args.most, args.every, not args.no_overlap, args.retry),
        recording,
        OverTimeSettings(args.smooth, not args.no_temporal, args.lookahead),
    )


def _run(args: argparse.Namespace, sources: Sequence[str]) -> int:
    settings, poses = run_settings(args), _poses(args, sources)
    estimator = load(
        args.bundle,
        args.threads,
        refine=not args.no_refine,
        centre_threshold=args.threshold,
        camera=choose_camera(args.focal_px, args.fov, args.intrinsics),
        key=args.require_signature,
    )

    def make_over_time() -> Following:
        return Following(people_over_time(estimator, settings.over_time))

    over_time = make_over_time()  # its refusals leave no folder behind
    sinks = _sinks(args, " ".join(sources), estimator, settings.recording)
    common: Dict[str, Any] = {"settings": settings.stream, "progress": _Progress(args.most), "report": say}
    try:
        if poses:
            summary = stream_fused(estimator, sources, poses, sinks, make_over_time=make_over_time, **common)
        else:
            summary = stream(estimator, sources[0], sinks, over_time=over_time, **common)
    except (OutputError, EngineError) as error:
        say(str(error))
        return EXIT_OUTPUT_FAILED if isinstance(error, OutputError) else EXIT_ENGINE_FAILED
    if summary.interrupted and not summary.pictures:
        raise PoseError("interrupted before the first picture")
    _print_summary(summary)
    if not any((summary.people, args.out, args.json)) or (summary.pictures == 1 and not summary.people):
        say("no people found; `posec explain` shows the network's scores")
    if summary.gone:
        say(summary.gone)
        return EXIT_CAMERA_GONE
    return EXIT_OK


def _poses(args: argparse.Namespace, sources: Sequence[str]) -> List[CameraPose]:
    """Return the cameras' poses; none without --fuse. Raises PoseError for options that contradict it."""
    if not args.fuse:
        if len(sources) > 1:
            raise PoseError(
                f"{len(sources)} sources need --fuse with a file of `posec locate`, or one run each"
            )
        return []
    if args.show or args.web is not None or args.beside:
        raise PoseError("--fuse draws no pictures; leave out --show, --web and --beside")
    poses = read_poses(args.fuse)
    if len(poses) != len(sources):
        raise PoseError(
            f"'{args.fuse}' has {len(poses)} cameras, --source {len(sources)}; give one source for each"
        )
    return poses


def _sinks(
    args: argparse.Namespace, source: str, estimator: PoseEstimator, recording: RecordingSettings
) -> List[Sink]:
    """Return the sinks of a run, or none of them and an error.

    The recording is first, and lines come last: a reader that ends the run finds its last line recorded.
    Viewers are opened before it: one that is refused leaves no folder behind.
    """
    skeleton = estimator.spec.skeleton
    sinks: List[Sink] = []
    try:
        if args.show:
            from ..outputs.window import Window

            sinks.append(Window(skeleton, inset=not args.no_inset))
        if args.web is not None:
            from ..web.viewer import Viewer

            sinks.append(Viewer(args.web, estimator))
        if args.out is not None:
            sinks.insert(0, Recorder(str(args.out), source, skeleton, settings=recording))
        if args.udp is not None:
            sinks.append(UdpSink(args.udp))
        if args.unix is not None:
            sinks.append(UnixSink(args.unix))
    except PoseError:
        for sink in sinks:
            sink.close(Summary())
        raise
    notified = systemd_sink()
    if notified is not None:
        sinks.append(notified)
    if args.json:
        sinks.append(LineSink(sys.stdout))
    return sinks


def _stop_on_signals() -> None:
    """Close the recording properly on SIGTERM and on a closed terminal, as on ^C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup ignores it
        signal.signal(hang_up, signal.default_int_handler)


def _print_summary(summary: Summary) -> None:
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    rate = f"{summary.pictures / summary.seconds:.1f} pictures/s, " if summary.seconds > 0 else ""
    stages = ", ".join(f"{name} {ms:.2f} ms" for name, ms in summary.median_ms.items())
    say(
        f"{summary.pictures} pictures{skipped}, people on {summary.with_people}; "
        f"{rate}latency {summary.latency_ms:.1f} ms; median {stages}"
    )
    if summary.left_out:
        say(
            f"left out {summary.left_out} people with numbers that are not finite; `posec verify` checks the "
            "bundle"
        )
    for path in summary.written:
        say(f"wrote {printable(path, keep='')}")


class _Progress:
    """Updates one line on a terminal; writes a line per hundred pictures to a log, later per 10,000."""

    def __init__(self, most: Any) -> None:
        self._most = f"/{most}" if most else ""

    def __call__(self, pictures: int, _: Any) -> None:
        if sys.stderr is not None and sys.stderr.isatty():
            show_progress(
                f"pictures {pictures}{self._most} ", end="\n" if self._most == f"/{pictures}" else ""
            )
        elif pictures % (100 if pictures < 1000 else 10_000) == 1:
            say(f"pictures {pictures}{self._most}")
