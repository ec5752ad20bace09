import cv2
import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from calibration import OBSERVERS, collect, sweep
from calibration.collect import Sweep
from calibration.frames import picture_sha256
from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.ir.ranges import Ranges
from toolkit.passes import prepare
from toolkit.runtime.preprocess import to_batch


def test_min_max_covers_the_values_of_the_float_network(tiny_graph, people_pictures):
    ranges = collect(tiny_graph, people_pictures)
    graph = prepare(tiny_graph)
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    batches = [to_batch(picture, graph.spec, graph.frame)[0] for picture in people_pictures]
    depths = [session.run(["depth"], {graph.input_name: batch})[0] for batch in batches]
    assert ranges.tensors["depth"] == pytest.approx(
        (min(d.min() for d in depths), max(d.max() for d in depths)), abs=1e-5
    )
    assert ranges.tensors[graph.input_name] == (min(b.min() for b in batches), max(b.max() for b in batches))
    produced = {name for node in graph.model.graph.node for name in node.output}
    assert set(ranges.tensors) == {graph.input_name, *produced}
    assert ranges.graph_sha256 == graph.sha256
    assert ranges.frames_sha256 == tuple(map(picture_sha256, people_pictures))


def test_a_prepared_graph_gives_the_same_ranges(tiny_graph, people_pictures):
    assert collect(prepare(tiny_graph), people_pictures) == collect(tiny_graph, people_pictures)


def test_one_sweep_serves_every_observer_and_the_file_is_the_same_each_time(
    tiny_graph, people_pictures, tmp_path
):
    once = sweep(tiny_graph, people_pictures)
    for name in OBSERVERS:
        once.ranges(name).save(tmp_path / "a.json")
        collect(tiny_graph, people_pictures, observer=name).save(tmp_path / "b.json")
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert Ranges.load(tmp_path / "a.json") == once.ranges(name)
        assert Ranges.load(tmp_path / "a.json").observer == name


@pytest.mark.parametrize("first", [1, 3])
def test_sweeps_over_parts_of_the_frames_merge_into_that_of_all(tiny_graph, people_pictures, tmp_path, first):
    whole = sweep(tiny_graph, people_pictures)
    # Brighter frames come last: the second part has the wider histograms.
    parts = [sweep(tiny_graph, people_pictures[:first]), sweep(tiny_graph, people_pictures[first:])]
    for number, part in enumerate(parts):
        part.save(tmp_path / f"{number}.npz")
    merged, later = (Sweep.load(tmp_path / f"{number}.npz") for number in range(2))
    merged.merge(later)
    for observer in OBSERVERS:
        found, expected = merged.ranges(observer), whole.ranges(observer)
        assert found.frames_sha256 == expected.frames_sha256
        assert found.means == expected.means != {}
        for name, pair in expected.tensors.items():
            assert found.tensors[name] == pytest.approx(pair, rel=1e-9, abs=1e-9)
    for name, stats in whole.tensors.items():
        assert (merged.tensors[name].counts == stats.counts).all()


def test_sweeps_of_different_networks_are_not_merged(tiny_graph, people_pictures):
    one, other = sweep(tiny_graph, people_pictures[:2]), sweep(tiny_graph, people_pictures[2:])
    other.graph_sha256 = "0" * 64
    with pytest.raises(PosecError, match="cannot be merged"):
        one.merge(other)


def test_progress_reports_frames_done_and_frames_in_all(tiny_graph, people_pictures):
    steps = []
    collect(tiny_graph, people_pictures, progress=lambda done, count: steps.append((done, count)))
    assert steps == [(i, 5) for i in range(1, 6)]


def test_an_interrupted_sweep_continues(tiny_graph, people_pictures, tmp_path):
    def interrupted():
        yield from pictures[:40]
        raise KeyboardInterrupt

    pictures, file = people_pictures * 10, tmp_path / "begun.npz"
    with pytest.raises(KeyboardInterrupt):
        sweep(tiny_graph, interrupted(), resume=file)
    assert file.exists()
    steps: list[int] = []
    continued = sweep(tiny_graph, pictures, lambda done, _: steps.append(done), resume=file)
    assert steps[0] == 33
    assert not file.exists()
    whole = sweep(tiny_graph, pictures)
    assert all(continued.ranges(name) == whole.ranges(name) for name in OBSERVERS)


def test_an_interrupted_sweep_of_something_else_is_refused(tiny_graph, people_pictures, tmp_path):
    file = tmp_path / "begun.npz"
    sweep(tiny_graph, people_pictures[:2]).save(file)
    with pytest.raises(PosecError, match="begun with other frames"):
        sweep(tiny_graph, people_pictures[1:], resume=file)
    other = sweep(tiny_graph, people_pictures[:2])
    other.graph_sha256 = "0" * 64
    other.save(file)
    with pytest.raises(PosecError, match="belongs to another network"):
        sweep(tiny_graph, people_pictures, resume=file)
    file.write_text("nothing")
    with pytest.raises(PosecError, match="not an unfinished calibration"):
        sweep(tiny_graph, people_pictures, resume=file)


def test_nothing_to_calibrate_on_and_unknown_observers_are_refused(tiny_graph):
    with pytest.raises(PosecError, match="no calibration frames"):
        collect(tiny_graph, [])
    with pytest.raises(PosecError, match="no observer 'median'; known: min-max, moving-average"):
        collect(tiny_graph, [np.zeros((8, 8, 3), np.uint8)], observer="median")


def test_overflow_names_the_tensor_and_the_frame(tiny_graph, people_pictures):
    model = tiny_graph.model
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(200), "steep"), numpy_helper.from_array(np.float32(0), "none")]
    )
    depth = next(node for node in model.graph.node if "depth" in node.output)
    depth.output[0] = "depth_before"
    model.graph.node.extend(
        [
            helper.make_node("GlobalAveragePool", ["frame"], ["light"]),
            helper.make_node("Mul", ["light", "steep"], ["much_light"]),
            helper.make_node("Exp", ["much_light"], ["glare"]),
            helper.make_node("Min", ["glare", "none"], ["nothing"]),
            helper.make_node("ReduceMean", ["nothing"], ["zero"], axes=[1]),
            helper.make_node("Add", ["depth_before", "zero"], ["depth"]),
        ]
    )
    with pytest.raises(
        PosecError,
        match=r"tensor 'depth.Exp' on frame 2 takes values from inf to inf: the float network overflows",
    ):
        collect(tiny_graph, [people_pictures[0], np.full((64, 96, 3), 255, np.uint8)])


def damaged(content, random):
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        content[random.integers(len(content))] = random.integers(256)
    return bytes(content[: random.integers(len(content))] if random.random() < 0.2 else content)


def test_a_damaged_unfinished_calibration_is_refused_with_the_reason_or_read(
    tiny_graph, people_pictures, tmp_path
):
    file, random = tmp_path / "c.unfinished", np.random.default_rng(0)
    sweep(tiny_graph, people_pictures[:1]).save(file)
    content, refused = file.read_bytes(), 0
    for _ in range(150):
        file.write_bytes(damaged(content, random))
        try:
            Sweep.load(file).ranges()
        except PosecError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017
    assert refused > 100


CHANGES = {
    "a field missing": lambda arrays: arrays.pop(next(name for name in arrays if name.endswith("low"))),
    "a field of its own": lambda arrays: arrays.update({"a\nb": np.zeros(1)}),
    "a histogram of another size": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\ncounts")): np.zeros(3, np.int64)}
    ),
    "a negative histogram": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\ncounts")): np.full(4096, -1)}
    ),
    "an extreme that is NaN": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nlow")): np.float64(np.nan)}
    ),
    "extremes the wrong way round": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nlow")): np.float64(1e6)}
    ),
    "an exponent of a million": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nexponent")): np.int64(10**6)}
    ),
    "an exponent that does not cover": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nexponent")): np.int64(-20)}
    ),
    "channels of another count": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nchannel_sum")): np.zeros(99)}
    ),
    "other frames": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nframes")): np.int64(5)}
    ),
    "a text for a number": lambda arrays: arrays.update(
        {next(n for n in arrays if n.endswith("\nlow")): np.asarray("a")}
    ),
    "no hash": lambda arrays: arrays.pop("graph_sha256"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_unfinished_calibration_that_contradicts_itself_is_refused(
    change, tiny_graph, people_pictures, tmp_path
):
    file = tmp_path / "c.unfinished"
    sweep(tiny_graph, people_pictures[:1]).save(file)
    with np.load(file) as stored:
        arrays = dict(stored)
    change(arrays)
    with file.open("wb") as target:
        np.savez(target, **arrays)
    with pytest.raises(
        PosecError, match=r"is not an unfinished calibration .*; delete it and calibrate again"
    ):
        Sweep.load(file)


def test_the_command_refuses_a_damaged_unfinished_calibration(
    tiny_checkpoint, people_pictures, tmp_path, capsys
):
    (tmp_path / "frames").mkdir()
    for number, picture in enumerate(people_pictures):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), picture)
    (tmp_path / "c.json.unfinished").write_bytes(b"PK\x05\x06 damaged")
    asked = [
        "calibrate",
        str(tiny_checkpoint),
        "--frames",
        str(tmp_path / "frames"),
        "-o",
        str(tmp_path / "c.json"),
        "--force",
    ]
    assert main(asked) == 2
    assert "delete it and calibrate again" in capsys.readouterr().err
