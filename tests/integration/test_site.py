"""The site in a real browser: it is built without a network, asks nobody else for anything, and its search finds.

Needs the extra ``docs``, Debian's ``chromium`` and the extra ``oracles``.
"""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.test_layout import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install '.[oracles]'")
CHROMIUM = shutil.which("chromium")
ZENSICAL = shutil.which("zensical", path=str(Path(sys.executable).parent)) or shutil.which("zensical")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
    pytest.mark.skipif(ZENSICAL is None, reason="zensical is missing: pip install '.[docs]'"),
]
PATIENCE = 180_000  # ms
PAGES = ("index.html", "docs/quickstart.html", "docs/benchmark.html", "docs/reference/api/networks.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built in a copy of what it is made of."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("docs", "bundle", "models", "tests/samples", "scripts/docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pt", "__pycache__"))
    for path in (*ROOT.glob("*.md"), *(ROOT / name for name in ("mkdocs.yml", "LICENSE", "NOTICE", "CITATION.cff"))):
        shutil.copyfile(path, folder / path.name)
    for command in ([sys.executable, "scripts/docs/stage_site.py"], [ZENSICAL, "build", "--clean", "--strict"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


@pytest.fixture(scope="module")
def address(site):
    """The site on the loopback interface."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(address):
    """A page of a browser that keeps what is asked for and complained about."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        one = browser.new_page()
        one.set_default_timeout(PATIENCE)
        one.asked, one.complaints = [], []
        one.on("request", lambda asked: one.asked.append(asked.url))
        one.on("response", lambda got: one.complaints.append(got.url) if got.status >= 400 else None)
        one.on("console", lambda said: one.complaints.append(said.text) if said.type == "error" else None)
        one.on("pageerror", lambda error: one.complaints.append(str(error)))
        yield one
        browser.close()


def test_pages_open_and_ask_nobody_else(page, address):
    for name in PAGES:
        page.goto(f"{address}/{name}", timeout=PATIENCE, wait_until="load")
        assert page.locator("h1").first.is_visible()
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), name
    assert [url for url in page.asked if not url.startswith((address, "data:", "blob:"))] == []
    assert page.complaints == []


def test_docstrings_are_there(page, address):
    page.goto(f"{address}/docs/reference/api/networks.html", timeout=PATIENCE)
    assert "Task-Adaptive Transformer" in page.locator("article").inner_text()
    assert page.locator("#bundle\\.tat\\.networks\\.tat\\.TAT").count() == 1


def test_search_finds(page, address):
    page.goto(f"{address}/index.html", timeout=PATIENCE)
    page.locator("button.md-search__button").first.click()
    page.get_by_placeholder("Search").fill("TaskAdaptiveLoss")
    page.locator("a[href*='api/losses']", has_text="TaskAdaptiveLoss").first.wait_for()
    assert page.complaints == []
