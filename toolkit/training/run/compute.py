"""Where a training computes: device, precision, and memory."""

from __future__ import annotations

import argparse
import ctypes

import torch

# From glibc's malloc.h: most blocks mapped singly, and free memory to keep (-1: all).
_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1


def keep_memory() -> bool:
    """Make the C library keep freed memory for the next step; returns whether it can (glibc can).

    Otherwise each step requests its memory from the system again, which clears every page first.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the autocast context of a training: bfloat16 where it is native, else float32."""
    native = {
        "cpu": torch.cpu._is_avx512_bf16_supported,
        "cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
    }
    enabled = device.type in native and native[device.type]()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option `--device`, by default a CUDA GPU where there is one."""
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", default=default, help=f"torch device (default: cuda where available, here {default})"
    )
