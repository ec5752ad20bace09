"""bench: one result per bundle."""

from __future__ import annotations

import json

import pytest
from command_line import allowed, changed, json_of, refusal, run

from toolkit.runtime.engines.cpu import int8_saturates

QUICK = ["--seconds", "0.2", "--no-accuracy", "--size", "160x120"]


@pytest.fixture(scope="module")
def accepted(bundle, tmp_path_factory):
    """The bundle with wide drift limits."""
    return changed(bundle, tmp_path_factory.mktemp("accepted") / "int8", allowed=allowed(1e6))


def test_a_bundle_is_measured_and_its_result_written(accepted, pictures, tmp_path, capsys):
    line = ["bench", accepted, *QUICK, "--source", pictures, "-o", tmp_path / "results"]
    assert run(*line) == 0
    text = capsys.readouterr().out
    assert ("integers are added up by slower, exact kernels" in text) is int8_saturates()
    (path,) = (tmp_path / "results").iterdir()
    assert "generic-cpu" in path.name
    bench = json.loads(path.read_text())["bench"]["latency"]
    times = [bench["total"][name] for name in ("p50_ms", "p90_ms", "p99_ms")] + [bench["inference"]["p50_ms"]]
    assert text.splitlines()[1].split()[3:] == [f"{time:.2f}" for time in times]


def test_the_exit_status_is_1_over_the_drift_limits(bundle, tmp_path, capsys):
    strict = changed(bundle, tmp_path / "strict", allowed=allowed(0.0))
    (result,) = json_of(capsys, "bench", strict, *QUICK, status=1)
    assert result["drift"]["within"] is False


def test_a_bundle_in_a_folder_whose_name_is_not_utf8_has_a_result(accepted, tmp_path):
    folder = changed(accepted, tmp_path / "caf\udce9", allowed=allowed(1e6))
    run("bench", folder, *QUICK, "-o", tmp_path / "results")
    (path,) = (tmp_path / "results").iterdir()
    result = json.loads(path.read_text())
    assert result["bundle"]["folder"] == "caf\\xe9"
    assert "rename the folder of the bundle" in path.read_text()


def test_a_result_is_measured_again(accepted, tmp_path, capsys):
    run("bench", accepted, *QUICK, "-o", tmp_path)
    (path,) = tmp_path.iterdir()
    capsys.readouterr()
    status = run("bench", accepted, "--again", path, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["consistent"] is (status == 0)
    assert "one bundle with one result" in refusal(capsys, "bench", accepted, accepted, "--again", path)


@pytest.mark.parametrize("size", ["wide", "1280", "x720", "-1x2"])
def test_a_size_is_two_numbers(bundle, size, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("bench", bundle, "--size", size)
    assert "such as 1280x720" in capsys.readouterr().err or size.startswith("-")


@pytest.mark.parametrize("size", ["0x5", "5x0", "99999x99999", "100000x1"])
def test_a_size_that_no_camera_has_is_refused_before_the_work(bundle, size, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("bench", bundle, "--size", size)
    assert "each side must be 1 to 8192 pixels" in capsys.readouterr().err


def test_the_reason_of_a_failure_is_printed(bundle, pictures, capsys):
    line = ["bench", bundle, "--seconds", "0.2", "--no-accuracy", "--source", pictures, "--size", "4000x1"]
    assert run(*line) == 1
    assert f"{bundle}: a picture of 4000 x 1 pixels would be" in capsys.readouterr().out


def test_the_users_pictures_are_timed_and_judged_and_rendered_ones_are_warned_of(
    accepted, tiny_checkpoint, pictures, capsys
):
    line = ["bench", accepted, *QUICK, "--checkpoint", tiny_checkpoint]
    (result,) = json_of(capsys, *line, "--frames", pictures)
    shown = {picture["name"] for picture in result["bench"]["inputs"]["pictures"]}
    assert shown == {path.name for path in pictures.iterdir()}
    assert result["drift"]["data"] == {"source": pictures.name, "kind": "user"}
    assert result["drift"]["frames"] == len(shown)
    assert len(result["compared"]) == len(shown)
    assert result["bench"]["overlap"]["fps"] > 0
    assert result["bench"]["energy"] == {"absent": "energy is measured in a sustained run"}
    run("bench", accepted, *QUICK)
    assert "WARNING: judged on posec's rendered scenes alone" in capsys.readouterr().err
