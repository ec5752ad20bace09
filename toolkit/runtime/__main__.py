"""What a board is told to do: `python -m toolkit.runtime BUNDLE --source picamera2` prints one JSON line per picture."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Optional, Sequence

from . import load
from .errors import PoseError
from .video.stream import watch


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Find people in a source. Returns 0, or 2 after a sentence on stderr where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m toolkit.runtime", description="Find people with a bundle; one JSON line per picture."
    )
    parser.add_argument("bundle", help="a folder that `posec export` wrote")
    parser.add_argument(
        "--source",
        required=True,
        help="picture, folder, video, camera number, GStreamer pipeline, rtsp://, http://, or picamera2",
    )
    parser.add_argument("-o", "--out", help="folder for people.jsonl and overlays (default: none)")
    parser.add_argument("--threads", type=int, help="of the engine (default: the bundle's)")
    parser.add_argument("--focal-px", type=float, help="focal length of the camera in pixels of its pictures")
    parser.add_argument("--most", type=int, help="stop after so many pictures")
    args = parser.parse_args(arguments)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a service that is stopped keeps what it recorded, as after ^C
    try:
        estimator = load(args.bundle, args.threads, args.focal_px)
        found = watch(estimator, args.source, args.out, sys.stdout, args.most)
    except PoseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted before the first picture", file=sys.stderr)
        return 2
    print(
        f"{found['pictures']} pictures, people on {found['with_people']}; median ms {found['median_ms']}",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
