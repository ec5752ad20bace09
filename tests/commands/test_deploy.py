"""deploy: a bundle on a board, and its result."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import allowed, changed, json_of, refusal, run
from deployments import command, make_board


@pytest.fixture
def home(tmp_path):
    """Home folder of a board."""
    return make_board(tmp_path)


def words(bundle: Path, home: Path, *more: str) -> list[str]:
    """Return the command without the Python that runs it."""
    return command(bundle, home, *more)[3:]


def test_an_accepted_bundle_runs_on_the_board_and_its_result_is_fetched(bundle, home, tmp_path, capsys):
    loose = changed(bundle, tmp_path / "pi5", allowed=allowed(1e6))
    done = json_of(capsys, *words(loose, home))
    assert (done["folder"], done["verdict"]) == ("posec/pi5", "accepted")
    assert done["status"] in ("ran", "noisy")
    assert Path(done["result"]).is_file()
    assert (home / "posec/pi5/bundle/bundle.json").is_file()
    assert run(*words(loose, home, "--clean-up")) == 0
    assert "removed again" in capsys.readouterr().out
    assert (home / "posec/pi5/bundle/bundle.json").is_file()


def test_a_bundle_over_its_drift_limits_is_rejected_and_removed(bundle, home, tmp_path, capsys):
    strict = changed(bundle, tmp_path / "strict" / "pi5", allowed=allowed(0.0))
    assert run(*words(strict, home)) == 1
    assert "pi@board: rejected" in capsys.readouterr().out
    assert not (home / "posec/pi5").exists()


def test_unknown_hosts_and_missing_bundles_are_refused(bundle, home, tmp_path, capsys):
    line = [word.replace("pi@board", "pi@elsewhere") for word in words(bundle, home)]
    assert "no connection to 'pi@elsewhere'" in refusal(capsys, *line)
    assert "nothing" in refusal(capsys, *words(tmp_path / "nothing", home))
