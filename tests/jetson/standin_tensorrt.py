"""A stand-in for the module `tensorrt`, of version 8.2, 8.5, 8.6 or 10.x.

It has the documented names and signatures of that version alone, and enforces order, types, shapes and
lifetimes. A plan is the ONNX file behind a header; ONNX Runtime computes it.
"""

from __future__ import annotations

import ctypes
import enum
import json
import time
import types

import numpy as np
import onnx
import onnxruntime
from standin_cuda import Breach, StandInCuda
from standin_faults import Faults, Record

from toolkit.runtime.engines.onnxruntime import cpu_options

MAGIC, TIMINGS = b"STANDIN\n", b"TIMINGS\n"


def expect(condition: bool, rule: str) -> None:
    if not condition:
        raise Breach(rule)


class Enum(enum.IntEnum):
    pass


class IHostMemory(bytes):
    """Only a buffer: the real one has neither a length nor items."""

    nbytes = property(lambda self: bytes.__len__(self))

    def __len__(self):
        raise TypeError("object of type 'IHostMemory' has no len()")

    def __getitem__(self, index):
        raise TypeError("'IHostMemory' object is not subscriptable")


def make_module(version: str, cuda: StandInCuda, faults: Faults | None = None) -> types.ModuleType:
    """Return a module with the interface of this TensorRT version; `module.record` lists the calls."""
    faults = faults or Faults()
    numbers = tuple(int(part) for part in version.split("."))
    named, bindings = numbers >= (8, 5), numbers < (10,)
    trt = types.ModuleType("tensorrt")
    trt.__version__, trt.record, trt.faults = version, Record(), faults
    identity = {"tensorrt": version, "gpu": cuda.name, "multiprocessors": cuda.attributes[16]}

    def values(name: str, *members: str) -> type:
        made = Enum(name, {member: number for number, member in enumerate(members)})
        setattr(trt, name, made)
        return made

    flags = values("BuilderFlag", "FP16", "INT8", "GPU_FALLBACK", "TF32")
    network_flags = values(
        "NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if numbers >= (10,) else [])
    )
    devices = values("DeviceType", "GPU", "DLA")
    if numbers >= (8, 4):
        pools = values("MemoryPoolType", "WORKSPACE", "DLA_MANAGED_SRAM", "DLA_LOCAL_DRAM", "DLA_GLOBAL_DRAM")
    types_ = values("DataType", "FLOAT", "HALF", "INT8", "INT32", "BOOL", *(["UINT8"] if named else []))
    element_types = {
        onnx.TensorProto.FLOAT: types_.FLOAT,
        onnx.TensorProto.FLOAT16: types_.HALF,
        onnx.TensorProto.INT32: types_.INT32,
    }
    if named:
        modes = values("TensorIOMode", "NONE", "INPUT", "OUTPUT")
        element_types[onnx.TensorProto.UINT8] = types_.UINT8

    class ILogger:
        def __init__(self) -> None:
            self._ready = True

        def log(self, severity, msg) -> None:
            raise NotImplementedError

    for number, severity in enumerate(("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")):
        setattr(ILogger, severity, Enum("Severity", {severity: number})[severity])

    def check_logger(logger) -> None:
        expect(
            isinstance(logger, ILogger) and getattr(logger, "_ready", False),
            "a logger must call ILogger.__init__",
        )

    class INetworkDefinition:
        __slots__ = ("_explicit", "_model", "_parser")

    class ITimingCache:
        __slots__ = ("_blob",)
        _note = property(lambda self: json.loads(self._blob[len(TIMINGS) :]))

        def serialize(self) -> IHostMemory:
            return IHostMemory(self._blob)

    class IBuilderConfig:
        __slots__ = (
            "_flags",
            "_pool",
            "_timings",
            "_workspace",
            "default_device_type",
            "DLA_core",
            *(["progress_monitor"] if numbers >= (9,) else []),
        )

        def set_flag(self, flag) -> None:
            expect(isinstance(flag, flags), "set_flag takes a BuilderFlag")
            self._flags.add(flag.name)

        def clear_flag(self, flag) -> None:
            expect(isinstance(flag, flags), "clear_flag takes a BuilderFlag")
            self._flags.discard(flag.name)

        def create_timing_cache(self, serialized_timing_cache):
            blob = bytes(serialized_timing_cache)
            if blob and not blob.startswith(TIMINGS):
                return None
            cache = ITimingCache()
            cache._blob = blob or TIMINGS + json.dumps({"of": identity, "builds": 0}).encode()
            return cache

        def set_timing_cache(self, cache, ignore_mismatch) -> bool:
            expect(isinstance(cache, ITimingCache), "set_timing_cache takes an ITimingCache")
            if cache._note["of"] != identity and not ignore_mismatch:
                return False
            self._timings = cache
            return True

    if bindings:
        IBuilderConfig.max_workspace_size = property(
            lambda self: self._workspace, lambda self, size: setattr(self, "_workspace", size)
        )
    if numbers >= (8, 4):

        def set_memory_pool_limit(self, pool, pool_size) -> None:
            expect(
                isinstance(pool, pools) and isinstance(pool_size, int),
                "set_memory_pool_limit takes a MemoryPoolType and bytes",
            )
            self._workspace = pool_size

        IBuilderConfig.set_memory_pool_limit = set_memory_pool_limit
    if numbers >= (9,):

        class IProgressMonitor:
            def __init__(self) -> None:
                self._ready = True

            def phase_start(self, phase_name, parent_phase, num_steps) -> None:
                raise NotImplementedError

            def phase_finish(self, phase_name) -> None:
                raise NotImplementedError

            def step_complete(self, phase_name, step) -> bool:
                raise NotImplementedError

        trt.IProgressMonitor = IProgressMonitor

    class Builder:
        def __init__(self, logger) -> None:
            check_logger(logger)
            if not faults.starts:
                logger.log(ILogger.ERROR, "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self.logger, self.platform_has_fast_int8, self.num_DLA_cores = logger, faults.fast_int8, 2

        def create_network(self, flags=0) -> INetworkDefinition:
            network = INetworkDefinition()
            network._explicit = numbers >= (10,) or bool(flags & 1 << int(network_flags.EXPLICIT_BATCH))
            network._model = network._parser = None
            return network

        def create_builder_config(self) -> IBuilderConfig:
            config = IBuilderConfig()
            config._flags, config._workspace, config._timings = {"TF32"}, cuda.total, None
            config.default_device_type, config.DLA_core = devices.GPU, -1
            if numbers >= (9,):
                config.progress_monitor = None
            return config

        def build_serialized_network(self, network, config):
            expect(network._model is not None, "build_serialized_network of an empty network")
            expect(
                config.default_device_type == devices.GPU or {"FP16", "INT8"} & config._flags,
                "DLA needs float16 or int8",
            )
            quantized = any(
                node.op_type == "QuantizeLinear"
                for node in onnx.load_model_from_string(network._model).graph.node
            )
            expect(quantized == ("INT8" in config._flags), "Q/DQ nodes and the flag INT8 go together")
            trt.record.builds += 1
            trt.record.workspaces.append(config._workspace)
            trt.record.flags.append(set(config._flags))
            trt.record.timings_taken += config._timings is not None and config._timings._note["builds"] > 0
            monitor = getattr(config, "progress_monitor", None)
            if monitor is not None:
                expect(getattr(monitor, "_ready", False), "a monitor must call IProgressMonitor.__init__")
                monitor.phase_start("Building Engine", None, 2)
                going = [monitor.step_complete("Building Engine", step) for step in range(2)]
                monitor.phase_finish("Building Engine")
                expect(all(flag is True for flag in going), "step_complete returns True to go on")
            time.sleep(faults.seconds)
            if faults.hang:
                faults.hang.touch()
                time.sleep(60)
            if config._workspace > faults.memory_bytes:
                self.logger.log(
                    ILogger.ERROR,
                    "[virtualMemoryBuffer.cpp::resizePhysical::127] Error Code 2: "
                    "OutOfMemory (no further information)",
                )
                return None
            if faults.build:
                self.logger.log(ILogger.ERROR, faults.build)
                return None
            if config._timings is not None:
                config._timings._blob = (
                    TIMINGS
                    + json.dumps({"of": identity, "builds": config._timings._note["builds"] + 1}).encode()
                )
            header = json.dumps({**identity, "flags": sorted(config._flags)}).encode()
            return IHostMemory(MAGIC + header + b"\n" + network._model)

    class ParserError:
        def node(self) -> int:
            return 3

        def desc(self) -> str:
            return faults.parser

    class OnnxParser:
        def __init__(self, network, logger) -> None:
            check_logger(logger)
            self._network = network

        def parse(self, model, path=None) -> bool:
            expect(self._network._explicit, "the parser needs a network with EXPLICIT_BATCH")
            onnx.checker.check_model(bytes(model))
            self._network._model, self._network._parser = bytes(model), self
            return not faults.parser

        num_errors = property(lambda self: int(bool(faults.parser)))

        def get_error(self, index) -> ParserError:
            return ParserError()

    class Runtime:
        def __init__(self, logger) -> None:
            check_logger(logger)
            self.logger, self.DLA_core = logger, -1

        def deserialize_cuda_engine(self, serialized_engine):
            plan = bytes(serialized_engine)
            header = plan[len(MAGIC) : plan.index(b"\n", len(MAGIC))] if plan.startswith(MAGIC) else b"{}"
            built = {name: json.loads(header).get(name) for name in identity}
            if built != identity or faults.deserialize:
                self.logger.log(
                    ILogger.ERROR,
                    f"The engine plan file is not compatible with this version of TensorRT: {built}",
                )
                return None
            engine = ICudaEngine()
            engine._runtime, engine._model = (
                self,
                onnx.load_model_from_string(plan[len(MAGIC) + len(header) + 1 :]),
            )
            options = cpu_options(onnxruntime, threads=1)
            engine._session = onnxruntime.InferenceSession(
                engine._model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return engine

    class ICudaEngine:
        __slots__ = ("_model", "_runtime", "_session")

        def create_execution_context(self):
            if faults.context:
                return None
            context = IExecutionContext()
            context.engine, context._addresses = self, {}
            return context

    def tensors(engine) -> list[onnx.ValueInfoProto]:
        return [*engine._model.graph.input, *engine._model.graph.output]

    def tensor(engine, name: str) -> onnx.ValueInfoProto:
        found = [value for value in tensors(engine) if value.name == name]
        expect(bool(found), f"no tensor {name}")
        return found[0]

    def shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
        return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)

    def dtype(value: onnx.ValueInfoProto):
        return element_types[value.type.tensor_type.elem_type]

    def array_at(value: onnx.ValueInfoProto, address: int) -> np.ndarray:
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        size = int(np.prod(shape(value))) * kind.itemsize
        expect(address % 256 == 0, f"the address of {value.name} is not a multiple of 256")
        expect(
            cuda.inside(cuda.device, address, size),
            f"the address of {value.name} is not device memory of {size} bytes",
        )
        return np.frombuffer((ctypes.c_ubyte * size).from_address(address), kind).reshape(shape(value))

    class IExecutionContext:
        __slots__ = ("_addresses", "engine")

    def execute(context, stream_handle: int) -> bool:
        expect(isinstance(stream_handle, int), "a stream is an int")
        engine = context.engine
        expect(
            set(context._addresses) == {value.name for value in tensors(engine)},
            "every tensor needs an address",
        )
        arrays = {value.name: array_at(value, context._addresses[value.name]) for value in tensors(engine)}
        if faults.execute:
            engine._runtime.logger.log(
                ILogger.ERROR, "Cuda Runtime (an illegal memory access was encountered)"
            )
            return False

        def work() -> None:
            feeds = {value.name: arrays[value.name].copy() for value in engine._model.graph.input}
            names = [value.name for value in engine._model.graph.output]
            for name, result in zip(names, engine._session.run(names, feeds), strict=True):
                arrays[name][...] = result

        cuda.launch(stream_handle, work)
        return True

    if named:
        ICudaEngine.num_io_tensors = property(lambda self: len(tensors(self)))
        ICudaEngine.get_tensor_name = lambda self, index: tensors(self)[index].name
        ICudaEngine.get_tensor_shape = lambda self, name: shape(tensor(self, name))
        ICudaEngine.get_tensor_dtype = lambda self, name: dtype(tensor(self, name))
        ICudaEngine.get_tensor_mode = lambda self, name: (
            modes.INPUT if name == self._model.graph.input[0].name else modes.OUTPUT
        )

        def set_tensor_address(self, name, memory) -> bool:
            array_at(tensor(self.engine, name), memory)
            self._addresses[name] = memory
            return True

        IExecutionContext.set_tensor_address = set_tensor_address
        IExecutionContext.execute_async_v3 = lambda self, stream_handle: execute(self, stream_handle)
    if bindings:
        ICudaEngine.num_bindings = property(lambda self: len(tensors(self)))
        ICudaEngine.get_binding_name = lambda self, index: tensors(self)[index].name
        ICudaEngine.get_binding_index = lambda self, name: tensors(self).index(tensor(self, name))
        ICudaEngine.get_binding_shape = lambda self, index: shape(tensors(self)[index])
        ICudaEngine.get_binding_dtype = lambda self, index: dtype(tensors(self)[index])
        ICudaEngine.binding_is_input = lambda self, index: index == 0

        def execute_async_v2(self, bindings, stream_handle) -> bool:
            expect(
                isinstance(bindings, list) and all(isinstance(pointer, int) for pointer in bindings),
                "bindings are a list of ints",
            )
            expect(len(bindings) == self.engine.num_bindings, "one binding per tensor")
            self._addresses = {
                value.name: pointer for value, pointer in zip(tensors(self.engine), bindings, strict=True)
            }
            return execute(self, stream_handle)

        IExecutionContext.execute_async_v2 = execute_async_v2

    for kind in (
        ILogger,
        Builder,
        OnnxParser,
        ParserError,
        Runtime,
        IBuilderConfig,
        ITimingCache,
        ICudaEngine,
        IExecutionContext,
        INetworkDefinition,
        IHostMemory,
    ):
        setattr(trt, kind.__name__, kind)
    return trt
