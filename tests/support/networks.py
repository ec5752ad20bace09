"""A tiny network with five heads that finds bright spots; its checkpoint, and pictures with such spots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from toolkit.ir.graph import Graph
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import MUPOTS17, Head, KeypointGrid, PoseSpec

EMBEDDING = 8
UNITS = {"centre": 1.0, "offset": 4.0, "embedding": 1.0, "rotation": 1.0, "depth": 3.0}
CHANNELS = {"centre": 1, "offset": 2, "embedding": EMBEDDING, "rotation": 6, "depth": 1}


def tiny_spec(
    input_size: tuple[int, int] = (64, 96),
    mean: tuple[float, ...] = (128.0,) * 3,
    std: tuple[float, ...] = (128.0,) * 3,
    colour_order: str = "RGB",
) -> PoseSpec:
    """Return the contract of `tiny_model`; the size must be a multiple of 16."""
    heads = {
        name: Head(name, count, 0.0 if name == "centre" else -UNITS[name], UNITS[name])
        for name, count in CHANNELS.items()
    }
    return PoseSpec("tiny", input_size, colour_order, mean, std, 128, 8, 0.0, heads)  # type: ignore[arg-type]


LIMBS = tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)


def with_keypoints(spec: PoseSpec) -> PoseSpec:
    """Return a contract with heads of 13 key points, the first of them no joint, in cells of 16 pixels."""
    grid = KeypointGrid(16, 0.0, ("", *LIMBS))
    heads = {
        "keypoints": Head("keypoints", 13, 0.0, 1.0),
        "keypoint_offset": Head("keypoint_offset", 26, -2.0, 2.0),
    }
    return replace(spec, heads={**spec.heads, **heads}, keypoints=grid)


def tiny_decoder(seed: int = 7) -> dict[str, np.ndarray]:
    """Return a decoder of two layers, EMBEDDING → 16 → 16 bones."""
    random = np.random.default_rng(seed)
    sizes = (EMBEDDING, 16, 3 * len(MUPOTS17.bones))
    weights = {
        f"weight_{i}": random.normal(0, 0.5, (sizes[i + 1], sizes[i])).astype(np.float32) for i in range(2)
    }
    return {
        **weights,
        **{f"bias_{i}": random.normal(0, 0.5, sizes[i + 1]).astype(np.float32) for i in range(2)},
    }


class _Builder:
    """Collects nodes and initializers; every method returns the name of the tensor it made."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: object) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [output], f"/{kind}_{len(self.nodes)}", **attributes)
        )
        return output

    def array(self, values: np.ndarray) -> str:
        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def constant(self, value: float) -> str:
        return self.node("Constant", [], value=numpy_helper.from_array(np.asarray(value, np.float32)))

    def conv(
        self,
        tensor: str,
        outputs: int,
        inputs: int,
        kernel: int,
        stride: int = 1,
        group: int = 1,
        bias: np.ndarray | None = None,
        bright: float = 1.0,
        spread: float = 0.6,
        lit: int = 1,
    ) -> str:
        """Random weights; the first `lit` channels average channel 0 (in the first layer all): brightness."""
        fan_in = inputs // group * kernel * kernel
        weight = self.random.normal(
            0, spread * (2 / fan_in) ** 0.5, (outputs, inputs // group, kernel, kernel)
        )
        weight[:lit] = 0.0
        weight[:lit, : 3 if inputs == 3 else 1] = bright / (kernel * kernel * (3 if inputs == 3 else 1))
        names = [tensor, self.array(weight)] + ([] if bias is None else [self.array(bias)])
        pads = [kernel // 2] * 4
        return self.node(
            "Conv", names, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group
        )

    def batch_norm(self, tensor: str, channels: int) -> str:
        arrays = [
            self.random.uniform(0.7, 1.3, channels),
            *self.random.normal(0, 0.1, (2, channels)),
            self.random.uniform(0.7, 1.3, channels),
        ]
        for values, neutral in zip(arrays, (1.0, 0.0, 0.0, 1.0), strict=True):
            values[0] = neutral
        return self.node("BatchNormalization", [tensor, *map(self.array, arrays)])


def tiny_model(spec: PoseSpec | None = None, seed: int = 1, opset: int = 17) -> onnx.ModelProto:
    """Return a network as exporters write it, with every kind of layer.

    Batch norms, ReLU6, depthwise convolutions, a residual Add, an average pool, a bilinear Resize, an
    Identity and Constant nodes.
    """
    spec = spec or tiny_spec()
    make = _Builder(seed)
    maps = make.node("Relu", [make.batch_norm(make.conv("frame", 8, 3, 3, stride=2), 8)])
    maps = make.batch_norm(make.conv(maps, 8, 8, 3, stride=2, group=8), 8)
    maps = make.node("Clip", [maps, make.constant(0.0), make.constant(6.0)])
    maps = make.node(
        "Relu", [make.conv(maps, 16, 8, 1, bias=make.random.normal(0, 0.1, 16) * (np.arange(16) > 0))]
    )
    maps = make.node("Relu", [make.batch_norm(make.conv(maps, 16, 16, 3, stride=2, group=16), 16)])
    inner = make.node("Relu", [make.conv(maps, 16, 16, 3, group=16, bright=0.0)])
    maps = make.node("Relu", [make.node("Add", [maps, make.conv(inner, 16, 16, 1, bright=0.0)])])
    wide = make.conv(
        make.node("AveragePool", [maps], kernel_shape=[2, 2], strides=[2, 2]),
        16,
        16,
        1,
        bright=0.0,
        spread=0.3,
    )
    scales = numpy_helper.from_array(np.asarray([1, 1, 2, 2], np.float32))
    wide = make.node(
        "Resize",
        [wide, "", make.node("Constant", [], value=scales)],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    maps = make.node("Identity", [make.node("Add", [maps, wide])])
    for name, channels in CHANNELS.items():
        bias = make.random.normal(0, 0.1, channels)
        if name == "rotation":
            bias += np.asarray([0.0, -1.0, 0.0, 1.0, 0.0, 0.0])
        if name == "centre":
            raw = make.conv(maps, 1, 16, 1, bias=np.asarray([-5.0]), bright=14.0)
            make.node("Sigmoid", [raw], output=name)
        else:
            raw = make.conv(maps, channels, 16, 1, bias=bias, bright=0.3)
            unit = UNITS[name]
            tanh = make.node("Tanh", [raw], output=name if unit == 1 else "")
            if unit != 1:
                make.node("Mul", [tanh, make.constant(unit)], output=name)
    if spec.keypoints is not None:
        coarse = make.node("AveragePool", [maps], kernel_shape=[2, 2], strides=[2, 2])
        count = len(spec.keypoints.joints)
        # Every joint is where a person is and nowhere else: on flat heat, integers would choose the peaks.
        heat = make.conv(
            coarse, count, 16, 1, bias=make.random.normal(-4.0, 0.3, count), bright=12.0, lit=count
        )
        make.node("Sigmoid", [heat], output="keypoints")
        offset = make.conv(coarse, 2 * count, 16, 1, bright=0.3)
        make.node("Clip", [offset, make.constant(-2.0), make.constant(2.0)], output="keypoint_offset")
    outputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, *spec.head_shape(n)]) for n in spec.head_names
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, *spec.input_size])
    graph = helper.make_graph(make.nodes, "tiny", [frame], outputs, make.arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def tiny_graph_of(spec: PoseSpec | None = None, seed: int = 1) -> Graph:
    """Return the tiny network as a Graph, as `trace` would before any pass."""
    spec = spec or tiny_spec()
    return Graph(
        tiny_model(spec, seed),
        spec,
        FrameInput(colour_order=spec.colour_order),
        tiny_decoder(),
        "made by the tests",
    )


def write_checkpoint(
    folder: Path, spec: PoseSpec | None = None, model: onnx.ModelProto | None = None
) -> Path:
    """Write a checkpoint folder of the ONNX kind and return it."""
    spec = spec or tiny_spec()
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model or tiny_model(spec), str(folder / "model.onnx"))
    save_file(tiny_decoder(), str(folder / "pose.safetensors"))
    plain = {**spec.to_dict(), "checkpoint": {"network": "model.onnx", "licence": "made by the tests"}}
    (folder / "spec.toml").write_text(toml(plain))
    return folder


def toml(plain: dict, prefix: str = "") -> str:
    """Return nested dictionaries of numbers, strings and lists as TOML."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items() if not isinstance(value, dict)]
    tables = [
        f"\n[{prefix}{name}]\n{toml(value, f'{prefix}{name}.')}"
        for name, value in plain.items()
        if isinstance(value, dict)
    ]
    return "\n".join(lines + tables)


def spot_picture(people: int, seed: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Return a BGR picture (height, width, 3) uint8 of dim noise with `people` separate bright spots."""
    random = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    light = random.uniform(40, 90, (height, width, 3))
    slots = random.permutation(6)[:people]
    for slot in slots:
        x = (slot % 3 + 0.5) * width / 3 + random.uniform(-5, 5)
        y = (slot // 3 + 0.5) * height / 2 + random.uniform(-5, 5)
        glow = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 10.0**2))
        light += glow[..., None] * random.uniform(230, 260, 3)
    return np.clip(light, 0, 255).astype(np.uint8)


def outputs_of(model: onnx.ModelProto, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a model's outputs by name on noise, or on random pixels where it takes integers."""
    import onnxruntime  # here, so that a test without an engine can import this module

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    batch, random = session.get_inputs()[0], np.random.default_rng(seed)
    if batch.type == "tensor(float)":
        values = random.normal(0, 0.6, batch.shape).astype(np.float32)
    else:
        values = random.integers(0, 256, batch.shape).astype(np.uint8).view(batch.type[7:-1])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {batch.name: values}), strict=True))


def one_head_graph(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray], opset: int = 13) -> Graph:
    """Return a graph of the caller's nodes from `frame` (1, 3, 16, 16) to `y`, its only output."""
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, 16, 16])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(values, name) for name, values in arrays.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "one", [frame], [result], initializers),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    del model.graph.value_info[:]
    return Graph(model, tiny_spec((16, 16)), FrameInput(), {})
