"""Pictures of a bench: their files, and their identity in the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...runtime.console import printable
from ...runtime.errors import PosecError
from ...runtime.files.bundle_files import sha256_of

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def picture_files(pictures: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the given pictures, or those in a folder, sorted. Raises PosecError if there are none."""
    if isinstance(pictures, (str, Path)):
        where = Path(pictures)
        files = (
            sorted(path for path in where.iterdir() if path.suffix.lower() in PICTURE_ENDINGS)
            if where.is_dir()
            else [where]
        )
        if not files:
            raise PosecError(
                f"no pictures in '{where}'; give a folder of {', '.join(PICTURE_ENDINGS)} files to bench with"
            )
        return files
    return [Path(path) for path in pictures]


def describe_pictures(files: Sequence[Path]) -> list[dict[str, str]]:
    """Return `name` and `sha256` of each file. Raises PosecError if one cannot be read."""
    return [{"name": printable(path.name, keep=""), "sha256": _sha256(path)} for path in files]


def _sha256(path: Path) -> str:
    if not path.is_file():  # a pipe or a device would never end
        raise PosecError(f"no picture '{path}'; name picture files to bench with")
    try:
        return sha256_of(path)
    except OSError as error:
        raise PosecError(f"cannot read picture '{path}': {error.strerror}; name other pictures") from error
