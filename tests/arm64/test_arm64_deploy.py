"""`posec deploy` to an arm64 machine over a real SSH connection: offline, with the wheels carried along."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from arm64_sshd import serve

from toolkit.deploy.deploy import deploy
from toolkit.deploy.slot import BoardSettings
from toolkit.device.result import read_result
from toolkit.errors import PosecError

HOST = "pi@127.0.0.1"


@pytest.fixture(scope="module")
def server(root, tmp_path_factory):
    root.become("raspberry-pi-4")
    with serve(root, tmp_path_factory.mktemp("ssh")) as running:
        yield running


def test_a_bundle_is_copied_checked_and_measured_there(root, server, bundles, tmp_path):
    settings = BoardSettings(server.port, server.ssh, wheels=root.wheels("litert"))
    done = deploy(bundles["int8"], HOST, out=tmp_path, settings=settings, seconds=1, threads=1)
    assert done, done.result.reason
    assert done.path.name.startswith("raspberry-pi-4-int8-")
    result = read_result(done.path)
    assert (result.has_run, result.verdict) == (True, "accepted")
    assert result.bench["machine"]["architecture"] == "aarch64"
    assert "Raspberry Pi 4 Model B" in result.bench["machine"]["cpu"]
    assert result.bench["engine"]["kernels"] == "XNNPACK"
    home = root.system / "home/pi/posec"
    size = subprocess.run(
        ["du", "-sm", "--apparent-size", str(home)], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    print(
        f"on the board: {size} MB, {result.bench['memory']['peak_mb']} MB resident at most; "
        f"sent {done.sent_bytes / 1e6:.1f} MB"
    )
    assert {path.name for path in home.glob("packages-*/*.libs")} == {
        "numpy.libs",
        "opencv_python_headless.libs",
    }
    packages = {path.name for path in home.glob("packages-*/*") if (path / "__init__.py").exists()}
    assert packages == {"ai_edge_litert", "cv2", "numpy"}
    measured = replace(settings, keep=False)
    assert deploy(bundles["float32"], HOST, out=tmp_path, settings=measured, seconds=1)
    assert not (home / "float32").is_symlink()
    assert (home / "int8" / "bundle").is_dir()


def test_a_host_key_that_is_not_known_is_refused(server, bundles, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    ssh = server.ssh.replace(str(server.known_hosts), str(tmp_path / "known_hosts"))
    with pytest.raises(PosecError, match=r"no connection to 'pi@127.0.0.1': .*Host key verification failed"):
        deploy(bundles["int8"], HOST, out=tmp_path, settings=BoardSettings(server.port, ssh))


def test_a_board_without_the_libraries_keeps_what_it_has(root, server, bundles, tmp_path):
    before = root.system / "home/pi/posec/other"
    with pytest.raises(PosecError, match=r"refused: .*numpy.*; 'other/int8' on the board is unchanged"):
        deploy(
            bundles["int8"],
            HOST,
            out=tmp_path,
            settings=BoardSettings(server.port, server.ssh, folder="other"),
        )
    assert not before.exists()
