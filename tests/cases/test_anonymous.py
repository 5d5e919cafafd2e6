from pathlib import Path

import pytest

from bundle.tat.cases.anonymous import without_identity
from bundle.tat.cases.table import CaseRow


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("/data/Doe John Paul/scan.nii.gz: 1 of 384 voxels are NaN", "the scan: 1 of 384 voxels are NaN"),
        ("/data/Doe John/12345 holds 2 series", "the scan holds 2 series"),
        ("C:\\scans\\DOE^JOHN\\a.dcm cannot be read", "the scan cannot be read"),
        ("sub/doe_john.nii: damaged", "the scan: damaged"),
        ("series 1.2.840.113619.2.55.3 of 20260713 is damaged", "series a UID of a date is damaged"),
        ("slices 2 and 3 of 5 are 5.000 mm apart", "slices 2 and 3 of 5 are 5.000 mm apart"),
        ("lies outside [-1024, 3072] HU: Modality (0008,0060)", "lies outside [-1024, 3072] HU: Modality (0008,0060)"),
    ],
)
def test_what_may_name_a_patient_is_taken_out(message, told):
    assert without_identity(message) == told


def test_known_files_are_taken_out_wherever_they_stand():
    path = Path("/in/Doe John/IM 1 Doe.dcm")
    assert (
        without_identity("IM 1 Doe.dcm beside /in/Doe John has 3 axes", [path]) == "the scan beside the scan has 3 axes"
    )


def test_a_row_tells_its_message_without_them():
    assert CaseRow("a", "CT", "failed", "/data/doe/a.nii: NaN").anonymous == "the scan: NaN"
    assert CaseRow("a", "CT", "failed", "/data/doe/a.nii: NaN", anonymous_message="NaN").anonymous == "NaN"
