"""A stand-in for libcudart: its functions as C pointers over host memory; documented rules are enforced.

Copies and kernels are queued and run at synchronization, as on a GPU: an early read gets garbage.
Every breach of a rule is added to `breaches` and returns cudaErrorInvalidValue.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_void_p

INVALID, OUT_OF_MEMORY, NO_DEVICE = 1, 2, 100
WORDS = {
    INVALID: b"invalid argument",
    OUT_OF_MEMORY: b"out of memory",
    NO_DEVICE: b"no CUDA-capable device is detected",
}
GARBAGE = 0xCD
# The documented C signatures, written down apart from those of the engine.
PROTOTYPES = {
    "cudaGetDeviceCount": (POINTER(c_int),),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaMemGetInfo": (POINTER(c_size_t), POINTER(c_size_t)),
    "cudaMalloc": (POINTER(c_void_p), c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaStreamCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
}


class Breach(Exception):
    """A rule of the CUDA runtime was broken."""


class StandInCuda:
    """What `cuda.open_library` returns in the tests."""

    def __init__(
        self,
        name: str = "Orin",
        capability: tuple[int, int] = (8, 7),
        multiprocessors: int = 8,
        version: int = 12060,
        total: int = 1 << 30,
        devices: int = 1,
    ) -> None:
        self.name, self.total, self.devices, self.version = name, total, devices, version
        self.attributes = {75: capability[0], 76: capability[1], 16: multiprocessors, 18: 1}
        self.device: dict[int, ctypes.Array] = {}
        self.pinned: dict[int, ctypes.Array] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.breaches: list[str] = []
        self.calls: list[str] = []
        self._words = {code: c_char_p(words) for code, words in WORDS.items()}
        # CUDA 12 alone calls it by another name.
        properties = "cudaGetDeviceProperties_v2" if version // 1000 == 12 else "cudaGetDeviceProperties"
        for function, arguments in [*PROTOTYPES.items(), (properties, (c_void_p, c_int))]:
            setattr(self, function, ctypes.CFUNCTYPE(c_int, *arguments)(self._guarded(function)))
        self.cudaGetErrorString = ctypes.CFUNCTYPE(c_void_p, c_int)(
            lambda code: ctypes.cast(self._words[code], c_void_p).value
        )

    def _guarded(self, function: str) -> Callable[..., int]:
        def call(*arguments: object) -> int:
            self.calls.append(function)
            if not self.devices:
                return NO_DEVICE
            try:
                return getattr(self, f"_{function.removeprefix('cuda')}")(*arguments) or 0
            except Breach as breach:
                self.breaches.append(f"{function}: {breach}")
                return INVALID
            except Exception as error:  # a callback's exception would be lost
                self.breaches.append(f"{function}: {error!r}")
                return INVALID

        return call

    @property
    def used(self) -> int:
        return sum(len(block) for block in self.device.values())

    def inside(self, blocks: dict[int, ctypes.Array], address: int, size: int) -> bool:
        """Whether `size` bytes at `address` lie in one of these blocks."""
        return any(
            start <= address and address + size <= start + len(block) for start, block in blocks.items()
        )

    def _GetDeviceCount(self, count):
        count[0] = self.devices

    def _DeviceGetAttribute(self, value, attribute, device):
        if device != 0 or attribute not in self.attributes:
            raise Breach(f"attribute {attribute} of device {device}")
        value[0] = self.attributes[attribute]

    def _RuntimeGetVersion(self, version):
        version[0] = self.version

    def _GetDeviceProperties(self, properties, device):
        ctypes.memmove(properties, self.name.encode() + b"\0", len(self.name) + 1)

    _GetDeviceProperties_v2 = _GetDeviceProperties

    def _MemGetInfo(self, free, total):
        free[0], total[0] = self.total - self.used, self.total

    def _allocate(self, blocks, pointer, size):
        if size == 0:
            raise Breach("0 bytes")
        if blocks is self.device and self.used + size > self.total:
            return OUT_OF_MEMORY
        block = (ctypes.c_ubyte * (size + 256))()
        start = -(-ctypes.addressof(block) // 256) * 256 - ctypes.addressof(block)
        block = (ctypes.c_ubyte * size).from_buffer(block, start)
        ctypes.memset(block, GARBAGE, size)
        blocks[ctypes.addressof(block)] = block
        pointer[0] = ctypes.addressof(block)
        return 0

    def _release(self, blocks, pointer):
        if pointer not in blocks:
            raise Breach(f"{pointer} was not allocated here, or is freed already")
        if any(self.streams.values()):
            raise Breach("work is queued that may use this memory")
        ctypes.memset(blocks[pointer], GARBAGE, len(blocks[pointer]))
        del blocks[pointer]

    def _Malloc(self, pointer, size):
        return self._allocate(self.device, pointer, size)

    def _HostAlloc(self, pointer, size, flags):
        if flags & ~7:
            raise Breach(f"flags {flags}")
        return self._allocate(self.pinned, pointer, size)

    def _Free(self, pointer):
        self._release(self.device, pointer)

    def _FreeHost(self, pointer):
        self._release(self.pinned, pointer)

    def _StreamCreateWithFlags(self, stream, flags):
        if flags not in (0, 1):
            raise Breach(f"flags {flags}")
        handle = 0x5000 + 16 * len(self.calls)
        self.streams[handle], stream[0] = [], handle

    def _queue(self, stream):
        if stream not in self.streams:
            raise Breach(f"no stream {stream}")
        return self.streams[stream]

    def _StreamSynchronize(self, stream):
        queue = self._queue(stream)
        while queue:
            queue.pop(0)()

    def _StreamDestroy(self, stream):
        if self._queue(stream):
            raise Breach("the stream has work left")
        del self.streams[stream]

    def _MemcpyAsync(self, target, source, size, kind, stream):
        if kind not in (1, 2):
            raise Breach(f"kind {kind}")
        homes = (self.device, self.pinned) if kind == 1 else (self.pinned, self.device)
        if not self.inside(homes[0], target, size) or not self.inside(homes[1], source, size):
            raise Breach(f"{size} bytes from {source} to {target}: not inside pinned and device memory")
        self._queue(stream).append(lambda: ctypes.memmove(target, source, size))

    def launch(self, stream: int, work: Callable[[], None]) -> None:
        """Queue a kernel. Raises Breach where there is no such stream."""
        self._queue(stream).append(work)
