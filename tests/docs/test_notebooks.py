"""The notebooks of docs/examples run from top to bottom, as a newcomer runs them."""

import runpy

import matplotlib as mpl
import pytest

from tests.test_layout import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle_folder(tmp_path, monkeypatch):
    """A folder with what the notebooks name of the bundle."""
    for name in ("tests", "configs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    return tmp_path


def run(name: str) -> dict:
    return runpy.run_path(str(ROOT / "docs" / "examples" / name))


def test_restore_a_scan(bundle_folder, capsys):
    state = run("restore_a_scan.py")
    assert state["exit_code"] == 0
    assert state["mean_psnr"]["restored"] > state["mean_psnr"]["quarter dose"] + 3
    assert (bundle_folder / "demo" / "example" / "ct.png").stat().st_size > 50_000
    assert "dB" in capsys.readouterr().out


def test_fine_tune(bundle_folder, capsys):
    pytest.importorskip("scipy", reason="the comparison needs the extra report")
    state = run("fine_tune.py")
    assert state["exit_codes"] == [0, 0, 0, 0]
    assert state["weights"].is_file()
    assert "PSNR [dB]" in capsys.readouterr().out
