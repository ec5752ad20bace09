"""The stand-in has the interface of NVIDIA's bindings, with the same names and arguments, and no more.

8.6.1 and 10.3.0 are the versions of JetPack 6.0 and of 6.1 and 6.2; `read_bindings.py` made the record.
Bindings of 8.2 and 8.5, of JetPack 4 and 5, are in no package index: there the stand-in follows NVIDIA's
documents.
"""

import inspect
import json
import types

import pytest
from read_bindings import MEMBERS, RECORD
from standin_cuda import StandInCuda
from standin_tensorrt import make_module

from toolkit.runtime.engines._tensorrt import plan_build

REAL = json.loads(RECORD.read_text())


def offered(version: str) -> dict[str, object]:
    """Return name → class of the stand-in, or an object where the constructor makes the attributes."""
    trt = make_module(version, StandInCuda())

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

    made = {"Builder": trt.Builder(Logger()), "Runtime": trt.Runtime(Logger())}
    return {name: made.get(name, getattr(trt, name, None)) for name in MEMBERS if name != "IHostMemory"}


def arguments(function: object) -> list[str]:
    """Return a function's arguments as in the record: without `self`, optional ones with a `?`."""
    found = [
        f"{name}{'' if p.default is p.empty else '?'}"
        for name, p in inspect.signature(function).parameters.items()
    ]
    return found[1:] if found[:1] == ["self"] else found


@pytest.mark.parametrize("version", REAL)
@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "IHostMemory"])
def test_names_and_arguments_are_those_of_nvidias_bindings(version, name):
    kind = offered(version)[name]
    for member, real in REAL[version][name].items():
        assert (kind is not None and hasattr(kind, member)) == (real is not None), (
            f"{name}.{member} of TensorRT {version}"
        )
        if isinstance(real, list):
            ours = arguments(
                getattr(type(kind) if member == "__init__" and not isinstance(kind, type) else kind, member)
            )
            assert ours == real[: len(ours)], f"{name}.{member} of TensorRT {version}"
            assert all(argument.endswith("?") for argument in real[len(ours) :]), (
                f"{name}.{member} of TensorRT {version}"
            )
        elif real == "property" and isinstance(kind, type):
            assert not isinstance(getattr(kind, member), types.FunctionType), (
                f"{name}.{member} of TensorRT {version}"
            )


@pytest.mark.parametrize("version", REAL)
def test_enumerations_have_no_member_that_nvidias_lack(version):
    trt = make_module(version, StandInCuda())
    for name, real in REAL[version]["enumerations"].items():
        assert {member.name for member in getattr(trt, name)} <= set(real), name
    # The one whose number the engine computes with.
    assert (
        plan_build._network_flags(trt)
        == 1 << REAL[version]["enumerations"]["NetworkDefinitionCreationFlag"]["EXPLICIT_BATCH"]
    )


@pytest.mark.parametrize("version", REAL)
def test_a_serialized_plan_is_a_mere_buffer(version):
    plan = make_module(version, StandInCuda()).IHostMemory(b"plan")
    assert REAL[version]["IHostMemory"] == {"__getitem__": None, "__len__": None, "nbytes": "property"}
    assert (bytes(plan), plan.nbytes) == (b"plan", 4)
    for wrong in (lambda: len(plan), lambda: plan[0]):
        with pytest.raises(TypeError):
            wrong()


def test_the_progress_monitor_accepts_the_calls_of_tensorrt():
    trt = make_module("10.3.0", StandInCuda())
    monitor = plan_build._make_monitor(
        trt,
        plan_build._Progress(
            trt, trt.Builder(plan_build.make_logger(trt)).create_builder_config(), (1, 2), report=print
        ),
    )
    for member in ("phase_start", "phase_finish", "step_complete"):
        assert arguments(getattr(monitor, member)) == REAL["10.3.0"]["IProgressMonitor"][member]


def test_the_record_is_of_both_generations():
    assert {version.partition(".")[0] for version in REAL} == {"8", "10"}
    assert {"8.6.1", "10.3.0"} <= set(REAL)
