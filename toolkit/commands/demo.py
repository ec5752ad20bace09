"""The demo: the commands of a whole pipeline in order, and the files to look at afterwards."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import __version__
from ..errors import PosecError
from ..runtime.video.recording_folder import MANIFEST as RECORDING
from .terminal import write_text

SAMPLES = Path(__file__).parents[1] / "samples"
SCENE, CLIP = SAMPLES / "scenes" / "035.jpg", SAMPLES / "clip.mp4"
TARGETS = ("intel-cpu", "generic-cpu")
PRECISIONS = ("float32", "int8")
SHOWN = "intel-cpu-int8"
# Float layers that keep int8 within the drift limits on the shipped scenes; docs/quantization.md has those for photographs.
OBSERVER = "percentile"
KEEP_FLOAT = ("backbone.levels.*", "keypoint_head.*")
BUNDLES = tuple(f"{target}-{precision}" for target in TARGETS for precision in PRECISIONS)
# Where `posec run` writes a file, and its name directly in the demo's folder.
GATHERED = {
    "found-clip/overlay.mkv": "clip.mkv",
    "found-clip/people.jsonl": "people.jsonl",
    f"found-picture/{SCENE.name}": "picture.jpg",
}
RECORDINGS = tuple(dict.fromkeys(name.partition("/")[0] for name in GATHERED))
WRITTEN = ("results", *BUNDLES, *RECORDINGS, "calibration.json", "report.html", *GATHERED.values())
# Lists the files of a demo with their sizes: a later demo removes these and nothing else.
MANIFEST = "demo.json"
_LARGEST_MANIFEST = 2**20


@contextmanager
def claimed(out: str) -> Iterator[None]:
    """Make the folder, or remove the files of an earlier demo from it, and lock it; anything else in it stays.

    Raises PosecError where the folder holds files and no demo wrote it, where files of the demo were changed, or where another
    demo is running in it.
    """
    if not out:
        raise PosecError("the folder of the demo is empty; name a folder, '.' for this one")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise PosecError(f"'{out}' is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(out, folder)
        yield
    except BlockingIOError as error:
        raise PosecError(
            f"another demo is running in '{out}'; name another folder, or wait for its end"
        ) from error
    finally:
        os.close(lock)


def _clear(out: str, folder: Path) -> None:
    """Remove the files of an earlier demo that are as it left them. Raises PosecError as `claimed` does."""
    if not (folder / MANIFEST).exists():
        strangers = sorted(path.name for path in folder.iterdir())
        if strangers:
            raise PosecError(f"'{out}' holds '{strangers[0]}', which no demo wrote; name another folder")
        _write_manifest(folder, {}, [])
    files = _listed(folder / MANIFEST)
    changed = [
        name
        for name, size in files.items()
        if (folder / name).is_file() and (folder / name).stat().st_size != size
    ]
    if changed:
        raise PosecError(f"'{out}/{changed[0]}' was changed after the demo; move it, or name another folder")
    for name in files:
        (folder / name).unlink(missing_ok=True)
    for path in sorted(
        {parent for name in files for parent in Path(name).parents}, key=lambda path: -len(path.parts)
    ):
        _remove_empty(folder / path, folder)
    _write_manifest(folder, {}, sorted(_files(folder)))


def note_files(out: str) -> None:
    """List the files that the demo wrote so far in its manifest, without those that were there when it started."""
    folder = Path(out)
    kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["kept"]
    _write_manifest(folder, {name: size for name, size in _files(folder).items() if name not in kept}, kept)


def _files(folder: Path) -> dict[str, int]:
    """Return path → bytes of the files where a demo writes."""
    paths = [path for name in WRITTEN for path in (folder / name, *(folder / name).rglob("*"))]
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(paths)
        if path.is_file() and not path.is_symlink()
    }


def _write_manifest(folder: Path, files: dict[str, int], kept: list[str]) -> None:
    write_text(folder / MANIFEST, json.dumps({"demo": __version__, "files": files, "kept": kept}, indent=1))


def _listed(manifest: Path) -> dict[str, int]:
    """Return path → bytes of the files of a demo. Raises PosecError where the manifest is none."""
    try:
        if not manifest.is_file() or manifest.stat().st_size > _LARGEST_MANIFEST:
            raise ValueError("no plain file, or too large")
        plain = json.loads(manifest.read_text(encoding="utf-8"))
        files = {str(name): int(size) for name, size in plain["files"].items() if plain["demo"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PosecError(f"'{manifest}' is not the list of a demo ({error}); name another folder") from error
    outside = [name for name in files if name.partition("/")[0] not in WRITTEN or ".." in Path(name).parts]
    if outside:
        raise PosecError(f"'{manifest}' lists '{outside[0]}', which no demo writes; name another folder")
    return files


def _remove_empty(path: Path, top: Path) -> None:
    """Remove a folder below `top` unless it holds anything."""
    if path != top and path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()


def demo_lines(out: str) -> list[list[str]]:
    """Return the command lines. `--overwrite` replaces what an interrupted demo left; it replaces bundles and recordings alone."""
    bundles = [f"{out}/{name}" for name in BUNDLES]
    calibration = f"{out}/calibration.json"
    lines = [
        [
            "calibrate",
            "reference",
            "--frames",
            "samples",
            "--evaluation",
            "samples",
            "--observer",
            OBSERVER,
            "-o",
            calibration,
        ]
    ]
    for target in TARGETS:
        for precision in PRECISIONS:
            integers = (
                ["--calibration", calibration, "--keep-float", *KEEP_FLOAT] if precision == "int8" else []
            )
            lines.append(
                [
                    "export",
                    "reference",
                    "--target",
                    target,
                    "--precision",
                    precision,
                    "-o",
                    f"{out}/{target}-{precision}",
                    "--overwrite",
                    *integers,
                ]
            )
    lines += [["verify", bundle] for bundle in bundles]
    lines.append(["bench", *bundles, "--checkpoint", "reference", "--seconds", "3", "-o", f"{out}/results"])
    lines.append(["run", f"{out}/{SHOWN}", "--source", str(CLIP), "-o", f"{out}/found-clip", "--overwrite"])
    lines.append(
        ["run", f"{out}/{SHOWN}", "--source", str(SCENE), "-o", f"{out}/found-picture", "--overwrite"]
    )
    lines.append(["report", f"{out}/results", "-o", f"{out}/report.html"])
    return lines


def gather(out: str) -> None:
    """Move the files of `posec run` directly into the demo's folder."""
    folder = Path(out)
    for source, name in GATHERED.items():
        os.replace(folder / source, folder / name)
    for name in RECORDINGS:
        (folder / name / RECORDING).unlink(missing_ok=True)
        _remove_empty(folder / name, folder)


def next_steps(out: str) -> str:
    """Return the files to look at, for a person."""
    return f"""
Look first at   {out}/report.html        pictures, table, accuracy against latency (opens without a network)
then at         {out}/clip.mkv           the sample clip with the people drawn in
                {out}/picture.jpg        a sample picture, likewise
                {out}/people.jsonl       the people of the clip, one JSON line per picture
                {out}/results/           what was measured, one file per bundle
bundles         {"  ".join(f"{out}/{name}/" for name in BUNDLES)}
Now your own:   posec run {out}/{SHOWN} --source 0      (a camera, a video, a folder, a picture)"""
