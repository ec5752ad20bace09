"""Data-parallel training in real processes, started by torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from toolkit.training.run.parallel import agreed, average_gradients, join_processes, processes

pytestmark = pytest.mark.torch
SCRIPT = """
import json, sys
import torch
from toolkit.training.run.parallel import agreed, average_gradients, join_processes, processes

rank = join_processes()
first, second = (torch.zeros(size, requires_grad=True) for size in (3, 2))
(first * (rank + 1)).sum().backward()
if rank:
    second.sum().backward()
average_gradients([first, second])
gradients = {"first": first.grad.tolist(), "second": second.grad.tolist()}
results = {"rank": rank, "of": processes(), **gradients, "number": agreed(10.0 * rank)}
open(f"{sys.argv[1]}/{rank}.json", "w").write(json.dumps(results))
"""


def test_gradients_are_averaged_over_two_processes(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(SCRIPT)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
        str(tmp_path),
    ]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [one["rank"] for one in results] == [0, 1]
    for one in results:
        assert one["of"] == 2
        assert one["first"] == [1.5] * 3
        assert one["second"] == [0.5] * 2  # only one process had a gradient
        assert one["number"] == 5.0


def test_a_single_process_keeps_its_gradients() -> None:
    parameter = torch.ones(2, requires_grad=True)
    (3 * parameter).sum().backward()
    assert join_processes() == 0
    average_gradients([parameter])
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [3.0, 3.0]
    assert (agreed(7.0), processes()) == (7.0, 1)
