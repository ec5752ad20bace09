"""Energy from copies of the files and the program of boards that are not here."""

import time

import pytest

from toolkit.device.energy import EnergyMeter, Sensor, find_sensor, pmic_watts

PMIC = """     3V7_WL_SW_A current(0)=0.10000000A
     VDD_CORE_A current(7)=2.00000000A
     3V7_WL_SW_V volt(8)=3.70000000V
     VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.15000000V
"""


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def rapl(root, microjoules, package=0, most=262_143_328_850):
    folder = f"sys/class/powercap/intel-rapl:{package}"
    write(
        root,
        {
            f"{folder}/name": f"package-{package}\n",
            f"{folder}/energy_uj": f"{microjoules}\n",
            f"{folder}/max_energy_range_uj": f"{most}\n",
        },
    )


def test_the_counters_of_all_packages_are_added_and_wrap(tmp_path):
    rapl(tmp_path, 1_000_000)
    rapl(tmp_path, 99_000_000, package=1, most=100_000_000)
    write(tmp_path, {"sys/class/powercap/intel-rapl:0:0/name": "core\n"})
    sensor = find_sensor(str(tmp_path))
    assert sensor.name == "RAPL package-0, package-1"
    meter = EnergyMeter(sensor)
    meter.start()
    rapl(tmp_path, 3_000_000)
    rapl(tmp_path, 1_000_000, package=1, most=100_000_000)
    found = meter.stop(frames=8)
    assert found["joules"] == pytest.approx(4.0)
    assert found["mj_per_frame"] == pytest.approx(500.0)
    assert (found["sensor"], found["frames"]) == (sensor.name, 8)


def test_a_jetsons_whole_board_is_measured_by_its_power(tmp_path):
    monitor = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    write(
        tmp_path,
        {
            f"{monitor}/in2_label": "VDD_CPU_GPU_CV\n",
            f"{monitor}/in2_input": "5000\n",
            f"{monitor}/curr2_input": "400\n",
            f"{monitor}/in1_label": "VDD_IN\n",
            f"{monitor}/in1_input": "5000\n",
            f"{monitor}/curr1_input": "1600\n",
        },
    )
    sensor = find_sensor(str(tmp_path))
    assert sensor.name == "INA3221 VDD_IN"
    meter = EnergyMeter(sensor)
    meter.start()
    time.sleep(0.3)
    found = meter.stop(frames=3)
    assert found["watts"] == pytest.approx(8.0)
    assert found["joules"] == pytest.approx(8.0 * found["seconds"], rel=0.05)


def test_jetpack_4_has_the_power_in_milliwatts(tmp_path):
    monitor = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    write(tmp_path, {f"{monitor}/rail_name_0": "POM_5V_IN\n", f"{monitor}/in_power0_input": "3250\n"})
    sensor = find_sensor(str(tmp_path))
    assert (sensor.name, sensor.watts()) == ("INA3221 POM_5V_IN", 3.25)


def test_the_rails_of_a_pi_5_with_volts_and_amperes_are_added(tmp_path, monkeypatch):
    assert pmic_watts(PMIC) == pytest.approx(0.1 * 3.7 + 2 * 0.8)
    program = tmp_path / "bin" / "vcgencmd"
    write(tmp_path, {"bin/vcgencmd": f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && cat <<END\n{PMIC}END\n'})
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    sensor = find_sensor(str(tmp_path))
    assert isinstance(sensor, Sensor)
    assert sensor.watts() == pytest.approx(1.97)


def test_a_board_without_a_sensor_and_one_that_may_not_be_read_give_the_reason(tmp_path):
    assert find_sensor(str(tmp_path)) == (
        "the board has no RAPL counter, INA3221 monitor or Raspberry Pi 5 PMIC"
    )
    write(tmp_path, {"sys/class/powercap/intel-rapl:0/name": "package-0\n"})
    assert "RAPL counters cannot be read (No such file" in find_sensor(str(tmp_path))
    other = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    files = {f"{other}/in1_label": "ELSE\n", f"{other}/in1_input": "1\n", f"{other}/curr1_input": "1\n"}
    write(tmp_path, files)
    assert "none of the rails VDD_IN" in find_sensor(str(tmp_path))
