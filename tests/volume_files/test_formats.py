"""Volumes in other formats than NIfTI: read where they lie, or refused in words."""

import bz2
import gzip
import logging

import nibabel
import numpy as np
import pytest
import SimpleITK

from bundle.tat.data.scan_info import read_scan_info
from bundle.tat.transforms.load import LoadScand
from bundle.tat.volume_files import open_volume
from scripts.benchmarks.geometry import SCANNER, TILTED, nibabel_affine, simpleitk_affine, write_result

# nibabel leaves the closing of an .mgh file to Python.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO.*mgh:pytest.PytestUnraisableExceptionWarning"
)

VOLUME = np.random.default_rng(0).integers(-900, 900, (5, 7, 3)).astype(np.int16)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk_image(affine=SCANNER, volume=VOLUME) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.T))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(((LPS @ affine)[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((LPS @ affine)[:3, 3].tolist())
    return image


def write_nrrd(path, affine=SCANNER, *, data=None, sizes=None, directions=None, **fields):
    """Write an NRRD file by hand: ITK writes no units, no other encodings, no list axes of one."""
    steps = " ".join(f"({','.join(map(str, step))})" for step in (LPS @ affine)[:3, :3].T)
    header = {
        "type": "short",
        "dimension": len(sizes or VOLUME.shape),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, sizes or VOLUME.shape)),
        "space directions": (directions or "{}").format(steps),
        "space origin": f"({','.join(map(str, (LPS @ affine)[:3, 3]))})",
        "endian": "little",
        "encoding": "raw",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    text = "NRRD0005\n" + "".join(f"{name}: {value}\n" for name, value in header.items()) + "\n"
    path.write_bytes(text.encode() + (VOLUME.tobytes(order="F") if data is None else data))
    return path


def write_nibabel(image_class):
    def write(path):
        nibabel.save(image_class(VOLUME, SCANNER), path)
        return path

    return write


def write_itk(path):
    SimpleITK.WriteImage(itk_image(), str(path))
    return path


WRITERS = {
    "a.nii": write_nibabel(nibabel.Nifti1Image),
    "a.hdr": write_nibabel(nibabel.Nifti1Pair),
    "a.img": write_nibabel(nibabel.Nifti1Pair),
    "b.img": write_nibabel(nibabel.Nifti2Pair),
    "a.img.gz": write_nibabel(nibabel.Nifti1Pair),
    "a.mgz": write_nibabel(nibabel.MGHImage),
    "a.mgh": write_nibabel(nibabel.MGHImage),
    "a.nrrd": write_itk,
    "a.nhdr": write_itk,
    "a.mha": write_itk,
    "a.mhd": write_itk,
    "sheared.nrrd": lambda path: write_nrrd(path, TILTED),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_volume_lies_where_it_lay_and_is_written_as_nifti(tmp_path, name):
    folder = tmp_path / "case"
    folder.mkdir()
    path = WRITERS[name](folder / name)
    affine = TILTED if name.startswith("sheared") else SCANNER
    image = LoadScand("image")({"image": str(path)})["image"]
    np.testing.assert_array_equal(image[0].numpy(), VOLUME)
    np.testing.assert_allclose(image.affine.numpy(), affine, atol=1e-3)
    result = write_result(path, tmp_path / "out")
    np.testing.assert_allclose(nibabel_affine(result), affine, atol=1e-3)
    np.testing.assert_array_equal(nibabel.load(result).get_fdata(), VOLUME)
    assert read_scan_info(path).shape == VOLUME.shape
    if not name.startswith("sheared"):
        np.testing.assert_allclose(simpleitk_affine(result), affine, atol=1e-3)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("um", 1000), ("\u00b5m", 1000), ("m", 0.001), ("cm", 0.1)])
def test_units_of_nrrd_are_brought_to_millimetres(tmp_path, unit, factor):
    scale = np.diag([factor, factor, factor, 1.0])
    path = write_nrrd(tmp_path / "a.nrrd", scale @ SCANNER, space_units=" ".join([f'"{unit}"'] * 3))
    np.testing.assert_allclose(open_volume(path).affine, SCANNER, atol=1e-3)


@pytest.mark.parametrize("units", ['"mm" "mm" "m"', '"inch" "inch" "inch"'])
def test_units_that_are_not_known_are_refused(tmp_path, units):
    with pytest.raises(ValueError, match=r"its units of length are .*: save it in mm"):
        open_volume(write_nrrd(tmp_path / "a.nrrd", space_units=units))


def test_unit_of_meta_image_is_brought_to_millimetres(tmp_path):
    scale = np.diag([0.1, 0.1, 0.1, 1.0])
    SimpleITK.WriteImage(itk_image(scale @ SCANNER), str(tmp_path / "a.mha"))
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"ElementDataFile", b"DistanceUnits = cm\nElementDataFile"))
    np.testing.assert_allclose(open_volume(tmp_path / "a.mha").affine, SCANNER, atol=1e-3)


@pytest.mark.parametrize(
    ("sizes", "directions", "kinds"),
    [
        ((1, *VOLUME.shape), "none {}", "list domain domain domain"),
        ((*VOLUME.shape, 1), "{} none", "domain domain domain list"),
    ],
)
def test_a_list_axis_of_one_is_one_volume(tmp_path, sizes, directions, kinds):
    path = write_nrrd(tmp_path / "a.nrrd", sizes=sizes, directions=directions, kinds=kinds)
    image = LoadScand("image")({"image": str(path)})["image"]
    np.testing.assert_array_equal(image[0].numpy(), VOLUME)
    np.testing.assert_allclose(image.affine.numpy(), SCANNER, atol=1e-3)
    assert read_scan_info(path).shape == VOLUME.shape


def two_channels(folder):
    return write_nrrd(
        folder / "a.nrrd",
        data=np.stack([VOLUME, VOLUME]).tobytes(order="F"),
        sizes=(2, *VOLUME.shape),
        directions="none {}",
        kinds="list domain domain domain",
    )


def detached_without_voxels(folder):
    SimpleITK.WriteImage(itk_image(), str(folder / "a.nhdr"))
    (folder / "a.raw").unlink()
    return folder / "a.nhdr"


def cut(name):
    def write(folder):
        path = WRITERS[name](folder / name)
        voxels = path.with_suffix(".img") if name == "a.hdr" else path
        voxels.write_bytes(voxels.read_bytes()[:-40])
        return path

    return write


def other(name, content):
    def write(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return write


def coloured(folder):
    colours = np.zeros(VOLUME.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, SCANNER), folder / "a.nii")
    return folder / "a.nii"


REFUSED = {
    "bzip2": (
        lambda folder: write_nrrd(folder / "a.nrrd", data=bz2.compress(VOLUME.tobytes(order="F")), encoding="bzip2"),
        r"its voxels are in the encoding bzip2: save it as raw or gzip$",
    ),
    "two channels": (two_channels, r"has 2 values at each voxel \(channels or colours\): pass one scalar volume$"),
    "colours": (coloured, r"has 3 values at each voxel"),
    "no voxels": (detached_without_voxels, r"its header is missing or damaged \(couldn't open .*a\.raw"),
    "cut NRRD": (cut("sheared.nrrd"), r"its voxels are missing, damaged or cut short: fetch or export it again$"),
    "cut MetaImage": (cut("a.mha"), r"its voxels are missing, damaged or cut short: fetch or export it again$"),
    "cut pair": (cut("a.hdr"), r"it has \d+ bytes of 210: fetch or export it again$"),
    "cut FreeSurfer": (cut("a.mgh"), r"it has \d+ bytes of \d+: fetch or export it again$"),
    "damaged NRRD": (
        other("a.nrrd", b"NRRD0004\ntype: nonsense\n\n"),
        r'couldn\'t parse type "nonsense"\): fetch or export it again$',
    ),
    "no MetaImage": (other("a.mha", b"hello"), r"its header is missing or damaged: fetch or export it again$"),
    "no NIfTI": (other("a.nii.gz", gzip.compress(b"hello")), r"cannot read .*a\.nii\.gz: "),
    "voxels alone": (other("a.img", b"0" * 500), r"cannot read .*a\.img: "),
    "a picture": (other("a.png", b"\x89PNG"), r"is none of NIfTI .* or DICOM: convert it to NIfTI$"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_says_why_without_words_of_itk(tmp_path, kind):
    write, message = REFUSED[kind]
    path = write(tmp_path)
    with pytest.raises(ValueError, match=message) as refusal:
        LoadScand("image")({"image": str(path)})
    text = str(refusal.value)
    assert str(path) in text
    assert "\n" not in text
    assert not any(word in text for word in ("itk", "ITK", ".cxx", "0x", "wrapped", "[nrrd]"))


@pytest.mark.parametrize("image_class", [nibabel.AnalyzeImage, nibabel.Spm99AnalyzeImage])
def test_analyze_is_read_with_a_warning_and_claims_no_more_than_it_did(tmp_path, caplog, image_class):
    (tmp_path / "case").mkdir()
    path = tmp_path / "case" / "a.img"
    affine = np.diag([-0.8, 0.9, 5.0, 1.0])
    affine[:3, 3] = 9, 8, 7
    nibabel.save(image_class(VOLUME, affine), path)
    with caplog.at_level(logging.WARNING):
        image = LoadScand("image")({"image": str(path)})["image"]
    assert [record.getMessage().startswith(f"{path} is Analyze 7.5") for record in caplog.records] == [True]
    np.testing.assert_allclose(image.affine.numpy(), nibabel.load(path).affine, atol=1e-4)
    result = nibabel.load(write_result(path, tmp_path / "out"))
    np.testing.assert_allclose(result.affine, nibabel.load(path).affine, atol=1e-4)
    # SPM's origin is a place of its own; plain Analyze has none.
    code = 2 if image_class is nibabel.Spm99AnalyzeImage else 0
    assert (int(result.header["sform_code"]), int(result.header["qform_code"])) == (code, code)


def test_a_pair_is_named_by_either_file(tmp_path):
    WRITERS["a.hdr"](tmp_path / "a.hdr")
    one, other = (LoadScand("image")({"image": str(tmp_path / name)})["image"] for name in ("a.hdr", "a.img"))
    np.testing.assert_array_equal(one.numpy(), other.numpy())
