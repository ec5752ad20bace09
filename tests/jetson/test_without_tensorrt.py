"""Without TensorRT or a GPU, ONNX Runtime runs the bundle on the best provider, with a warning."""

import sys

import onnx
import onnxruntime
import pytest
from jetson_bundles import jetson_bundle

from toolkit.runtime import load
from toolkit.runtime.engines import EngineError, open_engine
from toolkit.runtime.engines import tensorrt as tensorrt_engine
from toolkit.runtime.engines._tensorrt import cuda as cuda_module


def test_without_tensorrt_onnx_runtime_runs_the_bundle_with_a_warning(
    bundle, monkeypatch, capsys, people_pictures
):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    estimator = load(bundle.folder)
    assert len(estimator(people_pictures[3])) == 3
    described = estimator.engine.describe()
    assert (described["engine"], described["provider"]) == ("onnxruntime", "CPUExecutionProvider")
    assert "TensorRT cannot be imported" in described["instead of tensorrt"]
    assert "ONNX Runtime runs the bundle on CPUExecutionProvider instead" in capsys.readouterr().err


MB = 1 << 20
BEST_FIRST = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def asked(monkeypatch, plans):
    """Give ONNX Runtime every provider; return the lists of (provider, options) of its sessions."""
    lists, session = [], onnxruntime.InferenceSession

    def open_session(path, settings, providers):
        lists.append(providers)
        return session(path, settings, providers=["CPUExecutionProvider"])

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: sorted([*BEST_FIRST, "AzureExecutionProvider"])
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    return lists


def test_onnx_runtime_gets_the_providers_tensorrt_then_cuda_then_cpu(tmp_path, asked, capsys):
    described = open_engine(jetson_bundle(tmp_path / "a", "int8", workspace_mb=64, dla_core=1)).describe()
    assert [name for name, _ in asked[0]] == BEST_FIRST
    options = asked[0][0][1]
    assert {
        name: options[f"trt_{name}"]
        for name in ("fp16_enable", "int8_enable", "max_workspace_size", "dla_enable", "dla_core")
    } == {
        "fp16_enable": "True",
        "int8_enable": "True",
        "max_workspace_size": str(64 * MB),
        "dla_enable": "True",
        "dla_core": "1",
    }
    assert asked[0][1][1] == asked[0][2][1] == {}
    # The other providers could not start, so the description names the running one.
    assert described["provider"] == "CPUExecutionProvider"
    assert "runs the bundle on CPUExecutionProvider instead" in capsys.readouterr().err


def test_onnx_runtime_shares_no_plan_between_weights_precisions_or_jetpacks(tmp_path, asked, monkeypatch):
    one = jetson_bundle(tmp_path / "a")
    model = onnx.load(one.model_path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * 2, weight.name))
    for bundle in (
        one,
        one,
        jetson_bundle(tmp_path / "b", model=model),
        jetson_bundle(tmp_path / "c", "float32"),
    ):
        open_engine(bundle)
    monkeypatch.setattr(tensorrt_engine, "board_facts", lambda: {"l4t": "36.4.3"})
    open_engine(one)
    folders = [providers[0][1]["trt_engine_cache_path"] for providers in asked]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 4


def test_a_folder_named_tensorrt_is_not_imported(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", type(sys)("tensorrt"))
    assert "the module found is not TensorRT" in open_engine(bundle).describe()["instead of tensorrt"]


def test_without_a_gpu_onnx_runtime_runs_the_bundle(bundle, board):
    board(devices=0)
    assert "no CUDA-capable device" in open_engine(bundle).describe()["instead of tensorrt"]


def test_without_a_cuda_library_onnx_runtime_runs_the_bundle(bundle, board, monkeypatch):
    board()
    monkeypatch.undo()
    monkeypatch.setattr(cuda_module, "LIBRARIES", ("libcudart.so.none",))
    monkeypatch.setitem(sys.modules, "tensorrt", type(sys)("tensorrt"))
    sys.modules["tensorrt"].Builder = object
    assert (
        "no CUDA runtime library; tried libcudart.so.none"
        in open_engine(bundle).describe()["instead of tensorrt"]
    )


def test_without_any_engine_the_error_states_the_command_to_install_one(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match=r"python3-libnvinfer-dev.*pip install onnxruntime"):
        open_engine(bundle)
