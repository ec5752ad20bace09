"""GPU properties, device and pinned memory, and a stream: the CUDA runtime through ctypes."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Any, List, Tuple, Union

import numpy as np

from .. import EngineError

# JetPack 4, 5, 6 and 7 have CUDA 10.2, 11.4, 12.x and 13.x; development packages add the plain name.
LIBRARIES = tuple(f"libcudart.so{suffix}" for suffix in ("", ".13", ".12", ".11.0", ".10.2")) + (
    "/usr/local/cuda/lib64/libcudart.so",
)

# Values of enumerations in the CUDA runtime's driver_types.h; they have not changed since CUDA 5.
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_NO_DEVICE, _INSUFFICIENT_DRIVER, _OUT_OF_MEMORY, _UNLOADING = 100, 35, 2, 4
_MULTIPROCESSORS, _INTEGRATED, _CAPABILITY_MAJOR, _CAPABILITY_MINOR = 16, 18, 75, 76
_NON_BLOCKING_STREAM = 1
_NAME_BYTES, _PROPERTIES_BYTES = 256, 4096

_SIGNATURES = {
    "cudaGetDeviceCount": [POINTER(c_int)],
    "cudaDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cudaRuntimeGetVersion": [POINTER(c_int)],
    "cudaMemGetInfo": [POINTER(c_size_t), POINTER(c_size_t)],
    "cudaMalloc": [POINTER(c_void_p), c_size_t],
    "cudaFree": [c_void_p],
    "cudaHostAlloc": [POINTER(c_void_p), c_size_t, c_uint],
    "cudaFreeHost": [c_void_p],
    "cudaStreamCreateWithFlags": [POINTER(c_void_p), c_uint],
    "cudaStreamSynchronize": [c_void_p],
    "cudaStreamDestroy": [c_void_p],
    "cudaMemcpyAsync": [c_void_p, c_void_p, c_size_t, c_int, c_void_p],
}


class CudaError(EngineError):
    """A CUDA call that failed; the message names the call and the cause."""


class NoCudaError(CudaError):
    """The CUDA runtime, a suitable driver, or a GPU is missing."""


def open_library() -> Any:
    """Return the CUDA runtime library. Raises NoCudaError if there is none."""
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise NoCudaError(
        f"no CUDA runtime library; tried {', '.join(LIBRARIES)}; on a Jetson: sudo apt install nvidia-jetpack"
    )


class Cuda:
    """The CUDA runtime of device 0. Raises NoCudaError if there is no GPU."""

    def __init__(self) -> None:
        self._library = open_library()
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, c_int
        self._library.cudaGetErrorString.argtypes, self._library.cudaGetErrorString.restype = (
            [c_int],
            c_char_p,
        )
        count = c_int()
        self.call("cudaGetDeviceCount", byref(count))
        if count.value < 1:
            raise NoCudaError("the CUDA runtime finds no GPU")

    def call(self, name: str, *arguments: Any, allowed: int = 0) -> None:
        """Call a function of the runtime. Raises CudaError unless it returns 0 or `allowed`."""
        code = getattr(self._library, name)(*arguments)
        if code not in (0, allowed):
            reason = (self._library.cudaGetErrorString(code) or b"unknown error").decode()
            kind = NoCudaError if code in (_NO_DEVICE, _INSUFFICIENT_DRIVER) else CudaError
            hint = "; close other programs, or add swap" if code == _OUT_OF_MEMORY else ""
            raise kind(f"{name}: {reason} (CUDA error {code}){hint}")

    def _attribute(self, number: int) -> int:
        value = c_int()
        self.call("cudaDeviceGetAttribute", byref(value), number, 0)
        return value.value

    @property
    def name(self) -> str:
        """The GPU's name, such as "Orin": the first field of the properties; the others differ by version."""
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        for function in ("cudaGetDeviceProperties_v2", "cudaGetDeviceProperties"):
            if hasattr(self._library, function):
                call = getattr(self._library, function)
                call.argtypes, call.restype = [c_void_p, c_int], c_int
                self.call(function, properties, 0)
                return properties.raw[:_NAME_BYTES].split(b"\0")[0].decode()
        return "unknown"

    @property
    def capability(self) -> Tuple[int, int]:
        """Compute capability, such as (8, 7)."""
        return self._attribute(_CAPABILITY_MAJOR), self._attribute(_CAPABILITY_MINOR)

    @property
    def multiprocessors(self) -> int:
        """Streaming multiprocessors that the power mode leaves on."""
        return self._attribute(_MULTIPROCESSORS)

    @property
    def integrated(self) -> bool:
        """Whether the GPU shares the CPU's memory, as on every Jetson."""
        return bool(self._attribute(_INTEGRATED))

    @property
    def version(self) -> Tuple[int, int]:
        """Major and minor version of the runtime."""
        value = c_int()
        self.call("cudaRuntimeGetVersion", byref(value))
        return value.value // 1000, value.value % 1000 // 10

    @property
    def memory(self) -> Tuple[int, int]:
        """Bytes of device memory: free, in all."""
        free, total = c_size_t(), c_size_t()
        self.call("cudaMemGetInfo", byref(free), byref(total))
        return free.value, total.value


class DeviceMemory:
    """Bytes on the GPU, at `address`, freed with this object."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda, self.size, pointer = cuda, size, c_void_p()
        self.address = 0
        cuda.call("cudaMalloc", byref(pointer), size)
        self.address = int(pointer.value or 0)

    def __del__(self) -> None:
        if getattr(self, "address", 0):
            _free(self._cuda, "cudaFree", self.address)
            self.address = 0


class PinnedMemory:
    """Bytes of page-locked host memory, which the GPU copies directly.

    Arrays made by `array` keep the memory alive; it is freed with the last of them.
    """

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda, self.size, pointer = cuda, size, c_void_p()
        self.address = 0
        cuda.call("cudaHostAlloc", byref(pointer), size, 0)
        self.address = int(pointer.value or 0)

    def array(self, offset: int, shape: Tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return the bytes from `offset` on as an array; no copy."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if offset + size > self.size:
            raise CudaError(f"{size} bytes at {offset} do not fit {self.size} pinned bytes")
        view: Any = (ctypes.c_ubyte * size).from_address(self.address + offset)
        view.owner = self  # numpy keeps the view alive, the view keeps this memory alive
        flat: np.ndarray = np.frombuffer(view, np.uint8).view(dtype)
        return flat.reshape(shape)

    def __del__(self) -> None:
        if getattr(self, "address", 0):
            _free(self._cuda, "cudaFreeHost", self.address)
            self.address = 0


class Stream:
    """One queue of copies and kernels, destroyed with this object."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda, pointer = cuda, c_void_p()
        self.handle = 0
        cuda.call("cudaStreamCreateWithFlags", byref(pointer), _NON_BLOCKING_STREAM)
        self.handle = int(pointer.value or 0)

    def to_device(self, target: DeviceMemory, source: PinnedMemory) -> None:
        """Queue a copy of all of `source` to the start of `target`."""
        self._copy(target, source, kind=_HOST_TO_DEVICE)

    def to_host(self, target: PinnedMemory, source: DeviceMemory) -> None:
        """Queue a copy of all of `source` to the start of `target`."""
        self._copy(target, source, kind=_DEVICE_TO_HOST)

    def _copy(
        self,
        target: Union[DeviceMemory, PinnedMemory],
        source: Union[DeviceMemory, PinnedMemory],
        *,
        kind: int,
    ) -> None:
        if source.size > target.size:
            raise CudaError(f"{source.size} bytes do not fit {target.size}")
        self._cuda.call("cudaMemcpyAsync", target.address, source.address, source.size, kind, self.handle)

    def wait(self) -> None:
        """Wait for everything queued. Raises CudaError for any failure since the last call."""
        self._cuda.call("cudaStreamSynchronize", self.handle)

    def __del__(self) -> None:
        if getattr(self, "handle", 0):
            _free(self._cuda, "cudaStreamDestroy", self.handle)
            self.handle = 0


def _free(cuda: Cuda, function: str, pointer: int) -> None:
    """Free memory or a stream; at the end of the process the driver may already be unloaded."""
    cuda.call(function, pointer, allowed=_UNLOADING)


def aligned(sizes: List[int], boundary: int = 256) -> Tuple[List[int], int]:
    """Return the offsets of pieces in one block, each a multiple of `boundary`, and the block's size.

    TensorRT requires tensor addresses at multiples of 256 bytes.
    """
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // boundary) * boundary
    return offsets, max(end, boundary)
