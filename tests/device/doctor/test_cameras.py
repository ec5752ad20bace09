"""Cameras: a driver that is a C library with the kernel's own layouts, loaded in front of the system's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT

from toolkit.device.doctor.cameras import check_cameras
from toolkit.device.doctor.finding import NOTE, OK

DRIVER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
static const unsigned formats[] = {V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_YUYV};
static const unsigned sizes[][2] = {{640, 480}, {1280, 720}, {1920, 1080}};
static int none(void) { errno = EINVAL; return -1; }
static int answer(unsigned long request, void *at) {
    if (request == VIDIOC_QUERYCAP) {
        struct v4l2_capability *found = at;
        memset(found, 0, sizeof *found);
        strcpy((char *)found->card, "A camera");
        found->capabilities = V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_CAPTURE;
        found->device_caps = getenv("POSEC_NO_CAPTURE") ? V4L2_CAP_META_CAPTURE : V4L2_CAP_VIDEO_CAPTURE;
        return 0;
    }
    if (request == VIDIOC_ENUM_FMT) {
        struct v4l2_fmtdesc *found = at;
        if (found->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || found->index > 1) return none();
        found->pixelformat = formats[found->index];
        return 0;
    }
    if (request == VIDIOC_ENUM_FRAMESIZES) {
        struct v4l2_frmsizeenum *found = at;
        if (found->pixel_format == V4L2_PIX_FMT_YUYV) {
            if (found->index) return none();
            found->type = V4L2_FRMSIZE_TYPE_STEPWISE;
            found->stepwise.max_width = 800; found->stepwise.max_height = 600;
            return 0;
        }
        if (found->index > 2) return none();
        found->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        found->discrete.width = sizes[found->index][0]; found->discrete.height = sizes[found->index][1];
        return 0;
    }
    if (request == VIDIOC_ENUM_FRAMEINTERVALS) {
        struct v4l2_frmivalenum *found = at;
        if (found->index > 1 || found->pixel_format == V4L2_PIX_FMT_YUYV) return none();
        found->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        found->discrete.numerator = 1;
        found->discrete.denominator = found->width > 1280 ? 15 : 15 << found->index;
        return 0;
    }
    return none();
}
int ioctl(int file, unsigned long request, ...) {
    va_list list; va_start(list, request); void *at = va_arg(list, void *); va_end(list);
    return answer(request & 0xffffffff, at);
}
"""
LOOK = """
import json, sys
from toolkit.device.doctor.cameras import check_cameras
print(json.dumps(check_cameras(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and the kernel's headers")
    source, library = (tmp_path_factory.mktemp("driver") / name for name in ("driver.c", "driver.so"))
    source.write_text(DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture
def machine(tmp_path) -> Path:
    """System files of a machine with the camera /dev/video0."""
    (tmp_path / "sys/class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video0/name").write_text("A camera: usb\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video0").touch()
    return tmp_path


def look(machine: Path, driver: Path, **variables: str) -> list[list[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(driver), **variables}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(machine)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_camera_is_listed_with_its_modes_those_near_the_networks_first(machine, driver):
    ((area, status, text, _),) = look(machine, driver)
    assert (area, status) == ("cameras", OK)
    assert text == (
        "--source 0: A camera; MJPG 1280x720 30/s, YUYV 800x600, MJPG 640x480 30/s, MJPG 1920x1080 15/s"
    )


def test_the_node_of_a_cameras_data_is_no_camera(machine, driver):
    ((_, status, text, _),) = look(machine, driver, POSEC_NO_CAPTURE="1")
    assert status == OK
    assert text.startswith("none")


def test_a_camera_without_a_device_file_or_that_answers_nothing_is_noted(machine):
    assert check_cameras(str(machine))[0].text.startswith("none"), "a plain file is no camera"
    (machine / "dev/video0").unlink()
    (finding,) = check_cameras(str(machine))
    assert finding.status == NOTE
    assert "docker run --device /dev/video0" in finding.next_step


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_camera_that_the_user_may_not_open_is_noted(machine):
    (machine / "dev/video0").chmod(0)
    assert "usermod -aG video" in check_cameras(str(machine))[0].next_step


def test_the_receiver_of_a_ribbon_camera_leads_to_picamera2(machine):
    (machine / "sys/class/video4linux/video0/name").write_text("rp1-cfe-csi2_ch0\n")
    (finding,) = check_cameras(str(machine))
    assert finding.status == NOTE
    assert "python3-picamera2" in finding.next_step


def test_a_machine_without_cameras_is_told_of_network_cameras(tmp_path):
    assert "rtsp://" in check_cameras(str(tmp_path))[0].text
