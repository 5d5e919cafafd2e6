"""The report in a real browser: nothing is fetched, slider and flicker work, and axe finds no fault.

Needs Debian's ``chromium`` (``apt-get install chromium``) and the extra ``oracles``.
"""

import re
import shutil

import pytest

from bundle.tat.quality.calibration import Calibration
from bundle.tat.report.collect import read_run
from bundle.tat.report.page import render_page
from tests.quality.helper import calibration
from tests.report.helper import SHA256, write_case

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install '.[oracles]'")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing: .[oracles]"
)

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
# A page that the whole machine is busy beside may take its time.
PATIENCE = 180_000  # ms


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    write_case(folder, "fine", thorough=True)
    write_case(folder, "blurred", blur=2.5)
    known: Calibration = calibration(SHA256)
    (folder / "report.html").write_text(render_page(read_run(folder), known), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        one = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        yield one
        one.close()


@pytest.fixture(params=LOOKS)
def page(request, browser, report):
    """The report, opened; whatever it asks for or complains about is kept."""
    context = browser.new_context(**LOOKS[request.param])
    context.set_default_timeout(PATIENCE)
    one = context.new_page()
    one.asked, one.complaints = [], []
    one.on("request", lambda asked: one.asked.append(asked.url))
    one.on("console", lambda told: one.complaints.append(told.text))
    one.on("pageerror", lambda error: one.complaints.append(str(error)))
    one.goto(report.as_uri(), timeout=PATIENCE)
    yield one
    context.close()


def test_in_each_look(page, report):
    """One test for all that can be seen at once: a page takes seconds to open."""
    asked = [url for url in page.asked if not url.startswith("data:")]
    assert asked == [report.as_uri()]
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    result = axe.Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def cut(page) -> str:
    return page.evaluate("document.querySelector('.viewer .stack').style.getPropertyValue('--cut')")


def test_slider_and_flicker(browser, report):
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(report.as_uri(), timeout=PATIENCE)
    slider, button = page.locator("input[type=range]").first, page.locator("button").first
    assert cut(page) == "50%"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert cut(page) == "51%"
    assert slider.get_attribute("aria-valuetext") == "51 % input, 49 % restored"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    moved = float(re.match(r"\d+", cut(page))[0])
    assert moved > 80
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert cut(page) == "0%"
    # Not wait_for_function: the page's own policy forbids what it evaluates.
    assert any(page.wait_for_timeout(100) is None and cut(page) == "100%" for _ in range(100))
    button.focus()
    page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "false"
    assert cut(page) == f"{moved:.0f}%"
    context.close()


def test_print_shows_both_pictures_and_no_controls(browser, report):
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(report.as_uri(), timeout=PATIENCE)
    page.emulate_media(media="print")
    assert not page.locator("button").first.is_visible()
    places = [page.locator(f".viewer .{name}").first.bounding_box() for name in ("input", "restored")]
    assert places[0]["x"] + places[0]["width"] <= places[1]["x"] + 1
    assert page.evaluate("getComputedStyle(document.querySelector('.viewer .restored')).clipPath") == "none"
    context.close()
