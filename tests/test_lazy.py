"""Names that a package offers without importing them."""

import importlib
import sys
from pkgutil import iter_modules

import pytest

from bundle.tat.lazy import export_lazily
from tests.test_layout import ROOT

PACKAGES = sorted(
    ".".join(file.relative_to(ROOT).parts[:-1])
    for file in ROOT.glob("bundle/tat/*/**/__init__.py")
    if "deploy" not in file.parts  # needs MONAI Deploy
)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_offers_what_its_modules_hold(name):
    package = importlib.import_module(name)
    assert package.__all__
    modules = {module.name for module in iter_modules(package.__path__)}
    for word in package.__all__:
        assert getattr(package, word).__name__ == word
        assert word not in modules, f"{name}.{word} would be the module once that is imported"
    assert {*package.__all__} <= {*dir(package)}
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A package of two modules, the second of which cannot be imported."""
    folder = tmp_path / "made_for_this_test"
    folder.mkdir()
    (folder / "good.py").write_text("class Good: ...\n")
    (folder / "bad.py").write_text("raise RuntimeError\n")
    imports = "".join(f"    from {folder.name}.{word.lower()} import {word} as {word}\n" for word in ("Good", "Bad"))
    (folder / "__init__.py").write_text(f"TYPE_CHECKING = False\nif TYPE_CHECKING:\n{imports}")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(folder.name)
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_module_is_imported_when_one_of_its_names_is_asked_for(made):
    made.__getattr__, made.__dir__, made.__all__ = export_lazily(made.__name__)
    assert made.__all__ == ["Bad", "Good"]
    assert f"{made.__name__}.good" not in sys.modules
    assert made.Good.__module__ == f"{made.__name__}.good"
    assert "Good" in vars(made)  # asked for once
    with pytest.raises(RuntimeError):
        made.Bad  # noqa: B018
