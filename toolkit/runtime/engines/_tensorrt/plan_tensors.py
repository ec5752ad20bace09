"""Tensors and execution of a plan, by names (TensorRT 8.5 and later) or by bindings (8.2 and 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Mapping, Tuple

import numpy as np

from .plan_build import PlanError

# Not tensorrt.nptype: that of TensorRT 8 fails with numpy 1.24 and later, which have no numpy.bool.
_TYPES = {"FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32}


@dataclass(frozen=True)
class Tensor:
    """An input or output of a plan."""

    name: str
    is_input: bool
    shape: Tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def tensors_of(trt: Any, engine: Any) -> List[Tensor]:
    """Return the inputs and outputs of a plan. Raises PlanError for dynamic sizes and unsupported types."""
    if hasattr(engine, "num_io_tensors"):
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        return [_named_tensor(trt, engine, name) for name in names]
    return [_bound_tensor(engine, i) for i in range(engine.num_bindings)]


def _named_tensor(trt: Any, engine: Any, name: str) -> Tensor:
    is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
    return _tensor(name, is_input, shape=engine.get_tensor_shape(name), dtype=engine.get_tensor_dtype(name))


def _bound_tensor(engine: Any, index: int) -> Tensor:
    shape, dtype = engine.get_binding_shape(index), engine.get_binding_dtype(index)
    return _tensor(engine.get_binding_name(index), engine.binding_is_input(index), shape=shape, dtype=dtype)


def _tensor(name: str, is_input: bool, *, shape: Any, dtype: Any) -> Tensor:
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 1 or dtype.name not in _TYPES:
        raise PlanError(
            f"tensor '{name}' of the plan is {dtype.name} {sizes}; "
            f"this engine runs fixed sizes of {', '.join(_TYPES)}"
        )
    return Tensor(name, bool(is_input), sizes, np.dtype(_TYPES[dtype.name]))


def bind(engine: Any, addresses: Mapping[str, int], stream: int) -> Callable[[], bool]:
    """Return a function that queues one inference on `stream`, with tensors at `addresses` on the device.

    The function keeps the context alive, the context the engine.
    """
    context = engine.create_execution_context()
    if context is None:
        raise PlanError("TensorRT has no memory left to run the plan; close other programs, or add swap")
    if hasattr(context, "set_tensor_address"):
        for name, address in addresses.items():
            if not context.set_tensor_address(name, address):
                raise PlanError(f"TensorRT does not take the address of tensor '{name}'")
        return lambda: bool(context.execute_async_v3(stream))
    pointers = [0] * engine.num_bindings
    for name, address in addresses.items():
        pointers[engine.get_binding_index(name)] = address
    return lambda: bool(context.execute_async_v2(pointers, stream))
