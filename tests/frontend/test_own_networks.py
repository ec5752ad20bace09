"""Networks that users bring: parts that torch's exporters write in other operators each, in three formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import CHANNELS, spot_picture, tiny_decoder, tiny_graph_of, tiny_spec, write_checkpoint
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")
import cv2  # noqa: E402
import ml_dtypes  # noqa: E402
import onnxruntime  # noqa: E402
from own_networks import FORMATS, INPUT_SIZE, Net, normalization, parts, write  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from toolkit.cli import main  # noqa: E402
from toolkit.commands.interface import inputs  # noqa: E402
from toolkit.frontend.trace import trace  # noqa: E402
from toolkit.passes import prepare  # noqa: E402
from toolkit.runtime import load  # noqa: E402

pytestmark = pytest.mark.torch
PARTS = parts()
# The parts of a quick run, by format. A .pt2 file takes seconds in its child process.
QUICK = {
    "onnx-17": tuple(PARTS),
    "onnx-default": (
        "se-gate",
        "chunk-uneven",
        "shuffle",
        "attention",
        "global-max",
        "normalize",
        "layer-norm",
        "zero-pad",
        "gelu",
        "half-inside",
    ),
    "pt2": ("se-gate", "attention"),
}
CASES = [
    pytest.param(name, form, id=f"{name}-{form}", marks=() if name in QUICK[form] else pytest.mark.slow)
    for form in FORMATS
    for name in PARTS
]
# The sums of float16 differ by a step of float16.
TOLERANCE = {"half-inside": 5e-3}


def heads_of(folder: Path, batch: np.ndarray) -> dict[str, np.ndarray]:
    graph = prepare(inputs.checkpoint(str(folder)))  # traced once with the command, which keeps it
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [tensor for tensor, _ in graph.heads.values()]
    return dict(zip(graph.heads, session.run(names, {graph.input_name: batch}), strict=True))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_network_with_this_part_is_planned_and_computes_the_heads_of_torch(name, form, tmp_path, capsys):
    network = Net(PARTS[name]).eval()
    try:
        folder = write(tmp_path / "own", network, form)
    except torch.onnx.errors.UnsupportedOperatorError as error:
        pytest.skip(f"torch's older exporter does not write it: {error}")
    status = main(["plan", str(folder), "--target", "generic-cpu", "--precision", "int8"])
    assert status == 0, capsys.readouterr().err
    batch = np.random.default_rng(0).normal(0, 0.5, (1, 3, *INPUT_SIZE)).astype(np.float32)
    with torch.no_grad():
        expected = dict(zip(CHANNELS, network(torch.from_numpy(batch)), strict=True))
    for head, values in heads_of(folder, batch).items():
        np.testing.assert_allclose(values, expected[head].numpy(), atol=TOLERANCE.get(name, 1e-3))


def test_preparing_a_network_twice_changes_nothing(tmp_path):
    graph = prepare(trace(write(tmp_path / "own", Net(PARTS["instance-norm"]), "onnx-default")))
    assert prepare(graph).sha256 == graph.sha256


@pytest.mark.parametrize(
    ("name", "opset"), [("chunk", 9), ("average-pool", 11), ("se-gate", 12), ("zero-pad", 11)]
)
def test_a_network_of_an_older_opset_is_read(name, opset, tmp_path):
    network = Net(PARTS[name]).eval()
    folder = write(tmp_path / "old", network, "onnx-17", opset_version=opset)
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 0
    batch = np.random.default_rng(0).normal(0, 0.5, (1, 3, *INPUT_SIZE)).astype(np.float32)
    with torch.no_grad():
        expected = dict(zip(CHANNELS, network(torch.from_numpy(batch)), strict=True))
    for head, values in heads_of(folder, batch).items():
        np.testing.assert_allclose(values, expected[head].numpy(), atol=1e-3)


def in_type(kind: int, dtype: type, *, inside: bool) -> onnx.ModelProto:
    """Return the tiny network with weights in another type; `inside` keeps batch and heads in float32."""
    model = tiny_graph_of().model
    constants = [
        *model.graph.initializer,
        *(node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"),
    ]
    scales = {name for node in model.graph.node if node.op_type == "Resize" for name in node.input[1:]}
    makers = {
        id(node.attribute[0].t): node.output[0] for node in model.graph.node if node.op_type == "Constant"
    }
    for tensor in constants:
        if tensor.data_type == TensorProto.FLOAT and makers.get(id(tensor)) not in scales:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    if not inside:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = kind
        return model
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = f"{name}_inner" if name in ("frame", *CHANNELS) else name
    model.graph.node.insert(0, helper.make_node("Cast", ["frame"], ["frame_inner"], "cast_in", to=kind))
    model.graph.node.extend(
        helper.make_node("Cast", [f"{head}_inner"], [head], f"cast_{head}", to=TensorProto.FLOAT)
        for head in CHANNELS
    )
    return model


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    ],
    ids=["float16", "float64", "bfloat16"],
)
def test_a_network_in_another_floating_point_type_is_calibrated_and_exported(kind, dtype, inside, tmp_path):
    folder = write_checkpoint(tmp_path / "other", model=in_type(kind, dtype, inside=inside))
    frames = write_spots(tmp_path / "spots")
    assert (
        main(["calibrate", str(folder), "--frames", frames, "-o", str(tmp_path / "c.json"), "--force"]) == 0
    )
    export = [
        "export",
        str(folder),
        "--target",
        "generic-cpu",
        "--precision",
        "int8",
        "--calibration",
        str(tmp_path / "c.json"),
    ]
    assert main([*export, "--golden", frames, "-o", str(tmp_path / "out")]) == 0
    assert len(load(str(tmp_path / "out"))(spot_picture(2, seed=2))) > 0


def write_spots(folder: Path) -> str:
    folder.mkdir()
    for people in range(5):
        cv2.imwrite(str(folder / f"{people}.png"), spot_picture(people, seed=people))
    return str(folder)


def test_a_decoder_in_bfloat16_is_read(tmp_path):
    folder = write_checkpoint(tmp_path / "decoder")
    rounded = {name: torch.from_numpy(values).bfloat16() for name, values in tiny_decoder().items()}
    save_file(rounded, str(folder / "pose.safetensors"))
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 0
    for name, values in trace(folder).decoder.items():
        np.testing.assert_array_equal(values, rounded[name].float().numpy())


@pytest.mark.tflite
@pytest.mark.parametrize("form", ["onnx-17", "onnx-default"])
def test_normalization_inside_the_network_reaches_a_raspberry_pi(form, tmp_path):
    spec = tiny_spec(INPUT_SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)
    folder = write(tmp_path / "inside", Net(first=normalization()), form, spec)
    out = str(tmp_path / "pi")
    assert (
        main(["export", str(folder), "--target", "raspberry-pi-5", "--precision", "float32", "-o", out]) == 0
    )
    expected, found = trace(folder), load(out)
    from toolkit.ir.float_engine import float_estimator

    picture = spot_picture(2, seed=2)
    heads = found.heads(picture)
    for head, values in float_estimator(prepare(expected)).infer(picture).heads.items():
        np.testing.assert_allclose(heads[head], values, atol=2e-3)
