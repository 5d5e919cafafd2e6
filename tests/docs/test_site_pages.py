"""The pages of the site: every page and every public name is in it, and nothing of the product is imported for it."""

import re
import subprocess
import sys
from importlib import import_module

import pytest
import yaml

from bundle.tat.version import VERSION
from scripts.docs.stage_site import API, public_names, stage
from tests.test_layout import PAGES, ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "pages"
    stage(out)
    return out


def listed(entries) -> list[str]:
    """Paths of a navigation."""
    inner = [entry if isinstance(entry, str) else next(iter(entry.values())) for entry in entries]
    return [path for one in inner for path in ([one] if isinstance(one, str) else listed(one))]


def test_every_page_is_in_the_navigation(pages):
    paths = listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(paths) == len(set(paths))
    assert sorted(paths) == sorted(str(path.relative_to(pages)) for path in pages.rglob("*.md"))
    assert {str(path.relative_to(ROOT)) for path in PAGES} <= set(paths)


@pytest.mark.parametrize("room", API)
def test_public_names_are_those_of_the_package(room):
    names = public_names(ROOT / "bundle" / "tat" / room)
    assert sorted(names) == import_module(f"bundle.tat.{room}").__all__


def test_each_public_name_has_a_mark_for_its_docstring(pages):
    page = (pages / "docs/reference/api/losses.md").read_text()
    assert "# bundle.tat.losses" in page
    assert "\n::: bundle.tat.losses.task_balancing.TaskAdaptiveLoss\n" in page


def test_the_product_is_not_imported():
    code = "import sys, scripts.docs.stage_site; print(*sorted({'torch', 'monai', 'bundle'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == ""


def test_citation_names_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == VERSION
    assert re.fullmatch(r"10\.48550/arXiv\.\d{4}\.\d{5}", citation["preferred-citation"]["doi"])
