"""targets: the boards."""

from __future__ import annotations

from command_line import json_of, run


def test_targets_are_printed_as_json(capsys):
    known = {target["name"]: target for target in json_of(capsys, "targets")}
    assert {"intel-cpu", "generic-cpu"} <= set(known)
    assert "int8" in known["generic-cpu"]["precisions"]
    assert known["generic-cpu"]["engine"] == "onnxruntime"


def test_targets_are_printed_as_a_table_with_the_refused_precisions(capsys):
    assert run("targets") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["target", "board", "engine", "precisions", "exports", "here"]
    assert any(row.startswith("generic-cpu: no float16: ") for row in rows)
