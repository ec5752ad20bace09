"""Facts of a Jetson, read from files as the boards have them."""

import pytest

from toolkit.runtime.engines._tensorrt.board import board_facts

RELEASES = {
    (
        "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, "
        "EABI: aarch64, DATE: Sat Feb 19 17:05:08 UTC 2022"
    ): ("32.7.1", "4.6.1+"),
    (
        "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, "
        "EABI: aarch64, DATE: Tue Aug  1 19:57:35 UTC 2023"
    ): ("35.4.1", "5.1.2"),
    (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, "
        "EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025"
    ): ("36.4.3", "6.1 or 6.2"),
    "# R40 (release), REVISION: 1.0, GCID: 1, BOARD: generic, EABI: aarch64, DATE: later": ("40.1.0", ""),
    "something else": ("", ""),
}


@pytest.mark.parametrize("line", RELEASES)
def test_the_release_file_gives_the_jetpack(line, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(f"{line}\n# KERNEL_VARIANT: oot\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    l4t, jetpack = RELEASES[line]
    assert board_facts(str(tmp_path)) == {
        "model": "NVIDIA Jetson Orin Nano Developer Kit",
        "l4t": l4t,
        "jetpack": jetpack,
    }


def test_another_machine_has_no_jetpack(tmp_path):
    assert board_facts(str(tmp_path)) == {"model": "", "l4t": "", "jetpack": ""}
