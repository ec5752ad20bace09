"""Engines on a real network: the same heads from each, and refusals in one sentence."""

import cv2
import numpy as np
import onnx
import pytest
from networks import spot_picture, tiny_decoder, tiny_model, tiny_spec
from onnx import TensorProto, helper, numpy_helper
from recorded_heads import bundle_info, packed

from toolkit.cli import main
from toolkit.runtime import load
from toolkit.runtime.bundle import write_bundle
from toolkit.runtime.engines import EngineError, open_engine
from toolkit.runtime.engines.cpu import computes_bfloat16, int8_saturates
from toolkit.runtime.engines.onnxruntime import cpu_options, library
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import HEADS
from toolkit.runtime.preprocess import to_batch

SPEC = tiny_spec()
ENGINES = [pytest.param("onnxruntime"), pytest.param("openvino", marks=pytest.mark.openvino)]
PICTURES = [spot_picture(people, seed=people) for people in (0, 3)]


def folded():
    """Return the tiny network with a uint8 NHWC BGR input, normalized inside."""
    model = tiny_model(SPEC)
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, *SPEC.input_size, 3])
    values = {"flip": np.array([2, 1, 0], np.int64), "mean": np.float32(128), "inverse": np.float32(1 / 128)}
    nodes = [
        helper.make_node("Gather", ["frame", "flip"], ["rgb"], axis=3),
        helper.make_node("Transpose", ["rgb"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["numbers", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse"], ["normalized"]),
    ]
    rest = list(model.graph.node)
    rest[0].input[0] = "normalized"
    arrays = [
        *model.graph.initializer,
        *(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()),
    ]
    graph = helper.make_graph([*nodes, *rest], "folded", [frame], list(model.graph.output), arrays)
    made = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def onnx_bundle(folder, engine, model=None, frame=None, **changes):
    files = {
        "model.onnx": (model or tiny_model(SPEC)).SerializeToString(),
        "pose.npz": packed(tiny_decoder()),
    }
    return write_bundle(
        folder,
        bundle_info(engine=engine, model="model.onnx", frame=vars(frame or FrameInput()), **changes),
        files,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_heads_come_out_by_name(tmp_path, engine):
    run = open_engine(onnx_bundle(tmp_path / "b", engine), threads=1)
    heads = run(to_batch(PICTURES[1], SPEC, FrameInput())[0])
    assert tuple(heads) == HEADS
    for name, values in heads.items():
        assert values.dtype == np.float32
        assert values.shape == (SPEC.heads[name].channels, *SPEC.map_size)
    assert 0.9 < heads["centre"].max() < 1


@pytest.mark.openvino
def test_engines_agree_on_heads_and_people(tmp_path):
    estimators = [
        load(onnx_bundle(tmp_path / name, name, options={"threads": 1}).folder)
        for name in ("onnxruntime", "openvino")
    ]
    for picture in PICTURES:
        one, other = (estimator.heads(picture) for estimator in estimators)
        assert all(other[name] == pytest.approx(one[name], abs=2e-5) for name in HEADS)
        people, same = (estimator(picture) for estimator in estimators)
        assert len(people) == len(same)
        assert same.joints_mm == pytest.approx(people.joints_mm, abs=0.1)
    assert len(people) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_that_is_filled_again_is_read_again(tmp_path, engine):
    estimator = load(
        onnx_bundle(
            tmp_path / "b",
            engine,
            folded(),
            FrameInput("uint8", "NHWC", "BGR", False),
            options={"threads": 1},
        ).folder
    )
    counts = [len(estimator(picture)) for picture in (*PICTURES, *PICTURES)]
    assert counts == [0, 3, 0, 3]
    plain = load(onnx_bundle(tmp_path / "plain", engine, options={"threads": 1}).folder)
    assert estimator(PICTURES[1]).joints_mm == pytest.approx(plain(PICTURES[1]).joints_mm, abs=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_describe_names_version_and_threads(tmp_path, engine):
    description = open_engine(onnx_bundle(tmp_path / "b", engine), threads=1).describe()
    assert description["engine"] == engine
    assert description["version"][0].isdigit()
    assert description["threads"] == "1"


@pytest.mark.openvino
@pytest.mark.parametrize(
    ("precision", "computed"), [("float32", "f32"), ("int8", "f32"), ("bfloat16", "bf16")]
)
def test_openvino_computes_float_layers_in_the_precision_of_the_bundle(tmp_path, precision, computed):
    if precision == "bfloat16" and not computes_bfloat16():
        pytest.skip("this CPU does not compute in bfloat16")
    run = open_engine(onnx_bundle(tmp_path / "b", "openvino", precision=precision), threads=1)
    assert run.describe()["float precision"] == computed


@pytest.mark.openvino
def test_a_bundle_of_bfloat16_computes_other_heads_than_float32(tmp_path):
    if not computes_bfloat16():
        pytest.skip("this CPU does not compute in bfloat16")
    batch = to_batch(PICTURES[1], SPEC, FrameInput())[0]
    exact, rounded = (
        open_engine(onnx_bundle(tmp_path / name, "openvino", precision=name), threads=1)(batch)
        for name in ("float32", "bfloat16")
    )
    away = max(float(np.abs(exact[name] - rounded[name]).max()) for name in HEADS)
    assert 1e-4 < away < 0.1


@pytest.mark.openvino
def test_a_bundle_of_bfloat16_is_refused_on_other_cpus_with_the_next_step(tmp_path, monkeypatch):
    bundle = onnx_bundle(tmp_path / "b", "openvino", precision="bfloat16")
    monkeypatch.setattr("toolkit.runtime.engines.openvino.computes_bfloat16", lambda: False)
    with pytest.raises(
        EngineError, match=r"AVX512-BF16 or AMX.*export the bundle with --precision int8 or float32"
    ):
        open_engine(bundle, threads=1)


@pytest.mark.openvino
def test_an_option_that_contradicts_the_precision_of_the_bundle_is_refused(tmp_path):
    same = onnx_bundle(tmp_path / "b", "openvino", options={"inference_precision": "f32"})
    assert open_engine(same, threads=1).describe()["float precision"] == "f32"
    other = onnx_bundle(tmp_path / "c", "openvino", options={"inference_precision": "bf16"})
    with pytest.raises(EngineError, match="'bf16' contradicts the bundle's precision, float32"):
        open_engine(other, threads=1)


@pytest.mark.parametrize("saturates", [True, False])
def test_onnxruntime_takes_the_slower_sums_only_where_int8_saturates(monkeypatch, saturates):
    monkeypatch.setattr("toolkit.runtime.engines.onnxruntime.int8_saturates", lambda: saturates)
    options = cpu_options(library(), threads=1)
    if saturates:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError, match="does not have configuration"):
            options.get_session_config_entry("session.x64quantprecision")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_is_no_model_is_refused(tmp_path, engine):
    files = {"model.onnx": b"not a model", "pose.npz": packed(tiny_decoder())}
    bundle = write_bundle(tmp_path / "b", bundle_info(engine=engine, model="model.onnx"), files)
    with pytest.raises(EngineError, match="cannot be read"):
        open_engine(bundle, threads=1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_without_the_heads_is_refused(tmp_path, engine):
    model = tiny_model(SPEC)
    del model.graph.output[-1]
    with pytest.raises(EngineError, match="depth"):
        open_engine(onnx_bundle(tmp_path / "b", engine, model), threads=1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_of_another_kind_is_refused(tmp_path, engine):
    run = open_engine(onnx_bundle(tmp_path / "b", engine), threads=1)
    with pytest.raises(EngineError, match="failed on a batch uint8") as refusal:
        run(np.zeros((1, 64, 96, 3), np.uint8))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "overflow"),
    [
        ("fpu sse4_2 avx avx2 avx512f avx512bw", True),
        ("fpu sse4_2 avx avx2 avx_vnni", False),
        ("fpu avx512f avx512_vnni", False),
        ("fpu avx512f amx_int8", False),
    ],
)
def test_cpus_whose_sums_of_integers_overflow_are_known(tmp_path, flags, overflow):
    (tmp_path / "cpuinfo").write_text(
        f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
    )
    assert int8_saturates(str(tmp_path / "cpuinfo")) is overflow
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert not int8_saturates(str(tmp_path / "arm"))
    assert not int8_saturates(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("flags", "able"),
    [("fpu avx2 avx512f avx512_vnni", False), ("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True)],
)
def test_cpus_that_compute_in_bfloat16_are_known(tmp_path, flags, able):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert computes_bfloat16(str(tmp_path / "cpuinfo")) is able
    assert not computes_bfloat16(str(tmp_path / "none"))


def largest_sums():
    """Return a network of one integer convolution with products of 255 times 127, and its expected sums."""
    stride, channels = SPEC.stride, [SPEC.heads[name].channels for name in HEADS]
    arrays = {
        "pixel": np.float32(1 / 255),
        "step": np.float32(1 / 127),
        "one": np.float32(1),
        "none": np.uint8(0),
        "centred": np.int8(0),
        "weight": np.full((sum(channels), 3, stride, stride), 127, np.int8),
        "split": np.array(channels, np.int64),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["frame", "pixel", "none"], ["pixels"]),
        helper.make_node("DequantizeLinear", ["pixels", "pixel", "none"], ["x"]),
        helper.make_node("DequantizeLinear", ["weight", "step", "centred"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["sums"], strides=[stride, stride]),
        helper.make_node("QuantizeLinear", ["sums", "one", "none"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "one", "none"], ["y"]),
        helper.make_node("Split", ["y", "split"], [SPEC.heads[name].tensor for name in HEADS], axis=1),
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, *SPEC.input_size])
    heads = [
        helper.make_tensor_value_info(SPEC.heads[name].tensor, TensorProto.FLOAT, [1, count, *SPEC.map_size])
        for name, count in zip(HEADS, channels, strict=True)
    ]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "sums", [frame], heads, held),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model, 3 * stride * stride


@pytest.mark.parametrize("engine", ENGINES)
def test_the_largest_integers_add_up_on_any_cpu(tmp_path, engine):
    model, expected = largest_sums()
    run = open_engine(onnx_bundle(tmp_path / "b", engine, model, precision="int8"), threads=1)
    for name, values in run(np.ones((1, 3, *SPEC.input_size), np.float32)).items():
        np.testing.assert_array_equal(values, expected, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("overflow", [True, False])
def test_an_engine_reports_when_it_avoids_sums_that_overflow(tmp_path, monkeypatch, engine, overflow):
    monkeypatch.setattr(f"toolkit.runtime.engines.{engine}.int8_saturates", lambda: overflow)
    for precision in ("int8", "float32"):
        description = open_engine(onnx_bundle(tmp_path / precision, engine, precision=precision)).describe()
        assert ("integers" in description) is (overflow and precision == "int8")


@pytest.mark.parametrize(("engine", "library"), [("onnxruntime", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_library_names_its_package(tmp_path, monkeypatch, engine, library):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(EngineError, match=rf"engine '{engine}' cannot be imported.*: pip install {library}"):
        open_engine(onnx_bundle(tmp_path / "b", engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", ["initializer", "constant"])
def test_weights_outside_the_model_file_are_refused_before_an_engine_reads_them(
    tmp_path, capsys, engine, place
):
    model = tiny_model(SPEC)
    weight = next(array for array in model.graph.initializer if array.name == model.graph.node[0].input[1])
    (tmp_path / "picture.png").write_bytes(cv2.imencode(".png", PICTURES[1])[1].tobytes())
    (tmp_path / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    if place != "initializer":
        node = helper.make_node("Constant", [], [weight.name], value=weight)
        model.graph.initializer.remove(weight)
        model.graph.node.insert(0, node)
    bundle = onnx_bundle(tmp_path / "b", engine, model)
    (tmp_path / "weights.bin").rename(bundle.folder / "weights.bin")
    assert main(["run", str(bundle.folder), "--source", str(tmp_path / "picture.png")]) == 2
    assert "weights in another file, which no hash of the bundle covers" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bundle_whose_path_is_not_utf8_is_refused_in_one_sentence(tmp_path, capsys, engine):
    folder = tmp_path / "caf\udce9"
    onnx_bundle(folder, engine)
    cv2.imwrite(str(tmp_path / "picture.png"), PICTURES[1])
    assert main(["run", str(folder), "--source", str(tmp_path / "picture.png")]) == 2
    assert "engines open only paths in UTF-8" in capsys.readouterr().err
