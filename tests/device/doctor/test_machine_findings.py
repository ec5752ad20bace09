"""The doctor on boards that are folders of system files: a Pi 5, a Pi 4, PCs, a Jetson."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolkit.device.doctor.finding import NOTE, OK, Finding, as_text
from toolkit.device.doctor.graphics import check_graphics
from toolkit.device.doctor.processor import check_processor
from toolkit.device.doctor.resources import check_disk, check_memory, check_time

CPU = "sys/devices/system/cpu/cpu0"
PI5 = "processor : 0\nBogoMIPS : 108.00\nFeatures : fp asimd evtstrm crc32 asimdhp cpuid asimddp\n"
PI4 = "processor : 0\nFeatures : fp asimd evtstrm crc32 cpuid\nModel : Raspberry Pi 4 Model B\n"
PC = "processor : 0\nmodel name : a PC\nflags : fpu sse2 avx2 {more}\n"


def system(root: Path, files: dict[str, str]) -> str:
    """Write system files and return the root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def notes(findings: list[Finding]) -> list[str]:
    assert all(finding.next_step for finding in findings if finding.status != OK), "a next step is missing"
    assert not any(finding.next_step for finding in findings if finding.status == OK)
    return [finding.text for finding in findings if finding.status == NOTE]


def test_a_pi_5_in_good_order_has_nothing_to_do(tmp_path):
    root = system(
        tmp_path,
        {
            "proc/cpuinfo": PI5,
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            f"{CPU}/cpufreq/scaling_governor": "performance\n",
            f"{CPU}/cpufreq/scaling_cur_freq": "2400000\n",
            f"{CPU}/cpufreq/cpuinfo_max_freq": "2400000\n",
            f"{CPU}/cpufreq/scaling_max_freq": "2400000\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51200\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
        },
    )
    findings = check_processor(root, "aarch64")
    assert notes(findings) == []
    text = as_text(findings)
    assert "Raspberry Pi 5 Model B Rev 1.0" in text
    assert "dot product (int8), fp16" in text
    assert "performance, now 2400 to 2400 MHz of 2400 MHz" in text
    assert "51 degrees C" in text
    assert "never throttled since boot" in text


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        ("1", ["under-voltage"]),
        ("50005", ["under-voltage, under-voltage since boot", "throttled, throttled since boot"]),
        ("80000", ["soft temperature limit since boot"]),
    ],
)
def test_throttling_of_a_pi_is_told_apart_by_power_and_heat(tmp_path, bits, found):
    flags = {"proc/cpuinfo": PI5, "sys/devices/platform/soc/soc:firmware/get_throttled": bits}
    findings = check_processor(system(tmp_path, flags), "aarch64")
    assert notes(findings) == found
    steps = [finding.next_step for finding in findings if finding.status == NOTE]
    assert ["power supply" in step for step in steps] == [text.startswith("under") for text in found]


def test_a_slow_governor_a_limited_clock_and_heat_have_a_next_step(tmp_path):
    root = system(
        tmp_path,
        {
            "proc/cpuinfo": PI5,
            f"{CPU}/cpufreq/scaling_governor": "ondemand\n",
            f"{CPU}/cpufreq/scaling_cur_freq": "600000\n",
            f"{CPU}/cpufreq/cpuinfo_max_freq": "2400000\n",
            f"{CPU}/cpufreq/scaling_max_freq": "1500000\n",
            "sys/class/thermal/thermal_zone0/temp": "84000\n",
        },
    )
    findings = check_processor(root, "aarch64")
    assert notes(findings) == [
        "clock governor ondemand, now 600 to 600 MHz of 2400 MHz",
        "the clock is limited to 1500 of 2400 MHz",
        "84 degrees C (thermal_zone0)",
    ]
    assert "scaling_governor" in findings[1].next_step


def test_powersave_is_as_fast_as_any_governor_where_the_cpu_chooses_its_clock(tmp_path):
    files = {
        "proc/cpuinfo": PC.format(more="avx_vnni"),
        f"{CPU}/cpufreq/scaling_governor": "powersave",
        f"{CPU}/cpufreq/scaling_driver": "intel_pstate\n",
    }
    assert notes(check_processor(system(tmp_path, files), "x86_64")) == []


@pytest.mark.parametrize(
    ("cpuinfo", "architecture", "found"),
    [
        (PC.format(more=""), "x86_64", ["no VNNI: int8 is not faster than float32 here"]),
        (PC.format(more="avx512_vnni avx512_bf16"), "x86_64", []),
        (PI4, "aarch64", ["no dot product: int8 gains little here"]),
        ("processor : 0\nFeatures : half thumb neon\n", "armv7l", ["a 32-bit system (armv7l)"]),
        ("", "x86_64", []),
    ],
    ids=["PC without VNNI", "PC with VNNI", "Pi 4", "32-bit", "unknown"],
)
def test_instruction_sets_decide_what_int8_is_good_for(tmp_path, cpuinfo, architecture, found):
    assert notes(check_processor(system(tmp_path, {"proc/cpuinfo": cpuinfo}), architecture)) == found


def test_throttling_of_a_pc_is_counted(tmp_path):
    files = {"proc/cpuinfo": PC.format(more="avx_vnni"), f"{CPU}/thermal_throttle/core_throttle_count": "7"}
    assert notes(check_processor(system(tmp_path, files), "x86_64")) == ["throttled 7 times since boot"]


def test_little_memory_is_noted(tmp_path):
    meminfo = "MemTotal: 512000 kB\nMemAvailable: {free} kB\nSwapTotal: 102400 kB\n"
    root = system(tmp_path, {"proc/meminfo": meminfo.format(free=204800)})
    assert notes(check_memory(root)) == ["200 of 500 MB available, 100 MB swap"]
    system(tmp_path, {"proc/meminfo": meminfo.format(free=480000)})
    assert notes(check_memory(root)) == []
    assert check_memory(str(tmp_path / "none"))[0].status == OK


def test_a_disk_that_is_not_there_is_noted(tmp_path):
    assert check_disk(str(tmp_path))[0].area == "disk"
    assert notes(check_disk(str(tmp_path / "none"))) == [
        f"'{tmp_path / 'none'}' cannot be read: No such file or directory"
    ]


def test_a_board_that_has_lost_the_time_is_noted(tmp_path):
    lost = check_time(str(tmp_path), now=0.0)
    assert notes(lost) == ["1970-01-01 00:00 UTC, before posec was installed: the clock has lost the time"]
    assert notes(check_time(str(tmp_path))) == []
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert "not synchronized" in notes(check_time(str(tmp_path)))[0]
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert notes(check_time(str(tmp_path))) == []


def test_a_gpu_of_nvidia_is_named_with_its_driver(tmp_path):
    files = {
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\n",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA A2\nIRQ: 5\n",
    }
    (finding,) = check_graphics(system(tmp_path, files))
    assert finding.status == OK
    assert finding.text.startswith("NVIDIA A2, driver 550.54.15")


def test_a_jetson_without_its_gpu_or_the_right_to_it_says_how_to_get_it(tmp_path):
    root = system(tmp_path, {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1\n"})
    assert notes(check_graphics(root)) == ["Jetson Linux 36.4.3, but no GPU device"]
    system(tmp_path, {"dev/nvhost-gpu": ""})
    assert check_graphics(root) == [Finding("GPU", OK, "Jetson Linux 36.4.3")]
    if os.geteuid():
        (tmp_path / "dev/nvhost-gpu").chmod(0)
        assert "usermod -aG video" in check_graphics(root)[0].next_step


def test_another_gpu_is_named_by_its_driver(tmp_path):
    root = system(tmp_path, {"sys/class/drm/card1/device/uevent": "DRIVER=v3d\nOF_NAME=v3d\n"})
    assert check_graphics(root)[0].text == "driver v3d; engines run on the CPU"
    assert check_graphics(str(tmp_path / "none"))[0].text == "none; engines run on the CPU"


def test_long_findings_are_wrapped_below_their_area():
    lines = as_text(
        [Finding("area", NOTE, "word " * 60, "step " * 40), Finding("area", OK, "short")]
    ).splitlines()
    assert all(len(line) <= 110 for line in lines)
    assert lines[0].startswith("area       note     word")
    assert lines[-1] == "           ok       short"
