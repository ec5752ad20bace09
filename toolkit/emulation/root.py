"""An emulated arm64 Debian 12 that looks like a Raspberry Pi; `python -m toolkit.emulation setup` unpacks it.

Needs Debian or Ubuntu, root, and the right to mount.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .boards import BOARDS, CPUINFO, become

HERE = Path(__file__).parent
WHERE = Path(os.environ.get("POSEC_ARM64", "out/arm64")).absolute()
PYTHON = "python3.11"
RUNTIMES = ("litert", "tflite-runtime")
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def why_not() -> str:
    """Return why the root cannot be used here, or an empty string."""
    if os.geteuid() != 0:
        return "the arm64 root needs root"
    if not (WHERE / "ready").exists():
        return "no arm64 root here; run `python -m toolkit.emulation setup`"
    return ""


def tool_environment() -> dict[str, str]:
    """Return an environment that finds chroot and ldconfig, whose folders `su` leaves out of PATH."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


class Root:
    """The root file system at `system`, the wheels beside it, and what can be run in it."""

    def __init__(self, where: Path = WHERE) -> None:
        self.where, self.system = where, where / "system"
        self.board = BOARDS["raspberry-pi-4"]

    def wheels(self, runtime: str) -> Path:
        """Return the folder of a runtime's Arm wheels."""
        return self.where / "wheels" / runtime

    def x86(self, runtime: str) -> Path:
        """Return the folder of the same packages for the host, to compare like with like."""
        return self.where / "x86" / runtime

    def site(self, runtime: str) -> str:
        """Return the folder inside the root that a runtime's wheels are unpacked into."""
        return f"/opt/{runtime}"

    def become(self, name: str) -> None:
        """Let the root be another board from now on."""
        self.board = BOARDS[name]
        become(self.system, self.board)

    def run(
        self, runtime: str, *arguments: str, path: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Python in the root with a runtime's packages, behind those in `path`; paths are the root's."""
        # Left alone, the emulated CPU has SME, which the emulator or XNNPACK gets silently wrong in int8.
        settings = [
            f"QEMU_CPU={self.board.cpu}",
            "HOME=/root",
            "PATH=/usr/bin:/bin",
            f"PYTHONPATH={path}:{self.site(runtime)}",
            "PYTHONDONTWRITEBYTECODE=1",
        ]
        command = [
            "chroot",
            str(self.system),
            "/usr/bin/env",
            "-i",
            *settings,
            f"/usr/bin/{PYTHON}",
            *arguments,
        ]
        return subprocess.run(
            command, check=check, text=True, capture_output=True, timeout=600, env=tool_environment()
        )

    def put(self, folder: Path, name: str) -> str:
        """Copy a folder of the host into the root and return its path there."""
        inside = self.system / "opt" / "given" / name
        shutil.rmtree(inside, ignore_errors=True)
        shutil.copytree(folder, inside, ignore=shutil.ignore_patterns("__pycache__"))
        return f"/opt/given/{name}"

    def mount(self) -> None:
        """Give the root a /proc with a Pi's cpuinfo, and terminals."""
        register()
        for target, options in self._mounts().items():
            if not os.path.ismount(target):
                subprocess.run(["mount", *options, str(target)], check=True, env=tool_environment())

    def unmount(self) -> None:
        """Undo `mount`."""
        for target in reversed(self._mounts()):
            if os.path.ismount(target):
                subprocess.run(["umount", str(target)], check=True, env=tool_environment())

    def _mounts(self) -> dict[Path, Sequence[str]]:
        return {
            self.system / "proc": ["-t", "proc", "proc"],
            self.system / "proc/cpuinfo": ["--bind", str(self.system / CPUINFO)],
            self.system / "dev/pts": [
                "-t",
                "devpts",
                "-o",
                "newinstance,ptmxmode=0666,mode=0620,gid=5",
                "devpts",
            ],
        }


def register() -> None:
    """Register the emulator for arm64 programs. The kernel holds it open: nothing is copied into the root."""
    if platform.machine() == "aarch64" or (BINFMT / "qemu-aarch64").exists():
        return
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", str(BINFMT)], check=True)
    (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().strip())
