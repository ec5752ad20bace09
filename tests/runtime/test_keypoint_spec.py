"""The contract of networks with key points."""

import dataclasses

import pytest
from networks import LIMBS
from recorded_heads import keypoint_spec

from toolkit.runtime.pose import Head, PoseSpec, SpecError

SPEC = keypoint_spec()


def test_the_contract_reads_back_as_it_was_written():
    assert PoseSpec.from_dict(SPEC.to_dict()) == SPEC
    assert SPEC.head_shape("keypoint_offset") == (26, 16, 28)
    assert SPEC.head_names[-2:] == ("keypoints", "keypoint_offset")
    without = dataclasses.replace(SPEC, heads=dict(list(SPEC.heads.items())[:5]), keypoints=None)
    assert "keypoints" not in without.to_dict()


def grid(**changes):
    return {"keypoints": {**SPEC.to_dict()["keypoints"], **changes}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"heads": {name: vars(head) for name, head in SPEC.heads.items() if name != "keypoint_offset"}},
            "come together",
        ),
        (
            {
                "heads": {
                    name: vars(head) for name, head in SPEC.heads.items() if not name.startswith("keypoint")
                }
            },
            "come together",
        ),
        (
            {"heads": {**SPEC.to_dict()["heads"], "keypoints": vars(Head("keypoints", 4, 0.0, 1.0))}},
            "must have 13 channels, got 4",
        ),
        (grid(stride=0), "a stride of 1 or more"),
        (grid(stride=24), "not a multiple of keypoints.stride 24"),
        (grid(joints=["", *LIMBS[:-1], "tail"]), "no joint 'tail'"),
        (grid(joints=["", *LIMBS[:-1], LIMBS[0]]), "each once"),
        (grid(joints=[""] * 13), "each once"),
        (grid(joints=[3] * 13), "list of names"),
        ({"keypoints": {"stride": 16}}, "incomplete"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        PoseSpec.from_dict({**SPEC.to_dict(), **change})


def test_heads_without_their_table_are_refused():
    plain = SPEC.to_dict()
    del plain["keypoints"]
    with pytest.raises(SpecError, match="come together"):
        PoseSpec.from_dict(plain)
