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
from toolkit.training.run.compute import mixed_precision
from toolkit.training.run.runs import Run, RunFiles, RunPlan, save_weights
from toolkit.training.run.steps import one_cycle, take_step, warm_cosine, weighted_sum

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Settings:
    steps: int = 10


class Started:
    """A run of a small model, its weights in a safetensors file."""

    def __init__(self, out: Path, settings: Settings = Settings(), report_every: int = 2) -> None:
        self.out, self.reports = out, []
        self.model, self.generator = nn.Linear(2, 1), torch.Generator().manual_seed(0)
        plan = RunPlan(
            settings,
            report_every,
            steps=settings.steps,
            progress=lambda step, figures: self.reports.append((step, dict(figures))),
        )
        self.run = Run(
            plan,
            {"model": self.model},
            self.generator,
            files=RunFiles.beside(out),
            save=lambda: save_weights(out, self.model),
        )

    def advance(self, *losses: float) -> None:
        for loss in losses:
            self.run.advance({"loss": torch.tensor(loss)})
            if self.run.report_due:
                self.run.report()


def test_a_killed_run_resumes_from_its_last_state(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "a.safetensors"
    first = Started(out)
    assert (first.run.step, first.run.done) == (0, 0)
    torch.rand(3, generator=first.generator)
    first.advance(0.5, 0.25, 0.5, 1.0)
    first.run.keep()
    expected = torch.rand(3, generator=first.generator)
    first.advance(0.125, 0.125)

    second = Started(out)
    assert (second.run.step, second.run.done) == (4, 0.4)
    assert second.run.spent_s > 0
    assert torch.equal(second.model.weight, first.model.weight)
    assert torch.equal(torch.rand(3, generator=second.generator), expected)
    steps = [json.loads(line)["step"] for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert steps == [2, 4]
    second.run.finish()
    assert not out.with_suffix(".state").exists()
    assert torch.equal(load_file(out)["weight"], first.model.weight)
    assert not list(out.parent.glob("*.part"))


def test_a_report_has_the_means_since_the_last_one(tmp_path: Path) -> None:
    started = Started(tmp_path / "a.safetensors")
    started.advance(0.5, 0.25, 1.0, 2.0)
    assert [(step, figures["loss"]) for step, figures in started.reports] == [(2, 0.375), (4, 1.5)]
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 0.375), (4, 1.5)]


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    Started(tmp_path / "a.safetensors").run.keep()
    with pytest.raises(PosecError, match=r"belongs to a run with .*steps"):
        Started(tmp_path / "a.safetensors", Settings(steps=20))


@pytest.mark.parametrize(
    "content", [b"torn", b"PK\x05\x06" + bytes(18)], ids=["no archive", "an empty archive"]
)
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.state").write_bytes(content)
    with pytest.raises(PosecError, match="cannot resume"):
        Started(tmp_path / "a.safetensors")


def test_the_state_of_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    torch.save({"settings": "{}", "step": 3}, tmp_path / "a.state")
    with pytest.raises(PosecError, match="cannot resume"):
        Started(tmp_path / "a.safetensors")


def test_a_run_without_files_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = RunPlan(Settings(), 1, steps=1, progress=lambda step, figures: None)
    run = Run(plan, {}, torch.Generator())
    run.advance({"loss": 1.0})
    run.report()
    run.keep()
    run.finish()
    assert run.done == 1
    assert not list(tmp_path.iterdir())


def test_a_run_of_minutes_ends_by_its_clock() -> None:
    run = Run(RunPlan(Settings(), 1, minutes=0.001), {}, torch.Generator())
    while run.done < 1:
        run.advance({})
    assert 0.06 <= run.spent_s < 1
    assert run.step > 1


def test_a_step_clips_each_group_and_skips_what_is_not_finite() -> None:
    first, second = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [first]}, {"params": [second]}], lr=1.0)
    norms = take_step(optimizer, (30 * first + 0.5 * second).sum(), clip_norm=2.0)
    assert norms == (30.0, 0.5)
    assert (first.item(), second.item()) == pytest.approx((-2.0, -0.5))
    take_step(optimizer, (first * float("nan")).sum(), clip_norm=2.0)
    assert (first.item(), second.item()) == pytest.approx((-2.0, -0.5))
    assert take_step(optimizer, first.sum()) == ()
    assert first.item() == pytest.approx(-3.0)


def test_only_losses_with_a_weight_count() -> None:
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "c": torch.tensor(5.0)}
    assert float(weighted_sum(losses, {"a": 1.0, "b": 10.0, "d": 7.0})) == 32.0
    assert float(weighted_sum({}, {"a": 1.0})) == 0.0


def test_a_cosine_rises_and_falls_to_its_lowest_share() -> None:
    rates = [warm_cosine(step, step / 100, 10, lowest=0.01) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
    assert warm_cosine(500, 1.5, 10) == pytest.approx(0.0)


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_freed_memory_is_kept():
    """In a process of its own, because the C library keeps the setting until the end."""
    code = """
import resource
import torch
from toolkit.training.run.compute import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [torch.empty(12_500_000).fill_(1) for _ in range(4)]  # glibc maps blocks above 32 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(10)][-1], keep_memory(), [faults() for _ in range(10)][-1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    every_time, able, kept = done.stdout.split()
    assert able == "True"
    assert 10 * int(kept) < int(every_time)
