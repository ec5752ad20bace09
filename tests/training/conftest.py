"""Fixtures of the training tests: motion without motion capture, a small data folder."""

import numpy as np
import pytest

from toolkit.training.motion.clips import Clips


@pytest.fixture
def standing_clips():
    """Two upright frames of a small person, arms down, facing x as the DeepMimic clips do."""
    joints = {
        "root": ("", (0, 0, 0)), "chest": ("root", (0, 0.24, 0)), "neck": ("chest", (0, 0.22, 0)),
        "right_hip": ("root", (0, 0, 0.1)), "right_knee": ("right_hip", (0, -0.42, 0)), "right_ankle": ("right_knee", (0, -0.41, 0)),
        "right_shoulder": ("chest", (0, 0.2, 0.18)), "right_elbow": ("right_shoulder", (0, -0.28, 0)), "right_wrist": ("right_elbow", (0, -0.26, 0)),
        "left_hip": ("root", (0, 0, -0.1)), "left_knee": ("left_hip", (0, -0.42, 0)), "left_ankle": ("left_knee", (0, -0.41, 0)),
        "left_shoulder": ("chest", (0, 0.2, -0.18)), "left_elbow": ("left_shoulder", (0, -0.28, 0)), "left_wrist": ("left_elbow", (0, -0.26, 0)),
    }  # fmt: skip
    names = tuple(joints)
    upright = np.tile([1.0, 0, 0, 0], (len(names), 1))
    offsets = np.array([offset for _, offset in joints.values()])
    parents = tuple(names.index(parent) if parent else -1 for parent, _ in joints.values())
    return Clips(
        kind="deepmimic",
        names=("standing",),
        splits=("test",),
        starts=np.array([0, 2]),
        fps=30.0,
        rotations=np.stack([upright, upright]),
        root_m=np.zeros((2, 3)),
        offsets=offsets,
        parents=parents,
        joint_names=names,
        neutral_rotations=upright,
    )


@pytest.fixture(scope="module")
def embedding(tmp_path_factory):
    """A random pose embedding: its file and the network."""
    torch = pytest.importorskip("torch")
    from toolkit.network.embedding import PoseEmbedding
    from toolkit.training.run.runs import save_weights

    torch.manual_seed(0)
    model = PoseEmbedding().eval()
    path = tmp_path_factory.mktemp("embedding") / "embedding.safetensors"
    save_weights(path, model)
    return path, model


@pytest.fixture(scope="module")
def material(tmp_path_factory, embedding):
    """Folders of photographs, labels and rendered bodies, see `photo_material.write_material`."""
    from photo_material import write_material

    return write_material(tmp_path_factory.mktemp("material"), embedding[1])
