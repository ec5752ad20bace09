"""service: the unit that a user installs, checked by systemd's own parser where it is."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from command_line import refusal, run

from toolkit.service.systemd_unit import quoted


def unit(capsys, *words):
    assert run("service", *words) == 0
    return capsys.readouterr().out


def test_a_deployed_bundle_runs_with_its_own_python_as_a_user_of_its_own(capsys):
    text = unit(capsys, "/opt/posec/pi5/bundle", "--source", "picamera2")
    assert (
        "ExecStart=/opt/posec/pi5/python -m toolkit.runtime /opt/posec/pi5/bundle --source picamera2 "
        "--no-overlay --rotate 1h --max-disk 2GB -o /var/lib/posec/recording\n"
    ) in text
    for setting in (
        "Type=notify",
        "WatchdogSec=120",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "User=posec",
        "DynamicUser=yes",
        "StateDirectory=posec",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    ):
        assert f"\n{setting}\n" in text


def test_the_watchdog_waits_for_a_camera_as_long_as_the_run_does(capsys):
    text = unit(capsys, "/b", "--source", "0", "--options", "--retry 600 -o /data --unix '/run/a b'")
    assert "WatchdogSec=660\n" in text
    assert '-o /data --unix "/run/a b"\n' in text
    assert "/var/lib/posec/recording" not in text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("rtsp://u:p%40@h/$x", '"rtsp://u:p%%40@h/$$x"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("", '""'),
        ("plain-1.0", "plain-1.0"),
    ],
)
def test_words_are_quoted_as_systemd_reads_them(word, expected):
    assert quoted(word) == expected


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit(tmp_path, capsys):
    for number, words in enumerate(
        (["/tmp", "--source", "0"], ["/tmp", "--source", "rtsp://u:p%40$@h/a b", "--options", "--retry 5"])
    ):
        path = tmp_path / f"posec{number}.service"
        assert run("service", *words, "--python", sys.executable, "-o", path) == 0
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "posec" not in done.stderr


def test_requests_that_do_not_fit_are_refused(tmp_path, capsys):
    assert "full path" in refusal(capsys, "service", "bundle", "--source", "0")
    assert "--name" in refusal(capsys, "service", "/b", "--source", "0", "--name", "a\nb")
    message = refusal(capsys, "service", "/b", "--source", "0", "--options", "--rotate soon")
    assert "those of `posec run`" in message
    assert "open quote" in refusal(capsys, "service", "/b", "--source", "0", "--options", "'")
    assert "printable" in refusal(capsys, "service", "/b", "--source", "0\nExecStartPre=/bin/evil")
