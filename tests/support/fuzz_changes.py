"""Random changes of valid files: of bytes, and of values in JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

# Bytes that readers compare, count and allocate by.
TELLING = [
    b"\0", b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\x80" * 10, b"{", b"[", b'"',
    b"\n", b"-1", b"1e999", b"NaN", b"null", b"9" * 30, b"\xed\xa0\x80", b"../", b"/dev/zero", b"[" * 2000,
    b"0.0.0", b"''", b"[[",
]  # fmt: skip
_POSITIONS = st.floats(0, 1, allow_nan=False)
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "repeat", "cut"]),
        _POSITIONS,
        st.one_of(st.sampled_from(TELLING), st.binary(min_size=1, max_size=8)),
        st.integers(1, 64),
    ),
    min_size=1,
    max_size=6,
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../x", "/etc/passwd", "a" * 5000, "\udc80", "model.onnx", -1, 0, 1, 1e308, 1e-308]),
)
VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_TREE_EDITS = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "add", "swap", "many"]), st.integers(0, 10**6), VALUES),
    min_size=1,
    max_size=4,
)


def changed_bytes(content: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy of changed copies of a file."""
    return _EDITS.map(lambda edits: _apply(content, edits))


def _apply(content: bytes, edits: list[tuple[str, float, bytes, int]]) -> bytes:
    for kind, position, payload, count in edits:
        at = int(position * len(content))
        if kind == "set":
            content = content[:at] + payload + content[at + len(payload) :]
        elif kind == "insert":
            content = content[:at] + payload + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + count :]
        elif kind == "repeat":
            content = content[:at] + content[at : at + count] * 20 + content[at:]
        else:
            content = content[:at]
    return content


def changed_json(content: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy of JSON with other values, or with changed bytes."""
    plain = json.loads(content)
    trees = _TREE_EDITS.map(lambda edits: _dumped(_edited(copy.deepcopy(plain), edits)))
    return st.one_of(trees, trees, changed_bytes(content))


def _dumped(plain: Any) -> bytes:
    return json.dumps(plain).encode("utf-8", "surrogatepass")


def _places(plain: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every value in a tree."""
    found, waiting = [], [plain]
    while waiting:
        container = waiting.pop()
        keys = container.keys() if isinstance(container, dict) else range(len(container))
        for key in list(keys):
            found.append((container, key))
            if isinstance(container[key], (dict, list)):
                waiting.append(container[key])
    return found


def _edited(plain: Any, edits: list[tuple[str, int, Any]]) -> Any:
    for kind, number, value in edits:
        places = _places(plain) if isinstance(plain, (dict, list)) else []
        if not places:
            return value
        container, key = places[number % len(places)]
        if kind == "set":
            container[key] = value
        elif kind == "delete":
            del container[key]
        elif kind == "add" and isinstance(container, dict):
            container["added"] = value
        elif kind == "swap":
            other, place = places[(number * 7919 + 1) % len(places)]
            container[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(container[key])
        else:
            container[key] = [copy.deepcopy(container[key])] * 50
    return plain
