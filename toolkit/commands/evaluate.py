"""evaluate: the accuracy of a checkpoint or a bundle on labelled pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PosecError
from ..runtime.command.arguments import OVER_TIME, SMOOTHING
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import JSON, NO_REFINE, THREADS, THRESHOLD, Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    import numpy as np

    from ..evaluation.run import LabelledPictures
    from ..runtime.estimator import PoseEstimator
    from ..runtime.tracking.people_over_time import PeopleFilter

_DATA_SETS = {
    "mupots": "MuPoTS-3D",
    "mpi-inf-3dhp": "the test set of MPI-INF-3DHP",
    "panoptic": "CMU Panoptic",
    "3dpw": "the test set of 3DPW",
}

VERB = Verb(
    "Measure the accuracy of a checkpoint or a bundle on labelled pictures.",
    "posec evaluate reference --scenes samples",
    [
        argument("network", help="'reference', or the folder of a checkpoint or of a bundle"),
        argument(
            "--scenes",
            default="samples",
            help="scenes.json of rendered scenes with exact 3D poses (default: samples, the shipped scenes)",
        ),
        argument(
            "--photos",
            nargs=2,
            metavar=("JSON", "PICTURES"),
            help="instead: COCO key points, and the folder or tar archive of their pictures",
        ),
        *(
            argument(f"--{option}", metavar="FOLDER", help=f"instead: {title}, as its owners ship it")
            for option, title in _DATA_SETS.items()
        ),
        argument(
            "--step",
            type=int,
            default=1,
            help="measure every N-th labelled frame of such a data set or of --views; papers take all "
            "(default: 1)",
        ),
        argument(
            "--clips",
            metavar="FOLDER",
            help="instead: rendered clips; compares the filters over time (see posec train clips)",
        ),
        argument(
            "--views",
            metavar="FOLDER",
            help="instead: retrieval of equal poses across cameras, by the embeddings; rendered clips of "
            "posec train clips --views, or the training set of MPI-INF-3DHP",
        ),
        argument(
            "-o",
            "--out",
            type=FileOut,
            help="also write the figures of --clips or --views for posec report; end the name with "
            ".over-time.json or .retrieval.json",
        ),
        argument(
            "--against",
            metavar="NETWORK",
            help="also print the paired differences to a second checkpoint or bundle on the same pictures",
        ),
        argument(
            "--resamples",
            type=int,
            default=1000,
            help="bootstrap draws of pictures for the 95%% intervals; 0 for none (default: 1000)",
        ),
        argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)"),
        *OVER_TIME,
        THRESHOLD,
        NO_REFINE,
        THREADS,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the rows of a protocol."""
    videos = args.clips or args.views
    if args.clips and args.views:
        raise PosecError("--clips and --views are two measurements; run the command once for each")
    if args.out and not videos:
        raise PosecError("--out needs --clips or --views; --json prints the rows of pictures")
    if videos and args.against:
        raise PosecError("--against compares networks on pictures; leave out --clips and --views")
    measure = _evaluate_clips if args.clips else _evaluate_views if args.views else _evaluate_pictures
    rows = measure(args)
    differences = [row for row in rows if "difference" in row]
    figures = [row for row in rows if "difference" not in row]
    parts = [_table(part) for part in (figures, differences) if part]
    answer(args, rows, "\n\n".join(parts))
    return EXIT_OK


def _table(rows: list[dict[str, Any]]) -> str:
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "intervals"]
    cells = [[_text(row.get(name), row.get("intervals", {}).get(name)) for name in names] for row in rows]
    return table([names, *cells])


def _evaluate_pictures(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of scenes or photographs, and the differences to a second network."""
    from ..evaluation.intervals import MOST_RESAMPLES, Bootstrap, compare, rows_of
    from ..evaluation.run import judge, unlabelled_joints, unpaired_joints

    if not 0 <= args.resamples <= MOST_RESAMPLES or args.seed < 0:
        raise PosecError(
            f"--resamples takes a number from 0 to {MOST_RESAMPLES}, and --seed one from 0; "
            f"got {args.resamples} and {args.seed}"
        )
    if args.against and not args.resamples:
        raise PosecError("--against needs the draws of the bootstrap; leave out --resamples 0")
    pictures = _pictures(args)
    judged = []
    for network in filter(None, (args.network, args.against)):
        estimator, _ = _opened(args, network)
        spec = estimator.spec
        if missing := unpaired_joints(pictures, spec.skeleton):
            say(f"not scored, because the skeleton of '{network}' has no such joints: {', '.join(missing)}")
        if missing := unlabelled_joints(pictures, spec.skeleton):
            say(f"not scored, because the labels have no such joints: {', '.join(missing)}")
        judged.append(
            judge(
                estimator,
                pictures,
                spec.skeleton,
                progress=progress("pictures"),
                centre_joints=spec.centre_joints,
            )
        )
    bootstrap = Bootstrap(args.resamples, args.seed)
    rows = rows_of(judged[0], bootstrap)
    return rows + (compare(judged[0], judged[1], bootstrap) if args.against else [])


def _pictures(args: argparse.Namespace) -> LabelledPictures:
    """Return the labelled pictures that the options name."""
    from ..evaluation.datasets import LAYOUTS
    from ..evaluation.photos import read_photos
    from ..evaluation.scenes import read_scenes

    folders = {name: getattr(args, name.replace("-", "_")) for name in _DATA_SETS}
    given = [name for name, folder in folders.items() if folder is not None]
    if len(given) + bool(args.photos) > 1:
        options = ", ".join([*(["--photos"] if args.photos else []), *(f"--{name}" for name in given)])
        raise PosecError(f"one data set is measured at a time, got {options}; run the command once for each")
    if args.step < 1 or (args.step > 1 and not given):
        raise PosecError(
            f"--step takes a number from 1, with one of {', '.join(f'--{name}' for name in _DATA_SETS)}; "
            f"got {args.step}"
        )
    if given:
        return LAYOUTS[given[0]](folders[given[0]], args.step)
    if args.photos:
        return read_photos(*args.photos)
    return read_scenes(inputs.sample(args.scenes, "scenes.json"))


def _evaluate_clips(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of clips: per frame, and by the filters that the options leave."""
    from ..evaluation.clips.clip_evaluation import PER_FRAME, detect, evaluate_clips
    from ..evaluation.clips.clip_file import read_labelled_clips
    from ..runtime.temporal.stage import TemporalStage
    from ..runtime.tracking.choice import OverTimeSettings, smoother

    OverTimeSettings(args.smooth, not args.no_temporal, args.lookahead)  # refuses what does not go together
    clips = read_labelled_clips(args.clips)
    estimator, temporal = _opened(args, args.network)
    spec = estimator.spec
    names = [name for name in SMOOTHING if name != "none" and args.smooth in (None, name)]
    filters: dict[str, Callable[[], PeopleFilter | None]] = {PER_FRAME: lambda: None}
    filters |= {name: partial(smoother, name, spec) for name in names}
    if temporal and not args.no_temporal and args.smooth is None:
        filters["temporal"] = lambda: TemporalStage(temporal, spec, args.lookahead)
    elif args.lookahead:
        raise PosecError("--lookahead needs a network with a temporal stage; leave it out")
    found = evaluate_clips(detect(estimator, clips, progress("pictures")), clips, spec=spec, filters=filters)
    _write(args.out, {"format": 1, "network": spec.name, "rows": found.rows, "course": found.course})
    return found.rows


def _evaluate_views(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of retrieval across cameras."""
    from ..evaluation.retrieval.measure import QUERY_STEP, retrieval_rows
    from ..evaluation.retrieval.read import read_recordings
    from ..evaluation.retrieval.views import embed_people

    recordings = read_recordings(args.views, args.step)
    people = embed_people(_opened(args, args.network)[0], recordings, progress("pictures"))
    rows = retrieval_rows(people, max(1, QUERY_STEP // args.step))
    _write(args.out, {"format": 1, "network": Path(args.network).name, "rows": rows})
    return rows


def _write(out: str | None, plain: Mapping[str, Any]) -> None:
    from ..runtime.files.plain_files import write_plain

    if out:
        write_plain(out, json.dumps(plain, separators=(",", ":")) + "\n")


def _opened(args: argparse.Namespace, network: str) -> tuple[PoseEstimator, Mapping[str, np.ndarray]]:
    """Return the estimator of a network, and the arrays of its temporal stage."""
    return inputs.estimator(network, args.threads, refine=not args.no_refine, threshold=args.threshold)


def _text(value: Any, interval: Sequence[float] | None = None) -> str:
    if value is None:
        return "-"
    bounds = f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
    return f"{value:.3f}{bounds}" if isinstance(value, float) else str(value)
