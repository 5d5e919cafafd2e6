import sys
from pathlib import Path

from bundle.tat.data import root

REPOSITORY = Path(__file__).parents[2]


def test_a_checkout_knows_itself_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(root.find_bundle_root()) == REPOSITORY


def test_an_installed_copy_asks_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(root, "__file__", str(tmp_path / "site-packages" / "bundle" / "tat" / "data" / "root.py"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(REPOSITORY)])
    assert Path(root.find_bundle_root()) == REPOSITORY
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert root.find_bundle_root() == "."
