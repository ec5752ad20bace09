"""service: the unit that a user installs, checked by systemd's own parser where it is."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from command_line import refusal, run

from toolkit.service.systemd_unit import quoted

SERVICE = ["service", "/opt/b/bundle", "--source"]


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
    options = "--retry 600 --rotate 1h --out=/var/lib/posec/x --unix '/run/posec/a b'"
    text = unit(capsys, "/b/bundle", "--source", "0", "--options", options)
    assert "WatchdogSec=660\n" in text
    assert '--out=/var/lib/posec/x --unix "/run/posec/a b"\n' in text
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
        (
            ["/opt", "--source", "0"],
            ["/opt", "--source", "rtsp://u:p%40$@h/a b", "--options", "--retry 5 --rotate 1h"],
        )
    ):
        path = tmp_path / f"posec{number}.service"
        assert run("service", *words, "--python", "/bin/sh", "-o", path) == 0
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "posec" not in done.stderr


def test_requests_that_do_not_fit_are_refused(tmp_path, capsys):
    assert "full path" in refusal(capsys, "service", "bundle", "--source", "0")
    assert "--name" in refusal(capsys, "service", "/b/bundle", "--source", "0", "--name", "a\nb")
    assert "--name" in refusal(capsys, "service", "/b/bundle", "--source", "0", "--name", "ssh")
    message = refusal(capsys, "service", "/b/bundle", "--source", "0", "--options", "--rotate soon")
    assert "those of `posec run`" in message
    assert "open quote" in refusal(capsys, "service", "/b/bundle", "--source", "0", "--options", "'")
    assert "printable" in refusal(capsys, "service", "/b/bundle", "--source", "0\nExecStartPre=/bin/evil")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--show", "use --web"),
        ("--most 5", "leave out --most"),
        ("--retry nan", "--retry must be a number"),
        ("--retry=-5", "--retry must be a number"),
        ("--retry 1e30", "--retry of a service"),
        ("-o out", "-o must lie in /var/lib/posec or /run/posec"),
        ("-o /mnt/disk/out", "-o must lie in"),
        ("-o /var/lib/posec/../x", "-o must lie in"),
        ("--unix people.sock", "--unix must lie in"),
        ("--unix /run/posec/" + "a" * 100, "of 1 to 107 bytes"),
        ("--udp board", "--udp takes HOST:PORT"),
        ("--udp board:٣", "--udp takes HOST:PORT"),
        ("--web 80", "a port from 1024 on"),
        ("--web here", "--web takes PORT"),
        ("--intrinsics camera.yaml", "--intrinsics needs a full path"),
        ("--intrinsics /tmp/camera.yaml", "has a /tmp of its own"),
        ("--fuse poses.json", "--fuse needs a full path"),
        ("--fuse /opt/poses.json", "several sources and --fuse go together"),
        ("--require-signature key.pub", "--require-signature needs a full path"),
        ("--require-signature /opt/b/bundle/key.pub", "keep it elsewhere"),
        ("--focal-px 500 --fov 60", "contradict each other"),
        ("--threshold 7", "a score between 0 and 1"),
        ("--lookahead=-1", "--lookahead must be"),
        ("--smooth none --lookahead 2", "--lookahead needs the temporal stage"),
        ("--overwrite", "leave out --overwrite"),
    ],
)
def test_options_that_every_start_would_refuse_are_refused_at_once(capsys, options, sentence):
    words = ["service", "/opt/b/bundle", "--source", "0", f"--options=--rotate 1h {options}"]
    assert sentence in refusal(capsys, *words)


def test_several_cameras_are_merged(capsys):
    options = "--options=--rotate 1h --fuse /opt/poses.json"
    assert "--source 0 1 --rotate 1h --fuse /opt/poses.json" in unit(capsys, *SERVICE[1:], "0", "1", options)
    assert "go together" in refusal(capsys, *SERVICE, "0", "1")


def test_a_service_that_would_refuse_its_own_recording_is_refused(capsys):
    assert "add --rotate 1h" in refusal(
        capsys, "service", "/opt/b/bundle", "--source", "0", "--options=--fsync"
    )


@pytest.mark.parametrize("source", ["", "-", "samples", "clip.mp4", "/tmp/clip.mp4", "file:///a.mp4"])
def test_a_service_takes_cameras_and_full_paths(capsys, source):
    assert "--source, unless it is a camera," in refusal(
        capsys, "service", "/opt/b/bundle", "--source", source
    )


@pytest.mark.parametrize("source", ["0", "/dev/video0", "picamera2", "rtsp://h/1", "a ! appsink", "/run/a"])
def test_every_kind_of_camera_may_be_one_of_a_service(capsys, source):
    assert quoted(source) in unit(capsys, "/opt/b/bundle", "--source", source)


def test_the_password_of_a_pipeline_is_not_in_the_description(capsys):
    text = unit(capsys, "/opt/b/bundle", "--source", "rtspsrc user-pw=secret ! appsink")
    assert text.count("secret") == 1  # in the command


def test_only_an_earlier_unit_of_the_same_bundle_is_replaced(tmp_path, capsys):
    path = tmp_path / "posec.service"
    words = ["service", "/opt/b/bundle", "-o", path, "--source"]
    assert run(*words, "0") == 0
    assert run(*words, "1") == 0
    assert "--source 1" in path.read_text()
    words[1] = "/opt/other/bundle"
    assert "the unit of another bundle" in refusal(capsys, *words, "0")
    path.write_text("[Unit]\n")
    assert "did not write it" in refusal(capsys, *words, "0")
    assert path.read_text() == "[Unit]\n"
