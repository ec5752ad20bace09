"""Temperatures, clocks and throttling of this machine, from system files; missing ones are None."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

# Raspberry Pi firmware: bit → meaning; the low bits are current, the high ones since boot.
PI_THROTTLE_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
PI_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def board_state(root: str = "/") -> Dict[str, Any]:
    """Return the current state; `root` is the folder of sys.

    Keys: temperatures_c, governor, frequencies_mhz, throttled.
    """
    system = Path(root)
    cpus = sorted((system / "sys/devices/system/cpu").glob("cpu[0-9]*"), key=lambda path: int(path.name[3:]))
    frequencies = [whole_number(read_text(cpu / "cpufreq/scaling_cur_freq")) for cpu in cpus]
    governors = {(read_text(cpu / "cpufreq/scaling_governor") or "").strip() for cpu in cpus} - {""}
    return {
        "temperatures_c": _temperatures(system),
        "governor": ", ".join(sorted(governors)) or None,
        "frequencies_mhz": [value // 1000 for value in frequencies if value is not None] or None,
        "throttled": _throttled(system, cpus),
    }


def read_text(path: Path) -> Optional[str]:
    """Return the text of a system file, or None."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def whole_number(text: Optional[str]) -> Optional[int]:
    """Return the number in the text of a system file, or None."""
    try:
        return int((text or "").strip(), 0)
    except ValueError:
        return None


def _temperatures(system: Path) -> Optional[Dict[str, float]]:
    found = {}
    for zone in sorted((system / "sys/class/thermal").glob("thermal_zone*")):
        value = whole_number(read_text(zone / "temp"))
        if value is not None:
            found[(read_text(zone / "type") or zone.name).strip()] = value / 1000
    return found or None


def _throttled(system: Path, cpus: List[Path]) -> Optional[Dict[str, Any]]:
    """Return the Raspberry Pi's flags, or the number of throttling events of a PC since boot."""
    text = read_text(system / PI_THROTTLED)
    bits = whole_number("0x" + text.strip()) if text else None
    if bits is not None:
        return {"flags": [meaning for bit, meaning in PI_THROTTLE_BITS.items() if bits >> bit & 1]}
    counts = [whole_number(read_text(cpu / "thermal_throttle/core_throttle_count")) for cpu in cpus]
    known = [count for count in counts if count is not None]
    return {"count": sum(known)} if known else None
