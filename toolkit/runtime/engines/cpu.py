"""Number formats of this CPU, from the flags in /proc/cpuinfo."""

from __future__ import annotations

from typing import FrozenSet

CPUINFO = "/proc/cpuinfo"
NO_BFLOAT16 = "this CPU does not compute in bfloat16 (AVX512-BF16 or AMX)"
_INT8 = {"avx512_vnni", "avx_vnni", "amx_int8"}
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def int8_saturates(cpuinfo: str = CPUINFO) -> bool:
    """Return whether this is an x86 CPU without VNNI; False if the file is missing, as outside Linux.

    Such CPUs multiply 8-bit integers in pairs and add the two products in 16 bits, which saturates for large
    weights and activations. The network then moves people and loses some.
    """
    flags = _flags(cpuinfo)
    return bool(flags) and not _INT8 & flags


def computes_bfloat16(cpuinfo: str = CPUINFO) -> bool:
    """Return whether this CPU has bfloat16 products; False if the file is missing, as outside Linux."""
    return bool(_BFLOAT16 & _flags(cpuinfo))


def _flags(cpuinfo: str) -> FrozenSet[str]:
    """Return the flags of the first core of an x86 CPU; none for other CPUs."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as lines:
            stated = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
            return frozenset(next(stated, ()))
    except OSError:
        return frozenset()
