import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bundle.tat.dicom import open as dicom_open
from bundle.tat.dicom.open import looks_like_dicom, read_dicom_header, read_image
from tests.scans import blobs, edit_dicom, write_dicom_series


@pytest.fixture
def path(tmp_path):
    return write_dicom_series(tmp_path / "series", blobs((1, 6, 7), 0, 99))[0]


def deflate(path):
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.save_as(path)


@pytest.mark.parametrize("name", ["notes.txt", "IM0001", "picture.png"])
def test_what_does_not_say_that_it_is_dicom_is_none(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 200)
    assert read_dicom_header(tmp_path / name) is None
    assert not looks_like_dicom(tmp_path / name)


def test_names_do_not_matter_with_a_preamble(path):
    renamed = path.rename(path.with_name("IM0001"))
    assert read_dicom_header(renamed).rows == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda _: b"", r"is empty \(0 bytes\)"),
        (lambda _: b"hello", "has the name of a DICOM file but is none"),
        (lambda whole: b"MZ" + whole[2:], "begins like a program"),
        (lambda whole: b"\x7fELF" + whole[4:], "begins like a program"),
        (lambda whole: whole[: whole.index(b"MONOCHROME2")], "ends before its pixels"),
    ],
    ids=["empty", "text", "windows-program", "linux-program", "cut"],
)
def test_damaged_files_are_refused_in_one_sentence(path, content, message):
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as refusal:
        read_dicom_header(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_broken_link_is_refused(tmp_path):
    (tmp_path / "slice.dcm").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"slice\.dcm cannot be read: No such file"):
        read_dicom_header(tmp_path / "slice.dcm")


def test_a_deflated_file_is_read(path):
    pixels = read_image(path).PixelData
    deflate(path)
    assert read_dicom_header(path).rows == 6
    image = read_image(path)
    assert image.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert image.PixelData == pixels


def test_a_deflate_bomb_is_refused_before_it_goes_off(path, monkeypatch):
    monkeypatch.setattr(dicom_open, "MAX_INFLATED_BYTES", 4 << 20)
    edit_dicom(path, PixelData=b"\0" * (16 << 20))
    deflate(path)
    assert path.stat().st_size < 1 << 20
    monkeypatch.setattr(pydicom, "dcmread", lambda *_, **__: pytest.fail("inflated as a whole"))
    with pytest.raises(ValueError, match="inflates to more than 4 MiB"):
        read_dicom_header(path)


@pytest.mark.parametrize("name", ["a file with spaces.dcm", "Schädel-頭.dcm", "x" * 240 + ".dcm"])
def test_any_name_is_read(path, name):
    assert read_dicom_header(path.rename(path.with_name(name))).columns == 7
