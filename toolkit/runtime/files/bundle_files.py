"""The files of a bundle: safe names, hashes, and how they are read and written."""

from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Mapping, Union

from ..errors import PoseError
from .plain_files import open_plain, read_plain
from .plain_folders import write_folder
from .plain_json import parse_json

DESCRIPTION = "bundle.json"
MOST_FILES = 1000
LARGEST_DESCRIPTION = 8 * 2**20
LARGEST_FILE = 2**30
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 100
_COPY = "copy the bundle again"


class BundleError(PoseError):
    """A folder that is not a bundle, or a bundle that was changed."""


def sha256_of(content: Union[bytes, Path]) -> str:
    """Return the SHA-256 of bytes, or of a plain file's bytes.

    Raises BundleError if the file is none, or larger than a bundle's may be.
    """
    digest = hashlib.sha256()
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with open_plain(content, most_bytes=LARGEST_FILE, error=BundleError, advice=_COPY) as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_name(name: Any, digest: Any) -> None:
    """Raise BundleError unless `name` is a plain relative path inside the bundle, and `digest` a SHA-256."""
    parts = name.split("/") if isinstance(name, str) and len(name) <= 200 else []
    if not parts or name == DESCRIPTION or not all(SAFE_NAME.fullmatch(part) for part in parts):
        raise BundleError(
            f"a bundle's files have plain relative names like 'golden/000.png', got {str(name)[:200]!r}"
        )
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BundleError(f"file '{name}' needs a SHA-256 of 64 hexadecimal digits, got {str(digest)[:80]!r}")


def check_field(value: str, field: str, *, folder: Path) -> None:
    """Raise BundleError unless a field that results and engines are named by is a plain name."""
    if len(value) > _LONGEST_NAME or not SAFE_NAME.fullmatch(value):
        raise BundleError(
            f"bundle '{folder}': field '{field}' must be a plain name, got {value!r:.80}; export again"
        )


def read_description(folder: Path) -> bytes:
    """Return the content of the bundle.json of a folder. Raises BundleError if there is none."""
    path = folder / DESCRIPTION
    if not path.exists() or path.is_symlink():
        raise BundleError(f"no {DESCRIPTION} in '{folder}'; give the directory that `posec export` wrote")
    return read_plain(path, most_bytes=LARGEST_DESCRIPTION, error=BundleError, advice=_COPY)


def parse_description(content: bytes, folder: Path) -> Dict[str, Any]:
    """Return a parsed bundle.json. Raises BundleError if it is no JSON object of finite numbers."""
    path = folder / DESCRIPTION
    try:
        plain = parse_json(content)
    except ValueError as error:
        raise BundleError(f"'{path}' is not JSON: {error}; {_COPY}") from error
    if not isinstance(plain, dict):
        raise BundleError(f"'{path}' must hold one JSON object, got {type(plain).__name__}; {_COPY}")
    return plain


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise BundleError unless every file is there as a plain file with its hash.

    Check the names first, by `check_name`.
    """
    if len(files) > MOST_FILES:
        raise BundleError(f"bundle '{folder}' lists {len(files)} files, at most {MOST_FILES} are read")
    for name, digest in files.items():
        path = folder
        for part in PurePosixPath(name).parts:
            path = path / part
            if path.is_symlink():
                raise BundleError(
                    f"bundle '{folder}': '{name}' is reached through a link; "
                    "a bundle holds plain files: copy it again"
                )
        if not path.exists():
            raise BundleError(f"bundle '{folder}': file '{name}' is missing; copy the whole bundle again")
        if sha256_of(path) != digest:
            raise BundleError(
                f"bundle '{folder}': file '{name}' is not the one that was exported (its hash differs); "
                "copy it again"
            )


def write_files(folder: Path, files: Mapping[str, bytes], overwrite: bool) -> None:
    """Write a bundle's files atomically.

    Raises BundleError if `folder` is taken (a bundle gives way with `overwrite`) or cannot be written.
    """
    try:
        write_folder(folder, files, replaces=DESCRIPTION if overwrite else None)
    except FileExistsError as error:
        hint = (
            "is there already; overwrite it, or give"
            if (folder / DESCRIPTION).is_file()
            else "exists and is not a bundle; give"
        )
        raise BundleError(f"'{folder}' {hint} another name") from error
    except OSError as error:
        size = sum(map(len, files.values()))
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise BundleError(
            f"cannot write bundle '{folder}' ({size / 1e6:.1f} MB): {reason}; nothing was written"
        ) from error
