"""Small ONNX files that would take gigabytes or minutes are refused first; damaged ones get a sentence."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import CHANNELS, tiny_spec, write_checkpoint
from onnx import TensorProto, helper, numpy_helper

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.frontend.onnx_file import settle

ROOT = Path(__file__).parents[2]
MOST_BYTES, MOST_SECONDS = 4 * 2**30, 30


def constant(name: str, *values: float, kind: type = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, kind), name)


def scalar(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def network(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], last: str) -> onnx.ModelProto:
    """Return a network whose heads take one number of `last`, whatever its shape."""
    spec = tiny_spec()
    ends = [
        helper.make_node("ReduceSum", [last], ["sum"], "sum", keepdims=0),
        helper.make_node("ReduceSum", ["frame"], ["frame_sum"], keepdims=0),
        helper.make_node("Add", ["sum", "frame_sum"], ["number"]),
    ]
    shapes = [constant(f"{head}_shape", 1, *spec.head_shape(head)) for head in CHANNELS]
    ends += [helper.make_node("Expand", ["number", f"{head}_shape"], [head]) for head in CHANNELS]
    outputs = [
        helper.make_tensor_value_info(head, TensorProto.FLOAT, [1, *spec.head_shape(head)])
        for head in CHANNELS
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, *spec.input_size])
    graph = helper.make_graph([*nodes, *ends], "bomb", [frame], outputs, [*constants, *shapes])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


SIDE = 2**14
BOMBS = {
    "ConstantOfShape": ([helper.make_node("ConstantOfShape", ["s"], ["y"])], [constant("s", 2**17, 2**17)]),
    "ConstantOfShape, many": (
        [helper.make_node("ConstantOfShape", ["s"], [f"y{i}"]) for i in range(40)]
        + [helper.make_node("Sum", [f"y{i}" for i in range(40)], ["y"])],
        [constant("s", SIDE, SIDE)],
    ),
    "Expand": (
        [helper.make_node("Expand", ["one", "s"], ["y"])],
        [scalar("one", 1), constant("s", 2**18, 2**18)],
    ),
    "Expand of the picture": (
        [helper.make_node("Expand", ["frame", "s"], ["y"])],
        [constant("s", 2**20, 3, 64, 96)],
    ),
    "Tile": (
        [helper.make_node("Tile", ["one", "s"], ["y"])],
        [constant("one", 1, kind=np.float32), constant("s", 2**34)],
    ),
    "Tile of the picture": (
        [helper.make_node("Tile", ["frame", "s"], ["y"])],
        [constant("s", 1, 1, 2**12, 2**12)],
    ),
    "Range": (
        [helper.make_node("Range", ["a", "b", "c"], ["y"])],
        [scalar("a", 0), scalar("b", 1e10), scalar("c", 1)],
    ),
    "Range, endless": (
        [helper.make_node("Range", ["a", "b", "c"], ["y"])],
        [scalar("a", 0), scalar("b", 1), scalar("c", 0)],
    ),
    "Resize": (
        [helper.make_node("Resize", ["frame", "", "s"], ["y"], mode="nearest")],
        [constant("s", 1, 1, 4096, 4096, kind=np.float32)],
    ),
    "Pad": (
        [helper.make_node("Pad", ["frame", "p"], ["y"])],
        [constant("p", 0, 0, 2**16, 2**16, 0, 0, 0, 0)],
    ),
    "OneHot": (
        [
            helper.make_node("ReduceSum", ["frame"], ["n"], keepdims=0),
            helper.make_node("Cast", ["n"], ["i"], to=TensorProto.INT64),
            helper.make_node("OneHot", ["i", "d", "v"], ["y"]),
        ],
        [constant("d", 2**34), constant("v", 0, 1, kind=np.float32)],
    ),
    "MatMul of constants": (
        [helper.make_node("ConstantOfShape", ["s"], ["a"]), helper.make_node("MatMul", ["a", "a"], ["y"])],
        [constant("s", SIDE, SIDE)],
    ),
    "MatMul, many": (
        [helper.make_node("Tile", ["frame", "t"], ["w"]), helper.make_node("Reshape", ["w", "r"], ["m0"])]
        + [helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(60)]
        + [helper.make_node("Identity", ["m60"], ["y"])],
        [constant("t", 1, 1, 64, 32), constant("r", 6144, 6144)],
    ),
    "pool of a huge kernel": (
        [
            helper.make_node("Tile", ["frame", "t"], ["w"]),
            helper.make_node("MaxPool", ["w"], ["y"], kernel_shape=[1001, 1001], pads=[500] * 4),
        ],
        [constant("t", 1, 1, 32, 32)],
    ),
    "random": ([helper.make_node("RandomNormal", [], ["y"], shape=[2**16, 2**16])], []),
    "shape that the picture decides": (
        [helper.make_node("NonZero", ["frame"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=1)],
        [],
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_takes_too_much_is_refused_first(name, tmp_path):
    nodes, constants = BOMBS[name]
    folder = write_checkpoint(tmp_path / "bomb", model=network(nodes, constants, "y"))
    assert (folder / "model.onnx").stat().st_size < 50_000
    # A shell sets the limit: a fork of this process, which has threads, might hang.
    limited = ["sh", "-c", f'ulimit -v {MOST_BYTES // 1024}; exec "$@"', "-"]
    command = [*limited, sys.executable, "-m", "toolkit", "plan", str(folder), "--target", "generic-cpu"]
    began = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=4 * MOST_SECONDS, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < MOST_SECONDS


def test_weights_in_another_file_are_refused_and_the_file_is_not_opened(tmp_path, capsys):
    folder = write_checkpoint(tmp_path / "outside")
    model = onnx.load(str(folder / "model.onnx"))
    onnx.save(
        model,
        str(folder / "model.onnx"),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 2
    assert "are in another file" in capsys.readouterr().err


def damaged(change) -> onnx.ModelProto:
    model = network(
        [helper.make_node("Conv", ["frame", "w"], ["y"], "conv")],
        [numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")],
        "y",
    )
    change(model)
    return model


DAMAGES = {
    "nothing": lambda model: model.Clear(),
    "no graph": lambda model: model.ClearField("graph"),
    "no opset": lambda model: model.ClearField("opset_import"),
    "no nodes": lambda model: model.graph.ClearField("node"),
    "no outputs": lambda model: model.graph.ClearField("output"),
    "a node without inputs": lambda model: model.graph.node[0].ClearField("input"),
    "a node without outputs": lambda model: model.graph.node[0].ClearField("output"),
    "an unknown operator": lambda model: setattr(model.graph.node[0], "op_type", "Convolve"),
    "an unknown type of a tensor": lambda model: setattr(model.graph.initializer[0], "data_type", 99),
    "an unknown type of the input": lambda model: setattr(
        model.graph.input[0].type.tensor_type, "elem_type", 99
    ),
    "an input without a type": lambda model: model.graph.input[0].ClearField("type"),
    "an attribute of another type": lambda model: model.graph.node[0].attribute.append(
        helper.make_attribute("group", "one")
    ),
    "a list for a number": lambda model: model.graph.node[0].attribute.append(
        helper.make_attribute("group", [1, 2])
    ),
    "too few values": lambda model: setattr(model.graph.initializer[0], "raw_data", b"1234"),
    "negative sizes": lambda model: model.graph.initializer[0].dims.__setitem__(0, -2),
    "a name twice": lambda model: model.graph.node.add().CopyFrom(model.graph.node[0]),
    "a tensor that nothing makes": lambda model: model.graph.node[0].input.__setitem__(0, "nowhere"),
    "a weight of one axis": lambda model: model.graph.initializer[0].CopyFrom(
        constant("w", 1, kind=np.float32)
    ),
    "a cast to nothing": lambda model: model.graph.node.insert(
        0, helper.make_node("Cast", ["frame"], ["c"], to=77)
    ),
    "an infinite opset": lambda model: setattr(model.opset_import[0], "version", 2**62),
    "a circle": lambda model: model.graph.node[0].input.__setitem__(0, "y"),
}


# Rules that TensorRT has as well.
FINDINGS = (
    "an unknown type of a tensor",
    "an unknown type of the input",
    "an input without a type",
    "a weight of one axis",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_both_commands_refuse_a_damaged_file_with_the_reason(damage, tmp_path, capsys):
    folder = write_checkpoint(tmp_path / "damaged")
    (folder / "model.onnx").write_bytes(damaged(DAMAGES[damage]).SerializeToString())
    assert main(["tensorrt-check", str(folder / "model.onnx"), "--tensorrt", "8.6"]) in (
        (1, 2) if damage in FINDINGS else (2,)
    )
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"no model", bytes(64), b"\x08\x07"], ids=["empty", "text", "zeros", "a version alone"]
)
def test_a_file_that_is_no_model_is_refused(content, tmp_path, capsys):
    (tmp_path / "a.onnx").write_bytes(content)
    assert main(["tensorrt-check", str(tmp_path / "a.onnx"), "--tensorrt", "8.6"]) == 2
    assert "is not an ONNX model" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "nowhere.onnx", "."])
def test_only_a_plain_file_is_opened(path, capsys):
    assert main(["tensorrt-check", path, "--tensorrt", "8.6"]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_random_damage_never_ends_in_a_traceback():
    """Bytes of a model are changed at random places, always the same ones."""
    content = damaged(lambda model: None).SerializeToString()
    random = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for place in random.integers(0, len(content), random.integers(1, 4)):
            changed[place] = random.integers(0, 256)
        try:
            model = onnx.load_model_from_string(bytes(changed))
        except Exception:  # not this test's
            continue
        with contextlib.suppress(PosecError):
            settle(model)
