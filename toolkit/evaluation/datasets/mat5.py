"""Read MATLAB's MAT files of version 5 to 7.2, without MATLAB and without trust in the file.

Format: The MathWorks, "MAT-File Format", R2019b. Numbers, text, cells and structures are read; objects,
functions and sparse matrices are refused.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_files import read_plain

MOST_BYTES = 512 << 20
_MOST_DEPTH = 16
_HEADER = 128
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT = {**_NUMBERS, 16: "u1", 17: "u2", 18: "u4"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)


class _Element(NamedTuple):
    kind: int
    data: memoryview
    end: int


def read_mat5(path: str | Path) -> dict[str, Any]:
    """Return name → value of a MAT file.

    Numbers are arrays, text is str, a cell array is an object array of values, a structure is a dict, or an
    object array of dicts if there are several.

    Raises PosecError for any other file, and for one that expands to more than MOST_BYTES.
    """
    content = read_plain(path, most_bytes=MOST_BYTES, error=PosecError, advice="give a MAT file")
    try:
        return _Reader(content).variables()
    except (ValueError, KeyError, IndexError, TypeError, zlib.error, UnicodeDecodeError) as error:
        raise PosecError(
            f"'{path}' is not a sound MAT file of version 5: {error}; copy it again from its owner"
        ) from error


class _Reader:
    """The elements of a file; counts what compressed ones expand to."""

    def __init__(self, content: bytes) -> None:
        mark = content[126:128]
        if len(content) < _HEADER or mark not in (b"IM", b"MI"):
            raise ValueError("its header has no byte order")
        self._content = content
        self._order = "<" if mark == b"IM" else ">"
        self._left = MOST_BYTES

    def variables(self) -> dict[str, Any]:
        """Return name → value."""
        found, at, content = {}, _HEADER, memoryview(self._content)
        while at < len(content):
            element = self._element(content, at, padded=False)
            at = element.end
            if element.kind == _COMPRESSED:
                element = self._element(memoryview(self._expand(element.data)), 0)
            if element.kind != _MATRIX:
                raise ValueError(f"it has an element of type {element.kind} in place of a variable")
            name, value = self._matrix(element.data, 0)
            found[name] = value
        return found

    def _expand(self, data: memoryview) -> bytes:
        expander = zlib.decompressobj()
        content = expander.decompress(data, self._left)
        if expander.unconsumed_tail or not expander.eof:
            raise ValueError(f"it is cut off, or expands to more than {MOST_BYTES >> 20} MiB")
        self._left -= len(content)
        return content

    def _element(self, data: memoryview, at: int, *, padded: bool = True) -> _Element:
        """Return the element at a byte; small ones hold up to four bytes in their tag."""
        if at + 8 > len(data):
            raise ValueError("it is cut off")
        first, size = (int(value) for value in np.frombuffer(data[at : at + 8], self._order + "u4"))
        if first >> 16:
            kind, size = first & 0xFFFF, first >> 16
            if size > 4:
                raise ValueError("a small element holds more than 4 bytes")
            return _Element(kind, data[at + 4 : at + 4 + size], at + 8)
        end = at + 8 + size
        if end > len(data):
            raise ValueError("it is cut off")
        return _Element(first, data[at + 8 : end], end + (-size % 8 if padded else 0))

    def _numbers(self, element: _Element, kinds: dict[int, str]) -> np.ndarray:
        return np.frombuffer(element.data, self._order + kinds[element.kind])

    def _matrix(self, data: memoryview, depth: int) -> tuple[str, Any]:
        """Return name and value of a matrix element."""
        if depth > _MOST_DEPTH:
            raise ValueError(f"it is nested deeper than {_MOST_DEPTH} levels")
        if not len(data):
            return "", np.zeros((0, 0))
        flags = self._element(data, 0)
        shape_of = self._element(data, flags.end)
        name = self._element(data, shape_of.end)
        kind = int(self._numbers(flags, _NUMBERS)[0]) & 0xFF
        shape = tuple(int(size) for size in self._numbers(shape_of, _NUMBERS))
        if min(shape, default=-1) < 0 or math.prod(shape) > MOST_BYTES:
            raise ValueError(f"a variable has the size {shape!r:.60}")
        text = bytes(name.data).decode("latin-1")
        if kind == _CELL:
            return text, self._values(data, name.end, shape, depth, names=None)
        if kind == _STRUCT:
            width, names = self._element(data, name.end), None
            listed = self._element(data, width.end)
            step = int(self._numbers(width, _NUMBERS)[0])
            raw = bytes(listed.data)
            if not 1 <= step <= 256:
                raise ValueError("a structure has names of no length")
            names = [raw[i : i + step].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), step)]
            values = self._values(data, listed.end, shape, depth, names=names)
            return text, values.flat[0] if values.size == 1 else values
        if kind != _CHAR and kind not in _NUMERIC:
            raise ValueError(f"a variable has the class {kind}, which is not read")
        real = self._numbers(self._element(data, name.end), _TEXT if kind == _CHAR else _NUMBERS)
        if len(real) != math.prod(shape):
            raise ValueError(f"a variable of size {shape} holds {len(real)} numbers")
        if kind == _CHAR:
            return text, "".join(map(chr, real.tolist()))
        return text, real.reshape(shape, order="F")

    def _values(
        self, data: memoryview, at: int, shape: tuple[int, ...], depth: int, *, names: list[str] | None
    ) -> np.ndarray:
        """Return the object array of a cell array, or of a structure with fields `names`."""
        count = math.prod(shape)
        if count * (1 if names is None else len(names)) * 8 > len(data):
            raise ValueError(f"it is cut off in a variable of size {shape}")
        values = np.empty(count, object)
        for index in range(count):
            parts = []
            for _ in range(1 if names is None else len(names)):
                element = self._element(data, at)
                at = element.end
                if element.kind != _MATRIX:
                    raise ValueError("a cell holds no matrix")
                parts.append(self._matrix(element.data, depth + 1)[1])
            values[index] = parts[0] if names is None else dict(zip(names, parts))
        return values.reshape(shape, order="F")
