"""The files of a bundle: safe names, hashes, and writing them whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Mapping, Union

from .errors import PoseError

DESCRIPTION = "bundle.json"
MOST_FILES = 1000
LARGEST_DESCRIPTION = 8 * 2**20
LARGEST_FILE = 2**30
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BundleError(PoseError):
    """A folder that is not a bundle, or no longer the one that was written."""


def sha256_of(content: Union[bytes, Path]) -> str:
    """Return the SHA-256 of bytes, or of a file's bytes."""
    digest = hashlib.sha256()
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with open(content, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_name(name: Any, digest: Any = "0" * 64) -> None:
    """Raise BundleError unless `name` is a plain relative path that stays inside, and `digest` a SHA-256."""
    parts = name.split("/") if isinstance(name, str) and len(name) <= 200 else []
    if not parts or name == DESCRIPTION or not all(_SAFE.fullmatch(part) for part in parts):
        raise BundleError(
            f"a bundle's files have plain relative names like 'golden/000.png', got {str(name)[:200]!r}"
        )
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BundleError(f"file '{name}' needs a SHA-256 of 64 hexadecimal digits, got {str(digest)[:80]!r}")


def read_description(folder: Path) -> Dict[str, Any]:
    """Return the parsed bundle.json of a folder. Raises BundleError where there is none, or it is no JSON object."""
    path = folder / DESCRIPTION
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"no {DESCRIPTION} in '{folder}'; give the directory that `posec export` wrote")
    if path.stat().st_size > LARGEST_DESCRIPTION:
        raise BundleError(
            f"'{path}' has {path.stat().st_size} bytes, at most {LARGEST_DESCRIPTION} are read; it is no bundle's"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"'{path}' is not JSON: {error}; copy the bundle again") from error
    if not isinstance(plain, dict):
        raise BundleError(
            f"'{path}' must hold one JSON object, got {type(plain).__name__}; copy the bundle again"
        )
    return plain


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise BundleError unless every file is there as a plain file with the hash that is stated. Names must be checked before."""
    if len(files) > MOST_FILES:
        raise BundleError(f"bundle '{folder}' lists {len(files)} files, at most {MOST_FILES} are read")
    for name, digest in files.items():
        path = folder
        for part in PurePosixPath(name).parts:
            path = path / part
            if path.is_symlink():
                raise BundleError(
                    f"bundle '{folder}': '{name}' is reached through a link; a bundle holds plain files: copy it again"
                )
        if not path.exists():
            raise BundleError(f"bundle '{folder}': file '{name}' is missing; copy the whole bundle again")
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
            raise BundleError(
                f"bundle '{folder}': '{name}' must be a plain file of at most {LARGEST_FILE} bytes"
            )
        if sha256_of(path) != digest:
            raise BundleError(
                f"bundle '{folder}': file '{name}' is not the one that was exported (its hash differs); copy it again"
            )


def write_folder(folder: Path, files: Mapping[str, bytes], overwrite: bool) -> None:
    """Write files into a new folder beside, then rename it; nothing is left of it where that fails.

    Raises BundleError where `folder` is taken (a bundle gives way with `overwrite`) or cannot be written.
    """
    taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if taken and not (overwrite and (folder / DESCRIPTION).is_file()):
        hint = (
            "is there already; overwrite it, or give another name"
            if (folder / DESCRIPTION).is_file()
            else "is there and is no bundle; give another name"
        )
        raise BundleError(f"'{folder}' {hint}")
    part = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        for name, content in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        part.chmod(0o755)  # mkdtemp's 0700 would keep other users of a board out
        _rename_over(part, folder)
    except OSError as error:
        size = sum(map(len, files.values()))
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise BundleError(
            f"cannot write bundle '{folder}' ({size / 1e6:.1f} MB): {reason}; nothing was written"
        ) from error
    finally:
        if part is not None and part.exists():
            shutil.rmtree(part, ignore_errors=True)


def _rename_over(part: Path, folder: Path) -> None:
    """Give `part` the name `folder`; a bundle that had it is removed last, and gets it back where that fails."""
    if not folder.exists() or not any(folder.iterdir()):
        os.rename(part, folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    os.rename(folder, aside)
    try:
        os.rename(part, folder)
    except OSError:
        os.rename(aside, folder)
        raise
    shutil.rmtree(aside)
