"""Programs that start with `python -m`: wrong words and refusals are a sentence and status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT, environment, posec

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "toolkit").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text() or path.name == "__main__.py"
)
WORDLESS = ("toolkit.device.timing.worker",)  # it reads requests from its standard input


def test_every_program_is_found():
    assert {"toolkit.__main__", "toolkit.device.__main__", "toolkit.runtime.__main__"} < set(MODULES)
    assert len(MODULES) > 15


@pytest.mark.torch
@pytest.mark.parametrize("module", [name for name in MODULES if name not in WORDLESS])
def test_wrong_words_are_refused_in_a_sentence(module):
    done = posec("--no-such-word", module=module.removesuffix(".__main__"))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "usage: " in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "REQUEST"),
        (("measure", "b"), "invalid choice"),
        (("check",), "bundle"),
        (("check", "nowhere"), "no bundle.json in 'nowhere'"),
        (("check", "nowhere", "more"), "unrecognized arguments"),
        (("bench", "nowhere", "r.json", "long"), "invalid float value"),
        (("bench", "nowhere", "r.json", "1", "0"), "a number from 1"),
        (("bench", "nowhere", "r.json", "1"), "no bundle.json in 'nowhere'"),
    ],
)
def test_the_boards_program_refuses_wrong_requests_in_a_sentence(words, reason):
    done = posec(*words, module="toolkit.device")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.torch
@pytest.mark.parametrize(
    ("module", "words", "reason"),
    [
        ("release.contact_sheet", ("--scenes", "none.json", "--out", "sheet.jpg"), "none.json"),
        ("labels.annotations", ("--coco", "none.json", "--out", "a.npz"), "none.json"),
        ("int8.snap_weights", ("--checkpoint", "nowhere", "--out", "out"), "nowhere"),
    ],
)
def test_a_stage_of_training_refuses_a_missing_file_in_a_sentence(module, words, reason):
    done = posec(*words, module=f"toolkit.training.{module}")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert reason in done.stderr


def test_the_worker_of_the_bench_refuses_what_is_no_request():
    asked = b'no JSON\n[]\n{"do": "__init__"}\n{"do": "run"}\n{"do": "load", "folder": "nowhere"}\n'
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.device.timing.worker"],
        input=asked,
        capture_output=True,
        timeout=120,
        env=environment(),
        cwd=Path(__file__).parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all("refused" in json.loads(line) for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 5
