"""A process that gave up its rights reads its input and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHILD = """
import os, socket, subprocess, sys, tempfile
sys.path[:] = {paths!r}
from toolkit.frontend.sandbox import give_up_rights
scratch = tempfile.mkdtemp()
print("restricted" if give_up_rights(scratch) else "not restricted")
def tried(name, call):
    try:
        call()
        print(name)
    except OSError as error:
        pass
tried("wrote", lambda: open({outside!r}, "w"))
tried("made a folder", lambda: os.mkdir({outside!r} + ".d"))
tried("removed", lambda: os.unlink({inside!r}))
tried("started a program", lambda: subprocess.run(["true"]))
tried("reached a server", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5))
tried("read", lambda: open({inside!r}).read())
tried("wrote scratch", lambda: open(scratch + "/a", "w"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="rights are taken away on Linux")
def test_a_process_without_rights_can_read_and_do_nothing_else(tmp_path):
    import socket

    (tmp_path / "inside").write_text("a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = CHILD.format(
            paths=sys.path,
            outside=str(tmp_path / "outside"),
            inside=str(tmp_path / "inside"),
            port=server.getsockname()[1],
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.split("\n")
    if lines[0] == "not restricted":
        pytest.skip("this kernel has no Landlock")
    assert [line for line in lines[1:] if line] == ["read", "wrote scratch"]
    assert os.listdir(tmp_path) == ["inside"]
