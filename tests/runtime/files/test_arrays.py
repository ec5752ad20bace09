"""Arrays of .npz files: plain numbers are read, everything else is refused in a sentence, within bounds."""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from toolkit.runtime.files.arrays import read_arrays


def packed(entries, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def header(text, body=b"", version=(1, 0)):
    raw = text.encode("latin1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(raw))
    return b"\x93NUMPY" + bytes(version) + size + raw + body


def described(descr="'<f4'", shape="(1,)", body=bytes(4), order="False"):
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}", body)


def one(content, method=zipfile.ZIP_STORED):
    return packed({"a.npy": content}, method)


def with_byte(content, position, value):
    return content[:position] + bytes([value]) + content[position + 1 :]


def saved(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


REFUSED = {
    "nothing": b"",
    "no archive": b"PK no archive",
    "structured": one(described("[('a', '<f4')]")),
    "objects": one(described("'|O'", body=bytes(8))),
    "dates": one(described("'<M8[s]'", body=bytes(8))),
    "complex": one(described("'<c8'", body=bytes(8))),
    "sub-arrays": one(described("('<f4', (1,))")),
    "too short": one(described(shape="(2,)")),
    "too long": one(described(body=bytes(5))),
    "vast": one(described(shape=f"({2**62}, {2**62})")),
    "a negative size": one(described(shape="(-1, -1)")),
    "a size that is no number": one(described(shape="('a',)")),
    "a size of 400 digits": one(described(shape=f"({'9' * 400},)")),
    "an expression": one(described(shape="(__import__('os').system('true'),)")),
    "brackets": one(header("(" * 60_000)),
    "a header of no format": one(header("{'descr': '<f4'}")),
    "a header cut off": one(b"\x93NUMPY\x01\x00\xff\xff{"),
    "a newer format": one(header("{}", version=(9, 0))),
    "LZMA": one(described(), zipfile.ZIP_LZMA),
    "BZ2": one(described(), zipfile.ZIP_BZIP2),
    "damaged zlib": with_byte(saved(a=np.arange(500.0)), 90, 255),
    "cut off": saved(a=np.arange(500.0))[:200],
    "encrypted": with_byte(with_byte(one(described()), 6, 1), one(described()).index(b"PK\x01\x02") + 8, 1),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_anything_but_arrays_of_numbers_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "pose.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"'pose\.npz' is not a readable \.npz file of numbers") as refusal:
        read_arrays(tmp_path / "pose.npz")
    assert "\n" not in str(refusal.value)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pose.npz")
    with pytest.raises(ValueError, match="a pipe or a device"):
        read_arrays(tmp_path / "pose.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(save, tmp_path):
    arrays = {
        "weight": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
        "half": np.arange(6, dtype=np.float16).reshape(2, 3).T,
        "count": np.int64(3),
        "none": np.zeros((0, 4), np.uint8),
        "text": np.asarray(["ab", "c"]),
        "yes": np.asarray([True, False]),
        "big": np.arange(3, dtype=">f4"),
    }
    save(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert set(found) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].flags.writeable
        assert found[name].dtype == np.asarray(values).dtype


@pytest.mark.parametrize("seed", range(400))
def test_damaged_files_are_read_or_refused(seed, tmp_path):
    random = np.random.default_rng(seed)
    save = np.savez if seed % 2 else np.savez_compressed
    save(tmp_path / "a.npz", weight_0=random.normal(size=(4, 3)), bias_0=np.zeros(4))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    for _ in range(random.integers(1, 5)):
        content[random.integers(len(content))] = random.integers(256)
    (tmp_path / "a.npz").write_bytes(content)
    try:
        read_arrays(tmp_path / "a.npz")
    except ValueError as error:
        assert "a.npz" in str(error)  # noqa: PT017


def test_a_million_empty_entries_are_refused_within_memory(tmp_path):
    name = tmp_path / "many.npz"
    entry = b"PK\x01\x02" + bytes(42)
    name.write_bytes(
        entry * 1_000_000 + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 46_000_000, 0, 0)
    )
    code = (
        "import resource, sys\nfrom toolkit.runtime.files.arrays import read_arrays\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try:\n    read_arrays(sys.argv[1])\nexcept ValueError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(name)], capture_output=True, text=True, check=True, env=environment
    )
    assert "more than 20000 arrays" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 30
