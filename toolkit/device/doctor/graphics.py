"""GPUs: drivers and permissions. Bundles for a Jetson run on its GPU; the others run on the CPU."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...runtime.sensors import read_text
from .finding import NOTE, OK, Finding

AREA = "GPU"
_TEGRA = "etc/nv_tegra_release"
_TEGRA_DEVICES = ("dev/nvhost-gpu", "dev/nvgpu/igpu0/ctrl")


def check_graphics(root: str = "/") -> list[Finding]:
    """Return findings; `root` is the folder of dev, etc, proc and sys."""
    system = Path(root)
    release = read_text(system / _TEGRA)
    if release:
        return _jetson(system, release)
    cards = sorted((system / "proc/driver/nvidia/gpus").glob("*/information"))
    if cards:
        models = [
            re.sub(r".*Model:\s*", "", line) for card in cards for line in _lines(card) if "Model:" in line
        ]
        version = re.search(
            r"Kernel Module\D*([\d.]+)", read_text(system / "proc/driver/nvidia/version") or ""
        )
        driver = f", driver {version[1]}" if version else ""
        return [
            Finding(AREA, OK, f"{', '.join(models)}{driver}; bundles for a Jetson can use it by TensorRT")
        ]
    drivers = sorted(
        {driver for path in (system / "sys/class/drm").glob("card*") if (driver := _driver(path))}
    )
    text = (
        f"driver {', '.join(drivers)}; engines run on the CPU" if drivers else "none; engines run on the CPU"
    )
    return [Finding(AREA, OK, text)]


def _jetson(system: Path, release: str) -> list[Finding]:
    version = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", release)
    linux = f"Jetson Linux {version[1]}.{version[2]}" if version else "Jetson Linux"
    devices = [system / name for name in _TEGRA_DEVICES if (system / name).exists()]
    if not devices:
        step = "start a container with --runtime nvidia, or flash the board's kernel again"
        return [Finding(AREA, NOTE, f"{linux}, but no GPU device", step)]
    if not any(os.access(str(device), os.R_OK | os.W_OK) for device in devices):
        step = "sudo usermod -aG video $USER, then log in again"
        return [Finding(AREA, NOTE, f"{linux}; this user may not open its GPU", step)]
    return [Finding(AREA, OK, linux)]


def _lines(path: Path) -> list[str]:
    return (read_text(path) or "").splitlines()


def _driver(card: Path) -> str:
    for line in _lines(card / "device/uevent"):
        if line.startswith("DRIVER="):
            return line[7:].strip()
    return ""
