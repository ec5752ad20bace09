"""Commands run in this process: their JSON, and the one sentence of a refused request."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli import main


def run(*words: Any) -> int:
    """Run a command and return its exit status."""
    return main([str(word) for word in words])


def json_of(capsys: pytest.CaptureFixture[str], *words: Any, status: int = 0) -> Any:
    """Return the JSON that a command prints."""
    assert run(*words, "--json") == status
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    """Return the one line that a refused request prints."""
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [text for text in captured.err.splitlines() if text.startswith("posec ")]
    assert len(lines) == 1, captured.err
    return lines[0]


def changed(bundle: Path, folder: Path, **fields: Any) -> Path:
    """Return a copy of a bundle whose description differs."""
    shutil.copytree(bundle, folder)
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**description, **fields}))
    return folder


def allowed(limit: float) -> dict[str, float]:
    """Return drift limits for a bundle's description: `limit` mm, and as large a share of people."""
    return {"drift_mm": limit, "people_lost": min(limit, 1.0), "people_invented": limit}
