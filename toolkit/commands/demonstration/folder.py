"""The folder of a demo: locked while a demo runs, with a list of the files that a later demo may remove."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ... import __version__
from ...errors import PosecError
from ...runtime.video.recording.recording_folder import MANIFEST as RECORDING
from ..interface.terminal import write_text
from .files import BUNDLES, GATHERED

RECORDINGS = tuple(dict.fromkeys(name.partition("/")[0] for name in GATHERED))
REPORTS = ("report.html", "report.md", "report.csv")
WRITTEN = ("results", *BUNDLES, *RECORDINGS, "calibration.json", *REPORTS, *GATHERED.values())
# Lists the files of a demo with their sizes: a later demo removes these and nothing else.
MANIFEST = "demo.json"
_LARGEST_MANIFEST = 2**20
# Locked while a demo runs. The folder itself is no lock: the exports of the demo lock it, to replace bundles.
_LOCK = ".demo.lock"


@contextmanager
def claimed(out: str) -> Iterator[None]:
    """Make the folder, or remove the files of an earlier demo from it, and lock it; other files stay.

    Raises PosecError where a demo did not write the files of the folder, where files of the demo were
    changed, or where another demo is running in it.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PosecError(
                f"another demo is running in '{out}'; name another folder, or wait for its end"
            ) from error
        try:
            _clear(out, folder)
            yield
        finally:
            (folder / _LOCK).unlink(missing_ok=True)
    finally:
        os.close(lock)


def _clear(out: str, folder: Path) -> None:
    """Remove the unchanged files of an earlier demo. Raises PosecError as `claimed` does."""
    if not (folder / MANIFEST).exists():
        strangers = sorted(path.name for path in folder.iterdir() if path.name != _LOCK)
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
    parents = {parent for name in files for parent in Path(name).parents}
    for path in sorted(parents, key=lambda path: -len(path.parts)):
        _remove_empty(folder / path, folder)
    _write_manifest(folder, {}, sorted(_files(folder)))


def note_files(out: str) -> None:
    """List the files written so far in the manifest, without those that were there before the demo."""
    folder = Path(out)
    kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["kept"]
    _write_manifest(folder, {name: size for name, size in _files(folder).items() if name not in kept}, kept)


def _files(folder: Path) -> dict[str, int]:
    """Return path → bytes of the files at the places where a demo writes."""
    paths = [path for name in WRITTEN for path in (folder / name, *(folder / name).rglob("*"))]
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(paths)
        if path.is_file() and not path.is_symlink()
    }


def _write_manifest(folder: Path, files: Mapping[str, int], kept: Sequence[str]) -> None:
    plain = {"demo": __version__, "files": files, "kept": kept}
    write_text(folder / MANIFEST, json.dumps(plain, indent=1))


def _listed(manifest: Path) -> dict[str, int]:
    """Return path → bytes of the files of a demo. Raises PosecError where the manifest is not valid."""
    try:
        if not manifest.is_file() or manifest.stat().st_size > _LARGEST_MANIFEST:
            raise ValueError("not a plain file, or too large")
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


def gather(out: str) -> None:
    """Move the files of `posec run` to the top of the demo's folder."""
    folder = Path(out)
    for source, name in GATHERED.items():
        os.replace(folder / source, folder / name)
    for name in RECORDINGS:
        (folder / name / RECORDING).unlink(missing_ok=True)
        _remove_empty(folder / name, folder)
