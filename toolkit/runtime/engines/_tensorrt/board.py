"""Model and system release of a Jetson, read from its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict

# First two numbers of the Jetson Linux (L4T) release → JetPack, from NVIDIA's archive.
_JETPACKS = {
    "32.6": "4.6",
    "32.7": "4.6.1+",
    "34.1": "5.0",
    "35.1": "5.0.2",
    "35.2": "5.1",
    "35.3": "5.1.1",
    "35.4": "5.1.2",
    "35.5": "5.1.3",
    "35.6": "5.1.4+",
    "36.2": "6.0 DP",
    "36.3": "6.0",
    "36.4": "6.1 or 6.2",
    "38.2": "7.0",
}


def board_facts(root: str = "/") -> Dict[str, str]:
    """Return `model`, `l4t` and `jetpack` of the Jetson with its file system at `root`; "" if unknown."""
    release = _read(Path(root) / "etc/nv_tegra_release")
    found = re.match(r"#\s*R(\d+).*?REVISION:\s*([\d.]+)", release)
    l4t = f"{found.group(1)}.{found.group(2)}" if found else ""
    jetpack = _JETPACKS.get(".".join(l4t.split(".")[:2]), "")
    return {"model": _read(Path(root) / "proc/device-tree/model"), "l4t": l4t, "jetpack": jetpack}


def _read(path: Path) -> str:
    try:
        return path.read_bytes()[:4096].decode(errors="replace").strip("\0\n ")
    except OSError:  # not a Jetson
        return ""
