"""The report's page in a headless Chromium: plots, filters, viewer, keyboard, phone, dark, print."""

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from chromium import DESKTOP, PHONE, browser
from made_results import changed_machine, made_result
from report_pages import page_of

from toolkit.report.choosing.budgets import Budgets
from toolkit.report.choosing.comparison import compare
from toolkit.report.html import ordered, report_page
from toolkit.runtime.pose import MUPOTS17

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
MARKS = "document.querySelectorAll('.plots .option')"


def compared(shift_mm):
    """Return a stored picture with one person, whose right wrist moved, found by both networks."""
    jpeg = cv2.imencode(".jpg", np.full((90, 160, 3), 120, np.uint8))[1].tobytes()
    joints = len(MUPOTS17.names)
    wrist = MUPOTS17.names.index("right_wrist")
    person = {
        "score": 0.9,
        "joints_px": [[20 + 5 * joint, 40] for joint in range(joints)],
        "joints_mm": [[10 * joint, 5 * joint, 0] for joint in range(joints)],
    }
    moved = {**person, "joints_mm": [list(joint) for joint in person["joints_mm"]]}
    moved["joints_mm"][wrist][2] += shift_mm
    return {
        "sha256": "0" * 64,
        "jpeg": base64.b64encode(jpeg).decode(),
        "size": [90, 160],
        "joints": list(MUPOTS17.names),
        "bones": [[MUPOTS17.parents[joint], joint] for joint in MUPOTS17.bones],
        "float": [person],
        "compiled": [moved],
        "pairs": [[0, 0]],
    }


RESULTS = [
    made_result("float32", p90=50.0, drift={"drift_mm": 0.0}, pck=66.0),
    replace(made_result("int8", p90=20.0, pck=65.0), compared=[compared(123), compared(60)]),
    made_result("float16", p90=30.0, pck=65.5, drift={"drift_mm": 9.0}, input_size=[128, 224]),
]


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


def opened(chrome, folder, text, size=DESKTOP, *, dark=False):
    (folder / "page.html").write_text(text)
    tab = chrome.tab(size, dark=dark)
    tab.open(f"file://{folder / 'page.html'}")
    tab.wait(f"{MARKS}.length > 0")
    return tab


@pytest.fixture
def tab(chrome, tmp_path):
    comparison = compare(ordered(RESULTS), Budgets(max_ms=40))
    tab = opened(chrome, tmp_path, report_page(comparison))
    yield tab
    assert tab.errors() == []


def mark(precision):
    return (
        f"[...{MARKS}].find(mark => mark.getAttribute('aria-label').startsWith('raspberry-pi-5 {precision}'))"
    )


def test_marks_within_the_limits_are_coloured_and_the_recommended_one_is_ringed(tab):
    assert tab.value(f"{MARKS}.length") == 3
    assert tab.value(f"{mark('float32')}.querySelector('.gray') !== null")
    assert tab.value(f"{mark('int8')}.querySelector('.gray') === null")
    assert tab.value(f"{mark('int8')}.classList.contains('recommended')")
    assert tab.value("document.querySelectorAll('.plots .limit').length") == 1


def test_pointing_at_a_mark_shows_its_figures_and_lights_its_row(tab):
    tab.value(f"{mark('int8')}.dispatchEvent(new MouseEvent('mouseenter'))")
    tip = tab.value("document.querySelector('.tip').textContent")
    assert tip.startswith(
        "raspberry-pi-5 int8, recommended. ms per picture, p90, sustained where measured: 20.0"
    )
    assert tab.value("document.querySelectorAll('tr.lit').length") == 1
    tab.value(f"{mark('float32')}.dispatchEvent(new MouseEvent('mouseenter'))")
    assert "p90 50.0 ms, allowed 40" in tab.value("document.querySelector('.tip').textContent")


def test_a_real_click_opens_the_pictures_with_both_poses_from_two_sides(tab):
    x, y = tab.value(
        f"(() => {{ const mark = {mark('int8')}; mark.scrollIntoView({{block: 'center'}});"
        " const box = mark.querySelector('path').getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2] })()"
    )
    tab.drag((x, y), (x, y))
    tab.wait("!document.querySelector('#viewer').hidden")
    assert tab.value("document.querySelectorAll('#viewer .side-by-side image').length") == 2
    assert tab.value("document.querySelectorAll('#viewer .pose').length") == 4
    rows = tab.value("[...document.querySelectorAll('#viewer tbody tr')].map(row => row.innerText.trim())")
    assert rows[0].split() == ["right_wrist", "123", "mm"]
    assert "Picture 1 of 2" in tab.text()
    tab.value("[...document.querySelectorAll('#viewer nav button')].at(-1).click()")
    assert "Picture 2 of 2" in tab.text()


def test_the_keyboard_opens_and_closes_the_viewer_and_gets_its_focus_back(tab):
    tab.value(f"{mark('int8')}.focus()")
    tab.key("Enter")
    tab.wait("!document.querySelector('#viewer').hidden")
    assert tab.value("document.activeElement.id") == "viewer"
    tab.key("Escape")
    tab.wait("document.querySelector('#viewer').hidden")
    assert tab.value("document.activeElement.getAttribute('aria-label')").startswith("raspberry-pi-5 int8")


def test_a_name_in_the_table_opens_the_viewer_too(tab):
    tab.value("document.querySelector('tr[data-option] button').click()")
    tab.wait("!document.querySelector('#viewer').hidden")
    assert "No pictures were stored with this result." in tab.text()


def test_axes_are_switched_and_filters_hide_marks(tab):
    tab.value(
        "(() => { const [, up] = document.querySelectorAll('.controls select');"
        " up.value = 'drift_mm'; up.dispatchEvent(new Event('change')) })()"
    )
    assert "drift from float32, mm: 5.0" in tab.value(f"{mark('int8')}.getAttribute('aria-label')")
    tab.value("document.querySelector('.controls input[value=int8]').click()")
    assert tab.value(f"{MARKS}.length") == 2
    tab.value("document.querySelector('.controls input[value=\"128×224\"]').click()")
    assert tab.value(f"{MARKS}.length") == 1
    tab.value("document.querySelector('.controls input[value=int8]').click()")
    assert tab.value(f"{MARKS}.length") == 2


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_the_screen(chrome, tmp_path, size, dark):
    tab = opened(chrome, tmp_path, page_of(RESULTS), size, dark=dark)
    tab.value(f"{mark('int8')}.dispatchEvent(new MouseEvent('click'))")
    assert tab.value("document.documentElement.scrollWidth") <= size[0]
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.strip("rgb()").split(","))) < 150) is dark
    assert tab.errors() == []


def test_every_machine_has_a_plot_and_all_share_one_table(chrome, tmp_path):
    results = [*RESULTS, changed_machine(RESULTS[1], board="Raspberry Pi 4", cpu="Cortex-A72")]
    tab = opened(chrome, tmp_path, page_of(results))
    headings = tab.value("[...document.querySelectorAll('.plots h3')].map(heading => heading.textContent)")
    assert sorted(heading.split(",")[0] for heading in headings) == ["Raspberry Pi 4", "Raspberry Pi 5"]
    assert tab.value("document.querySelectorAll('.overview tbody tr').length") == 4


def test_on_paper_there_are_plots_and_no_controls(chrome, tmp_path):
    tab = opened(chrome, tmp_path, page_of(RESULTS))
    tab.do("Emulation.setEmulatedMedia", media="print")
    assert tab.value("getComputedStyle(document.querySelector('.controls')).display") == "none"
    assert tab.value("document.querySelector('.plots svg').getBoundingClientRect().height") > 50
    pdf = base64.b64decode(tab.do("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")


def test_hostile_names_run_no_script(chrome, tmp_path):
    evil = made_result("int8", target=EVIL, name=EVIL, bench={"machine": {"cpu": EVIL}})
    tab = opened(chrome, tmp_path, page_of([evil]))
    tab.value(f"{MARKS}[0].dispatchEvent(new MouseEvent('click'))")
    tab.wait("!document.querySelector('#viewer').hidden")
    assert "taken" not in tab.value("document.title").replace(EVIL, "")
    assert tab.value("document.querySelectorAll('img').length") == 0
    assert tab.value("document.querySelectorAll('script').length") == 2


def test_without_script_the_page_has_its_plots(tmp_path):
    text = page_of(RESULTS)
    static = text.split("<script")[0]
    assert 'aria-label="Results on Raspberry Pi 5, Cortex-A76, 4 processors"' in static
    assert "front" in static
