"""Energy of a run, where the board measures it: RAPL, the INA3221 of a Jetson, the PMIC of a Raspberry Pi 5.

A board without such a sensor has no figure, and the reason is stated in its place.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RAPL = "sys/class/powercap"
# Of JetPack 5 and later, and of JetPack 4.
INA3221 = ("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*", "sys/bus/i2c/drivers/ina3221x/*/iio:device*")
# The rail of the whole board, by generation; the first that a board has.
JETSON_RAILS = ("VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "VDD_GPU_SOC")
PI_PMIC = ("vcgencmd", "pmic_read_adc")
SAMPLE_S = 0.1
_PMIC_LINE = re.compile(r"(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]")


class Counter(NamedTuple):
    """A counter of consumed energy in joules, which starts again at zero after `wraps_joules`."""

    joules: Callable[[], float]
    wraps_joules: float


class Sensor(NamedTuple):
    """A source of energy figures.

    Attributes:
        name: what is measured, such as "RAPL package-0".
        counters: of the consumed energy; empty if the sensor measures power.
        watts: reads the momentary power; None if the sensor counts energy.
    """

    name: str
    counters: tuple[Counter, ...] = ()
    watts: Callable[[], float] | None = None


def find_sensor(root: str = "/") -> Sensor | str:
    """Return the board's energy sensor, or the reason why there is none; `root` is the folder of sys."""
    reasons = []
    for find in (_rapl, _ina3221, _pi_pmic):
        found = find(Path(root))
        if isinstance(found, Sensor):
            return found
        if found:
            reasons.append(found)
    return "; ".join(reasons) or "the board has no RAPL counter, INA3221 monitor or Raspberry Pi 5 PMIC"


class EnergyMeter:
    """Measures energy between `start` and `stop`; samples power in a thread if the sensor has no counter."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._samples: list[tuple[float, float]] = []
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._begun = 0.0
        self._counted: list[float] = []

    def start(self) -> None:
        """Begin to measure."""
        self._begun = time.perf_counter()
        if self._sensor.watts is None:
            self._counted = [counter.joules() for counter in self._sensor.counters]
            return
        self._sample()
        self._thread = threading.Thread(target=self._sample_until_stopped, daemon=True)
        self._thread.start()

    def stop(self, frames: int) -> dict[str, Any]:
        """Return `sensor`, `joules`, `watts`, `mj_per_frame` of the run, and its `frames` and `seconds`."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._sample()
        samples = self._samples
        seconds = samples[-1][0] - samples[0][0] if samples else time.perf_counter() - self._begun
        joules = self._consumed()
        return {
            "sensor": self._sensor.name,
            "joules": round(joules, 4),
            "watts": round(joules / seconds, 4),
            "mj_per_frame": round(1000 * joules / frames, 4) if frames else None,
            "frames": frames,
            "seconds": round(seconds, 3),
        }

    def _consumed(self) -> float:
        if self._sensor.watts is None:
            counters = self._sensor.counters
            return sum(_advance(counters[index], before) for index, before in enumerate(self._counted))
        at_s, watts = np.array(self._samples).T
        return float((np.diff(at_s) * (watts[1:] + watts[:-1]) / 2).sum())  # trapezoids

    def _sample(self) -> None:
        assert self._sensor.watts is not None
        self._samples.append((time.perf_counter(), self._sensor.watts()))

    def _sample_until_stopped(self) -> None:
        while not self._stopped.wait(SAMPLE_S):
            self._sample()


def _advance(counter: Counter, before: float) -> float:
    """Return the joules counted since `before`."""
    consumed = counter.joules() - before
    return consumed if consumed >= 0 else consumed + counter.wraps_joules


def _rapl(root: Path) -> Sensor | str:
    """Return the sum of the packages' counters; empty where the system has none."""
    zones = sorted(
        zone for zone in (root / RAPL).glob("intel-rapl:*") if re.fullmatch(r"intel-rapl:\d+", zone.name)
    )
    if not zones:
        return ""
    try:
        counters = tuple(_rapl_counter(zone) for zone in zones)
        names = ", ".join((zone / "name").read_text().strip() for zone in zones)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"the RAPL counters cannot be read ({reason}); run as root to measure energy"
    return Sensor(f"RAPL {names}", counters)


def _rapl_counter(zone: Path) -> Counter:
    """Return the counter of a package. Raises OSError or ValueError if it cannot be read."""

    def joules() -> float:
        return int((zone / "energy_uj").read_text()) / 1e6

    joules()
    return Counter(joules, int((zone / "max_energy_range_uj").read_text()) / 1e6)


def _ina3221(root: Path) -> Sensor | str:
    """Return the monitor of the rail that supplies the whole board, or the GPU; empty without one."""
    rails: dict[str, Callable[[], float]] = {}
    for pattern in INA3221:
        for monitor in sorted(root.glob(pattern)):
            rails.update(_hwmon_rails(monitor))
            rails.update(_iio_rails(monitor))
    name = next((rail for rail in JETSON_RAILS if rail in rails), None)
    if name is None:
        return f"the INA3221 has none of the rails {', '.join(JETSON_RAILS)}" if rails else ""
    return Sensor(f"INA3221 {name}", watts=rails[name])


def _hwmon_rails(monitor: Path) -> dict[str, Callable[[], float]]:
    """Return the rails of a hwmon monitor: millivolts times milliamperes."""

    def rail(volts: Path, amperes: Path) -> Callable[[], float]:
        return lambda: int(volts.read_text()) * int(amperes.read_text()) / 1e6

    found = {}
    for label in sorted(monitor.glob("in*_label")):
        number = label.name[2 : -len("_label")]
        volts, amperes = monitor / f"in{number}_input", monitor / f"curr{number}_input"
        if volts.is_file() and amperes.is_file():
            found[label.read_text().strip()] = rail(volts, amperes)
    return found


def _iio_rails(monitor: Path) -> dict[str, Callable[[], float]]:
    """Return the rails of a monitor of JetPack 4, in milliwatts."""

    def rail(power: Path) -> Callable[[], float]:
        return lambda: int(power.read_text()) / 1e3

    found = {}
    for name in sorted(monitor.glob("rail_name_*")):
        power = monitor / f"in_power{name.name[len('rail_name_') :]}_input"
        if power.is_file():
            found[name.read_text().strip()] = rail(power)
    return found


def _pi_pmic(root: Path) -> Sensor | str:
    """Return the sum over the PMIC's rails; empty without vcgencmd, and on another board than a Pi 5."""
    if not shutil.which(PI_PMIC[0]):
        return ""
    try:
        if not pmic_watts(_read_pmic()):
            return ""
    except (OSError, subprocess.SubprocessError):
        return ""
    # Rails below the regulators: the losses of the regulators and USB devices are not in it.
    return Sensor("Raspberry Pi 5 PMIC, sum of rails", watts=lambda: pmic_watts(_read_pmic()))


def _read_pmic() -> str:
    done = subprocess.run(PI_PMIC, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5, check=True)
    return done.stdout.decode(errors="replace")


def pmic_watts(printed: str) -> float:
    """Return the sum of volts times amperes over the rails that `vcgencmd pmic_read_adc` prints."""
    read: dict[str, dict[str, float]] = {}
    for rail, unit, value in _PMIC_LINE.findall(printed):
        read.setdefault(rail, {})[unit] = float(value)
    return sum(values["V"] * values["A"] for values in read.values() if len(values) == 2)
