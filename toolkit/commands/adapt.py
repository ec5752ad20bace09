"""adapt: teach a checkpoint its site from synchronized cameras, without calibration and without labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import PosecError
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import JSON, Verb, argument
from .interface.outputs import CheckpointOut
from .interface.terminal import answer, progress, say, table

VERB = Verb(
    "Adapt a checkpoint to a site: two or more cameras that see the same people teach it, without labels.",
    "posec adapt reference --cameras left.mp4 right.mp4 -o mine/",
    [
        argument("checkpoint", help="'reference' or the folder of a checkpoint of its architecture"),
        argument(
            "--cameras",
            nargs="+",
            required=True,
            metavar="VIDEO",
            help="a recording of each camera at the same time; ten minutes of people who move are plenty",
        ),
        argument(
            "--focal-px",
            type=float,
            nargs="+",
            help="focal length of each camera in pixels of its pictures, or one for all "
            "(default: as the specification states)",
        ),
        argument(
            "--elsewhere",
            default="samples",
            metavar="FOLDER",
            help="pictures of people whose poses must stay (default: samples, the shipped ones)",
        ),
        argument(
            "--hold-back",
            type=float,
            default=0.3,
            metavar="SHARE",
            help="last part of the recordings, which judges and does not teach (default: 0.3)",
        ),
        argument("--seed", type=int, default=0, help="of the learning (default: 0)"),
        argument("-o", "--out", required=True, type=CheckpointOut, help="folder of the checkpoint to write"),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the checkpoint, the cameras' poses and the page, or refuse."""
    from ..frontend.trace import checkpoint_folder
    from ..network.checkpoint import load_checkpoint, save_checkpoint
    from ..network.checkpoint_files import read_files
    from ..runtime.files.plain_files import write_plain
    from ..runtime.views.camera_poses import write_poses
    from ..training.site.adapt_site import Recording, adapt_site
    from ..training.site.learn import SiteSettings
    from ..training.site.page import site_page

    if not 0.1 <= args.hold_back <= 0.9:
        raise PosecError(f"--hold-back takes a share from 0.1 to 0.9, got {args.hold_back:g}")
    focals = inputs.focal_lengths(args.focal_px, len(args.cameras))
    folder, names = checkpoint_folder(args.checkpoint), [Path(name).name for name in args.cameras]
    start, licence = load_checkpoint(folder), str(read_files(folder).about.get("licence", ""))
    found = adapt_site(
        start,
        [Recording(name, focal) for name, focal in zip(args.cameras, focals, strict=True)],
        str(inputs.sample(args.elsewhere, "calibration")),
        held_back=args.hold_back,
        settings=SiteSettings(seed=args.seed),
        progress=progress,
    )
    out, beside = Path(args.out), Path(str(args.out).rstrip("/"))
    save_checkpoint(
        out, found.network, start.decoder, spec=start.spec, licence=licence, temporal=start.temporal
    )
    write_poses(beside.with_name(f"{beside.name}.poses.json"), found.poses, {"sources": names})
    write_plain(beside.with_name(f"{beside.name}.html"), site_page(args.checkpoint, names, found))
    rows = [
        {
            "camera": name,
            "disagreement_mm": round(before.disagreement_mm, 1),
            "after_mm": round(after.disagreement_mm, 1),
            "people": before.people,
            "people_after": after.people,
            "lessons": found.lessons,
            "elsewhere_mm": round(found.elsewhere_mm, 1),
        }
        for name, before, after in zip(names[1:], found.before, found.after, strict=True)
    ]
    answer(args, rows, table([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    say(f"wrote {beside}, {beside}.poses.json and {beside}.html; next: posec calibrate {beside}")
    return EXIT_OK
