"""Facts of machines that are not here, read from copies of their files."""

import os
import subprocess
import sys

import pytest

from toolkit.device.machine import busy_share, machine_facts, machine_state, peak_memory_mb


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_raspberry_pi_tells_model_clock_heat_and_throttling(tmp_path):
    write(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n\nModel\t\t: Raspberry Pi 5 Model B Rev "
            "1.0\n",
            "proc/meminfo": "MemTotal:        8245000 kB\nMemAvailable:    7000000 kB\n",
            "proc/loadavg": "0.52 0.4 0.3 1/200 999\n",
            "etc/os-release": 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/class/thermal/thermal_zone0/temp": "71234\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/system/cpu/cpu10/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq": "1800000\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        },
    )
    facts, state = machine_facts(str(tmp_path)), machine_state(str(tmp_path))
    assert facts["board"] == facts["cpu"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["memory_mb"] == 8051
    assert facts["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert facts["virtual"] is False
    assert state["temperatures_c"] == {"cpu-thermal": 71.234}
    assert state["frequencies_mhz"] == [2400, 1800, 1500]
    assert state["governor"] == "ondemand"
    assert state["throttled"] == {
        "flags": ["under-voltage", "throttled", "under-voltage since boot", "throttled since boot"]
    }
    assert state["load_1min"] == 0.52


def test_a_pc_counts_its_throttling_and_a_virtual_machine_is_recognized(tmp_path):
    write(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Some CPU @ 3 GHz\nflags\t\t: sse hypervisor avx2\n",
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
            "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4\n",
        },
    )
    assert machine_facts(str(tmp_path))["cpu"] == "Some CPU @ 3 GHz"
    assert machine_facts(str(tmp_path))["virtual"] is True
    assert machine_state(str(tmp_path))["throttled"] == {"count": 7}


def test_a_machine_that_tells_nothing_is_described_by_nothing(tmp_path):
    state = machine_state(str(tmp_path))
    assert {name for name, value in state.items() if value is not None} == set()
    assert machine_facts(str(tmp_path))["memory_mb"] is None
    assert busy_share(state, state, 1.0) == {}
    assert peak_memory_mb(str(tmp_path)) is None


def test_what_others_took_is_what_is_left_of_the_busy_time(tmp_path):
    ticks = os.sysconf("SC_CLK_TCK")
    states = []
    for user, idle, stolen in ((0, 0, 0), (6 * ticks, 3 * ticks, ticks)):
        write(tmp_path, {"proc/stat": f"cpu  {user} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n"})
        states.append(machine_state(str(tmp_path)))
    assert busy_share(*states, own_seconds=4.0) == {"others": 0.2, "stolen": 0.1}
    assert busy_share(*states, own_seconds=9.0)["others"] == 0
    assert busy_share(states[0], states[0], 0.0) == {}


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_peak_memory_is_the_processes_own_and_not_its_parents():
    ballast = bytearray(os.urandom(1) * 120_000_000)
    code = "from toolkit.device.machine import peak_memory_mb; print(peak_memory_mb())"
    child = float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd()
        ).stdout
    )
    assert 0 < child < 110
    assert peak_memory_mb() > len(ballast) / 1e6
