"""The memory path on a real CUDA GPU, and a plan by a real TensorRT, where this machine has them."""

import numpy as np
import onnxruntime
import pytest
from jetson_bundles import jetson_bundle

from toolkit.runtime.engines import open_engine
from toolkit.runtime.engines._tensorrt.cuda import (
    Cuda,
    CudaError,
    DeviceMemory,
    NoCudaError,
    PinnedMemory,
    Stream,
)


@pytest.fixture
def cuda():
    try:
        return Cuda()
    except NoCudaError as error:
        pytest.skip(f"no GPU: {error}")


def test_bytes_come_back_from_the_gpu(cuda):
    size, before = 1 << 20, cuda.memory
    sent, received = PinnedMemory(cuda, size), PinnedMemory(cuda, size)
    device, stream = DeviceMemory(cuda, size), Stream(cuda)
    assert device.address % 256 == 0
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    sent.array(0, (size,), np.dtype(np.uint8))[:] = noise
    received.array(0, (size,), np.dtype(np.uint8))[:] = 0
    stream.to_device(device, sent)
    stream.to_host(received, device)
    stream.wait()
    np.testing.assert_array_equal(received.array(0, (size,), np.dtype(np.uint8)), noise)
    assert cuda.memory[1] == before[1]


def test_the_gpu_is_described(cuda):
    assert cuda.name
    assert cuda.capability >= (3, 0)
    assert cuda.multiprocessors > 0
    assert cuda.version >= (10, 2)


def test_more_memory_than_the_board_has_is_refused(cuda):
    with pytest.raises(CudaError, match="cudaMalloc: out of memory"):
        DeviceMemory(cuda, 1 << 50)
    DeviceMemory(cuda, 1 << 20)


@pytest.mark.tensorrt
def test_a_real_plan_finds_the_heads(cuda, tmp_path, plans):
    pytest.importorskip("tensorrt", reason="no TensorRT")
    bundle = jetson_bundle(tmp_path / "b", "float32", workspace_mb=256)
    frame = np.random.default_rng(0).uniform(-1, 1, (1, 3, *bundle.spec.input_size)).astype(np.float32)
    engine = open_engine(bundle)
    assert engine.describe()["engine"] == "tensorrt"
    session = onnxruntime.InferenceSession(str(bundle.model_path), providers=["CPUExecutionProvider"])
    heads = engine(frame)
    for name, values in zip(
        bundle.spec.heads,
        session.run([h.tensor for h in bundle.spec.heads.values()], {"frame": frame}),
        strict=True,
    ):
        np.testing.assert_allclose(heads[name], values[0], atol=1e-3)
    assert open_engine(bundle).describe()["plan"].endswith("loaded")
