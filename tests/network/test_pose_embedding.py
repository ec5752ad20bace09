from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from captured import captured_poses
from safetensors.torch import save_file

from toolkit.errors import PosecError
from toolkit.network.embedding import EMBEDDING_SIZE, PoseEmbedding, decoder_arrays, load_embedding
from toolkit.runtime.decoding.kinematics import decode_embeddings, layers

pytestmark = pytest.mark.torch


def test_the_board_decodes_what_torch_decodes() -> None:
    torch.manual_seed(0)
    model = PoseEmbedding()
    embeddings = torch.rand(7, EMBEDDING_SIZE) * 2 - 1
    with torch.no_grad():
        expected = model.decode(embeddings).numpy()
    np.testing.assert_allclose(
        decode_embeddings(embeddings.numpy(), layers(decoder_arrays(model))), expected, atol=1e-5
    )


def test_embeddings_lie_in_the_cube_and_poses_are_unit_directions() -> None:
    torch.manual_seed(0)
    model = PoseEmbedding()
    codes = model.encode(100 * torch.from_numpy(captured_poses(9)))
    assert codes.shape == (9, EMBEDDING_SIZE)
    assert codes.abs().max() <= 1
    torch.testing.assert_close(model.decode(codes).norm(dim=-1), torch.ones(9, 16), atol=1e-5, rtol=0)


def test_a_stored_embedding_is_loaded_frozen(tmp_path: Path) -> None:
    model = PoseEmbedding()
    save_file(model.state_dict(), tmp_path / "embedding.safetensors")
    loaded = load_embedding(tmp_path / "embedding.safetensors")
    poses = torch.from_numpy(captured_poses(3))
    torch.testing.assert_close(loaded.encode(poses), model.encode(poses))
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(PosecError, match=r"other\.safetensors"):
        load_embedding(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(PosecError, match="torn"):
        load_embedding(tmp_path / "torn.safetensors")
    with pytest.raises(PosecError, match="missing"):
        load_embedding(tmp_path / "missing.safetensors")
