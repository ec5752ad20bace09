"""Give up the rights of this process permanently; on Linux by Landlock and a network namespace."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

MOST_MEMORY_BYTES = 16 * 2**30
MOST_CPU_S = 3600
# Of the kernel's headers; these numbers are the same on every architecture.
_NO_NEW_PRIVILEGES, _NEW_NETWORK, _NEW_USER = 38, 0x40000000, 0x10000000
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _BENEATH_PATH = 1, 1
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
# Version of Landlock → number of file access rights, one bit each.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_RIGHTS, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _BeneathPath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def give_up_rights(scratch: str) -> bool:
    """Bound memory and time, and allow no program, no network, and no writing outside `scratch`.

    Call it before any other thread starts: such a thread would keep its rights. Returns whether the system
    forbids writing; the bounds hold everywhere but on Windows.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        for kind, most in (
            (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
            (resource.RLIMIT_CPU, MOST_CPU_S),
            (resource.RLIMIT_CORE, 0),
        ):
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # Root leaves the network directly; in a user namespace it could no longer read the files of others.
    libc.unshare(_NEW_NETWORK if os.geteuid() == 0 else _NEW_USER | _NEW_NETWORK)
    return _restrict(libc, scratch)


def _restrict(libc: ctypes.CDLL, scratch: str) -> bool:
    """Drop file and network rights by Landlock (Linux 5.13 and later)."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    if version < 1:
        return False
    files = ((1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS[max(_FILE_RIGHTS)])) - 1) & ~(
        _READ_FILE | _READ_FOLDER
    )
    rules = _Ruleset(files, _NETWORK_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    folder = os.open(scratch, os.O_RDONLY)
    try:
        beneath = _BeneathPath(files & ~_EXECUTE, folder)
        libc.syscall(
            _ADD_RULE, ruleset, ctypes.c_int(_BENEATH_PATH), ctypes.byref(beneath), ctypes.c_uint32(0)
        )
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(folder)
        os.close(ruleset)
