"""The table of the network beside other filters."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from bundle.tat.evaluation.scoring import MethodResult
from bundle.tat.metrics.restoration import VolumeScores
from bundle.tat.modality import Modality
from scripts.benchmarks import other_filters
from scripts.benchmarks.other_filters import gains_of, table


def result(case, method, psnr):
    scores = VolumeScores(psnr=psnr, ssim=0.9, rmse=1.0, n_slices=1, n_constant=0)
    of_slice = {"psnr": psnr, "ssim": 0.9, "rmse": 1.0}
    return MethodResult(
        modality=Modality.CT,
        case=case,
        subject=None,
        method=method,
        parameter=None,
        slices={0: of_slice},
        means=scores,
        volume=scores,
    )


def test_gains_are_means_over_persons_and_compared_with_the_best_filter():
    results = [
        result(case, method, psnr + shift)
        for case, shift in (("a", 0.0), ("b", 4.0))
        for method, psnr in (("input", 30.0), ("restored", 33.0), ("gaussian", 31.0), ("bm3d", 32.5))
    ]
    gains = gains_of(results, {"a": "CT, soft", "b": "CT, soft"})
    assert gains == {"CT, soft": {"restored": [3.0, 3.0], "gaussian": [1.0, 1.0], "bm3d": [2.5, 2.5]}}
    row = table(gains, ("gaussian", "bm3d")).splitlines()[-1]
    assert row == "| CT, soft (2 persons) | +3.00 | +1.00 | +2.50 | +0.50 |"


def test_the_middle_slice_of_each_chosen_scan_is_restored_and_filtered(monkeypatch, tmp_path):
    """Only the middle slice has noise: the gain of a filter shows which slice was scored."""
    clean = np.zeros((32, 32, 3), dtype=np.float32)
    clean[8:24, 8:24] = 60.0
    noisy = clean.copy()
    noisy[..., 1] += np.random.default_rng(0).normal(0, 30, (32, 32))
    paths = {name: str(tmp_path / f"{name}.nii.gz") for name in ("image", "label")}
    for path, volume in zip(paths.values(), (noisy, clean), strict=True):
        nib.save(nib.Nifti1Image(volume, np.eye(4)), path)
    items = [{**paths, "modality": "CT", "subject": "p"}, {**paths, "modality": "MRI", "subject": "p"}]
    monkeypatch.setattr(other_filters, "choose_scored", lambda _: ({"testing": items}, {"image": "CT, white"}))
    page, out = tmp_path / "page.md", tmp_path / "out.json"
    page.write_text("<!-- other_filters -->\n\n<!-- /other_filters -->\n")
    other_filters.main(["--filters", "gaussian", "--out", str(out), "--page", str(page)])
    ((condition, gains),) = json.loads(out.read_text()).items()
    assert condition == "CT, white"
    assert len(gains["restored"]) == len(gains["gaussian"]) == 1
    assert gains["gaussian"][0] > 3
    assert f"| {gains['restored'][0]:+.2f} | {gains['gaussian'][0]:+.2f} |" in page.read_text()


def test_where_nothing_was_scored_a_cell_is_empty():
    """A condition of one modality alone that a filter is not meant for, and a slice without contrast."""
    results = [result("a", "input", 30.0), result("a", "restored", 33.0), result("a", "gaussian", 31.0)]
    unscored = [replace(result("b", method, math.nan), slices={}) for method in ("input", "restored")]
    gains = gains_of([*results, *unscored], {"a": "CT, soft", "b": "CT, soft"})
    assert table(gains, ("gaussian", "gaussian_3d")).splitlines()[-1] == (
        "| CT, soft (1 persons) | +3.00 | +1.00 | - | +2.00 |"
    )
    assert table(gains, ("gaussian_3d",)).splitlines()[-1] == "| CT, soft (1 persons) | +3.00 | - | - |"


def test_a_filter_that_does_not_suit_every_modality_is_refused_before_anything_is_restored(monkeypatch, capsys):
    monkeypatch.setattr(other_filters, "choose_scored", lambda _: pytest.fail("nothing is to be read"))
    with pytest.raises(SystemExit):
        other_filters.main(["--filters", "gaussian", "gaussian_3d"])
    assert "gaussian_3d is meant for PET only: pass --filters that suit CT and PET" in capsys.readouterr().err


def test_an_unknown_filter_is_refused_before_anything_is_restored(monkeypatch):
    monkeypatch.setattr(other_filters, "choose_scored", lambda _: pytest.fail("nothing is to be read"))
    with pytest.raises(ValueError, match="nlm"):
        other_filters.main(["--filters", "nlm"])
