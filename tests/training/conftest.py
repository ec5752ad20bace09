"""Fixtures of the training tests: motion without motion capture, a small data folder."""

import numpy as np
import pytest

from toolkit.training.motion.clips import Clips


@pytest.fixture
def standing_clips():
    """Two upright frames of a small person, arms down, facing x as the DeepMimic clips do."""
    joints = {
        "root": ("", (0, 0, 0)),
        "chest": ("root", (0, 0.24, 0)),
        "neck": ("chest", (0, 0.22, 0)),
    }
    for side, sign in (("right", 1), ("left", -1)):
        joints |= {
            f"{side}_hip": ("root", (0, 0, 0.1 * sign)),
            f"{side}_knee": (f"{side}_hip", (0, -0.42, 0)),
            f"{side}_ankle": (f"{side}_knee", (0, -0.41, 0)),
            f"{side}_shoulder": ("chest", (0, 0.2, 0.18 * sign)),
            f"{side}_elbow": (f"{side}_shoulder", (0, -0.28, 0)),
            f"{side}_wrist": (f"{side}_elbow", (0, -0.26, 0)),
        }
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
