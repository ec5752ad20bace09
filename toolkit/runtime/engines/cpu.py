"""Whether a CPU can add up 8-bit integers.

x86 CPUs without VNNI multiply them in pairs and add the two products in 16 bits, which overflow where weights and activations are large
together. Engines that do so find other people than those that were compiled, and lose some.
"""

from __future__ import annotations

_ABLE = {"avx512_vnni", "avx_vnni", "amx_int8"}


def int8_saturates(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Say whether this is an x86 CPU without VNNI, by the file in which Linux describes it; False where there is no such file."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as lines:
            flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    except OSError:
        return False
    return bool(flags) and not _ABLE.intersection(flags)
