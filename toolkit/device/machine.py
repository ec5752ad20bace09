"""Facts and state of the machine that a latency was measured on.

All values come from system files; missing ones are None.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..runtime.sensors import board_state, read_text

# The first is usually a link to the second; the last is a PC's.
BOARD_NAMES = (
    "proc/device-tree/model",
    "sys/firmware/devicetree/base/model",
    "sys/devices/virtual/dmi/id/product_name",
)


def machine_facts(root: str = "/") -> dict[str, Any]:
    """Return the constant facts; `root` is the folder of proc and sys.

    Keys: board, cpu, architecture, virtual, logical_cpus, usable_cpus, memory_mb, os, kernel, python,
    power_mode.
    """
    system = Path(root)
    cpuinfo = read_text(system / "proc/cpuinfo") or ""
    fields = dict(_split(line) for line in reversed(cpuinfo.splitlines()) if ":" in line)
    return {
        "board": next(
            (text.strip("\0 \n") for text in map(read_text, (system / name for name in BOARD_NAMES)) if text),
            "",
        )
        or None,
        "cpu": fields.get("model name")
        or fields.get("Model")
        or fields.get("Hardware")
        or platform.processor()
        or None,
        "architecture": platform.machine(),
        "virtual": "hypervisor" in fields.get("flags", "").split(),
        "logical_cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": memory_mb(system, "MemTotal"),
        "os": _os_name(system),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "power_mode": _power_mode(),
    }


def machine_state(root: str = "/") -> dict[str, Any]:
    """Return the current state.

    Keys: temperatures_c, governor, frequencies_mhz, throttled, load_1min, memory_available_mb, cpu_ticks.
    """
    system = Path(root)
    load = read_text(system / "proc/loadavg")
    return {
        **board_state(root),
        "load_1min": float(load.split()[0]) if load else None,
        "memory_available_mb": memory_mb(system, "MemAvailable"),
        "cpu_ticks": _cpu_ticks(system),
    }


def busy_share(before: dict[str, Any], after: dict[str, Any], own_seconds: float) -> dict[str, Any]:
    """Return the share of the processors that others used between two states, each 0..1.

    Keys: `others` for other processes, `stolen` for the hypervisor. Empty if the system does not report them.
    `own_seconds` is the processor time of the measured processes in between.
    """
    if not before["cpu_ticks"] or not after["cpu_ticks"]:
        return {}
    busy, stolen, total = (
        after["cpu_ticks"][name] - before["cpu_ticks"][name] for name in ("busy", "stolen", "total")
    )
    if total <= 0:
        return {}
    own_ticks = own_seconds * os.sysconf("SC_CLK_TCK")
    return {"others": round(max(0.0, busy - own_ticks) / total, 3), "stolen": round(stolen / total, 3)}


def peak_memory_mb(root: str = "/") -> float | None:
    """Return the peak resident memory of this process; `ru_maxrss` would include the parent's."""
    return _status_mb(root, "VmHWM")


def resident_mb(root: str = "/") -> float | None:
    """Return the resident memory of this process."""
    return _status_mb(root, "VmRSS")


def _status_mb(root: str, name: str) -> float | None:
    for line in (read_text(Path(root) / "proc/self/status") or "").splitlines():
        if line.startswith(name + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def memory_mb(system: Path, name: str) -> int | None:
    """Return a value of proc/meminfo, such as MemTotal, in MiB."""
    for line in (read_text(system / "proc/meminfo") or "").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) // 1024
    return None


def _os_name(system: Path) -> str:
    for line in (read_text(system / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _cpu_ticks(system: Path) -> dict[str, int] | None:
    line = (read_text(system / "proc/stat") or "").partition("\n")[0].split()
    if len(line) < 9 or line[0] != "cpu":
        return None
    user, nice, kernel, idle, waiting, interrupts, soft, stolen = map(int, line[1:9])
    busy = user + nice + kernel + interrupts + soft
    return {"busy": busy, "stolen": stolen, "total": busy + idle + waiting + stolen}


def _power_mode() -> str | None:
    """Return the power mode that `nvpmodel` prints on a Jetson."""
    if not shutil.which("nvpmodel"):
        return None
    try:
        answer = subprocess.run(
            ["nvpmodel", "-q"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return " ".join(answer.stdout.decode(errors="replace").split()) or None
