"""What an arm64 program reads to learn where it is: /proc/cpuinfo and /sys of a Raspberry Pi, as plain files.

With the host's cpuinfo LiteRT and ONNX Runtime crash, with none LiteRT silently leaves XNNPACK out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4
CPUINFO = "opt/pretend/cpuinfo"


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi: the emulator's name for its CPU, and the kernel's description of it."""

    title: str
    cpu: str
    part: int
    variant: int
    revision: int
    features: str

    @property
    def midr(self) -> int:
        """The CPU's identification register."""
        return 0x41 << 24 | self.variant << 20 | 0xF << 16 | self.part << 4 | self.revision


_BASE = "fp asimd evtstrm crc32 cpuid"
BOARDS = {
    "raspberry-pi-zero-2": Board("Raspberry Pi Zero 2 W Rev 1.0", "cortex-a53", 0xD03, 0, 4, _BASE),
    "raspberry-pi-4": Board("Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", 0xD08, 0, 3, _BASE),
    "raspberry-pi-5": Board(
        "Raspberry Pi 5 Model B Rev 1.0",
        "cortex-a76",
        0xD0B,
        4,
        1,
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
}


def become(system: Path, board: Board) -> None:
    """Write the files of a board into a root file system; what is bound or open there changes with it."""
    cores = [
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\nCPU implementer\t: "
        f"0x41\nCPU architecture: 8\nCPU variant\t: {board.variant:#x}\nCPU part\t: "
        f"{board.part:#x}\nCPU revision\t: {board.revision}\n\n"
        for core in range(CORES)
    ]
    files = {
        CPUINFO: "".join(cores)
        + f"Revision\t: 000000\nSerial\t\t: 0000000000000000\nModel\t\t: {board.title}\n",
        "sys/firmware/devicetree/base/model": board.title + "\0",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "40000\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48000\n",
    }
    cpus, everyone = "sys/devices/system/cpu", f"0-{CORES - 1}"
    files.update({f"{cpus}/{name}": everyone for name in ("possible", "present", "online")})
    files[f"{cpus}/kernel_max"] = str(2 * CORES - 1)
    for core in range(CORES):
        own, mask, all_of_them = f"{cpus}/cpu{core}", f"{1 << core:x}", f"{(1 << CORES) - 1:x}"
        files.update(
            {
                f"{own}/regs/identification/midr_el1": f"{board.midr:#018x}",
                f"{own}/cpufreq/scaling_governor": "ondemand",
                f"{own}/cpufreq/scaling_cur_freq": "1500000",
                f"{own}/cpufreq/cpuinfo_max_freq": "1800000",
                f"{own}/cpufreq/cpuinfo_min_freq": "600000",
                f"{own}/topology/core_id": str(core),
                f"{own}/topology/physical_package_id": "0",
                f"{own}/topology/core_siblings_list": everyone,
                f"{own}/topology/package_cpus_list": everyone,
                f"{own}/topology/thread_siblings_list": str(core),
            }
        )
        files.update({f"{own}/topology/{name}": mask for name in ("thread_siblings", "core_cpus")})
        files.update({f"{own}/topology/{name}": all_of_them for name in ("core_siblings", "package_cpus")})
    for name, text in files.items():
        path = system / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
