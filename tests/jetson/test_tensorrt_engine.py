"""The engine on stand-ins for TensorRT 8.2 to 10 and the CUDA runtime, which enforce documented rules."""

import gc
import hashlib
import json
import re
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from jetson_bundles import VERSIONS, jetson_bundle
from standin_cuda import GARBAGE
from standin_tensorrt import Faults

from toolkit.runtime import load
from toolkit.runtime.engines import EngineError, open_engine
from toolkit.runtime.engines import tensorrt as tensorrt_engine
from toolkit.runtime.engines._tensorrt import cuda as cuda_module
from toolkit.runtime.engines._tensorrt import plan_build, plan_runner
from toolkit.runtime.engines.onnxruntime import cpu_options

MB = 1 << 20


def frame_of(bundle, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (1, 3, *bundle.spec.input_size)).astype(np.float32)


def expected(bundle, frame):
    session = onnxruntime.InferenceSession(
        str(bundle.model_path), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    names = [head.tensor for head in bundle.spec.heads.values()]
    return {
        name: values[0]
        for name, values in zip(bundle.spec.heads, session.run(names, {"frame": frame}), strict=True)
    }


def assert_heads(found, wanted):
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_finds_the_heads_of_the_onnx_file(version, bundle, board):
    board(version)
    engine = open_engine(bundle)
    for seed in range(3):
        frame = frame_of(bundle, seed)
        heads = engine(frame)
        assert_heads(heads, expected(bundle, frame))
        assert all(values.dtype == np.float32 for values in heads.values())
    described = engine.describe()
    assert described["interface"] == (
        "bindings" if version < "8.5" and not version.startswith("10") else "named tensors"
    )
    assert (described["version"], described["gpu"], described["compute capability"]) == (
        version,
        "Orin",
        "8.7",
    )


@pytest.mark.parametrize(
    ("number", "version"), [(10020, "10.2"), (11040, "11.4"), (12060, "12.6"), (13000, "13.0")]
)
def test_every_cuda_version_describes_the_gpu(number, version, bundle, board):
    board(version=number, tensorrt="10.3.0")
    described = open_engine(bundle).describe()
    assert (described["gpu"], described["cuda"]) == ("Orin", version)


def test_a_call_makes_two_copies_and_waits_once(bundle, board):
    _, cuda = board()
    engine = open_engine(bundle)
    del cuda.calls[:]
    engine(frame_of(bundle))
    assert cuda.calls == ["cudaMemcpyAsync", "cudaMemcpyAsync", "cudaStreamSynchronize"]


def test_heads_live_as_long_as_they_are_referenced(bundle, board):
    _, cuda = board()
    engine = open_engine(bundle)
    frame = frame_of(bundle)
    head = engine(frame)["embedding"]
    del engine
    gc.collect()
    assert not cuda.device
    assert not cuda.streams
    assert_heads({"embedding": head}, {"embedding": expected(bundle, frame)["embedding"]})
    del head
    gc.collect()
    assert not cuda.pinned


def test_boards_with_uncached_pinned_memory_use_pageable_heads(bundle, board):
    _, cuda = board("8.2.1.8", name="NVIDIA Tegra X1", capability=(5, 3), multiprocessors=1)
    engine, frame = open_engine(bundle), frame_of(bundle)
    heads = engine(frame)
    assert_heads(heads, expected(bundle, frame))
    assert not any(cuda.inside(cuda.pinned, values.ctypes.data, values.nbytes) for values in heads.values())


def test_garbage_in_new_memory_never_reaches_the_heads(bundle, board):
    board()
    heads = open_engine(bundle)(frame_of(bundle))
    garbage = np.frombuffer(bytes([GARBAGE] * 4), np.float32)[0]
    assert not any((values == garbage).any() for values in heads.values())


def test_a_batch_of_another_shape_or_type_is_refused(bundle, board):
    board()
    engine, frame = open_engine(bundle), frame_of(bundle)
    with pytest.raises(EngineError, match=r"float32 \(1, 3, 64, 96\), got float64"):
        engine(frame.astype(np.float64))
    with pytest.raises(EngineError, match=r"got float32 \(1, 3, 32, 96\)"):
        engine(frame[:, :, :32])


@pytest.mark.parametrize(
    ("precision", "flags"),
    [("float32", set()), ("float16", {"FP16", "TF32"})],
    ids=["float32 without TF32", "float16"],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_builder_gets_the_precision_and_the_memory_cap(version, precision, flags, tmp_path, board):
    trt, _ = board(version)
    open_engine(jetson_bundle(tmp_path / "b", precision, workspace_mb=64))
    assert trt.record.flags == [flags]
    assert trt.record.workspaces == [64 * MB]


def test_the_memory_cap_is_half_of_the_free_memory(tmp_path, board):
    trt, _ = board(total=100 * MB)
    open_engine(jetson_bundle(tmp_path / "b", workspace_mb=4096))
    assert trt.record.workspaces == [50 * MB]


def test_a_dla_core_is_requested_with_fallback_to_the_gpu(tmp_path, board):
    trt, _ = board("8.6.2")
    open_engine(jetson_bundle(tmp_path / "b", dla_core=1))
    assert trt.record.flags == [{"FP16", "TF32", "GPU_FALLBACK"}]
    with pytest.raises(EngineError, match="no DLA core 2; this board has 2"):
        open_engine(jetson_bundle(tmp_path / "c", dla_core=2))


def test_the_second_load_builds_nothing(bundle, board, capsys):
    trt, _ = board()
    assert open_engine(bundle).describe()["plan"].endswith("s")
    printed = capsys.readouterr().err
    assert "expect 2 to 4 minutes" in printed
    assert "plan built in" in printed
    assert open_engine(bundle).describe()["plan"].endswith("loaded")
    assert trt.record.builds == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("version", "step"), [("8.5.2", ""), ("10.3.0", ", Building Engine 2/2")])
def test_a_build_reports_its_progress(version, step, bundle, board, capsys, monkeypatch):
    monkeypatch.setattr(plan_build, "_REPORT_EVERY_S", 0.02)
    board(version, Faults(seconds=0.3))
    open_engine(bundle)
    assert re.search(
        rf"posec: building the plan: \d s{step} \(expected: 2 to 4 minutes\)", capsys.readouterr().err
    )


MACHINES = {
    "multiprocessors": {"multiprocessors": 4},
    "gpu": {"name": "Xavier"},
    "capability": {"capability": (7, 2)},
    "cuda": {"version": 12050},
}


@pytest.mark.parametrize(
    "change", [*MACHINES, "model", "precision", "workspace", "dla core", "tensorrt", "jetpack"]
)
def test_every_changed_input_gets_its_own_plan(change, tmp_path, board, capsys, monkeypatch):
    board()
    open_engine(jetson_bundle(tmp_path / "a", workspace_mb=64))
    trt, _ = board("10.7.0" if change == "tensorrt" else "10.3.0", **MACHINES.get(change, {}))
    if change == "jetpack":
        monkeypatch.setattr(plan_runner, "board_facts", lambda: {"l4t": "36.4.3"})
    options = {
        "workspace_mb": 65 if change == "workspace" else 64,
        **({"dla_core": 1} if change == "dla core" else {}),
    }
    other = jetson_bundle(tmp_path / "b", "float32" if change == "precision" else "float16", **options)
    if change == "model":
        model = onnx.load(other.model_path)
        model.producer_name = "another"
        other = jetson_bundle(tmp_path / "c", model=model, workspace_mb=64)
    open_engine(other)
    assert trt.record.builds == 1
    assert "cannot load the plan" not in capsys.readouterr().err  # it was never tried


def test_the_same_model_under_another_name_shares_the_plan(tmp_path, board):
    trt, _ = board()
    open_engine(jetson_bundle(tmp_path / "a"))
    open_engine(jetson_bundle(tmp_path / "b"))
    assert trt.record.builds == 1


def test_the_timing_cache_is_kept_and_given_to_the_next_build(tmp_path, board, plans):
    trt, _ = board()
    open_engine(jetson_bundle(tmp_path / "a"))
    open_engine(jetson_bundle(tmp_path / "b", "float32"))
    assert trt.record.timings_taken == 1
    next(plans.glob("timings-*.cache")).write_bytes(b"not a timing cache")
    open_engine(jetson_bundle(tmp_path / "c", workspace_mb=33))
    assert (trt.record.builds, trt.record.timings_taken) == (3, 1)


def test_a_plan_put_in_place_of_ours_is_not_loaded(bundle, board, plans):
    trt, _ = board()
    open_engine(bundle)
    plan = next(plans.glob("*.plan"))
    plan.write_bytes(plan.read_bytes().replace(b"10.3.0", b"8.6.2"))
    assert open_engine(bundle).describe()["plan"].endswith("s")
    assert trt.record.builds == 2


def test_a_plan_that_tensorrt_refuses_is_built_again(bundle, board, plans, capsys):
    trt, _ = board()
    open_engine(bundle)
    plan = next(plans.glob("*.plan"))
    plan.write_bytes(plan.read_bytes().replace(b'"tensorrt": "10.3.0"', b'"tensorrt": "8.6.2"'))
    note = json.loads(plan.with_suffix(".json").read_text())
    note["sha256"] = hashlib.sha256(plan.read_bytes()).hexdigest()
    plan.with_suffix(".json").write_text(json.dumps(note))
    open_engine(bundle)
    assert trt.record.builds == 2
    assert "TensorRT cannot load the plan that it built earlier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (
            Faults(parser="Assertion failed: shiftIsAllZeros"),
            "cannot read the network: node 3: Assertion failed: shiftIsAllZeros",
        ),
        (
            Faults(build="Could not find any implementation for node {ForeignNode}"),
            "built no plan: Could not find any implementation",
        ),
        (Faults(context=True), "no memory left to run the plan"),
        (Faults(deserialize=True), "cannot load the plan that it just built"),
        (Faults(starts=False), "cannot start: CUDA initialization failure"),
        (Faults(memory_bytes=1 * MB), "ran out of memory: .*add swap"),
    ],
    ids=["parser", "build", "context", "deserialize", "start", "memory"],
)
@pytest.mark.parametrize("version", ["8.2.1.8", "10.3.0"])
def test_failures_quote_the_message_of_tensorrt(version, faults, words, bundle, board):
    board(version, faults)
    with pytest.raises(EngineError, match=words):
        open_engine(bundle)


def test_a_plan_that_fails_to_run_raises_an_error(bundle, board):
    trt, _ = board()
    engine = open_engine(bundle)
    trt.faults.execute = True
    with pytest.raises(EngineError, match="could not run the plan: Cuda Runtime"):
        engine(frame_of(bundle))
    trt.faults.execute = False
    engine(frame_of(bundle))  # the stream is whole


def test_out_of_memory_is_tried_again_with_less(bundle, board, capsys):
    trt, _ = board(faults=Faults(memory_bytes=70 * MB))
    open_engine(bundle)
    assert trt.record.workspaces == [256 * MB, 64 * MB]
    assert "once more with a workspace of 64 MB" in capsys.readouterr().err


def test_int8_is_refused_on_a_gpu_without_it(tmp_path, board):
    board("8.2.1.8", Faults(fast_int8=False), name="NVIDIA Tegra X1", capability=(5, 3))
    with pytest.raises(EngineError, match="no int8 instructions; export the bundle with --precision float16"):
        open_engine(jetson_bundle(tmp_path / "b", "int8"))


@pytest.mark.parametrize("version", ["7.1.3", "8.0.1", "11.4.0"])
def test_versions_with_another_interface_are_refused(version, bundle, board):
    trt, _ = board()
    trt.__version__ = version
    with pytest.raises(EngineError, match=rf"TensorRT {version}: this engine knows 8.2 to 10.x"):
        open_engine(bundle)


def test_memory_that_runs_out_names_the_call(bundle, board):
    _, cuda = board()
    open_engine(bundle)
    cuda.total = 200
    with pytest.raises(
        EngineError, match=r"cudaMalloc: out of memory \(CUDA error 2\); close other programs, or add swap"
    ):
        open_engine(bundle)


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


def test_a_plan_with_other_outputs_than_the_bundles_is_refused(tmp_path, board):
    board()
    bundle = jetson_bundle(tmp_path / "b")
    model = onnx.load(bundle.model_path)
    del model.graph.output[-1]
    with pytest.raises(EngineError, match="the bundle specifies"):
        open_engine(jetson_bundle(tmp_path / "c", model=model))
