"""The board's side of a deployment: lock, free space, switch of the link, and removal of unused deployments.

The host runs this file's text by `python -c` before it copies anything, so it imports only the standard
library.

    FOLDER/                        one lock for all deployments to it
      NAME -> .deployed/NAME/ID    the current deployment
      .deployed/NAME/ID/           one deployment each
      packages-HASH/               unpacked wheels, shared by the deployments that name them

Arguments: FOLDER NAME ID WAIT_SECONDS. Every answer is a line of JSON.
The program holds the lock until its input ends, for example because the connection was lost.
Then it removes every deployment without a link, including its own unless the host sent "switch".
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import sys
import time
from typing import IO, Any, NoReturn

LOCK = ".lock"
DEPLOYED = ".deployed"
POLL_S = 0.2
PACKAGES = re.compile(r"packages-[0-9a-f]{12}(\.part)?")

HALF_MADE = re.compile(r"\..+\.[0-9a-f]{12}")


class Refused(Exception):
    """A deployment that cannot start; the message goes to the host."""


def answer(**facts: Any) -> None:
    """Send a line to the host."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def take_lock(folder: str, wait_s: float) -> IO[str]:
    """Enter `folder`, created if missing, and return its locked lock file. Raises Refused after `wait_s`."""
    deadline, waiting = time.monotonic() + wait_s, False
    while True:
        os.makedirs(folder, exist_ok=True)
        try:
            os.chdir(folder)
            lock = open(LOCK, "a+")  # noqa: SIM115  open as long as the deployment lasts
        except FileNotFoundError:  # another deployment's clean-up removed the folder meanwhile
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(200).strip()
            lock.close()
            if time.monotonic() >= deadline:
                raise Refused(
                    f"another deployment is under way {holder}; try again when it has ended"
                ) from None
            if not waiting:
                answer(waiting_for=holder)
                waiting = True
            if select.select([sys.stdin], [], [], POLL_S)[
                0
            ]:  # the host sends nothing before the lock is held: it has gone
                sys.exit(1)
            continue
        if _is_current(lock):
            lock.truncate(0)
            lock.write(
                "since {} (process {} on the board)".format(time.strftime("%Y-%m-%d %H:%M:%S"), os.getpid())
            )
            lock.flush()
            return lock
        lock.close()


def _is_current(lock: IO[str]) -> bool:
    """Return whether the lock file is still in the folder; a clean-up removes it."""
    try:
        there = os.stat(LOCK)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(lock.fileno()))


def switch(name: str, identity: str) -> None:
    """Switch the link `name` to the deployment atomically; a power cut leaves either target."""
    os.sync()
    beside = f".{name}.{identity}"
    os.symlink(os.path.join(DEPLOYED, name, identity), beside)
    os.replace(beside, name)
    os.sync()  # before the old one is removed


def remove_unused() -> None:
    """Remove deployments without a link, packages without a deployment, and temporary links."""
    for name in os.listdir("."):
        if HALF_MADE.fullmatch(name) and os.path.islink(name):
            os.unlink(name)
    linked = {os.path.realpath(name) for name in os.listdir(".") if os.path.islink(name)}
    kept: list[str] = []
    for name in _entries(DEPLOYED):
        group = os.path.join(DEPLOYED, name)
        for identity in _entries(group):
            place = os.path.join(group, identity)
            if os.path.realpath(place) in linked:
                kept.append(place)
            else:
                shutil.rmtree(place, ignore_errors=True)
        _remove_empty(group)
    _remove_empty(DEPLOYED)
    used = "".join(_text(os.path.join(place, "python")) for place in kept)
    for name in os.listdir("."):
        if PACKAGES.fullmatch(name) and (name.endswith(".part") or name not in used):
            shutil.rmtree(name, ignore_errors=True)


def _entries(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) and not os.path.islink(folder) else []


def _remove_empty(folder: str) -> None:
    with contextlib.suppress(OSError):  # something is in it, or it is not there
        os.rmdir(folder)


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _stop(*_: Any) -> NoReturn:
    sys.exit(1)


def serve(name: str, identity: str) -> None:
    """Clean up after earlier deployments, report the free space, and serve the host until its input ends."""
    remove_unused()
    if os.path.lexists(name) and not os.path.islink(name):
        raise Refused(f"'{name}' in that folder was not deployed by posec; move it away")
    disk = os.statvfs(".")
    answer(free_bytes=disk.f_bavail * disk.f_frsize)
    for line in sys.stdin:
        if line.strip() == "switch":
            switch(name, identity)
            answer(switched=True)


def main(arguments: list[str]) -> int:
    """Hold one deployment's lock. Returns 0, or 1 after a sentence on stderr, 2 for wrong words."""
    try:
        folder, name, identity, wait_s = arguments[0], arguments[1], arguments[2], float(arguments[3])
    except (IndexError, ValueError):
        print("usage: deployment FOLDER NAME IDENTITY SECONDS; `posec deploy` starts it", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    folder = os.path.abspath(folder)
    try:
        lock = take_lock(folder, wait_s)
        try:
            serve(name, identity)
        finally:
            remove_unused()
            if os.listdir(".") == [LOCK]:
                os.unlink(LOCK)
                os.chdir("/")
                _remove_empty(folder)
            lock.close()
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
