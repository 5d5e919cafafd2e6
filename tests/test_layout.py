"""The repository is what its documents say: links lead somewhere, nothing is left unfinished."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[a-z]*/README.md")})


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose(page))
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links if "://" not in path]
    assert not [str(path) for path, _ in targets if not path.exists()]
    assert not [f"{path}#{anchor}" for path, anchor in targets if anchor and anchor not in anchors(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_left_to_fill_in(page):
    assert not re.findall(r"\b(TODO|FIXME|TBD|XXX|SCORES)\b", page.read_text())


def test_every_verb_of_the_readme_exists():
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"(?:`|^)make ([a-z-]+)", "".join(page.read_text() for page in PAGES), re.MULTILINE))
    assert told
    assert told <= verbs


def test_bundle_is_a_namespace():
    """Two bundles with a package called `bundle` must live in one process."""
    assert not (ROOT / "bundle" / "__init__.py").exists()
    assert not (ROOT / "scripts" / "__init__.py").exists()


def test_nothing_is_too_large_for_a_repository():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of the files that are kept")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert not [str(path) for path in files if path.is_file() and path.stat().st_size > 10_000_000]
