"""Find weights of an ONNX file in other files, which no hash of a bundle covers; needs no `onnx`."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Iterator, List, Tuple, Union

MOST_FIELDS = 2 * 10**6  # of one file, so that a hostile one ends

# Message of onnx.proto → number of each field that can hold a tensor → the message in it.
_PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_Buffer = Union[bytes, mmap.mmap]


def has_weights_outside(path: Union[str, Path]) -> bool:
    """Return whether any tensor of an ONNX file has its values in another file.

    Raises ValueError where the file is not an ONNX model, or has more than `MOST_FIELDS` fields.
    """
    with open(path, "rb") as file:
        content = file.read(1)
        if not content:
            raise ValueError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return _search(whole)


def _search(content: _Buffer) -> bool:
    open_messages: List[Tuple[str, int, int]] = [("model", 0, len(content))]
    fields, graphs = 0, 0
    while open_messages:
        message, start, end = open_messages.pop()
        for number, wire_type, first, last in _fields(content, start, end):
            fields += 1
            if fields > MOST_FIELDS:
                raise ValueError(f"it has more than {MOST_FIELDS} fields")
            if message == "tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION):
                if number == _EXTERNAL_DATA or _varint(content, first, last)[0]:
                    return True
            part = _PARTS[message].get(number)
            if part and wire_type == _BYTES:
                open_messages.append((part, first, last))
                graphs += part == "graph"
    if not graphs:
        raise ValueError("it is not an ONNX model")
    return False


def _fields(content: _Buffer, start: int, end: int) -> Iterator[Tuple[int, int, int, int]]:
    """Yield (field number, wire type, first byte, end) of the fields of one message."""
    while start < end:
        key, start = _varint(content, start, end)
        wire_type = key & 7
        if wire_type == _VARINT:
            last = _varint(content, start, end)[1]
        elif wire_type == _BYTES:
            size, start = _varint(content, start, end)
            last = start + size
        elif wire_type in (_FIXED32, _FIXED64):
            last = start + (4 if wire_type == _FIXED32 else 8)
        else:
            raise ValueError("it is not an ONNX model")
        if last > end:
            raise ValueError("it is not an ONNX model, or it is cut off")
        yield key >> 3, wire_type, start, last
        start = last


def _varint(content: _Buffer, start: int, end: int) -> Tuple[int, int]:
    """Return the number that begins at `start`, and where it ends."""
    value = 0
    for position in range(start, min(end, start + 10)):
        value |= (content[position] & 0x7F) << 7 * (position - start)
        if content[position] < 0x80:
            return value, position + 1
    raise ValueError("it is not an ONNX model, or it is cut off")
