"""`posec evaluate` on the labels, archives and joint orders that people have, through the command."""

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import tiny_graph_of, tiny_spec, write_checkpoint

from toolkit.cli import main
from toolkit.evaluation.coco import COCO_JOINTS
from toolkit.ir.float_engine import float_estimator
from toolkit.runtime.pose import MUPOTS17, PoseFrame, PoseSpec, Skeleton

# Human3.6M lists the same joints in another order.
ORDER = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)


@pytest.fixture(scope="module")
def found(people_pictures: list[np.ndarray]) -> dict[str, PoseFrame]:
    """The people that the tiny network finds, by file name: labels on which it is perfect."""
    estimator = float_estimator(tiny_graph_of(), threads=1)
    return {
        f"{index}.png": estimator(picture, focal_px=200.0) for index, picture in enumerate(people_pictures)
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, people_pictures: list[np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "pictures"
    folder.mkdir()
    for index, picture in enumerate(people_pictures):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def coco_of(found: dict[str, PoseFrame], names: tuple[str, ...] = COCO_JOINTS) -> dict:
    """A whole COCO file of people, key points in the order `names`."""
    entries = []
    for image, people in enumerate(found.values()):
        for joints in people.joints_px.astype(float):
            known = [name.lower().replace(" ", "_") for name in names]
            points = [
                (*joints[MUPOTS17.index(name)], 2) if name in MUPOTS17.names else (0, 0, 0) for name in known
            ]
            low, size = joints.min(axis=0), np.ptp(joints, axis=0)
            entries.append(
                {
                    "image_id": image,
                    "category_id": 1,
                    "keypoints": np.array(points).ravel().tolist(),
                    "iscrowd": 0,
                    "num_keypoints": 12,
                    "area": float(np.prod(size)),
                    "bbox": [*low, *size],
                }
            )
    images = [{"id": image, "file_name": name} for image, name in enumerate(found)]
    return {
        "images": images,
        "annotations": entries,
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }


def scenes_of(found: dict[str, PoseFrame]) -> list[dict]:
    return [
        {
            "file": name,
            "focal_px": 200.0,
            "people": [
                {
                    "joints_mm": people.joints_mm[i].tolist(),
                    "root_mm": people.roots_mm[i].tolist(),
                    "joints_px": people.joints_px[i].tolist(),
                    "visible": 1.0,
                }
                for i in range(len(people))
            ],
        }
        for name, people in found.items()
    ]


def evaluated(capsys: pytest.CaptureFixture, network: Path, *options: object) -> dict:
    capsys.readouterr()
    assert main(["evaluate", str(network), *map(str, options), "--threads", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)[0]


def refused(capsys: pytest.CaptureFixture, network: Path, *options: object) -> str:
    capsys.readouterr()
    assert main(["evaluate", str(network), *map(str, options), "--threads", "1"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def without(name: str):
    return lambda plain: [entry.pop(name) for entry in plain["annotations"]]


def put(name: str, value: object):
    return lambda plain: [entry.update({name: value}) for entry in plain["annotations"]]


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
        (first("area", float("nan")), "NaN is no finite number"),
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


def archive(path: Path, pictures: Path, mode: str = "w", prefix: str = "") -> Path:
    with tarfile.open(path, mode) as tar:
        for picture in sorted(pictures.iterdir()):
            tar.add(picture, prefix + picture.name)
    return path


@pytest.mark.parametrize(
    ("mode", "prefix"), [("w", ""), ("w", "./"), ("w:gz", ""), ("w:bz2", "./"), ("w:xz", "")]
)
def test_pictures_are_read_from_the_tar_files_of_gnu_tar(
    tiny_checkpoint, found, pictures, tmp_path, capsys, mode, prefix
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    row = evaluated(
        capsys,
        tiny_checkpoint,
        "--photos",
        tmp_path / "people.json",
        archive(tmp_path / "pictures.tar", pictures, mode, prefix),
    )
    assert row["oks75"] == 1.0


def linked(path: Path, pictures: Path, *links: tuple[bytes, str, str]) -> Path:
    """A tar file of pictures 1 to 4, and links."""
    archive(path, pictures)
    with tarfile.open(path) as tar:
        kept = [(member, tar.extractfile(member).read()) for member in tar if member.name != "0.png"]
        zero = tar.extractfile("0.png").read()
    with tarfile.open(path, "w") as tar:
        for member, content in kept:
            tar.addfile(member, io.BytesIO(content))
        store = tarfile.TarInfo("store/zero.png")
        store.size = len(zero)
        tar.addfile(store, io.BytesIO(zero))
        for kind, name, target in links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    return path


@pytest.mark.parametrize(
    "links",
    [
        [(tarfile.SYMTYPE, "0.png", "store/zero.png")],
        [(tarfile.LNKTYPE, "0.png", "store/zero.png")],
        [(tarfile.SYMTYPE, "0.png", "store/link.png"), (tarfile.SYMTYPE, "store/link.png", "zero.png")],
    ],
)
def test_links_to_members_are_followed(tiny_checkpoint, found, pictures, tmp_path, capsys, links):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    path = linked(tmp_path / "pictures.tar", pictures, *links)
    assert evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", path)["oks75"] == 1.0


@pytest.mark.parametrize(
    "links",
    [
        [],
        [(tarfile.SYMTYPE, "0.png", "0.png")],
        [(tarfile.SYMTYPE, "0.png", "a"), (tarfile.SYMTYPE, "a", "0.png")],
        [(tarfile.LNKTYPE, "0.png", "0.png")],
        [(tarfile.SYMTYPE, "0.png", "/etc/hostname")],
        [(tarfile.SYMTYPE, "0.png", "../../etc/hostname")],
        [(tarfile.DIRTYPE, "0.png", "")],
        [(tarfile.FIFOTYPE, "0.png", "")],
        [(tarfile.CHRTYPE, "0.png", "")],
    ],
)
def test_members_that_lead_to_no_picture_are_refused_with_the_reason(
    tiny_checkpoint, found, pictures, tmp_path, capsys, links
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    path = linked(tmp_path / "pictures.tar", pictures, *links)
    assert "'0.png' in" in refused(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", path)


def test_damaged_tar_files_are_refused_with_the_reason(tiny_checkpoint, found, pictures, tmp_path, capsys):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    random, statuses = np.random.default_rng(0), []
    for number, mode in enumerate(("w", "w:gz", "w:bz2", "w:xz") * 10):
        path = archive(tmp_path / f"{number}.tar", pictures, mode)
        content = bytearray(path.read_bytes())
        at = int(random.integers(0, len(content)))
        content[at : at + 8] = random.bytes(8)
        path.write_bytes(bytes(content[: int(random.integers(1, len(content))) if number % 3 == 0 else None]))
        statuses.append(
            main(
                [
                    "evaluate",
                    str(tiny_checkpoint),
                    "--photos",
                    str(tmp_path / "people.json"),
                    str(path),
                    "--threads",
                    "1",
                ]
            )
        )
        assert capsys.readouterr().err.count("posec evaluate: ") == (statuses[-1] == 2)
    assert statuses.count(2) > 20
    assert set(statuses) <= {0, 2}


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_member_that_claims_gigabytes_is_refused_without_reading_it(
    tiny_checkpoint, found, pictures, tmp_path, capsys, kind
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    member = tarfile.TarInfo("0.png")
    member.size, member.type = 7 << 30, kind
    (tmp_path / "pictures.tar").write_bytes(member.tobuf() + bytes(1024))
    assert refused(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "pictures.tar")


def test_pictures_of_a_folder_may_be_links_and_pipes_do_not_hang(
    tiny_checkpoint, found, pictures, tmp_path, capsys
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    (tmp_path / "linked").mkdir()
    for picture in pictures.iterdir():
        (tmp_path / "linked" / picture.name).symlink_to(picture)
    assert (
        evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "linked")["oks75"]
        == 1.0
    )
    (tmp_path / "linked" / "0.png").unlink()
    os.mkfifo(tmp_path / "linked" / "0.png")
    assert "no picture '0.png'" in refused(
        capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "linked"
    )


def ordered(
    spec: PoseSpec, order: tuple[int, ...] = ORDER, names: tuple[str, ...] = MUPOTS17.names
) -> PoseSpec:
    """The same contract with joints in another order, and under other names."""
    new = {before: now for now, before in enumerate(order)}
    skeleton = Skeleton(
        tuple(names[i] for i in order),
        tuple(new.get(MUPOTS17.parents[i], -1) for i in order),
        tuple(new[i] for i in MUPOTS17.bones),
        MUPOTS17.bone_lengths_mm,
        tuple(new[MUPOTS17.mirror[i]] for i in order),
    )
    return replace(spec, skeleton=skeleton)


@pytest.mark.parametrize("protocol", ["photos", "scenes"])
def test_joints_are_compared_by_name_in_any_order(
    tiny_checkpoint, found, pictures, tmp_path, capsys, protocol
):
    moved = {
        name: replace(people, joints_mm=people.joints_mm + np.linspace(0, 90, 17, dtype=np.float32)[:, None])
        for name, people in found.items()
    }
    plain = coco_of(found) if protocol == "photos" else scenes_of(moved)
    (tmp_path / "truth.json").write_text(json.dumps(plain))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    options = (
        ["--photos", tmp_path / "truth.json", pictures]
        if protocol == "photos"
        else ["--scenes", tmp_path / "truth.json"]
    )
    row = evaluated(capsys, tiny_checkpoint, *options)
    again = evaluated(capsys, write_checkpoint(tmp_path / "reordered", ordered(tiny_spec())), *options)
    assert row["people"] == 10
    assert row["oks75" if protocol == "photos" else "pck_rel150"] > 0.9
    assert again.keys() == row.keys()
    for figure, value in row.items():
        assert again[figure] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5)), figure


def test_joints_without_a_partner_are_left_out_and_reported(found, pictures, tmp_path, capsys):
    names = tuple({"left_wrist": "left_hand", "head_top": "crown"}.get(name, name) for name in MUPOTS17.names)
    network = write_checkpoint(tmp_path / "renamed", ordered(tiny_spec(), names=names))
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    (tmp_path / "scenes.json").write_text(json.dumps(scenes_of(found)))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    row = evaluated(capsys, network, "--photos", tmp_path / "people.json", pictures)
    assert (row["oks75"], row["joints_missing"]) == (1.0, 1)
    assert main(["evaluate", str(network), "--scenes", str(tmp_path / "scenes.json"), "--threads", "1"]) == 0
    assert "no such joints: head_top, left_wrist" in capsys.readouterr().err
    row = evaluated(capsys, network, "--scenes", tmp_path / "scenes.json")
    assert (row["pck_rel150"], row["joints_missing"]) == (100, 2)
    assert row["mpjpe_mm"] < 0.01


def test_centres_are_compared_as_the_protocols_define_them(found, pictures, tmp_path, capsys):
    """A network whose centre is another joint finds the same people."""
    spec = replace(tiny_spec(), centre_joints=("left_ankle",))
    graph = replace(tiny_graph_of(), spec=spec)
    estimator = float_estimator(graph, threads=1)
    people = {name: estimator(cv2.imread(str(pictures / name)), focal_px=200.0) for name in found}
    network = write_checkpoint(tmp_path / "ankles", spec)
    (tmp_path / "people.json").write_text(json.dumps(coco_of(people)))
    (tmp_path / "scenes.json").write_text(json.dumps(scenes_of(people)))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    assert evaluated(capsys, network, "--photos", tmp_path / "people.json", pictures)["oks75"] == 1.0
    row = evaluated(capsys, network, "--scenes", tmp_path / "scenes.json")
    assert (row["centre_recall"], row["pck_rel150"]) == (1.0, 100)
