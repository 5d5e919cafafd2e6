"""CT, MRI and PET as dcm2niix makes them of DICOM: its sidecar tells the modality, and of PET what it can."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.data.pet_sidecar import sidecar_suv_factor
from bundle.tat.data.sidecar import read_sidecar
from bundle.tat.dicom.suv.factor import suv_factor
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import foreign_directory, run_config  # noqa: F401 - the fixture
from tests.dicom_sources import stored_values, write_source

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
DCM2NIIX = shutil.which("dcm2niix", path=PATH)
N_SLICES = 3  # as the headers of PET say

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(DCM2NIIX is None, reason="no dcm2niix: pip install dcm2niix"),
]


def convert(modality: str, *options: str, change=None) -> Path:
    """Make a NIfTI of a series, with its sidecar."""
    source, out = Path("dicom", modality), Path("nifti", modality)
    write_source(source, stored_values(modality, N_SLICES, 64, 48), modality, **({"change": change} if change else {}))
    out.mkdir(parents=True)
    command = [str(DCM2NIIX), "-b", "y", *options, "-f", "scan", "-o", str(out), str(source)]
    subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    (path,) = out.glob("*.nii*")
    return path


def restore(path: Path, **overrides):
    options = {"network": torch.nn.Identity(), "handlers": [], "device": "cpu", "inferer#progress": False}
    workflow = run_config("inference.json", dataset_dir=str(path), output_dir="out", **options, **overrides)
    return workflow.parser.get_parsed_content("evaluator").rows


@pytest.mark.parametrize(("modality", "name"), [("CT", "CT"), ("MR", "MRI")])
def test_nobody_needs_to_say_the_modality(foreign_directory, modality, name):  # noqa: F811
    path = convert(modality)
    assert [(row.modality, row.status) for row in restore(path, any_resolution=True)] == [(name, "restored")]


def test_pet_is_told_what_it_lacks_and_restored_with_the_factor(foreign_directory):  # noqa: F811
    path = convert("PT")
    with pytest.raises(RuntimeError) as caught:
        restore(path)
    said = str(find_refusal(caught.value))
    assert "says that Units are Bq/mL, but SUV also needs the body weight" in said
    assert "the time of the injection (InjectionStart)" in said
    assert "--pet_scale" in said
    factor = 10 / float(nibabel.load(path).get_fdata().max())
    assert [(row.modality, row.status) for row in restore(path, pet_scale=factor)] == [("PET", "restored")]


def corrected_to_injection(image, _):
    image.DecayCorrection = "ADMIN"


def test_pet_that_is_corrected_to_the_injection_is_in_suv_as_its_dicom_is(foreign_directory):  # noqa: F811
    """The weight is written where nothing is to be anonymised."""
    import pydicom

    path = convert("PT", "-ba", "n", change=corrected_to_injection)
    expected = suv_factor(pydicom.dcmread(next(Path("dicom", "PT").iterdir())))
    assert sidecar_suv_factor(read_sidecar(path)) == pytest.approx(expected, rel=1e-6)


def test_pet_that_gets_its_time_of_injection_is_in_suv_as_its_dicom_is(foreign_directory):  # noqa: F811
    import pydicom

    path = convert("PT", "-ba", "n")
    with pytest.raises(RefusedInputError, match=r"SUV also needs the time of the injection \(InjectionStart\): "):
        sidecar_suv_factor(read_sidecar(path))
    image = pydicom.dcmread(next(Path("dicom", "PT").iterdir()))
    (tracer,) = image.RadiopharmaceuticalInformationSequence
    clocks = (tracer.RadiopharmaceuticalStartTime, image.SeriesTime)
    injection, start = (3600 * int(clock[:2]) + 60 * int(clock[2:4]) + float(clock[4:]) for clock in map(str, clocks))
    sidecar = path.parent / "scan.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "InjectionStart": injection - start}))
    np.testing.assert_allclose(sidecar_suv_factor(read_sidecar(path)), suv_factor(image), rtol=1e-6)
