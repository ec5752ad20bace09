"""Read arrays, numbers and text from a pickle without unpickling it.

A pickle is a program that may call any function. This reader runs none of it: it follows the opcodes that
build dictionaries, lists, tuples, numbers, text and NumPy arrays, and refuses all others and all names but
NumPy's own constructors, which it replaces by its own.
"""

from __future__ import annotations

import codecs
import io
import math
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_files import read_plain

MOST_BYTES = 512 << 20
_LONGEST_LINE = 64 << 20
_DTYPE = re.compile(r"[<>|=]?(?:[fiu][1248]|b1|[SU]\d{1,4})")
_RECONSTRUCT, _NDARRAY, _DTYPE_NAME, _SCALAR, _ENCODE = (
    "_reconstruct",
    "ndarray",
    "dtype",
    "scalar",
    "_codecs encode",
)
_ALLOWED = {
    "numpy.core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy.core.multiarray scalar": _SCALAR,
    "numpy._core.multiarray scalar": _SCALAR,
    "numpy ndarray": _NDARRAY,
    "numpy dtype": _DTYPE_NAME,
    "_codecs encode": _ENCODE,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """An allowed name; nothing is imported for it."""


class _Mark:
    """A position on the stack."""


class _Array:
    """An array, or the type of one, that later opcodes fill."""

    def __init__(self) -> None:
        self.value: np.ndarray | list[Any] | np.dtype | None = None


def read_pickle(path: str | Path) -> Any:
    """Return the value in a pickle of protocol 0 to 4; text of Python 2 is read as Latin-1.

    Use `array_of` on what should be an array. Raises PosecError for other files, and for pickles that hold
    anything but dictionaries, lists, tuples, numbers, text and arrays.
    """
    content = read_plain(path, most_bytes=MOST_BYTES, error=PosecError, advice="give a pickle of arrays")
    try:
        return _Machine().run(io.BytesIO(content))
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise PosecError(
            f"'{path}' is not a pickle of arrays, numbers and text: {error or 'it is cut off'}; no other "
            "pickle is read, because it can run any program"
        ) from error


def array_of(value: Any) -> np.ndarray:
    """Return a value of `read_pickle` as an array of numbers. Raises ValueError for others."""
    array = value.value if isinstance(value, _Array) else value
    array = np.asarray([array_of(part) for part in array]) if isinstance(array, list) else np.asarray(array)
    if array.dtype.kind not in "iufb":
        raise ValueError("an array is not of numbers")
    return array


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: io.BytesIO) -> Any:
        """Return the value that the opcodes build. Raises ValueError for opcodes that are not allowed."""
        while True:
            code = file.read(1)
            if not code:
                raise ValueError("it is cut off")
            opcode = pickletools.code2op[code.decode("latin-1")]  # type: ignore[attr-defined]
            reader: Callable[..., Any] | None = opcode.arg.reader if opcode.arg else None
            argument = _line(file) if opcode.name == "STRING" else reader(file) if reader else None
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_Mark())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[int(argument)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            asked = argument if name == "GLOBAL" else " ".join(self._pop(2))
            if asked not in _ALLOWED:
                raise ValueError(f"it asks for '{asked:.60}'")
            stack.append(_Name(_ALLOWED[asked]))
        elif name == "REDUCE":
            function, arguments = self._pop(2)
            stack.append(_made(function, arguments))
        elif name == "BUILD":
            _fill(stack[-2], stack.pop())
        elif name not in ("PROTO", "FRAME"):
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Build dictionaries, lists and tuples."""
        stack = self._stack
        if name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name == "LIST":
            stack.append(self._marked())
        elif name == "DICT":
            values = self._marked()
            stack.append(dict(zip(values[::2], values[1::2])))
        elif name in ("APPEND", "APPENDS"):
            values = self._marked() if name == "APPENDS" else self._pop(1)
            _of(stack[-1], list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._marked() if name == "SETITEMS" else self._pop(2)
            _of(stack[-1], dict).update(zip(values[::2], values[1::2]))
        elif name == "POP":
            stack.pop()
        else:
            raise ValueError(f"it uses the opcode {name}")

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("it takes more values than it has")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _marked(self) -> list[Any]:
        at = max(index for index, value in enumerate(self._stack) if isinstance(value, _Mark))
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values


def _line(file: io.BytesIO) -> str:
    """Return the quoted text of Python 2's protocol 0, which may hold any byte."""
    line = file.readline(_LONGEST_LINE).strip()
    if len(line) < 2 or line[:1] not in b"'\"" or line[:1] != line[-1:]:
        raise ValueError("a text has no quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it changes a {type(value).__name__} as a {kind.__name__}")
    return value


def _made(function: Any, arguments: Any) -> Any:
    """Return what an allowed name makes."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise ValueError("it calls a value")
    made = _Array()
    if function == _DTYPE_NAME:
        text = arguments[0]
        if text not in ("O8", "O") and not (isinstance(text, str) and _DTYPE.fullmatch(text)):
            raise ValueError(f"it has an array of {text!r:.40}")
        made.value = np.dtype(text)
    elif function == _SCALAR:
        dtype, data = arguments
        made.value = np.frombuffer(_bytes(data), _dtype(dtype), count=1)[0]
    elif function == _ENCODE:
        text, encoding = arguments
        if encoding != "latin1":
            raise ValueError(f"it encodes text as {encoding!r:.40}")
        return text.encode("latin-1")
    elif function != _RECONSTRUCT:
        raise ValueError(f"it calls {function}")
    return made


def _fill(target: Any, state: Any) -> None:
    """Set the contents of an array, or the byte order of a type."""
    if not isinstance(target, _Array) or not isinstance(state, tuple):
        raise ValueError("it sets the state of a value that is no array")
    if isinstance(target.value, np.dtype):
        if state[1] in ("<", ">", "="):
            target.value = target.value.newbyteorder(state[1])
        return
    _, shape, dtype, is_fortran, data = state
    shape = tuple(int(size) for size in shape)
    kind = _dtype(dtype)
    if min(shape, default=0) < 0:
        raise ValueError("an array has a negative size")
    if kind.hasobject:
        target.value = list(_of(data, list))
        return
    values = np.frombuffer(_bytes(data), kind)
    if len(values) != math.prod(shape):
        raise ValueError(f"an array of shape {shape!r:.60} holds {len(values)} values")
    target.value = values.reshape(shape, order="F" if is_fortran else "C")


def _dtype(value: Any) -> np.dtype:
    if not isinstance(value, _Array) or not isinstance(value.value, np.dtype):
        raise ValueError("an array has no type")
    return value.value


def _bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else str(data).encode("latin-1")
