"""The repository is what its documents say: links lead somewhere, nothing is left unfinished."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[a-z]*/README.md")})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


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
