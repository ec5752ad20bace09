"""The page in a real browser: `posec run --web` of a network camera, looked at in headless Chromium."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest
from chromium import DESKTOP, PHONE, Browser, Tab, browser

from .conftest import Camera, serving

LIVE = "document.body?.dataset.state === 'live' && document.querySelectorAll('#people tr').length === 2"
CENTRE_OF_SPACE = (
    "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.getElementById('space').getBoundingClientRect())"
)
NAME_OF_SPACE = "document.getElementById('space').getAttribute('aria-label')"


@pytest.fixture(scope="module")
def chrome(tmp_path_factory) -> Browser:
    with browser(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def page(bundle):
    with contextlib.closing(Camera()) as camera, serving(bundle, camera.url) as running:
        yield running


def opened(chrome: Browser, link: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Tab:
    tab = chrome.tab(size, dark=dark)
    tab.open(link)
    tab.wait(LIVE, 40)
    return tab


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_shows_picture_people_times_and_board_in_every_window(chrome, page, tmp_path, size, dark):
    tab = opened(chrome, page.link, size, dark=dark)
    text = tab.text()
    for words in ("People", "distance", "inference", "pictures per second", "temperature", "clock"):
        assert words in text
    assert tab.value("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    for name in ("picture", "space"):
        colours = f"""(canvas => {{
          const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }})(document.getElementById('{name}'))"""
        assert tab.value(colours) > 5, f"nothing is drawn in '{name}'"
    tab.picture(tmp_path / "page.png", whole=True)
    background = cv2.imread(str(tmp_path / "page.png"))[2, 2].mean()
    assert (background < 60) if dark else (background > 200)
    assert not tab.errors()


def test_the_people_are_drawn_over_the_picture_where_the_network_found_them(chrome, page):
    tab = opened(chrome, page.link)
    found = tab.value(
        """(async () => {
          const message = await (await fetch('next?after=0')).arrayBuffer();
          const length = new DataView(message).getUint32(0);
          const head = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
          return [head.size, head.people.map(person => person.joints_px)];
        })()"""
    )
    (width, height), joints = found[0], np.array(found[1])
    assert (width, height) == (160, 120)
    assert joints.shape == (2, 17, 2)
    assert tab.value("document.getElementById('picture').width") == width


def test_a_mouse_turns_the_view_and_the_button_turns_it_back(chrome, page):
    tab = opened(chrome, page.link)
    before, (x, y) = tab.value(NAME_OF_SPACE), tab.value(CENTRE_OF_SPACE)
    tab.drag((x, y), (x + 120, y + 30))
    tab.wait(f"{NAME_OF_SPACE}.includes('turned by 17 degrees, from 29 degrees above')")
    tab.value("document.getElementById('reset').click()")
    tab.wait(f"{NAME_OF_SPACE} === {before!r}")


def test_a_finger_turns_the_view_on_a_phone_and_does_not_scroll_the_page(chrome, page):
    tab = opened(chrome, page.link, PHONE)
    before, (x, y) = tab.value(NAME_OF_SPACE), tab.value(CENTRE_OF_SPACE)
    tab.swipe((x, y), (x - 75, y - 30))
    tab.wait(f"{NAME_OF_SPACE} !== {before!r}")
    assert tab.value("scrollY") == 0


def test_keys_turn_the_view(chrome, page):
    tab = opened(chrome, page.link)
    tab.value("document.getElementById('space').focus()")
    before = tab.value(NAME_OF_SPACE)
    tab.key("ArrowRight")
    tab.wait(f"{NAME_OF_SPACE} !== {before!r}")


def test_a_tab_that_is_not_looked_at_asks_for_nothing(chrome, page):
    tab = opened(chrome, page.link)
    count = "performance.getEntriesByType('resource').filter(e => e.name.includes('next')).length"
    tab.value(
        """Object.defineProperty(document, 'hidden', {get: () => window.away ?? false, configurable: true});
        window.away = true; performance.clearResourceTimings()"""
    )
    tab.wait(f"new Promise(done => setTimeout(() => done({count} <= 1), 600))")
    asked = tab.value(count)
    assert tab.value(f"new Promise(done => setTimeout(() => done({count}), 1000))") == asked
    tab.value("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    tab.wait(f"{count} > {asked} + 3")


@pytest.mark.slow
def test_the_page_says_that_the_camera_is_gone_and_goes_on_when_it_is_back(chrome, bundle, camera):
    with serving(bundle, camera.url) as running:
        tab = opened(chrome, running.link)
        camera.close()
        tab.wait("document.getElementById('state').textContent.startsWith('no new picture for')", 40)
        with contextlib.closing(Camera(camera.server_port)):
            tab.wait(LIVE, 60)


def test_the_page_says_that_the_connection_is_lost_and_goes_on_with_the_next_run(chrome, bundle, camera):
    with serving(bundle, camera.url) as running:
        tab = opened(chrome, running.link)
        running.process.kill()
        tab.wait("document.body.dataset.state === 'lost'")
    with serving(bundle, camera.url, web=str(running.port)):
        tab.wait(LIVE, 60)


def test_the_page_says_that_the_run_has_ended_until_the_next_one(chrome, bundle, camera):
    with serving(bundle, camera.url) as running:
        tab = opened(chrome, running.link)
    tab.wait("document.body.dataset.state === 'ended'")
    tab.value("new Promise(done => setTimeout(done, 1500))")
    assert "the run has ended" in tab.text()
    with serving(bundle, camera.url, web=str(running.port)):
        tab.wait(LIVE, 60)


def test_a_link_with_a_key_opens_the_page_once_and_leaves_no_key_in_the_address(chrome, bundle, camera):
    with serving(bundle, camera.url, web="0.0.0.0:0") as running:
        assert "?key=" in running.link
        local = f"http://127.0.0.1:{running.port}/"
        stranger = chrome.tab()
        stranger.open(local)
        stranger.wait("document.body.innerText.includes('open the link that posec printed')")
        tab = opened(chrome, local + "?" + running.link.partition("?")[2])
        assert tab.value("location.href") == local
        assert tab.value("document.cookie") == ""
        tab.open(local)
        tab.wait(LIVE)
