import pytest

from bundle.tat.data.layouts.clean_folders import list_clean
from bundle.tat.refusal import RefusedInputError
from tests.scans import blobs, write_dicom_series, write_nifti


def test_clean_scans_alone(tmp_path):
    volume = blobs((5, 6, 3), 0, 100)
    write_nifti(tmp_path / "training" / "CT" / "b.nii.gz", volume)
    write_dicom_series(tmp_path / "training" / "MRI" / "head", volume, modality="MR")
    items = list_clean(str(tmp_path), section="training", n_draws=2)
    assert [(item["modality"], item["draw"]) for item in items] == [("CT", 0), ("CT", 1), ("MRI", 0), ("MRI", 1)]
    assert items[0]["label"].endswith("CT/b.nii.gz")
    assert "image" not in items[0]
    assert list_clean(str(tmp_path / "training" / "CT")) == [
        {"label": str(tmp_path / "training" / "CT" / "b.nii.gz"), "draw": 0}
    ]
    with pytest.raises(RefusedInputError, match="n_draws is 0"):
        list_clean(str(tmp_path), section="training", n_draws=0)
