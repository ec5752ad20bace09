from __future__ import annotations

import io
from pathlib import Path

import onnx
import onnxsim
import pytest
import torch

from toolkit.errors import PosecError
from toolkit.frontend import trace
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.map_network import JointNetwork, MapNetwork
from toolkit.network.maps import DISPLACEMENTS, GATES, JOINTS, MAPS, OFFSET_PX, SCALES, PoseMapsReader, mask
from toolkit.network.pose_network import PoseNetwork, cost, reference_spec, to_units, twice
from toolkit.network.votes import RADII, Votes
from toolkit.runtime.pose import HEADS

pytestmark = pytest.mark.torch
# What the back ends quantize and lower; a Constant is folded.
OPERATORS = {"Conv", "Relu", "Sigmoid", "Tanh", "Mul", "Add", "Clip", "Resize", "AveragePool", "Constant", "Identity"}


@pytest.fixture(scope="module")
def joint() -> JointNetwork:
    torch.manual_seed(0)
    network = JointNetwork()
    outputs = torch.nn.Conv2d(384, MAPS, 1)
    assert outputs.bias is not None
    network.reader.take_over(outputs.weight, outputs.bias)
    return network.eval()


def test_every_map_is_gated_by_the_joint_it_starts_from() -> None:
    assert len(GATES) == len(SCALES) == MAPS
    starts = [start for start, _ in DISPLACEMENTS]
    assert [*range(JOINTS)] * 3 + starts[:16] * 2 + starts[16:] * 2 == GATES
    assert [end for _, end in DISPLACEMENTS[:16]] == starts[16:]


def test_the_reader_forms_the_masked_maps_of_the_outputs_it_took_over() -> None:
    torch.manual_seed(0)
    outputs, reader = torch.nn.Conv2d(24, MAPS, 1), PoseMapsReader(24)
    assert outputs.bias is not None
    outputs.weight.data *= 60
    reader.take_over(outputs.weight, outputs.bias)
    deep = torch.randn(2, 24, 4, 6)
    with torch.no_grad():
        torch.testing.assert_close(reader(deep), mask(outputs(deep)), atol=1e-5, rtol=0)
        assert reader(deep).abs().max() <= 1


def test_the_heads_of_key_points_say_what_the_maps_say() -> None:
    torch.manual_seed(0)
    outputs, reader = torch.nn.Conv2d(24, MAPS, 1), PoseMapsReader(24)
    assert outputs.bias is not None
    outputs.weight.data *= 60
    reader.take_over(outputs.weight, outputs.bias)
    deep = torch.randn(1, 24, 4, 6)
    with torch.no_grad():
        maps, (heat, offset) = reader(deep), reader.keypoints(deep)
    torch.testing.assert_close(heat, maps[:, :JOINTS], atol=1e-5, rtol=0)
    y_px, x_px = (offset * 16 / OFFSET_PX * torch.cat([heat, heat], 1)).chunk(2, 1)[::-1]
    torch.testing.assert_close(torch.cat([y_px, x_px], 1), maps[:, JOINTS : 3 * JOINTS], atol=1e-5, rtol=0)


def test_maps_without_a_joint_are_nothing() -> None:
    outputs = torch.randn(1, MAPS, 3, 4) * 50
    outputs[:, :JOINTS] = -30
    assert mask(outputs).abs().max() < 1e-9
    outputs[:, 5] = 30
    fields = mask(outputs).abs().amax((0, 2, 3)) > 1e-3
    assert fields.nonzero().flatten().tolist() == [channel for channel, joint in enumerate(GATES) if joint == 5]


def test_the_join_starts_as_good_as_its_map_branch(joint: JointNetwork) -> None:
    torch.manual_seed(1)
    maps_network = MapNetwork()
    joint.take_over(maps_network)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = maps_network.eval()(joint.reader(joint.trunk(images)[1]))
        found = joint(images)
        for a, b in zip(expected, found[:5], strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
        joint.adapter.weight.fill_(0.01)
        changed = joint(images)
        joint.adapter.weight.zero_()
    assert not torch.allclose(expected.embedding, changed.embedding, atol=1e-5)


def test_votes_point_to_the_joint_from_everywhere_near() -> None:
    """One blob of heat: the count is 1, and the way, times the window's radius, leads to the blob."""
    maps = torch.zeros(1, MAPS, 16, 28)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(28.0), indexing="ij")
    maps[0, 9] = ((rows - 7).square() + (columns - 12.4).square() < 5.4).float()
    count, x, y = Votes(8).sums(maps)[1][0, 27:30]
    for row, column in ((7, 12), (4, 9), (9, 16)):
        assert count[row, column] == pytest.approx(1, abs=0.15)
        way = torch.stack([x, y])[:, row, column] / count[row, column] * RADII[1]
        torch.testing.assert_close(way, torch.tensor([12.4 - column, 7.0 - row]), atol=0.15, rtol=0)
    assert count[7, 24] == 0


def test_poses_can_be_left_to_the_votes() -> None:
    torch.manual_seed(2)
    network, maps = MapNetwork().eval(), torch.rand(1, MAPS, 4, 6)
    with torch.no_grad():
        before = network.raw_maps(maps)
        features = twice(network.settle.votes(maps))
        network.settle.leave_poses_to_votes(network.heads, network.auxiliary)
        after = network.raw_maps(maps)
        alone = network.heads["centre"](network.fuse(network.map_branch(maps)))
    torch.testing.assert_close(after["rotation"], network.heads["rotation"](features), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after["centre"], alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before["embedding"], after["embedding"], atol=1e-4)


def test_heads_read_what_training_computes(joint: JointNetwork) -> None:
    torch.manual_seed(3)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for part in (joint.adapter, joint.settle.mix, joint.settle.votes.leave, *joint.heads.values()):
            part.weight.normal_(std=0.1)
        trained = to_units(joint.raw_maps(*joint.trunk(images)))
        deployed = joint(images)
    for name, expected in zip(trained._fields, trained, strict=True):
        torch.testing.assert_close(getattr(deployed, name), expected, atol=1e-4, rtol=1e-3)
        assert expected.std() > 1e-3, name


def test_scenes_without_a_picture_follow_the_pictures(joint: JointNetwork) -> None:
    images, maps = torch.randn(2, 3, 64, 96), torch.rand(1, MAPS, 4, 6)
    with torch.no_grad():
        skip, deep = joint.trunk(images)
        both = joint.raw_of(*joint.latent_with(skip, deep, maps))
        alone = joint.raw_maps(skip, deep)
        assert both["centre"].shape == (3, 1, 8, 12)
        torch.testing.assert_close(both["embedding"][:2], alone["embedding"])
        other = joint.raw_of(*joint.latent_with(skip, deep, maps * 0.5))["embedding"]
    torch.testing.assert_close(both["embedding"][:2], other[:2])
    assert not torch.allclose(both["embedding"][2], other[2], atol=1e-6)


def test_networks_stay_within_their_budgets(joint: JointNetwork) -> None:
    products, parameters = cost(joint, (256, 448))
    assert products <= 1.5e9
    assert parameters <= 4e6
    assert sum(parameter.numel() for parameter in MapNetwork().parameters()) <= 1e6


# The older exporter is what posec's own graphs come from: its operators are those that every back end knows.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_join_exports_with_the_operators_that_every_back_end_knows(joint: JointNetwork) -> None:
    file = io.BytesIO()
    torch.onnx.export(joint, (torch.zeros(1, 3, 64, 96),), file, dynamo=False, opset_version=13)
    model, same = onnxsim.simplify(onnx.load_model_from_string(file.getvalue()))
    assert same
    assert {node.op_type for node in model.graph.node} <= OPERATORS


def test_a_checkpoint_says_what_it_holds(tmp_path: Path, joint: JointNetwork) -> None:
    decoder = decoder_arrays(PoseEmbedding())
    save_checkpoint(tmp_path / "joint", joint, decoder, reference_spec())
    assert isinstance(load_checkpoint(tmp_path / "joint").network, JointNetwork)
    assert set(trace(tmp_path / "joint").spec.heads) == set(HEADS)
    save_checkpoint(tmp_path / "keypoints", joint, decoder, joint.spec())
    assert trace(tmp_path / "keypoints").heads == {**trace(tmp_path / "joint").heads, "keypoints": ("keypoints", (1, 17, 16, 28)),
                                                   "keypoint_offset": ("keypoint_offset", (1, 34, 16, 28))}  # fmt: skip
    with pytest.raises(PosecError, match="the spec differs: keypoints, keypoint_offset"):
        save_checkpoint(tmp_path / "no", PoseNetwork(), decoder, joint.spec())
    save_checkpoint(tmp_path / "picture", PoseNetwork(), decoder, reference_spec())
    text = (tmp_path / "picture" / "spec.toml").read_text()
    (tmp_path / "picture" / "spec.toml").write_text(text.replace('architecture = "picture"\n', ""))
    assert type(load_checkpoint(tmp_path / "picture").network) is PoseNetwork
    (tmp_path / "picture" / "spec.toml").write_text(text.replace('architecture = "picture"', 'architecture = "transformer"'))
    with pytest.raises(PosecError, match="architecture 'transformer'; known: picture, picture and maps"):
        load_checkpoint(tmp_path / "picture")
