"""An SSH server inside the arm64 root, on a free port of the loopback device, for one user with one key."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.emulation.root import Root

_CONFIGURATION = """ListenAddress 127.0.0.1
Port {port}
HostKey /etc/ssh/hostkey
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin no
AllowUsers pi
PrintMotd no
SetEnv QEMU_CPU={cpu}
"""


@dataclass(frozen=True)
class Server:
    """Where it listens, and how it is reached: `ssh` trusts its host key and no other."""

    port: int
    ssh: str
    known_hosts: Path


@contextlib.contextmanager
def serve(root: Root, folder: Path) -> Iterator[Server]:
    """Run the server for the length of a `with` block; keys go into `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home, etc = root.system / "home/pi/.ssh", root.system / "etc/ssh"
    home.mkdir(parents=True, exist_ok=True)
    for name in (folder / "id", etc / "hostkey"):
        name.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(name)], check=True)
    (home / "authorized_keys").write_bytes((folder / "id.pub").read_bytes())
    for path in (home, home / "authorized_keys"):
        os.chown(path, 1000, 1000)
        path.chmod(0o700)
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {' '.join((etc / 'hostkey.pub').read_text().split()[:2])}\n")
    (etc / "sshd_posec").write_text(_CONFIGURATION.format(port=port, cpu=root.board.cpu))
    command = [
        "chroot",
        str(root.system),
        "/usr/bin/env",
        "-i",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        f"QEMU_CPU={root.board.cpu}",
    ]
    process = subprocess.Popen([*command, "/usr/sbin/sshd", "-D", "-f", "/etc/ssh/sshd_posec"])
    try:
        _wait(port, process)
        options = "-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
        ssh = f"ssh -F none -i {folder / 'id'} {options} -o UserKnownHostsFile={known_hosts}"
        yield Server(port, ssh, known_hosts)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, "sshd did not start"
        time.sleep(0.1)
    raise AssertionError("sshd does not listen")
