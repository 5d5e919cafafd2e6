"""The slices of the median and of the worst gain: which they are, and that they are drawn with what was scored."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from PIL import Image

from bundle.tat.provenance import Provenance

pytest.importorskip("matplotlib", reason="needs the extra report")

from bundle.tat.cases.record import CaseRecord, write_record
from bundle.tat.evaluation.table import SliceRow, write_csv
from tests.pictures import draw_figure, read_picture
from tests.scans import blobs, write_nifti
from tests.scripts.benchmarks.test_size_search import PROVENANCE

RANGES = {"CT": (-100, 200), "MRI": (100, 1000), "PET": (0, 9)}
GAINS = (3.0, -1.0, 5.0, 2.0)


@pytest.fixture
def draw_cases(monkeypatch):
    return importlib.import_module("scripts.benchmarks.draw_cases")


def rows_of(modality, case, gains):
    head = {"modality": modality, "case": case, "parameter": None, "ssim": 0.9, "rmse": 1.0, "unit": "u"}
    return [
        SliceRow(**head, method=method, slice=index, psnr=30.0 - index + (gain if method == "restored" else 0.0))
        for index, gain in enumerate(gains)
        for method in ("input", "gaussian", "restored")
    ]


def test_the_lower_middle_and_the_lowest_gain_are_chosen_over_all_cases(draw_cases):
    chosen = draw_cases.choose([*rows_of("MRI", "a", GAINS[:2]), *rows_of("MRI", "b", GAINS[2:])])
    assert [(choice.rank, choice.case, choice.index, choice.gain) for choice in chosen] == [
        ("median", "b", 1, pytest.approx(2.0)),
        ("worst", "a", 1, pytest.approx(-1.0)),
    ]
    (median, worst) = draw_cases.choose(rows_of("CT", "one", GAINS[:1]))
    assert (median.index, worst.index, median.n_slices) == (0, 0, 1)


@pytest.fixture
def scored(tmp_path):
    """Arguments for a test split of one scan a modality."""
    entries, rows = [], []
    for modality, (low, high) in RANGES.items():
        name = modality.lower()
        clean = blobs((32, 24, len(GAINS)), low, high)
        write_nifti(tmp_path / f"{name}_full.nii.gz", clean)
        write_nifti(tmp_path / f"{name}_low.nii.gz", (clean + 0.1 * high).astype(np.float32))
        folder = tmp_path / "out" / f"{name}_low"
        write_nifti(folder / f"{name}_low_restored.nii.gz", (clean + 0.05 * high).astype(np.float32))
        write_record(folder, CaseRecord(f"{name}_low", modality, Provenance(PROVENANCE["weights_sha256"], "0")))
        entries.append({"image": f"{name}_low.nii.gz", "label": f"{name}_full.nii.gz", "modality": modality})
        rows += [{**vars(row), **PROVENANCE} for row in rows_of(modality, f"{name}_low", GAINS)]
    (tmp_path / "datalist.json").write_text(json.dumps({"testing": entries}))
    write_csv(tmp_path / "slices.csv", rows)
    paths = {"--slices": "slices.csv", "--datalist": "datalist.json", "--restored": "out", "--out": "pictures"}
    return tmp_path, [word for name, path in paths.items() for word in (name, str(tmp_path / path))]


def test_six_pictures_are_drawn(draw_cases, scored):
    folder, arguments = scored
    draw_cases.main(arguments)
    names = {f"case_{modality.lower()}_{rank}.png" for modality in RANGES for rank in ("median", "worst")}
    assert {path.name for path in (folder / "pictures").iterdir()} == names
    table = draw_cases.read_slices(folder / "slices.csv")
    cases = draw_cases.read_cases(folder / "datalist.json", "testing", folder / "out")
    figures = dict(draw_cases.draw_choices(draw_cases.choose(table.rows), cases))
    for name in names:
        with Image.open(folder / "pictures" / name) as picture:
            assert (picture.format, picture.mode) == ("PNG", "P")
        # 160 greys lie 1.6 apart of 255: pixels are near what was drawn, not the same.
        error = np.abs(read_picture(folder / "pictures" / name).astype(int) - draw_figure(figures[name]))
        assert error.mean() < 1.0


def test_a_picture_says_which_slice_it_is_why_and_that_it_is_simulated(draw_cases, scored):
    folder, _ = scored
    table = draw_cases.read_slices(folder / "slices.csv")
    cases = draw_cases.read_cases(folder / "datalist.json", "testing", folder / "out")
    figures = dict(draw_cases.draw_choices(draw_cases.choose(table.rows), cases))
    title, note = figures["case_ct_worst.png"].get_suptitle().splitlines()
    assert title == "CT  ct_low, slice 2 of 4"
    assert note == "worst gain of 4 test slices, -1.00 dB; input: simulated low dose"
    clean = cases[0].label[:, :, 1]
    assert {float(clean.min()), float(clean.max())} == {
        float(extreme(figures["case_ct_worst.png"].axes[2].images[0].get_array())) for extreme in (np.min, np.max)
    }


def test_a_restoration_by_other_weights_is_refused(draw_cases, scored):
    folder, arguments = scored
    write_record(folder / "out" / "mri_low", CaseRecord("mri_low", "MRI", Provenance("f" * 64, "0")))
    with pytest.raises(SystemExit, match="mri_low was not made with the weights of the table: restore it again"):
        draw_cases.main(arguments)
    assert not (folder / "pictures").exists()
