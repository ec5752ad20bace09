"""`posec evaluate` on label files as people have them, through the command."""

import json
import os

import pytest
from evaluate_command import coco_of, evaluated, put, refused, without

from toolkit.cli import main
from toolkit.evaluation.coco import COCO_JOINTS


@pytest.mark.parametrize(
    "change",
    [
        put("area", 0),
        put("area", None),
        without("area"),
        without("iscrowd"),
        without("num_keypoints"),
        without("bbox"),
        put("bbox", [0, 0, 0, 0]),
        without("category_id"),
        put("iscrowd", False),
        lambda plain: plain.pop("categories"),
        lambda plain: [
            change(plain)
            for change in (without("area"), without("bbox"), without("num_keypoints"), without("iscrowd"))
        ],
        lambda plain: [
            plain["annotations"].append(
                {"image_id": 0, "category_id": 3, "keypoints": [1, 2, 2], "bbox": [0, 0, 9, 9]}
            ),
            plain["categories"].append({"id": 3, "name": "dog", "keypoints": ["tail"]}),
        ],
        lambda plain: [
            plain["annotations"].append({"image_id": 0, "category_id": 2, "bbox": [0, 0, 9, 9]}),
            plain["categories"].append({"id": 2, "name": "dog"}),
        ],
    ],
    ids=range(13),
)
def test_fields_that_the_format_leaves_out_have_a_default(
    tiny_checkpoint, found, pictures, tmp_path, capsys, change
):
    plain = coco_of(found)
    change(plain)
    (tmp_path / "people.json").write_text(json.dumps(plain))
    row = evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", pictures)
    assert (row["people"], row["oks_people"], row["off_person"]) == (10, 10, 0)
    assert (row["oks75"], row["centre_recall"], row["pck20"]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "names",
    [COCO_JOINTS[::-1], ("hat", *COCO_JOINTS[5:], "left_toe"), COCO_JOINTS[5:11]],
    ids=["reversed", "others", "few"],
)
def test_key_points_are_taken_by_the_names_of_the_category(
    tiny_checkpoint, found, pictures, tmp_path, capsys, names
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found, names)))
    row = evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", pictures)
    assert (row["oks_people"], row["oks75"]) == (10, 1.0)


def first(name: str, value: object):
    return lambda plain: plain["annotations"][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (first("keypoints", [1.0] * 14), "annotation 0: its keypoints has 14 numbers, not 51"),
        (first("keypoints", {"x": 1}), "annotation 0"),
        (first("keypoints", "none"), "annotation 0"),
        (first("bbox", [1, 2]), "its bbox has 2 numbers"),
        (first("bbox", [1, 2, -3, 4]), "negative size"),
        (first("area", float("nan")), "NaN is not a finite number"),
        (first("area", 10**400), "a number of 401 digits is too large"),
        (first("area", "large"), "annotation 0"),
        (first("image_id", 99), "annotation 0: there is no image 99"),
        (first("image_id", []), "annotation 0"),
        (lambda plain: plain["annotations"][0].pop("image_id"), "annotation 0: it has no 'image_id'"),
        (lambda plain: plain["annotations"].insert(0, 3), "annotation 0"),
        (lambda plain: plain.update(images={}), "no list 'images'"),
        (lambda plain: plain["images"][0].pop("file_name"), "image 0 needs an id and a file_name"),
        (lambda plain: plain["images"][1].update(file_name="0.png"), "two images have the same"),
        (
            lambda plain: plain["categories"][0].update(keypoints=["a"] * 17),
            "no key point of its categories is a body joint",
        ),
        (lambda plain: plain.update(categories=7), "categories"),
        (lambda plain: plain.update(categories=[7]), "not a COCO key point file"),
        (lambda plain: plain["images"][0].update(file_name="../0.png"), "lies outside"),
        (lambda plain: plain["images"][0].update(file_name="a\0b"), "lies outside"),
    ],
)
def test_labels_that_contradict_the_format_are_refused_with_the_reason(
    tiny_checkpoint, found, pictures, tmp_path, capsys, change, sentence
):
    plain = coco_of(found)
    change(plain)
    (tmp_path / "people.json").write_text(json.dumps(plain))
    assert sentence in refused(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", pictures)


@pytest.mark.parametrize("option", ["--photos", "--scenes"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**5,
        "9" * 5000,
        '{"images": Infinity}',
        "\xff",
        "null",
        '"people"',
        "[null]",
        '[{"file": {}, "people": 1}]',
    ],
)
def test_other_json_is_refused_with_the_reason(tiny_checkpoint, pictures, tmp_path, capsys, option, text):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    assert "x.json' is not " in refused(
        capsys, tiny_checkpoint, option, tmp_path / "x.json", *([pictures] if option == "--photos" else [])
    )


@pytest.mark.parametrize("threads", ["0", "-1", "9999"])
def test_threads_that_cannot_be_are_refused(tiny_checkpoint, capsys, threads):
    try:
        status = main(["evaluate", str(tiny_checkpoint), "--threads", threads])
    except SystemExit as stopped:  # of the parser
        status = stopped.code
    assert status == 2
    message = capsys.readouterr().err
    assert "--threads" in message or "threads must be" in message
    assert "a number from 1" in message


@pytest.mark.parametrize("option", ["--photos", "--scenes"])
def test_a_pipe_in_place_of_labels_does_not_hang(tiny_checkpoint, pictures, tmp_path, capsys, option):
    os.mkfifo(tmp_path / "x.json")
    assert "plain file" in refused(
        capsys, tiny_checkpoint, option, tmp_path / "x.json", *([pictures] if option == "--photos" else [])
    )
