"""Predicted times: work and bounds computed by hand, and their place apart from results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from command_line import refusal, run
from made_results import made_result
from onnx import TensorProto, helper, numpy_helper
from report_pages import Page, page_of

import targets
from toolkit.compiler.checks import lower_nominal
from toolkit.cost.graph_operators import graph_operators
from toolkit.cost.table import CostTable
from toolkit.device.result import save_result
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.report.choosing.comparison import compare
from toolkit.report.predicting.bound import bound_ms, predictions
from toolkit.report.predicting.instructions import with_instructions
from toolkit.report.predicting.workload import LayerWork, layer_work

FACTS = {"peak_gops": {"float32": 10.0, "int8": 40.0}, "memory_gb_s": 1.0}
WORK = [LayerWork(operations=2e7, elements=1e5), LayerWork(operations=1e5, elements=1e6)]


def test_the_work_of_a_convolution_and_of_a_product_is_counted_by_hand(tiny_graph):
    weights = [np.zeros((8, 3, 3, 3), np.float32), np.zeros((64, 5), np.float32)]
    tensors = [numpy_helper.from_array(array, name) for name, array in zip("wv", weights, strict=True)]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["z"]),
    ]
    value = helper.make_tensor_value_info
    source, result = (
        value("x", TensorProto.FLOAT, [1, 3, 32, 128]),
        value("z", TensorProto.FLOAT, [1, 8, 16, 5]),
    )
    model = helper.make_model(helper.make_graph(nodes, "g", [source], [result], tensors))
    onnx.checker.check_model(model)
    convolution, product = layer_work(replace(tiny_graph, model=model))
    outputs = 8 * 16 * 64
    assert convolution == (2 * outputs * 27, 3 * 32 * 128 + 8 * 27 + outputs)
    assert product == (2 * 8 * 16 * 5 * 64, outputs + 64 * 5 + 8 * 16 * 5)


def test_a_layer_takes_its_operations_or_its_bytes_whichever_is_longer():
    # float32: 20e6 / 10e9 s = 2 ms above 0.4 ms; 4e6 bytes / 1e9 = 4 ms above 0.01 ms.
    assert bound_ms(WORK, "float32", FACTS) == pytest.approx(6.0)
    assert bound_ms(WORK, "int8", FACTS) == pytest.approx(0.5 + 1.0)
    assert bound_ms(WORK, "float16", FACTS) is None
    assert bound_ms(WORK, "float32", {}) is None


def test_the_error_on_measured_boards_widens_the_prediction_of_the_others():
    measured = made_result("int8", bench={}, target="here")
    ms = measured.bench["latency"]["inference"]["p50_ms"]
    here = ("here", ("int8",), FACTS)
    there = ("there", ("int8",), {**FACTS, "memory_gb_s": 2.0})
    first, second = predictions(WORK, [here, there], [measured])
    assert first.factor == pytest.approx(ms / 1.5)
    assert (second.measured_ms, second.bound_ms) == (None, pytest.approx(1.0))
    assert second.low_ms == second.high_ms == pytest.approx(ms / 1.5)
    (alone,) = predictions(WORK, [there], [])
    assert alone.low_ms is None


def test_predictions_are_apart_from_results_and_in_no_front():
    results = [made_result("int8", target="here")]
    predicted = predictions(WORK, [("elsewhere", ("int8",), FACTS)], results)
    page = Page(page_of(results, predicted=predicted))
    assert "Predicted, on boards by their peak figures" in page.text
    assert "elsewhere" not in page.scripts[0]
    assert len(compare(results).options) == 1


def test_boards_are_named_on_the_command_line_and_those_without_peaks_refused(
    tiny_checkpoint, tmp_path, capsys
):
    (tmp_path / "results").mkdir()
    save_result(made_result("int8"), tmp_path / "results" / "a.result.json")
    line = ["report", tmp_path / "results", "--checkpoint", tiny_checkpoint, "-o", tmp_path / "page.html"]
    assert run(*line, "--predict", "raspberry-pi-5", "jetson-orin-nano") == 0
    text = Page((tmp_path / "page.html").read_text()).text
    assert "jetson-orin-nano" in text
    capsys.readouterr()
    assert "states no peak figures" in refusal(capsys, *line, "--predict", "generic-cpu")


@pytest.mark.parametrize(
    "name", [name for name in targets.names() if "peak_gops" in targets.load(name).facts]
)
def test_every_precision_that_a_target_offers_has_a_peak(name):
    target = targets.load(name)
    peaks = target.facts["peak_gops"]
    offered = [precision for precision in target.precisions if precision in peaks]
    assert offered
    assert all(peaks[low] >= peaks["float32"] for low in offered)


def test_instructions_are_predicted_where_the_boards_operators_were_counted(tiny_graph):
    board = targets.load("raspberry-pi-4")
    listed = {
        precision: graph_operators(lower_nominal(prepare(tiny_graph), Job(board, precision)))
        for precision in ("int8", "float32")
    }
    counts = dict.fromkeys(listed["int8"], 1000)
    table = CostTable(board.name, "cpu", "library", counts)
    given = predictions(WORK, [(board.name, ("int8", "float32"), FACTS)], [])
    int8, float32 = with_instructions(given, prepare(tiny_graph), [(board, table)])
    assert int8.instructions == pytest.approx(1000 * len(listed["int8"]), abs=5e4)
    assert float32.instructions is None  # its convolutions were not counted
    assert int8.bound_ms == given[0].bound_ms
