"""The processor: instruction sets, clock governor, throttling, temperature."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from ...runtime.sensors import board_state, read_text, whole_number
from ..machine import machine_facts
from .finding import NOTE, OK, Finding

AREA = "processor"
# Name → flags of /proc/cpuinfo, of which one is enough.
INSTRUCTIONS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI (int8 dot product)": ("avx512_vnni", "avx_vnni"),
    "AMX int8": ("amx_int8",),
    "BF16": ("avx512_bf16", "amx_bf16", "bf16"),
    "dot product (int8)": ("asimddp",),
    "i8mm (int8)": ("i8mm",),
    "fp16": ("asimdhp", "avx512_fp16"),
    "SVE": ("sve",),
}
GOVERNOR = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_SLOW_GOVERNORS = ("powersave", "ondemand", "conservative", "schedutil")
_HOT_C = 80.0
_32_BIT = ("armv6l", "armv7l", "i386", "i686")


def check_processor(root: str = "/", architecture: str = "") -> list[Finding]:
    """Return findings; `root` is the folder of proc and sys, `architecture` that of this machine if empty."""
    system, facts, state = Path(root), machine_facts(root), board_state(root)
    architecture = architecture or platform.machine()
    flags = _flags(system)
    has = [name for name, names in INSTRUCTIONS.items() if flags & set(names)]
    board = f"{facts['board']}, " if facts["board"] else ""
    virtual = ", virtual" if facts["virtual"] else ""
    text = f"{board}{facts['cpu'] or architecture}, {facts['usable_cpus']} CPUs{virtual}"
    findings = [Finding(AREA, OK, f"{text}; {', '.join(has) or 'no instruction sets reported'}")]
    if architecture in _32_BIT:
        findings.append(
            Finding(
                AREA,
                NOTE,
                f"a 32-bit system ({architecture})",
                "install a 64-bit one: engines have no packages",
            )
        )
    elif architecture == "x86_64" and flags and not flags & {"avx512_vnni", "avx_vnni", "amx_int8"}:
        step = "take float32, or measure both: posec bench; see docs/int8.md"
        findings.append(Finding(AREA, NOTE, "no VNNI: int8 is not faster than float32 here", step))
    elif architecture == "aarch64" and flags and "asimddp" not in flags:
        step = "measure float32 and int8 before you choose: posec bench"
        findings.append(Finding(AREA, NOTE, "no dot product: int8 gains little here", step))
    if facts["power_mode"]:
        findings.append(Finding(AREA, OK, f"power mode: {facts['power_mode']}"))
    return [*findings, *_clock(system, state), *_heat(state)]


def _flags(system: Path) -> frozenset[str]:
    """Return the flags of an x86 CPU or the features of an ARM one."""
    for line in (read_text(system / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _clock(system: Path, state: dict[str, Any]) -> list[Finding]:
    cpus = system / "sys/devices/system/cpu/cpu0/cpufreq"
    governor, mhz = state["governor"], state["frequencies_mhz"]
    if not governor and not mhz:
        return [Finding(AREA, OK, "no clock governor, as in virtual machines and containers")]
    highest, allowed = (
        whole_number(read_text(cpus / name)) for name in ("cpuinfo_max_freq", "scaling_max_freq")
    )
    clock = f", now {min(mhz)} to {max(mhz)} MHz" if mhz else ""
    text = f"clock governor {governor}{clock}" + (f" of {highest // 1000} MHz" if highest else "")
    driver = (read_text(cpus / "scaling_driver") or "").strip()
    is_slow = governor in _SLOW_GOVERNORS and driver not in ("intel_pstate", "amd-pstate-epp")
    step = f"for steady times: echo performance | sudo tee {GOVERNOR}" if is_slow else ""
    findings = [Finding(AREA, NOTE if is_slow else OK, text, step)]
    if highest and allowed and allowed < highest:
        text = f"the clock is limited to {allowed // 1000} of {highest // 1000} MHz"
        step = "look for a power mode, a cooling daemon or arm_freq in config.txt that limits it"
        findings.append(Finding(AREA, NOTE, text, step))
    return findings


def _heat(state: dict[str, Any]) -> list[Finding]:
    findings, throttled, zones = [], state["throttled"] or {}, state["temperatures_c"] or {}
    if zones:
        name, hottest = max(zones.items(), key=lambda zone: zone[1])
        is_hot = hottest >= _HOT_C
        step = "add a heat sink or a fan; the clock sinks soon" if is_hot else ""
        findings.append(Finding(AREA, NOTE if is_hot else OK, f"{hottest:.0f} degrees C ({name})", step))
    flags = throttled.get("flags", [])
    power, heat = (
        [flag for flag in flags if flag.startswith("under") is is_power] for is_power in (True, False)
    )
    if power:
        step = "use the board's own power supply and a short cable (5 V, 5 A for a Pi 5)"
        findings.append(Finding(AREA, NOTE, ", ".join(power), step))
    if heat:
        step = "add a heat sink or a fan, and measure with posec bench --sustained 600"
        findings.append(Finding(AREA, NOTE, ", ".join(heat), step))
    if throttled and not flags and not throttled.get("count"):
        findings.append(Finding(AREA, OK, "never throttled since boot"))
    if throttled.get("count"):
        step = "clean or add cooling, and measure with posec bench --sustained 600"
        findings.append(Finding(AREA, NOTE, f"throttled {throttled['count']} times since boot", step))
    return findings
