"""A checkpoint's temporal stage reaches the bundle, hashed, and is read back; without one nothing changes."""

import numpy as np
import pytest
from networks import spot_picture, tiny_spec, write_checkpoint
from safetensors.numpy import save_file
from walking_people import detections, random_network

import targets
import toolkit
from toolkit.errors import PosecError
from toolkit.network.temporal import temporal_arrays
from toolkit.runtime.bundle import TEMPORAL, BundleError, read_bundle
from toolkit.runtime.temporal.bundled import open_stage


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder)
    arrays = temporal_arrays(random_network(tiny_spec(), channels=16))
    save_file(
        {name: values.astype(np.float16) for name, values in arrays.items()}, folder / "temporal.safetensors"
    )
    return folder


def exported(folder, out, target="generic-cpu"):
    graph = toolkit.trace(folder)
    golden = [spot_picture(2, seed=1)]
    return toolkit.build(graph, targets.load(target), out=out, golden=golden)


def test_a_bundle_carries_the_stage_of_its_checkpoint(checkpoint, tmp_path):
    bundle = exported(checkpoint, tmp_path / "bundle")
    assert TEMPORAL in bundle.files
    stage = open_stage(read_bundle(tmp_path / "bundle"), lookahead=2)
    assert stage is not None
    assert stage.lookahead == 2
    people, evidence = detections(bundle.spec, 2, 1)[0]
    evidence = evidence._replace(pulls=evidence.pulls[:, :0])
    assert len(stage.update(people, [1, 2], 0.0, evidence=evidence)) == 0  # two frames behind


def test_a_checkpoint_without_a_stage_gives_a_bundle_without_one(checkpoint, tmp_path):
    (checkpoint / "temporal.safetensors").unlink()
    bundle = exported(checkpoint, tmp_path / "bundle")
    assert TEMPORAL not in bundle.files
    assert open_stage(bundle) is None


def test_a_changed_stage_is_refused(checkpoint, tmp_path):
    exported(checkpoint, tmp_path / "bundle")
    path = tmp_path / "bundle" / TEMPORAL
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"temporal\.npz' is not the one that was exported"):
        read_bundle(tmp_path / "bundle")


def test_a_stage_of_another_network_is_refused_when_the_checkpoint_is_read(checkpoint):
    save_file({"output_0": np.zeros((4, 4), np.float32)}, checkpoint / "temporal.safetensors")
    with pytest.raises(PosecError, match=r"temporal.safetensors': temporal stage: arrays missing"):
        toolkit.trace(checkpoint)
