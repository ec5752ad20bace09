"""Convert float16, bfloat16 and float64 tensors of a model to float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .shapes import element_types, infer

_OTHERS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
# Attributes that hold an element type.
_TYPE_ATTRIBUTES = ("to", "dtype", "stash_type", "softmax_precision")
_LARGEST = float(np.finfo(np.float32).max)


def widen_floats(model: onnx.ModelProto) -> int:
    """Convert all floats to float32, in place; return the number of constants and casts changed.

        x -> Cast(float16) -> Conv(float16 w) -> Cast(float32) -> y    becomes    x -> Conv(float32 w) -> y

    A cast between two of these types becomes an Identity. Values beyond float32's range are clipped.
    """
    count = 0
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                count += _widen(attribute.t)
            elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in _OTHERS:
                attribute.i, count = TensorProto.FLOAT, count + 1
    count += sum(_widen(tensor) for tensor in model.graph.initializer)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type in _OTHERS:
            value.type.tensor_type.elem_type, count = TensorProto.FLOAT, count + 1
    if count:
        del model.graph.value_info[:]
        _drop_casts(model)
    return count


def _widen(tensor: TensorProto) -> bool:
    if tensor.data_type not in _OTHERS:
        return False
    values = np.clip(numpy_helper.to_array(tensor).astype(np.float64), -_LARGEST, _LARGEST).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return True


def _drop_casts(model: onnx.ModelProto) -> None:
    types = element_types(infer(model))
    for node in model.graph.node:
        if node.op_type == "Cast" and types.get(node.input[0]) == node.attribute[0].i == TensorProto.FLOAT:
            node.op_type = "Identity"
            del node.attribute[:]
