"""The wire format of protocol buffers, of which ONNX files consist, without the library of that name."""

from __future__ import annotations

import mmap
import struct
from typing import Dict, List, Optional, Tuple, Union

MOST_FIELDS = 500_000  # of one file, so that a hostile one ends
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
Buffer = Union[bytes, mmap.mmap]


_Field = Tuple[int, int, int]  # wire type, first byte, end


class Message:
    """The fields of one message, by number. Every reader raises ValueError for a field of another type."""

    def __init__(
        self,
        content: Buffer,
        first: int = 0,
        end: Optional[int] = None,
        *,
        budget: Optional[List[int]] = None,
    ) -> None:
        """Read the fields of `content[first:end]`. `budget` holds the fields that the file may still have."""
        self._content, self._budget = content, [MOST_FIELDS] if budget is None else budget
        self._fields: Dict[int, List[_Field]] = {}
        end = len(content) if end is None else end
        while first < end:
            number, field = _field(content, first, end)
            self._fields.setdefault(number, []).append(field)
            first = field[2]
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise ValueError(f"it has more than {MOST_FIELDS} fields")

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def messages(self, number: int) -> "List[Message]":
        """Return the messages of a repeated field."""
        spans = self._spans(number)
        return [Message(self._content, first, end, budget=self._budget) for first, end in spans]

    def message(self, number: int) -> "Optional[Message]":
        """Return the message of a field, or None where it is absent.

        Raises ValueError for a second one, which protobuf would merge into the first.
        """
        found = self.messages(number)
        if len(found) > 1:
            raise ValueError("one of its fields is there twice")
        return found[0] if found else None

    def texts(self, number: int) -> List[str]:
        """Return the texts of a repeated field."""
        return [self._content[first:end].decode("utf-8") for first, end in self._spans(number)]

    def text(self, number: int) -> str:
        """Return the last text of a field, as protobuf does; empty where it is absent."""
        return self.texts(number)[-1] if number in self._fields else ""

    def size_of(self, number: int) -> int:
        """Return the number of bytes of a field; 0 where it is absent."""
        return sum(end - first for first, end in self._spans(number))

    def content_of(self, number: int) -> bytes:
        """Return the bytes of a field; empty where it is absent."""
        return b"".join(self._content[first:end] for first, end in self._spans(number)[-1:])

    def integers(self, number: int) -> List[int]:
        """Return the signed integers of a repeated field, packed or not."""
        found: List[int] = []
        for wire_type, first, end in self._fields.get(number, ()):
            if wire_type not in (_VARINT, _BYTES):
                raise ValueError("a field has another type than ONNX states")
            while first < end:
                value, first = varint(self._content, first, end)
                found.append(value - 2**64 if value >= 2**63 else value)
                self._budget[0] -= 1
                if self._budget[0] < 0:
                    raise ValueError(f"it has more than {MOST_FIELDS} fields")
        return found

    def integer(self, number: int, default: int = 0) -> int:
        """Return the last integer of a field, as protobuf does."""
        return (self.integers(number) or [default])[-1]

    def number(self, number: int, default: float = 0.0) -> float:
        """Return the last float of a field."""
        found = self._fields.get(number)
        if not found:
            return default
        if found[-1][0] != _FIXED32:
            raise ValueError("a field has another type than ONNX states")
        return float(struct.unpack("<f", self._content[found[-1][1] : found[-1][2]])[0])

    def _spans(self, number: int) -> List[Tuple[int, int]]:
        fields = self._fields.get(number, [])
        if any(field[0] != _BYTES for field in fields):
            raise ValueError("a field has another type than ONNX states")
        return [field[1:] for field in fields]


def _field(content: Buffer, first: int, end: int) -> Tuple[int, _Field]:
    key, first = varint(content, first, end)
    wire_type = key & 7
    if wire_type == _VARINT:
        last = varint(content, first, end)[1]
    elif wire_type == _BYTES:
        size, first = varint(content, first, end)
        last = first + size
    elif wire_type in (_FIXED32, _FIXED64):
        last = first + (4 if wire_type == _FIXED32 else 8)
    else:
        raise ValueError("it is not an ONNX model")
    if last > end:
        raise ValueError("it is not an ONNX model, or it is cut off")
    return key >> 3, (wire_type, first, last)


def varint(content: Buffer, first: int, end: int) -> Tuple[int, int]:
    """Return the number that begins at `first`, and where it ends."""
    value = 0
    for position in range(first, min(end, first + 10)):
        value |= (content[position] & 0x7F) << 7 * (position - first)
        if content[position] < 0x80:
            return value & (2**64 - 1), position + 1
    raise ValueError("it is not an ONNX model, or it is cut off")
