"""A checkpoint of a .pt2 file."""

from __future__ import annotations

import shutil

import pytest
from networks import tiny_decoder, tiny_spec, toml
from safetensors.numpy import save_file


@pytest.fixture(scope="module")
def program_checkpoint(tmp_path_factory):
    """The folder of a checkpoint with a program of torch.export."""
    torch = pytest.importorskip("torch")
    from torch_programs import SIZE, Small

    folder = tmp_path_factory.mktemp("program") / "checkpoint"
    folder.mkdir()
    save_file(tiny_decoder(), folder / "pose.safetensors")
    (folder / "spec.toml").write_text(toml({**tiny_spec().to_dict(), "checkpoint": {"network": "model.pt2"}}))
    torch.export.save(torch.export.export(Small().eval(), (torch.zeros(1, 3, *SIZE),)), folder / "model.pt2")
    return folder


@pytest.fixture
def folder(program_checkpoint, tmp_path, monkeypatch):
    """A checkpoint to damage, in the working folder, with a module `marker` that leaves a file on import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "marker.py").write_text(
        f"import pathlib; pathlib.Path({str(tmp_path / 'CODE_WAS_RUN')!r}).touch()"
    )
    return shutil.copytree(program_checkpoint, tmp_path / "checkpoint")
