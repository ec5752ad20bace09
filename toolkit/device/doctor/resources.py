"""Memory, disk and the time of day."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from ..machine import memory_mb
from .finding import NOTE, OK, Finding

LITTLE_MEMORY_MB = 400
LITTLE_DISK_MB = 500
_LATEST_S = 4102444800.0  # the year 2100


def check_memory(root: str = "/") -> list[Finding]:
    """Return a finding on memory; `root` is the folder of proc."""
    system = Path(root)
    total, free, swap = (memory_mb(system, name) for name in ("MemTotal", "MemAvailable", "SwapTotal"))
    if total is None or free is None:
        return [Finding("memory", OK, "not reported by this system")]
    text = f"{free} of {total} MB available, {swap or 0} MB swap"
    if free < LITTLE_MEMORY_MB:
        return [Finding("memory", NOTE, text, "stop a desktop or other programs, or add swap")]
    return [Finding("memory", OK, text)]


def check_disk(folder: str = ".") -> list[Finding]:
    """Return a finding on the disk that recordings go to."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return [Finding("disk", NOTE, f"'{folder}' cannot be read: {error.strerror}", "go to another folder")]
    where = "the current folder" if folder == "." else f"'{folder}'"
    text = f"{free / 1e9:.1f} GB free for {where}"
    if not os.access(folder, os.W_OK):
        return [Finding("disk", NOTE, f"{text}, which cannot be written", "record into another folder: -o")]
    if free < 1e6 * LITTLE_DISK_MB:
        return [Finding("disk", NOTE, text, "free some space before you record or deploy")]
    return [Finding("disk", OK, text)]


def check_time(root: str = "/", now: float | None = None) -> list[Finding]:
    """Return a finding on the time of day, which many boards lose without power; `root` is that of run."""
    now = time.time() if now is None else now
    own = Path(__file__).stat().st_mtime  # the clock was right at least until then
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(min(max(now, 0.0), _LATEST_S)))
    if now < own - 86_400:
        text = f"{shown}, before posec was installed: the clock has lost the time"
        return [Finding("time", NOTE, text, "connect a network and run: sudo timedatectl set-ntp true")]
    daemon = Path(root) / "run/systemd/timesync"
    if daemon.is_dir() and not (daemon / "synchronized").exists():
        return [Finding("time", NOTE, f"{shown}, not synchronized", "run: sudo timedatectl set-ntp true")]
    return [Finding("time", OK, shown)]
