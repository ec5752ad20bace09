from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import spot_picture

from calibration import folder, sweep
from calibration.lint import Finding, lint_frames, lint_halves
from calibration.survey import perceptual_hash, survey
from toolkit.errors import PosecError
from toolkit.ir.graph import Graph
from toolkit.passes import prepare


def write(root: Path, pictures: list[np.ndarray], suffix: str = "png") -> Path:
    root.mkdir()
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(root / f"{index:03d}.{suffix}"), picture)
    return root


def scene(people: int, seed: int) -> np.ndarray:
    """Return bright spots before a background of large shapes of its own."""
    random = np.random.default_rng(1000 + seed)
    background = cv2.resize(random.uniform(-35, 35, (4, 5, 3)), (160, 120), interpolation=cv2.INTER_CUBIC)
    return np.clip(spot_picture(people, seed) + background, 0, 255).astype(np.uint8)


def checks(graph: Graph, path: Path, against: Path | None = None) -> dict[str, Finding]:
    frames = folder(path, graph.spec)
    evaluation = folder(against, graph.spec) if against else None
    return {
        finding.check: finding
        for finding in lint_frames(graph, frames, survey(graph, frames), evaluation=evaluation)
    }


@pytest.fixture(scope="module")
def varied() -> list[np.ndarray]:
    return [scene(seed % 4, seed) for seed in range(36)]


def test_varied_frames_have_nothing_wrong(tiny_graph, varied, tmp_path):
    elsewhere = write(tmp_path / "evaluation", [scene(2, seed) for seed in range(100, 120)])
    assert checks(tiny_graph, write(tmp_path / "frames", varied), elsewhere) == {}


@pytest.mark.parametrize("change", ["same", "smaller", "brighter", "compressed"])
def test_frames_of_the_evaluation_set_stop(tiny_graph, varied, tmp_path, change):
    copies = {
        "same": lambda picture: picture,
        "smaller": lambda picture: cv2.resize(picture, (96, 72), interpolation=cv2.INTER_AREA),
        "brighter": lambda picture: cv2.convertScaleAbs(picture, alpha=1.15),
        "compressed": lambda picture: cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1
        ),
    }
    evaluation = write(
        tmp_path / "evaluation", [copies[change](varied[3]), copies[change](varied[11]), scene(1, 500)]
    )
    found = checks(tiny_graph, write(tmp_path / "frames", varied), evaluation)
    assert set(found) == {"overlap"}
    assert found["overlap"].stops
    assert "2 of 36 frames are in the evaluation set" in found["overlap"].text
    assert "'003.png' is '000.png'" in found["overlap"].text
    assert str(found["overlap"]).startswith("stop: overlap: ")


def test_too_few_frames_copies_and_unreadable_files_are_reported(tiny_graph, varied, tmp_path):
    root = write(tmp_path / "frames", [*varied[:6], varied[0]])
    (root / "torn.jpg").write_bytes(b"\xff\xd8")
    found = checks(tiny_graph, root)
    assert set(found) == {"few", "repeated", "unreadable"}
    assert "1 of 7 frames are copies" in found["repeated"].text
    assert "'torn.jpg'" in found["unreadable"].text
    assert not any(finding.stops for finding in found.values())


def test_frames_of_one_view_are_reported(tiny_graph, tmp_path):
    view = scene(0, 0).astype(int)
    view += 2 * (view - view.mean((0, 1)).astype(int))
    people = [spot_picture(1, seed).astype(int) - 65 for seed in range(36)]
    pictures = [
        np.clip(view + np.where(person > 60, person, 0), 0, 255).astype(np.uint8) for person in people
    ]
    assert set(checks(tiny_graph, write(tmp_path / "frames", pictures))) == {"scene"}


def test_frames_without_people_stop_and_few_with_people_are_reported(tiny_graph, tmp_path):
    found = checks(tiny_graph, write(tmp_path / "empty", [scene(0, seed) for seed in range(36)]))
    assert set(found) == {"people"}
    assert found["people"].stops
    found = checks(tiny_graph, write(tmp_path / "few", [scene(seed < 5, seed) for seed in range(36)]))
    assert "people on 5 of 36" in found["people"].text
    assert not found["people"].stops


def test_pictures_scaled_before_they_were_stored_stop(tiny_graph, varied, tmp_path):
    found = checks(
        tiny_graph,
        write(tmp_path / "frames", [np.rint(picture / 255).astype(np.uint8) for picture in varied]),
    )
    assert found["contrast"].stops
    assert "0 to 255" in found["contrast"].advice


@pytest.mark.parametrize(
    ("warmth", "expected"), [(30.0, set()), (-30.0, {"colour"}), (0.5, set()), (np.nan, set())]
)
def test_blue_heads_tell_of_exchanged_colours(tiny_graph, varied, tmp_path, warmth, expected):
    frames = folder(write(tmp_path / "frames", varied), tiny_graph.spec)
    scenes = [replace(each, warmth=np.full(len(each.scores), warmth)) for each in survey(tiny_graph, frames)]
    assert {finding.check for finding in lint_frames(tiny_graph, frames, scenes)} == expected


def test_warmth_is_measured_at_the_head(tiny_graph):
    red = spot_picture(3, 2)
    red[..., 0] = red[..., 0] * 0.7
    warm = survey(tiny_graph, [red, red[..., ::-1].copy()])
    known = [each.warmth[np.isfinite(each.warmth)] for each in warm]
    assert len(known[0]) == len(known[1]) == 3
    assert (known[0] > 0).all()
    assert (known[1] < 0).all()


def test_halves_with_different_ranges_are_reported(tiny_graph, varied):
    dark = [picture // 4 for picture in varied[:8]]
    graph = prepare(tiny_graph)
    assert lint_halves(graph, (sweep(graph, varied[:18]), sweep(graph, varied[18:]))) == []
    (finding,) = lint_halves(graph, (sweep(graph, dark), sweep(graph, varied[8:])))
    assert finding.check == "halves"
    assert "give more frames" in finding.advice


def test_scenes_of_other_frames_are_refused(tiny_graph, varied, tmp_path):
    frames = folder(write(tmp_path / "frames", varied[:3]), tiny_graph.spec)
    with pytest.raises(PosecError, match="survey the frames that are linted"):
        lint_frames(tiny_graph, frames, survey(tiny_graph, varied[1:4]))


def test_different_pictures_do_not_resemble_each_other():
    hashes = [perceptual_hash(scene(seed % 4, seed)) for seed in range(60)]
    assert not any(a.resembles(b) for index, a in enumerate(hashes) for b in hashes[:index])
