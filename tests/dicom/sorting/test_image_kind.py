import gzip
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from bundle.tat.dicom.open import read_dicom_header
from bundle.tat.dicom.sorting.image_kind import not_a_slice
from tests.scans import blobs, edit_dicom, write_dicom_series

NIBABEL_FILES = Path(nibabel.__file__).parent / "nicom" / "tests" / "data"
KINDS = {
    "CT": "CT Image Storage",
    "MR": "MR Image Storage",
    "PT": "Positron Emission Tomography Image Storage",
}


def image(modality: str, image_type: str, **tags: object) -> Dataset:
    header = Dataset()
    header.Modality, header.ImageType = modality, image_type.split("\\")
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    for name, value in tags.items():
        setattr(header, name, value)
    return header


def reason(modality: str, image_type: str, **tags: object) -> str:
    return not_a_slice(image(modality, image_type, **tags), KINDS[modality]) or ""


@pytest.mark.parametrize(
    ("modality", "image_type", "said"),
    [
        # As scanners and workstations of several makers write them.
        ("PT", r"DERIVED\PRIMARY\OTHER\CSA MIP\\CSAPARALLEL", "a projection"),
        ("PT", r"ORIGINAL\SECONDARY\MIP", "a projection"),
        ("CT", r"DERIVED\SECONDARY\REFORMATTED\MIP THIN", "a projection"),
        ("MR", r"DERIVED\SECONDARY\MIP_SAG\ND", "a projection"),
        ("MR", r"ORIGINAL\PRIMARY\M\ND\MNIP", "a projection"),
        ("MR", r"DERIVED\PRIMARY\PROJECTION IMAGE\MIP", "a projection"),
        ("CT", r"DERIVED\PRIMARY\MAX_IP\NONE", "a projection"),
        ("PT", r"DERIVED\SECONDARY\ROTATING", "a projection"),
        ("CT", r"DERIVED\SECONDARY\OTHER\CSA FUSED MPR", "a fusion of two scans"),
        ("PT", r"DERIVED\SECONDARY\\MPR FUSION", "a fusion of two scans"),
        ("CT", r"DERIVED\SECONDARY\OTHER\VRT", "a rendered image"),
        ("CT", r"DERIVED\SECONDARY\RENDERED_3D", "a rendered image"),
        ("CT", r"DERIVED\SECONDARY\SCREEN SAVE", "a report or capture"),
        ("CT", r"ORIGINAL\SECONDARY\AXIAL\CT_SOM5 PROT", "a report or capture"),
        ("CT", r"ORIGINAL\PRIMARY\LOCALIZER\CT_SOM5 TOP", "a localizer"),
        ("MR", r"DERIVED\PRIMARY\DIFFUSION\ADC\ND", "a map of diffusion"),
        ("MR", r"DERIVED\PRIMARY\DIFFUSION\ADC_UNSPECIFIED", "a map of diffusion"),
        ("MR", r"ORIGINAL\PRIMARY\T1 MAP\ND", "a parametric map"),
        ("MR", r"DERIVED\PRIMARY\M\T2_STAR_MAP", "a parametric map"),
        ("MR", r"DERIVED\PRIMARY\PERFUSION\RELCBF", "a map of perfusion"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\CBV", "a map of perfusion"),
        ("MR", r"ORIGINAL\PRIMARY\P\ND", "a phase image"),
        ("MR", r"ORIGINAL\PRIMARY\PHASE MAP\P\FFE", "a parametric map"),
        ("MR", r"ORIGINAL\PRIMARY\VELOCITY\V", "a velocity image"),
        ("MR", r"ORIGINAL\PRIMARY\I\ND", "the real or imaginary part"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\IODINE_MAP", "a parametric map"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\EFF_ATOMIC_NUM", "a spectral map"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\Z_EFF", "a spectral map"),
    ],
)
def test_what_is_no_slice_by_image_type(modality, image_type, said):
    assert reason(modality, image_type).startswith(said)


@pytest.mark.parametrize(
    ("modality", "image_type"),
    [
        ("CT", r"ORIGINAL\PRIMARY\AXIAL\CT_SOM5 SPI"),
        ("CT", r"DERIVED\SECONDARY\REFORMATTED\AVERAGE"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\CSA MPR\\CSAPARALLEL"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\VMI"),
        ("CT", r"DERIVED\PRIMARY\AXIAL\MAT_REMOVED"),
        ("MR", r"ORIGINAL\PRIMARY\M\ND\NORM\DIS2D\FM"),
        ("MR", r"ORIGINAL\PRIMARY\M_FFE\M\FFE"),
        ("MR", r"ORIGINAL\PRIMARY\DIFFUSION\NONE\ND\TENSOR_B0"),
        ("MR", r"ORIGINAL\PRIMARY\DIFFUSION\TRACEW"),
        ("MR", r"DERIVED\PRIMARY\DIXON\IN_PHASE"),
        ("MR", r"DERIVED\PRIMARY\OTHER\WATER\OPP_PHASE"),
        ("MR", r"ORIGINAL\PRIMARY\T2_STAR\NONE"),
        ("PT", r"ORIGINAL\PRIMARY"),
    ],
)
def test_slices_of_anatomy_are_slices(modality, image_type):
    assert reason(modality, image_type) == ""


@pytest.mark.parametrize(
    ("contrast", "said"),
    [
        ("SUBTRACTION", "calculated from several images"),
        ("T2_STAR", "a parametric map"),
        ("TCS", "a map of statistics"),
        ("NEI", "a map of perfusion"),
        ("DIFFUSION_ATTNTD", "a map of diffusion"),
    ],
)
def test_the_derived_contrast_of_a_frame_tells_a_map(contrast, said):
    types = rf"DERIVED\PRIMARY\VOLUME\{contrast}"
    assert reason("MR", types, FrameType=types.split("\\")).startswith(said)


def test_words_of_derived_contrast_tell_nothing_elsewhere():
    types = r"ORIGINAL\PRIMARY\T1\NONE"
    assert reason("MR", types, FrameType=types.split("\\")) == ""
    assert reason("MR", r"ORIGINAL\PRIMARY\M\T1") == ""


def test_pet_that_says_so_in_its_series_type_is_a_projection():
    assert reason("PT", r"ORIGINAL\PRIMARY", SeriesType=["WHOLE BODY", "REPROJECTION"]).startswith("a projection")


@pytest.mark.parametrize("unit", ["HU", "HU_MOD", "US", "hu ", ""])
def test_hounsfield_units_have_several_names(unit):
    assert reason("CT", r"ORIGINAL\PRIMARY\AXIAL", RescaleType=unit) == ""


@pytest.mark.parametrize("unit", ["MGML", "Z_EFF", "ED", "PCT", "OD"])
def test_a_map_of_ct_is_told_by_its_unit(unit):
    assert reason("CT", r"DERIVED\PRIMARY\AXIAL", RescaleType=unit) == (
        f"a map in {unit} by Rescale Type (0028,1054): only CT in HU is restored"
    )


def test_the_unit_of_another_modality_is_its_own():
    assert reason("MR", r"ORIGINAL\PRIMARY\M", RescaleType="normalized") == ""


def test_the_component_tells_where_image_type_does_not():
    assert reason("MR", r"ORIGINAL\PRIMARY\OTHER", ComplexImageComponent="PHASE").startswith("a phase image")
    assert reason("MR", r"ORIGINAL\PRIMARY\OTHER", ComplexImageComponent="MIXED").startswith("a mixture of magnitude")
    assert reason("MR", r"ORIGINAL\PRIMARY\OTHER", ComplexImageComponent="MAGNITUDE") == ""


MOSAIC = r"ORIGINAL\PRIMARY\M\ND\MOSAIC"


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 384, "Columns": 384, "AcquisitionMatrix": [64, 0, 0, 64]},
        {"Rows": 256, "Columns": 256, "PixelSpacing": [3.0, 3.0]},  # 768 mm: more than a scanner sees
    ],
)
def test_a_slice_of_tiles_is_a_mosaic(tags):
    assert reason("MR", MOSAIC, **tags).startswith("a mosaic of all slices of a volume")


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 64, "Columns": 64, "AcquisitionMatrix": [64, 0, 0, 64]},
        {"Rows": 128, "Columns": 128, "AcquisitionMatrix": [0, 64, 64, 0], "PixelSpacing": [1.5, 1.5]},
        {"Rows": 256, "Columns": 256, "PixelSpacing": [0.9, 0.9]},
    ],
)
def test_the_word_alone_makes_no_mosaic(tags):
    # rordenlab/dcm2niix issue 553: scanners leave it behind in slices that they took apart.
    assert reason("MR", MOSAIC, **tags) == ""


@pytest.mark.parametrize("name", ["siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz", "0.dcm", "csa_slice_norm.dcm"])
def test_real_mosaics(name, tmp_path):
    content = (NIBABEL_FILES / name).read_bytes()
    path = tmp_path / "mosaic.dcm"
    path.write_bytes(gzip.decompress(content) if name.endswith(".gz") else content)
    header = read_dicom_header(path)
    assert header.not_an_image_reason.startswith("a mosaic of all slices")


def test_siemens_own_count_of_tiles_tells_a_mosaic(tmp_path):
    (path,) = write_dicom_series(tmp_path, blobs((1, 64, 64), 0, 99).astype(np.int16), modality="MR")
    content = pydicom.dcmread(path)
    content.ImageType = MOSAIC.split("\\")
    content.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 4)
    content.save_as(path)
    assert read_dicom_header(path).reason.startswith("a mosaic")
    edit_dicom(path, AcquisitionMatrix=[64, 0, 0, 64])
    assert read_dicom_header(path).reason is None
