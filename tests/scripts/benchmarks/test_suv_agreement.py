import numpy as np
import pytest

from scripts.benchmarks.suv_agreement import Row, compare, tabulate
from tests.dicom_sources import stored_values, write_source

FACTOR = 75000 / (2e8 * 2 ** (-3600 / 6586.2))


def times(image, _):
    """A frame of two minutes from the start of the scan, and what a scanner would say of its decay."""
    decay = np.log(2) * 120 / 6586.2
    image.DecayFactor, image.FrameReferenceTime = decay / -np.expm1(-decay), 60000


def test_a_slice_has_its_factor_and_agrees_with_its_decay_factor(tmp_path):
    write_source(tmp_path / "pet", stored_values("PT", 1), "PT", change=times)
    write_source(tmp_path / "ct", stored_values("CT", 1), "CT")
    (row,) = compare(tmp_path)
    assert row.factor == pytest.approx(FACTOR, rel=1e-9)
    assert row.decay == pytest.approx(0.0, abs=0.1)
    assert all(other is None or abs(other) < 1e-6 for other in row.others)
    assert tabulate([row]).splitlines()[2].startswith(f"| {row.name} | {FACTOR:.6g} |")


def test_a_slice_that_is_refused_says_why(tmp_path):
    def change(image, index):
        times(image, index)
        image.PatientWeight = None

    write_source(tmp_path, stored_values("PT", 1), "PT", change=change)
    (row,) = compare(tmp_path)
    assert (row.factor, row.decay) == (None, None)
    assert row.remark.startswith("Patient's Weight (0010,1030) is missing")


def test_the_summary_counts_who_agrees():
    rows = [
        Row("a", 1.0, (0.0, 0.002), None, ""),
        Row("b", 1.0, (None, 0.0001), 0.1, ""),
        Row("c", None, (2.0, None), None, "x"),
    ]
    assert tabulate(rows).splitlines()[-1] == (
        "2 of 3 slices have a factor; z-rad gives 1 of them, 1 within 0.1%; pysuv gives 2 of them, 1 within 0.1%."
    )
