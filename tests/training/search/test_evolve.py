"""Search under a budget: nothing above it, the same from the log, better than chance on a known score."""

from __future__ import annotations

import json

import pytest

from toolkit.cost.operators import Operator
from toolkit.cost.predict import CostModel
from toolkit.cost.table import CostTable
from toolkit.errors import PosecError
from toolkit.network.shape import REFERENCE
from toolkit.training.search.candidates import SIZES, Candidate, Cost, thinned_operators, whole
from toolkit.training.search.evolve import Search, read_log, search
from toolkit.training.search.picture import log_picture
from toolkit.training.search.thinning import UNITS

pytestmark = pytest.mark.torch
BASE = SIZES[-1]


def cost(candidate):
    pixels = candidate.size[0] * candidate.size[1] / (BASE[0] * BASE[1])
    return pixels * sum(candidate.shares) / len(UNITS)


def score(candidate):
    """More pixels and wide first blocks are better, wide next ones worse; all else only costs."""
    return candidate.size[0] + 50 * sum(candidate.shares[:4]) - 50 * sum(candidate.shares[4:8])


def run(tmp_path, settings, progress=lambda judged, count: None, scored=score):
    return search(settings, cost, scored, log=tmp_path / "search.jsonl", progress=progress)


def test_candidates_keep_within_the_budget_and_evolution_beats_chance(tmp_path):
    (tmp_path / "random").mkdir()
    evolved = run(tmp_path, Search(0.3, candidates=60, random=10))
    drawn = run(tmp_path / "random", Search(0.3, candidates=60, random=60))
    assert max(each.cost for each in evolved + drawn) <= 0.3
    assert len({each.candidate for each in evolved}) == 60
    assert max(each.score for each in evolved) > max(each.score for each in drawn)


def test_an_interrupted_search_ends_as_the_whole_one(tmp_path):
    (tmp_path / "whole").mkdir()
    settings = Search(0.4, candidates=12, random=4)
    expected = run(tmp_path / "whole", settings)

    def killed(judged, count):
        if count == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, settings, killed)
    log = tmp_path / "search.jsonl"
    log.write_text(log.read_text() + '{"size": [256')  # the last line was cut short
    scored = []
    found = run(tmp_path, settings, scored=lambda candidate: scored.append(candidate) or score(candidate))
    assert [each.candidate for each in found] == [each.candidate for each in expected]
    assert len(scored) == 5
    assert [each.candidate for each in read_log(log)] == [each.candidate for each in expected]


def test_a_budget_that_nothing_meets_is_refused(tmp_path):
    with pytest.raises(PosecError, match=r"within a budget of 0\.001 of the whole network"):
        run(tmp_path, Search(0.001, candidates=2))


@pytest.mark.parametrize("change", [{"size": [7, 7]}, {"shares": [1.0]}, {"shares": [0.3] * len(UNITS)}])
def test_a_log_of_another_form_is_refused(tmp_path, change):
    line = {"size": list(BASE), "shares": [1.0] * len(UNITS), "cost": 1.0, "score": 2.0}
    (tmp_path / "search.jsonl").write_text(json.dumps({**line, **change}) + "\n")
    with pytest.raises(PosecError, match="no log of a search"):
        read_log(tmp_path / "search.jsonl")


def test_the_picture_has_the_candidates_and_the_best_so_far(tmp_path):
    drawn = log_picture(run(tmp_path, Search(0.4, candidates=5, random=2)))
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert drawn.count("<polyline") == 2


def test_the_cost_of_a_candidate_is_that_of_its_layers():
    def operator(kind, height, inputs, outputs):
        return Operator(kind, "int8", (1, 1), 1, 1, height, 7 * height // 4, inputs, outputs)

    named = [
        ("backbone.blocks.2.expand.Conv", operator("conv_2d", 64, 40, 240)),
        ("backbone.blocks.2.depthwise.Conv", operator("depthwise_conv_2d", 64, 240, 240)),
        ("backbone.blocks.2.project.Conv", operator("conv_2d", 64, 240, 40)),
        ("backbone.blocks.2.Add", operator("add", 64, 80, 40)),
        ("lifting_head.mlp.mlp.0.Conv", operator("conv_2d", 32, 256, 256)),
    ]
    half = Candidate((128, 224), tuple(0.5 if unit in ("block 2", "latent") else 1.0 for unit in UNITS))
    sizes = [(each.height, each.inputs, each.outputs) for each in thinned_operators(named, BASE, half)]
    assert sizes == [(32, 40, 120), (32, 120, 120), (32, 120, 40), (32, 80, 40), (16, 128, 256)]
    without = Candidate(BASE, tuple(0.0 if unit == "block 2" else 1.0 for unit in UNITS))
    assert [each.kind for each in thinned_operators(named, BASE, without)] == ["conv_2d"]
    table = CostTable("board", "cpu", "library", {each: each.inputs * each.outputs for _, each in named})
    shares = Cost(named, BASE, CostModel(table))
    assert shares.share(whole(BASE)) == 1
    assert shares.share(without) == pytest.approx(256 * 256 / shares.whole)
    assert whole(BASE).shape == REFERENCE
