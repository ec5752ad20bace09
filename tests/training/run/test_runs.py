from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from toolkit.errors import PosecError
from toolkit.training.run.runs import Run, mixed_precision, one_cycle

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Plan:
    steps: int = 10


def start(out: Path, plan: Plan = Plan()) -> tuple[Run, nn.Linear, torch.Generator]:
    model, generator = nn.Linear(2, 1), torch.Generator().manual_seed(0)
    return Run(out, plan, {"model": model}, generator), model, generator


def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    run, model, generator = start(tmp_path / "deep" / "a.safetensors")
    assert run.first == 0
    torch.rand(3, generator=generator)
    run.report(2, {"loss": 0.5})
    run.keep(4, model)
    run.report(4, {"loss": 0.25})
    expected = torch.rand(3, generator=generator)
    run.report(6, {"loss": 0.125})

    again, model_again, generator_again = start(tmp_path / "deep" / "a.safetensors")
    assert again.first == 4
    assert torch.equal(model_again.weight, model.weight)
    assert torch.equal(torch.rand(3, generator=generator_again), expected)
    steps = [json.loads(line)["step"] for line in again.log_path.read_text().splitlines()]
    assert steps == [2, 4]
    again.finish(model_again)
    assert not again.state_path.exists()
    assert torch.equal(load_file(again.out)["weight"], model.weight)
    assert not list(again.out.parent.glob("*.part"))


def test_other_settings_do_not_go_on(tmp_path: Path) -> None:
    run, model, _ = start(tmp_path / "a.safetensors")
    run.keep(4, model)
    with pytest.raises(PosecError, match="steps"):
        start(tmp_path / "a.safetensors", Plan(steps=20))


def test_a_torn_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.state").write_bytes(b"torn")
    with pytest.raises(PosecError, match="cannot resume"):
        start(tmp_path / "a.safetensors")


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [one_cycle(step, 100, 2.0, warm_up=0.1) for step in range(100)]
    assert rates[9] == max(rates) == pytest.approx(2.0)
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.0)


@pytest.mark.parametrize(("native", "computed"), [(True, torch.bfloat16), (False, torch.float32)])
def test_networks_are_computed_in_bfloat16_only_where_it_is_native(monkeypatch, native, computed):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    with mixed_precision(torch.device("cpu")):
        assert torch.nn.Linear(4, 4)(torch.zeros(2, 4)).dtype == computed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_is_freed_is_kept():
    """In a process of its own: what is told to the C library holds until its end."""
    code = """
import resource
import torch
from toolkit.training.run.runs import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [torch.empty(12_500_000).fill_(1) for _ in range(4)]  # beyond 32 MB glibc always asks the system, unless told
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(10)][-1], keep_memory(), [faults() for _ in range(10)][-1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    every_time, able, kept = done.stdout.split()
    assert able == "True"
    assert 10 * int(kept) < int(every_time)
