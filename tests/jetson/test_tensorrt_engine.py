"""The engine on stand-ins for TensorRT 8.2 to 10 and the CUDA runtime, which enforce documented rules."""

import gc

import numpy as np
import onnx
import onnxruntime
import pytest
from jetson_bundles import VERSIONS, jetson_bundle
from standin_cuda import GARBAGE
from standin_tensorrt import Faults

from toolkit.runtime.engines import EngineError, open_engine
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


def test_a_plan_with_other_outputs_than_the_bundles_is_refused(tmp_path, board):
    board()
    bundle = jetson_bundle(tmp_path / "b")
    model = onnx.load(bundle.model_path)
    del model.graph.output[-1]
    with pytest.raises(EngineError, match="the bundle specifies"):
        open_engine(jetson_bundle(tmp_path / "c", model=model))
