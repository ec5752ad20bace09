"""The format of flat buffers, of which TFLite files consist, without the library of that name."""

from __future__ import annotations

import mmap
import struct
from typing import List, Optional, Tuple, Union

MOST_ITEMS = 2 * 10**6  # of all vectors that are read
Buffer = Union[bytes, mmap.mmap]
_SIZES = {"b": 1, "B": 1, "H": 2, "i": 4, "I": 4, "Q": 8}


class Table:
    """One table of a flat buffer, with fields numbered as in the schema.

    Every reader raises ValueError for an offset outside the file.
    """

    def __init__(self, content: Buffer, position: int, budget: List[int]) -> None:
        self._content, self._position, self._budget = content, position, budget
        self._fields = position - self._unpack("i", position)
        self._count = (self._unpack("H", self._fields) - 4) // 2

    @classmethod
    def root(cls, content: Buffer) -> "Table":
        """Return the table of the whole buffer."""
        if len(content) < 8:
            raise ValueError("it is cut off")
        (position,) = struct.unpack_from("<I", content, 0)
        return cls(content, position, [MOST_ITEMS])

    def number(self, field: int, form: str, default: int = 0) -> int:
        """Return a number of one of the formats of `struct`."""
        at = self._at(field)
        return default if at is None else self._unpack(form, at)

    def has(self, field: int) -> bool:
        """Return whether a field is there."""
        return self._at(field) is not None

    def numbers(self, field: int, form: str = "i") -> Tuple[int, ...]:
        """Return the numbers of a vector; none where it is absent."""
        first, count = self._vector(field, _SIZES[form])
        return struct.unpack_from(f"<{count}{form}", self._content, first) if count else ()

    def span(self, field: int) -> Tuple[int, int]:
        """Return the first byte and the number of bytes of a vector of bytes, which is not read."""
        at = self._at(field)
        if at is None:
            return 0, 0
        first = at + self._unpack("I", at)
        count = self._unpack("I", first)
        if first + 4 + count > len(self._content):
            raise ValueError("it is cut off")
        return first + 4, count

    def content_of(self, field: int) -> bytes:
        """Return the bytes of a vector of bytes."""
        first, count = self.span(field)
        return self._content[first : first + count]

    def text(self, field: int) -> str:
        """Return a text; empty where it is absent."""
        return self.content_of(field).decode("utf-8", "replace")

    def table(self, field: int) -> "Optional[Table]":
        """Return the table of a field, or None where it is absent."""
        at = self._at(field)
        return None if at is None else Table(self._content, at + self._unpack("I", at), self._budget)

    def tables(self, field: int) -> "List[Table]":
        """Return the tables of a vector."""
        first, count = self._vector(field, 4)
        places = range(first, first + 4 * count, 4)
        return [Table(self._content, place + self._unpack("I", place), self._budget) for place in places]

    def _vector(self, field: int, size: int) -> Tuple[int, int]:
        at = self._at(field)
        if at is None:
            return 0, 0
        first = at + self._unpack("I", at)
        count = self._unpack("I", first)
        self._budget[0] -= count
        if self._budget[0] < 0:
            raise ValueError(f"it has more than {MOST_ITEMS} items")
        if first + 4 + count * size > len(self._content):
            raise ValueError("it is cut off")
        return first + 4, count

    def _at(self, field: int) -> Optional[int]:
        offset = self._unpack("H", self._fields + 4 + 2 * field) if field < self._count else 0
        return self._position + offset if offset else None

    def _unpack(self, form: str, position: int) -> int:
        if not 0 <= position <= len(self._content) - _SIZES[form]:
            raise ValueError("it is cut off")
        return int(struct.unpack_from(f"<{form}", self._content, position)[0])
