"""A signed bundle keeps its signature on the board, where a run requires it."""

from __future__ import annotations

import subprocess

import pytest
from command_line import run
from deployments import make_board, send
from tiny_bundles import write_tiny_bundle

pytest.importorskip("cryptography")


def test_a_deployed_bundle_runs_with_the_signature_that_the_board_requires(tmp_path):
    bundle, home = write_tiny_bundle(tmp_path / "pi5"), make_board(tmp_path)
    assert run("keygen", tmp_path / "release") == 0
    assert run("keygen", tmp_path / "other") == 0
    assert run("sign", bundle.folder, "--key", tmp_path / "release.key") == 0
    assert send(bundle, home)
    command = [str(home / "posec/pi5/python"), "-m", "toolkit.runtime", "posec/pi5/bundle"]
    command += ["--source", "posec/pi5/bundle/golden", "--require-signature"]
    for key, status in (("release", 0), ("other", 2)):
        done = subprocess.run(
            [*command, str(tmp_path / f"{key}.pub")], cwd=home, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        assert len(done.stdout.splitlines()) == (5 if status == 0 else 0)
