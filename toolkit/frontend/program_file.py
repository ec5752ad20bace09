"""Look into a .pt2 file before torch does: torch.export.load would unpickle, and evaluate expressions, without asking.

What is refused here is every way known to us by which such a file runs code of its own. torch promises nothing of the kind:
take .pt2 files from people you trust, and ONNX from everybody else.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import PosecError

LARGEST_BYTES = 512 * 2**20
LARGEST_JSON_BYTES = 64 * 2**20
MOST_FILES = 20_000
_OPERATORS = ("torch.ops.aten.", "_operator.getitem")
_SYMBOLIC = (
    "as_expr",
    "expr_str",
    "as_sym_int",
    "as_sym_bool",
    "as_sym_float",
    "as_operator",
    "as_custom_obj",
    "as_graph",
)


def check_program(path: Path) -> None:
    """Raise PosecError where a .pt2 file holds anything but one static program of ATen operators and its plain weights."""
    if not path.is_file():
        raise PosecError(f"no network file '{path}'; correct `network` in the checkpoint's spec.toml")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST_BYTES:
                raise PosecError(
                    f"'{path}' unpacks to more than {LARGEST_BYTES >> 20} MB or {MOST_FILES} files"
                )
            _check_archive(path, archive, [entry.filename for entry in entries])
    except (
        zipfile.BadZipFile,
        KeyError,
        NotImplementedError,
        UnicodeDecodeError,
        json.JSONDecodeError,
        RecursionError,
    ) as error:
        raise PosecError(
            f"'{path}' is not what torch.export.save writes: {error}; save the program again, with torch 2.8 or later"
        ) from error


def _check_archive(path: Path, archive: zipfile.ZipFile, names: list[str]) -> None:
    if len({name.split("/", 1)[0] for name in names}) != 1 or len(set(names)) < len(names):
        raise PosecError(
            f"'{path}' should hold one folder and every file once; save the program again with torch.export.save"
        )
    inner = [name.split("/", 1)[-1] for name in names]
    programs = [name for name in names if name.split("/", 1)[-1].startswith("models/")]
    if len(programs) != 1:
        raise PosecError(
            f"'{path}' holds {len(programs)} programs in the form of torch 2.8 or later; save one with torch.export.save"
        )
    if any(name.startswith("data/aotinductor/") for name in inner) or any(
        name.endswith(".pt") and "sample_inputs" not in name for name in inner
    ):
        raise PosecError(
            f"'{path}' holds compiled code or pickled weights; save the plain program with torch.export.save"
        )
    for name in [name for name in names if name.endswith("_config.json")]:
        for entry in _read(path, archive, name).get("config", {}).values():
            if entry.get("use_pickle") or not str(entry.get("path_name", "")).startswith(
                ("weight_", "tensor_")
            ):
                raise PosecError(
                    f"'{path}' holds a pickled object; save the program with plain tensors as weights"
                )
    program = _read(path, archive, programs[0])
    for key, value in _pairs(program):
        if key in _SYMBOLIC:
            raise PosecError(
                f"'{path}' has a size or an operator that is not fixed ({str(value)[:60]}); export with static shapes"
            )
        if key == "target" and isinstance(value, str) and not value.startswith(_OPERATORS):
            raise PosecError(f"'{path}' calls {value}; posec takes programs of torch.ops.aten operators")


def sample_inputs(path: Path) -> list[bytes]:
    """Return the pickles of sample inputs in a .pt2 file; torch falls back to running them unless they are plain tensors."""
    with zipfile.ZipFile(path) as archive:
        return [
            content
            for name in archive.namelist()
            if "sample_inputs" in name and (content := archive.read(name))
        ]


def _read(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > LARGEST_JSON_BYTES:
        raise PosecError(f"'{path}': {name} has more than {LARGEST_JSON_BYTES >> 20} MB")
    plain = json.loads(archive.read(name).decode())
    if not isinstance(plain, dict):
        raise PosecError(f"'{path}': {name} is not a table; save the program again with torch.export.save")
    return plain


def _pairs(plain: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of nested tables and lists."""
    pending = [plain]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield from item.items()
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
