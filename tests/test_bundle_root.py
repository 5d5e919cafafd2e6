import sys
from pathlib import Path

from bundle.tat import bundle_root

REPOSITORY = Path(__file__).parents[1]


def test_a_checkout_knows_itself_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(bundle_root.find_bundle_root()) == REPOSITORY


def test_an_installed_copy_asks_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_root, "__file__", str(tmp_path / "site-packages" / "bundle" / "tat" / "bundle_root.py"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(REPOSITORY)])
    assert Path(bundle_root.find_bundle_root()) == REPOSITORY
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert bundle_root.find_bundle_root() == "."
