"""The TFLite operators that a bundle may hold, and the options that determine shapes."""

from __future__ import annotations

from typing import Dict, Mapping, NamedTuple, Tuple


class Operator(NamedTuple):
    """A built-in operator.

    Attributes:
        name: in schema.fbs.
        options: number of its options' type in the schema; 0 where no option matters.
        attributes: name → (field of the options, format of `struct` or "list").
    """

    name: str
    options: int = 0
    attributes: Mapping[str, Tuple[int, str]] = {}


def _named(text: str) -> Dict[int, str]:
    words = text.split()
    return {int(code): name for code, name in zip(words[::2], words[1::2])}


# Elementwise; the output has the shape of the first input.
LIKE_THE_FIRST = _named("""
6 DEQUANTIZE  8 FLOOR  11 L2_NORMALIZATION  13 LOCAL_RESPONSE_NORMALIZATION  14 LOGISTIC  19 RELU
20 RELU_N1_TO_1  21 RELU6  25 SOFTMAX  28 TANH  47 EXP  50 LOG_SOFTMAX  53 CAST  59 NEG  66 SIN
73 LOG  75 SQRT  76 RSQRT  87 LOGICAL_NOT  92 SQUARE  98 LEAKY_RELU  101 ABS  104 CEIL
105 REVERSE_V2  108 COS  111 ELU  114 QUANTIZE  116 ROUND  117 HARD_SWISH  128 CUMSUM  150 GELU
152 RELU_0_TO_1  158 SIGN
""")
# Elementwise; inputs of several shapes are broadcast.
BROADCAST = _named("""
0 ADD  18 MUL  41 SUB  42 DIV  54 PRELU  55 MAXIMUM  57 MINIMUM  58 LESS  61 GREATER
62 GREATER_EQUAL  63 LESS_EQUAL  64 SELECT  71 EQUAL  72 NOT_EQUAL  78 POW  84 LOGICAL_OR
86 LOGICAL_AND  90 FLOOR_DIV  95 FLOOR_MOD  99 SQUARED_DIFFERENCE  106 ADD_N  123 SELECT_V2
156 ATAN2
""")
REDUCTIONS = {40: "MEAN", 74: "SUM", 81: "REDUCE_PROD", 82: "REDUCE_MAX", 89: "REDUCE_MIN", 91: "REDUCE_ANY"}
_WINDOW = {"padding": (0, "b"), "stride_w": (1, "i"), "stride_h": (2, "i")}
_POOL = {**_WINDOW, "filter_w": (3, "i"), "filter_h": (4, "i")}

OPERATORS: Dict[int, Operator] = {
    **{code: Operator(name) for code, name in {**LIKE_THE_FIRST, **BROADCAST}.items()},
    **{code: Operator(name, 27, {"keep_dims": (0, "B")}) for code, name in REDUCTIONS.items()},
    1: Operator("AVERAGE_POOL_2D", 5, _POOL),
    2: Operator("CONCATENATION", 10, {"axis": (0, "i")}),
    3: Operator("CONV_2D", 1, {**_WINDOW, "dilation_w": (4, "i"), "dilation_h": (5, "i")}),
    4: Operator("DEPTHWISE_CONV_2D", 2, {**_WINDOW, "dilation_w": (5, "i"), "dilation_h": (6, "i")}),
    5: Operator("DEPTH_TO_SPACE", 94, {"block_size": (0, "i")}),
    9: Operator("FULLY_CONNECTED", 8, {"keep_num_dims": (2, "B")}),
    17: Operator("MAX_POOL_2D", 5, _POOL),
    22: Operator("RESHAPE", 17, {"new_shape": (0, "list")}),
    23: Operator("RESIZE_BILINEAR"),
    26: Operator("SPACE_TO_DEPTH", 19, {"block_size": (0, "i")}),
    34: Operator("PAD"),
    36: Operator("GATHER", 23, {"axis": (0, "i"), "batch_dims": (1, "i")}),
    39: Operator("TRANSPOSE"),
    43: Operator("SQUEEZE", 30, {"squeeze_dims": (0, "list")}),
    45: Operator(
        "STRIDED_SLICE",
        32,
        {
            "begin_mask": (0, "i"),
            "end_mask": (1, "i"),
            "ellipsis_mask": (2, "i"),
            "new_axis_mask": (3, "i"),
            "shrink_axis_mask": (4, "i"),
            "offset": (5, "B"),
        },
    ),
    49: Operator("SPLIT", 35, {"num_splits": (0, "i")}),
    56: Operator("ARG_MAX"),
    60: Operator("PADV2"),
    65: Operator("SLICE"),
    67: Operator("TRANSPOSE_CONV"),
    69: Operator("TILE"),
    70: Operator("EXPAND_DIMS"),
    79: Operator("ARG_MIN"),
    83: Operator("PACK", 59, {"axis": (1, "i")}),
    88: Operator("UNPACK", 64, {"axis": (1, "i")}),
    97: Operator("RESIZE_NEAREST_NEIGHBOR"),
    100: Operator("MIRROR_PAD"),
    102: Operator("SPLIT_V"),
    107: Operator("GATHER_ND"),
    126: Operator("BATCH_MATMUL", 101, {"adj_x": (0, "B"), "adj_y": (1, "B")}),
    130: Operator("BROADCAST_TO"),
}
