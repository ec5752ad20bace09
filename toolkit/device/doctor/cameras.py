"""Cameras: their names, modes and permissions."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...runtime.sensors import read_text
from .finding import NOTE, OK, Finding
from .libraries import attempt
from .v4l2 import Mode, read_device

AREA = "cameras"
# Receivers of ribbon cameras: their nodes give raw data, and libcamera makes pictures of it.
_RECEIVERS = re.compile(r"unicam|rp1-cfe|bcm2835-isp|pisp|bcm2835-codec|rpi-hevc", re.IGNORECASE)
_MOST_MODES = 6
_PICAMERA2 = "import json, picamera2; print(json.dumps({}))"


def check_cameras(root: str = "/") -> list[Finding]:
    """Return findings; `root` is the folder of dev and sys."""
    system = Path(root)
    nodes = sorted(
        (system / "sys/class/video4linux").glob("video*"), key=lambda path: (len(path.name), path.name)
    )
    names = {node.name: (read_text(node / "name") or node.name).strip() for node in nodes}
    receivers = sorted({name for name in names.values() if _RECEIVERS.search(name)})
    found = [_camera(system, node, name) for node, name in names.items() if name not in receivers]
    findings = [finding for finding in found if finding is not None]
    if receivers:
        findings.append(_ribbon(receivers))
    return findings or [
        Finding(AREA, OK, "none; a network camera needs none: posec run … --source rtsp://host/stream")
    ]


def _camera(system: Path, node: str, name: str) -> Finding | None:
    path = system / "dev" / node
    source = f"/dev/{node} ({name})"
    if not path.exists():
        return Finding(
            AREA, NOTE, f"{source} has no device file", f"pass it on: docker run --device /dev/{node}"
        )
    if not os.access(str(path), os.R_OK | os.W_OK):
        step = "sudo usermod -aG video $USER, then log in again"
        return Finding(AREA, NOTE, f"{source} may not be opened by this user", step)
    try:
        device = read_device(str(path))
    except OSError as error:
        step = "end the program that holds it, or connect the camera again"
        return Finding(AREA, NOTE, f"{source} cannot be opened: {error.strerror}", step)
    if device is None:  # data beside the pictures, or a codec
        return None
    modes = ", ".join(map(str, _best(device.modes))) or "modes not reported"
    return Finding(AREA, OK, f"--source {node[5:]}: {device.name or name}; {modes}")


def _best(modes: list[Mode]) -> list[Mode]:
    """Return some modes, those nearest to 1280x720 first: the network sees no more."""
    return sorted(modes, key=lambda mode: (abs(mode.width - 1280), -(mode.rate or 0)))[:_MOST_MODES]


def _ribbon(receivers: list[str]) -> Finding:
    text = f"a receiver of ribbon cameras ({', '.join(receivers)})"
    if attempt(_PICAMERA2).failure:
        step = "sudo apt install python3-picamera2, and a Python that has the system's packages"
        return Finding(AREA, NOTE, f"{text}, but picamera2 cannot be imported", step)
    return Finding(AREA, OK, f"{text}: --source picamera2; rpicam-hello --list-cameras lists them")
