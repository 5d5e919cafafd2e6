"""What goes out, and what each answer means."""

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from bundle.tat.node.receiver import STORAGE_CLASSES
from bundle.tat.node.sender import ReceiverSilentError, RejectedError, Sender
from bundle.tat.node.settings import NodeSettings
from tests.dicom_sources import save
from tests.node.network import Archive, series, settings_of

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


def send(archive: Archive, tmp_path, files, *, is_stopped=lambda: False) -> list:
    sent = []
    Sender(settings_of(tmp_path / "node", archive)).send(files, sent.append, is_stopped=is_stopped)
    return sent


def of_class(path, sop_class: str):
    image = pydicom.dcmread(path)
    image.SOPClassUID = sop_class
    save(image, path)
    return path


@pytest.mark.parametrize("sop_class", STORAGE_CLASSES)
def test_each_class_has_its_context(archive, tmp_path, sop_class):
    paths = [of_class(path, sop_class) for path in series(tmp_path / "in")]
    assert send(archive, tmp_path, paths) == paths
    assert archive.syntaxes == {EXPLICIT}
    assert {str(image.SOPClassUID) for image in archive.images.values()} == {sop_class}


def test_objects_of_several_classes_go_in_one_association(archive, tmp_path):
    paths = series(tmp_path / "in")
    of_class(paths[0], ENHANCED_CT)
    assert send(archive, tmp_path, paths) == paths


def test_a_receiver_of_implicit_vr_gets_that(tmp_path):
    archive = Archive(classes=())
    archive.stop()
    archive._ae.add_supported_context(CT, IMPLICIT)
    archive.start()
    assert len(send(archive, tmp_path, series(tmp_path / "in"))) == 3
    assert archive.syntaxes == {IMPLICIT}
    archive.stop()


@pytest.mark.parametrize("classes", [[CT], ["1.2.840.10008.5.1.4.1.1.7"]])
def test_a_class_that_the_receiver_does_not_take_is_named(tmp_path, classes):
    archive = Archive(classes=classes)
    paths = [of_class(path, ENHANCED_CT) for path in series(tmp_path / "in")]
    with pytest.raises(RejectedError, match="the receiver accepts none of Enhanced CT Image Storage"):
        send(archive, tmp_path, paths)
    archive.stop()


def test_one_of_two_classes_that_is_not_taken_is_named(tmp_path):
    archive = Archive(classes=[CT])
    paths = series(tmp_path / "in")
    of_class(paths[2], ENHANCED_CT)
    with pytest.raises(RejectedError, match="the receiver does not accept Enhanced CT Image Storage"):
        send(archive, tmp_path, paths)
    assert len(archive.came) == 2
    archive.stop()


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_a_success(archive, tmp_path, status):
    archive.answers = [status]
    assert len(send(archive, tmp_path, series(tmp_path / "in"))) == 3


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (0xA700, ReceiverSilentError, r"out of resources \(status A700\)"),
        (0xA900, RejectedError, "status A900"),
        (0xC001, RejectedError, "status C001"),
        (0x0122, RejectedError, "status 0122"),
    ],
)
def test_what_a_failure_means(archive, tmp_path, status, error, message):
    archive.answers = [0x0000, status]
    paths, sent = series(tmp_path / "in"), []
    with pytest.raises(error, match=message):
        Sender(settings_of(tmp_path / "node", archive)).send(paths, sent.append, is_stopped=lambda: False)
    assert sent == paths[:1]


def test_a_receiver_that_is_off(archive, tmp_path):
    archive.stop()
    with pytest.raises(ReceiverSilentError, match="does not answer"):
        send(archive, tmp_path, series(tmp_path / "in"))
    archive.start()


def test_a_receiver_that_does_not_know_us(archive, tmp_path):
    settings = NodeSettings(tmp_path / "node", archive.place._replace(ae_title="OTHER"))
    with pytest.raises(ReceiverSilentError, match="does not accept the association"):
        Sender(settings).send(series(tmp_path / "in"), list, is_stopped=lambda: False)


def test_a_node_that_is_told_to_end_stops_between_two_objects(archive, tmp_path):
    answers = iter([False, True])
    assert len(send(archive, tmp_path, series(tmp_path / "in"), is_stopped=lambda: next(answers))) == 1
