"""verify and verify_golden on bundles of the tiny network: intact, damaged, blind, and another network."""

from dataclasses import replace

import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of, tiny_spec
from tiny_bundles import ALLOWED, spoiled, write_tiny_bundle

from toolkit.device.golden_check import verify_golden
from toolkit.errors import PosecError
from toolkit.ir import float_engine
from toolkit.runtime.engines import onnxruntime
from toolkit.runtime.pose import MUPOTS17, Skeleton
from toolkit.verification.verify import verify


def test_a_float_bundle_does_not_drift_from_its_graph(tmp_path, people_pictures, tiny_graph):
    bundle = write_tiny_bundle(tmp_path / "sound")
    seen = []
    drift = verify(bundle, tiny_graph, people_pictures, threads=1, progress=lambda *done: seen.append(done))
    assert drift
    assert (drift.frames, drift.people, len(drift.lost)) == (5, 10, 0)
    assert drift.drift_mm < 0.01
    assert seen[-1] == (5, 5)
    assert verify(tmp_path / "sound", tiny_graph, iter(people_pictures), threads=1).drift_mm == drift.drift_mm


def test_golden_people_are_found_again(tmp_path):
    drift = verify_golden(write_tiny_bundle(tmp_path / "sound"))
    assert drift
    assert drift.people == 10
    assert drift.drift_mm < 0.01
    assert drift.blame == {}


@pytest.mark.parametrize("head", ["embedding", "rotation"])
def test_a_spoiled_head_is_blamed(tmp_path, people_pictures, tiny_graph, head):
    bundle = write_tiny_bundle(tmp_path / "spoiled", spoiled(tiny_graph, head, noise=0.5))
    drift = verify(bundle, tiny_graph, people_pictures, threads=1)
    assert not drift
    assert drift.drift_mm > ALLOWED["drift_mm"]
    assert drift.worst_head == head
    assert drift.blame[head].drift_mm < 0.01
    others = [repair.drift_mm for name, repair in drift.blame.items() if name != head]
    assert others == pytest.approx([drift.drift_mm] * 4, rel=1e-3)
    assert not verify_golden(bundle)


def test_a_spoiled_depth_moves_roots_and_not_joints(tmp_path, people_pictures, tiny_graph):
    drift = verify(
        write_tiny_bundle(tmp_path / "spoiled", spoiled(tiny_graph, "depth", noise=0.05)),
        tiny_graph,
        people_pictures,
        threads=1,
    )
    assert drift.root_drift_mm > 10
    assert drift.drift_mm < 1


def test_a_bundle_without_detections_loses_all_people_to_the_centre_head(
    tmp_path, people_pictures, tiny_graph
):
    blind = spoiled(tiny_graph, "centre", noise=0.0)
    for node in blind.model.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "Neg"
    drift = verify(write_tiny_bundle(tmp_path / "blind", blind), tiny_graph, people_pictures, threads=1)
    assert not drift
    assert drift.people_lost == 1
    assert drift.worst_head == "centre"
    assert drift.blame["centre"].people_lost == 0


def test_frames_without_people_are_refused(tmp_path, tiny_graph):
    empty = [spot_picture(0, seed=1)]
    bundle = write_tiny_bundle(tmp_path / "sound", pictures=empty)
    with pytest.raises(PosecError, match="found no people on 1 frames"):
        verify(bundle, tiny_graph, empty, threads=1)
    with pytest.raises(
        PosecError, match=r"found none on the 1 golden pictures .* export again with --golden"
    ):
        verify_golden(bundle)
    with pytest.raises(PosecError, match="no frames to verify on"):
        verify(bundle, tiny_graph, [], threads=1)


def test_a_bundle_of_another_network_or_without_golden_pictures_is_refused(tmp_path, tiny_graph):
    bundle = write_tiny_bundle(tmp_path / "other", tiny_graph_of(tiny_spec((64, 128))))
    with pytest.raises(PosecError, match="of another specification than graph 'tiny'"):
        verify(bundle, tiny_graph, [])
    with pytest.raises(PosecError, match="has no golden pictures"):
        verify_golden(write_tiny_bundle(tmp_path / "bare", pictures=[]))


def test_limits_can_be_given_and_must_be_complete(tmp_path, people_pictures, tiny_graph):
    bundle = write_tiny_bundle(tmp_path / "spoiled", spoiled(tiny_graph, "embedding", noise=0.5))
    drift = verify_golden(bundle)
    assert verify_golden(bundle, allowed=drift.enough)
    with pytest.raises(PosecError, match="lack people_lost, people_invented"):
        verify_golden(bundle, allowed={"drift_mm": 1.0})
    assert np.isfinite(drift.drift_mm)


def test_each_network_runs_once_per_picture(tmp_path, people_pictures, tiny_graph, monkeypatch):
    calls = []
    for engine in (onnxruntime.Engine, float_engine.FloatEngine):
        run = engine.__call__
        monkeypatch.setattr(
            engine, "__call__", lambda self, batch, run=run: calls.append(type(self)) or run(self, batch)
        )
    verify(write_tiny_bundle(tmp_path / "sound"), tiny_graph, people_pictures, threads=1)
    assert [calls.count(engine) for engine in (onnxruntime.Engine, float_engine.FloatEngine)] == [
        5,
        15,
    ]  # 5 are the golden people's, 5 those of the slightly changed pictures


def test_joints_are_compared_by_name_in_any_order(tmp_path, people_pictures, tiny_graph):
    order = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
    new, old = {before: now for now, before in enumerate(order)}, MUPOTS17
    reordered = Skeleton(
        tuple(old.names[i] for i in order),
        tuple(new.get(old.parents[i], -1) for i in order),
        tuple(new[i] for i in old.bones),
        old.bone_lengths_mm,
        tuple(new[old.mirror[i]] for i in order),
    )
    bundle = write_tiny_bundle(tmp_path / "spoiled", spoiled(tiny_graph, "embedding", noise=0.2))
    drift = verify(bundle, tiny_graph, people_pictures, threads=1)
    again = verify(
        bundle,
        replace(tiny_graph, spec=replace(tiny_graph.spec, skeleton=reordered)),
        people_pictures,
        threads=1,
    )
    assert drift.drift_mm > 1
    assert (again.people, again.people_lost) == (drift.people, drift.people_lost)
    assert again.drift_mm == pytest.approx(drift.drift_mm, rel=1e-4)
    assert again.blame["embedding"].drift_mm < 0.01
