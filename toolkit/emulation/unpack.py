"""Unpack and delete the arm64 root.

Nothing is configured under emulation, which would be slow. mmdebstrap unpacks the packages, the host's pip
unpacks Arm wheels beside them, and this file writes what maintainer scripts would have written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from .root import HERE, RUNTIMES, Root, register, tool_environment

SUITE = "bookworm"
HOST_PACKAGES = (
    "qemu-user-static",
    "qemu-user",
    "mmdebstrap",
    "debian-archive-keyring",
    "openssh-client",
    "gcc",
    "libc6-dev",
)
PACKAGES = (
    "python3",
    "python3-venv",
    "openssh-server",
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dash",
    "libc-bin",
    "login",
    "passwd",
    "sed",
    "grep",
    "tar",
    "gzip",
    "findutils",
    "hostname",
    "procps",
    "libgomp1",
    "libstdc++6",
)
# pip takes an older release where the tag of the newest is not listed.
TAGS = [*(f"manylinux_2_{minor}" for minor in (17, 27, 28, 31, 34, 35, 36)), "manylinux2014"]


def setup(root: Root) -> None:
    """Build the root unless it is there."""
    if (root.where / "ready").exists():
        return
    clean(root)
    started = time.monotonic()
    for step in (_host_packages, register, _unpack_debian, _configure, _wheels, _plugin):
        print(f"[{time.monotonic() - started:3.0f} s] {step.__name__.strip('_')}", flush=True)
        step(*([root] if step.__code__.co_argcount else []))
    root.become("raspberry-pi-4")
    subprocess.run(["chroot", str(root.system), "ldconfig"], check=True, env=tool_environment())
    (root.where / "ready").touch()
    print(f"[{time.monotonic() - started:3.0f} s] done", flush=True)


def clean(root: Root) -> None:
    """Unmount and delete the root, never what is mounted in it."""
    if root.system.exists():
        root.unmount()
    subprocess.run(["rm", "-rf", "--one-file-system", str(root.where)], check=True)


def _host_packages() -> None:
    known = subprocess.run(
        ["dpkg", "-s", *HOST_PACKAGES], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if known.returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        quiet = {**tool_environment(), "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *HOST_PACKAGES],
            check=True,
            env=quiet,
            stdout=subprocess.DEVNULL,
        )


def _unpack_debian(root: Root) -> None:
    root.where.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    mirrors = [line.split()[0] for line in listed if line.endswith(" " + SUITE)] or [
        "http://deb.debian.org/debian"
    ]
    subprocess.run(
        [
            "mmdebstrap",
            "-q",
            "--mode=root",
            "--architectures=arm64",
            "--variant=extract",
            f"--include={','.join(PACKAGES)}",
            '--aptopt=APT::Install-Recommends "false"',
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            SUITE,
            str(root.system),
            f"deb {mirrors[0]} {SUITE} main",
        ],
        check=True,
    )
    for name in ("doc", "man", "locale"):
        shutil.rmtree(root.system / "usr/share" / name, ignore_errors=True)


def _configure(root: Root) -> None:
    """Write what maintainer scripts would have written: users, names, folders."""
    etc, share = root.system / "etc", root.system / "usr/share"
    users = (
        share / "base-passwd/passwd.master"
    ).read_text() + "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/bash\n"
    (etc / "passwd").write_text(users)
    (etc / "group").write_text((share / "base-passwd/group.master").read_text() + "pi:x:1000:\n")
    # `*` is no password, yet not a locked account, which sshd would turn away.
    (etc / "shadow").write_text(
        "".join(f"{line.split(':')[0]}:*:19000:0:99999:7:::\n" for line in users.splitlines())
    )
    (etc / "shadow").chmod(0o640)
    shutil.copy(share / "libc-bin/nsswitch.conf", etc / "nsswitch.conf")
    (etc / "hostname").write_text("raspberrypi\n")
    (etc / "hosts").write_text("127.0.0.1 localhost raspberrypi\n")
    for name in ("home/pi", "run/sshd", "dev/pts", "dev/shm", "proc"):
        (root.system / name).mkdir(parents=True, exist_ok=True)
    (root.system / "dev/shm").chmod(0o1777)
    os.chown(root.system / "home/pi", 1000, 1000)


def _wheels(root: Root) -> None:
    """Fetch and unpack each library's Arm wheels, and the host's.

    The lists are complete: pip would evaluate markers of dependencies for the host.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    only = ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
    for runtime in RUNTIMES:
        arm = [*only, *(word for tag in TAGS for word in ("--platform", f"{tag}_aarch64"))]
        x86 = [*only, *(word for tag in TAGS for word in ("--platform", f"{tag}_x86_64"))]
        listed = ["-r", str(HERE / f"{runtime}.txt")]
        subprocess.run([*pip, "download", *arm, "-d", str(root.wheels(runtime)), *listed], check=True)
        files = [str(path) for path in sorted(root.wheels(runtime).glob("*.whl"))]
        subprocess.run(
            [*pip, "install", *arm, "--target", f"{root.system}{root.site(runtime)}", *files], check=True
        )
        subprocess.run([*pip, "install", *x86, "--target", str(root.x86(runtime)), *listed], check=True)


def _plugin(root: Root) -> None:
    subprocess.run(
        [
            "gcc",
            "-O2",
            "-shared",
            "-fPIC",
            "-o",
            str(root.where / "instructions.so"),
            str(HERE / "instructions.c"),
        ],
        check=True,
    )
