"""The shipped checkpoint: its threshold is chosen on labelled scenes, and most of its weights are float16."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from toolkit.evaluation.scenes import Scene, Scenes
from toolkit.frontend.trace import trace
from toolkit.ir.float_engine import float_estimator
from toolkit.network.checkpoint import TRAINING_ONLY, load_checkpoint, save_checkpoint
from toolkit.network.network import PRETRAINED_PREFIXES, KeypointNetwork
from toolkit.runtime.pose import SpecError
from toolkit.training.release.export_checkpoint import LICENCE, blend, choose_threshold, main, ship


@pytest.mark.parametrize("wanted", [0.25, 0.45])
def test_the_threshold_is_chosen_where_exactly_the_true_people_are_detected(
    tmp_path, tiny_checkpoint, people_pictures, wanted
):
    estimator = float_estimator(trace(tiny_checkpoint))
    scenes = {}
    for number, picture in enumerate(people_pictures):
        dim = (0.5 * picture + 0.5 * people_pictures[0]).astype(np.uint8)  # people with many different scores
        for name, light in ((f"{number}.png", picture), (f"{number}-dim.png", dim)):
            cv2.imwrite(str(tmp_path / name), light)
            heads, letterbox = estimator.infer(light)
            estimator.spec = replace(estimator.spec, centre_threshold=wanted)
            truth = estimator.decode(heads, letterbox)
            scenes[name] = Scene(truth, np.ones(len(truth)), 0.8 * light.shape[1])
    threshold, score = choose_threshold(tiny_checkpoint, Scenes(scenes, tmp_path))
    assert score == 1
    same = float_estimator(trace(tiny_checkpoint))
    same.spec = replace(same.spec, centre_threshold=threshold)
    assert threshold <= wanted
    for name, scene in scenes.items():
        assert len(same.decode(*same.infer(cv2.imread(str(tmp_path / name))))) == len(scene.people)


def test_the_shipped_weights_are_smaller_with_equal_outputs(tmp_path: Path):
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    decoder = {"weight_0": np.zeros((48, 32), np.float32), "bias_0": np.ones(48, np.float32)}
    save_checkpoint(tmp_path / "trained", network, decoder, spec=network.spec())
    spec = ship(tmp_path / "trained", tmp_path / "shipped", 0.35)
    shipped = load_checkpoint(tmp_path / "shipped")
    assert shipped.spec == spec
    assert shipped.spec.centre_threshold == 0.35
    assert LICENCE in (tmp_path / "shipped/spec.toml").read_text()
    sizes = [(tmp_path / folder / "network.safetensors").stat().st_size for folder in ("trained", "shipped")]
    halved = [
        weight
        for name, weight in network.state_dict().items()
        if weight.is_floating_point() and not name.startswith((*PRETRAINED_PREFIXES, TRAINING_ONLY))
    ]
    saved = 2 * sum(weight.numel() for weight in halved)
    assert saved > 500_000
    assert sizes[0] - sizes[1] == pytest.approx(saved, abs=2000)  # up to the digits of offsets in the header
    for name, weight in network.state_dict().items():
        assert not name.startswith(PRETRAINED_PREFIXES) or torch.equal(
            weight, shipped.network.state_dict()[name]
        ), name
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        for name, whole, half in zip(
            network(picture)._fields, network(picture), shipped.network(picture), strict=True
        ):
            assert half.dtype == torch.float32
            assert (whole - half).abs().max() < 0.02, name


def test_interpolated_weights_lie_between_their_ends():
    torch.manual_seed(1)
    start, trained = KeypointNetwork(), KeypointNetwork()
    first, last = start.state_dict(), {name: value.clone() for name, value in trained.state_dict().items()}
    mixed = blend(start, trained, 0.75).state_dict()
    for name in ("lifting_head.from_keypoints.weight", "blocks.0.depthwise.weight", "heads.centre.weight"):
        torch.testing.assert_close(mixed[name], 0.25 * first[name] + 0.75 * last[name])
    assert (
        mixed["blocks.0.depthwise_norm.num_batches_tracked"]
        == last["blocks.0.depthwise_norm.num_batches_tracked"]
    )


def test_a_given_threshold_is_used(tmp_path):
    network = KeypointNetwork().eval()
    decoder = {"weight_0": np.zeros((48, 32), np.float32), "bias_0": np.ones(48, np.float32)}
    save_checkpoint(tmp_path / "trained", network, decoder, spec=network.spec())
    main(
        ["--checkpoint", str(tmp_path / "trained"), "--threshold", "0.35", "--out", str(tmp_path / "shipped")]
    )
    assert load_checkpoint(tmp_path / "shipped").spec == network.spec().with_threshold(0.35)
    main(
        [
            "--checkpoint",
            str(tmp_path / "trained"),
            "--threshold",
            "0.35",
            "--name",
            "large",
            "--out",
            str(tmp_path / "named"),
        ]
    )
    assert load_checkpoint(tmp_path / "named").spec.name == "large"
    with pytest.raises(SpecError, match="between 0 and 1"):
        main(
            [
                "--checkpoint",
                str(tmp_path / "trained"),
                "--threshold",
                "1.5",
                "--out",
                str(tmp_path / "refused"),
            ]
        )
    assert not (tmp_path / "refused").exists()
