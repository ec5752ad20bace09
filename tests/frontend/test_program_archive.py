"""Damaged .pt2 files, files of two kinds at once, and files from a GPU."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from torch_programs import program, read, repack, signature

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.frontend.trace import trace

pytestmark = pytest.mark.torch


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_a_file_that_is_a_program_and_a_shared_library_at_once_is_refused_by_the_command(
    folder, tmp_path, capsys
):
    ran = tmp_path / "LIBRARY_WAS_OPENED"
    (tmp_path / "x.c").write_text(
        "#include <stdio.h>\n__attribute__((constructor)) static void run(void) "
        f'{{ fclose(fopen("{ran}", "w")); }}\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-s", "-o", tmp_path / "x.so", tmp_path / "x.c"], check=True)
    enum = {"__enum__": True, "fqn": "ctypes:cdll", "name": "checkpoint/model.pt2"}

    def edit(plain):
        protocol, schema = json.loads(signature(plain)["in_spec"])
        schema["children_spec"][1]["context"] = json.dumps(enum)
        signature(plain)["in_spec"] = json.dumps([protocol, schema])

    repack(folder / "model.pt2", program(edit), prefix=(tmp_path / "x.so").read_bytes())
    assert main(["plan", "checkpoint", "--target", "generic-cpu"]) == 2
    assert not ran.exists()
    assert "checkpoint/model.pt2" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"PK\x05\x06" + bytes(18), b"\x00" * 100])
def test_a_file_that_is_no_archive_is_refused(content, folder):
    (folder / "model.pt2").write_bytes(content)
    with pytest.raises(PosecError, match=r"torch\.export\.save"):
        trace(folder)


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_program_is_refused_with_the_reason_or_read(seed, program_checkpoint, tmp_path):
    random = np.random.default_rng(seed)
    content = bytearray((program_checkpoint / "model.pt2").read_bytes())
    for _ in range(random.integers(1, 8)):
        content[random.integers(len(content))] = random.integers(256)
    (tmp_path / "model.pt2").write_bytes(
        content[: random.integers(len(content))] if seed % 3 == 0 else content
    )
    try:
        read(tmp_path / "model.pt2")
    except PosecError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_network_that_was_exported_on_a_gpu_is_read_on_the_cpu(folder):
    def on_gpu(entries):
        for name in [name for name in entries if name.endswith(".json")]:
            entries[name] = entries[name].replace(
                b'"type": "cpu", "index": null', b'"type": "cuda", "index": 0'
            )

    repack(folder / "model.pt2", on_gpu)
    assert trace(folder).heads["centre"][1] == (1, 1, 8, 12)
