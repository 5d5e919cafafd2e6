"""Who may send what, and what the log tells of it."""

import logging
import socket
import sqlite3
import ssl
import subprocess

import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE
from pynetdicom.sop_class import SecondaryCaptureImageStorage

from bundle.tat.node import listener
from bundle.tat.node import receiver as module
from bundle.tat.node.settings import Limits, TlsFiles, read_networks
from tests.dicom_sources import PATIENT_NAME, compress_rle
from tests.node.network import Archive, associate, send, series, states
from tests.node.steps import Steps

CT = "1.2.840.10008.5.1.4.1.1.2"
# pynetdicom leaves the socket of a connection that fails for the collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


def answer(one: Steps, image: Dataset) -> Dataset:
    association = associate(one.port)
    try:
        return association.send_c_store(image)
    finally:
        association.release()


def test_echo_is_answered(steps):
    association = associate(steps().port, classes=())
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize(
    ("caller", "called", "is_accepted"),
    [
        ("CT1", "TAT", True),
        ("PACS", "TAT", True),
        ("CT2", "TAT", False),
        ("CT1", "OTHER", False),
        ("ct1", "TAT", False),
    ],
)
def test_titles_that_are_not_named_are_refused(steps, caller, called, is_accepted):
    one = steps(allow_ae=("CT1", "PACS"))
    association = associate(one.port, caller=caller, called=called)
    assert association.is_established is is_accepted
    assert association.is_rejected is not is_accepted
    association.release() if is_accepted else None
    assert one.node.counters["associations_refused_total"] == (not is_accepted)


@pytest.mark.parametrize(("networks", "is_accepted"), [("127.0.0.0/8", True), ("::1,192.0.2.0/24", False)])
def test_addresses_that_are_not_named_are_dropped_unread(steps, networks, is_accepted):
    one = steps(allow_address=read_networks(networks))
    association = associate(one.port)
    assert association.is_established is is_accepted
    association.release() if is_accepted else None
    assert one.node.counters["associations_refused_total"] == (not is_accepted)


def test_no_more_associations_than_allowed(steps):
    one = steps(limits=Limits(min_free=0, max_associations=2))
    held = [associate(one.port) for _ in range(2)]
    assert all(association.is_established for association in held)
    third = associate(one.port)
    assert third.is_rejected
    for association in held:
        association.release()
    one.wait_for_callers()
    again = associate(one.port)
    assert again.is_established
    again.release()


def test_classes_that_are_not_restored_are_not_accepted(steps):
    association = associate(steps().port, classes=[CT, SecondaryCaptureImageStorage])
    assert [str(context.abstract_syntax) for context in association.rejected_contexts] == [SecondaryCaptureImageStorage]
    association.release()


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_each_syntax_that_is_read_is_taken(steps, syntax):
    one = steps()
    ae = AE("CT1")
    ae.add_requested_context(CT, syntax)
    association = ae.associate("127.0.0.1", one.port, ae_title="TAT")
    assert [str(context.transfer_syntax[0]) for context in association.accepted_contexts] == [syntax]
    association.release()


def test_a_nearly_full_disk_is_told_and_is_taken_up_again(steps, tmp_path):
    free = [10_000_000]
    one = steps(limits=Limits(min_free=5_000_000), free_bytes=lambda: free[0])
    paths = series(tmp_path / "in")
    assert send(one.port, paths[:1]) == [0]
    free[0] = 5_000_100
    said = answer(one, pydicom.dcmread(paths[1]))
    assert (said.Status, said.ErrorComment) == (0xA700, "the disk is nearly full")
    assert one.queue.jobs()[0].n_instances == 1
    assert not list(one.node.files.incoming.iterdir())
    free[0] = 10_000_000
    assert send(one.port, paths) == [0, 0, 0]
    assert one.queue.jobs()[0].n_instances == 3


def test_a_full_disk_leaves_no_file_behind(steps, tmp_path, monkeypatch):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    place = module.NodeFiles.keep

    def keep(self, *args):
        place(self, *args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.NodeFiles, "keep", keep)
    said = answer(one, pydicom.dcmread(path))
    assert (said.Status, said.ErrorComment) == (0xA700, "the disk is full")
    assert states(one.queue) == []
    monkeypatch.undo()
    assert send(one.port, [path]) == [0]


def test_objects_and_series_that_are_too_large_are_refused(steps, tmp_path):
    one = steps(limits=Limits(min_free=0, max_instance=10_000, max_series=8_000))
    paths = series(tmp_path / "in", n_slices=4, size=30)  # 1,800 bytes of pixels and a header each
    (large,) = series(tmp_path / "large", 2, n_slices=1, size=72)  # 10,368
    statuses = send(one.port, paths)
    assert statuses[0] == 0
    assert statuses[-1] == 0xA700
    assert one.queue.jobs()[0].n_bytes <= 8_000
    assert answer(one, pydicom.dcmread(large)).Status == 0xA700


def test_an_object_that_does_not_end_is_cut_off(steps, tmp_path):
    one = steps(limits=Limits(min_free=0, max_instance=10_000))
    (huge,) = series(tmp_path / "in", n_slices=1, size=1024)
    association = associate(one.port)
    association.dimse_timeout = 1.0  # pynetdicom waits so long for an answer, though the association has ended
    said = association.send_c_store(pydicom.dcmread(huge))
    assert "Status" not in said
    assert states(one.queue) == []
    one.wait_for_callers()
    assert send(one.port, series(tmp_path / "small", 2, n_slices=1)) == [0]


@pytest.mark.parametrize("missing", ["SeriesInstanceUID", "StudyInstanceUID", "Rows"])
def test_what_cannot_be_sorted_is_refused(steps, tmp_path, missing):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    image = pydicom.dcmread(path)
    delattr(image, missing)
    assert answer(one, image).Status == 0xC000
    assert states(one.queue) == []
    assert not list(one.node.files.incoming.iterdir())


def test_an_object_that_is_another_than_the_request_says_is_refused(steps, tmp_path, monkeypatch):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    association = associate(one.port)
    send_msg = association.dimse.send_msg

    def rename(request, context):
        request.AffectedSOPInstanceUID = "1.2.3.99"
        send_msg(request, context)

    monkeypatch.setattr(association.dimse, "send_msg", rename)
    assert association.send_c_store(pydicom.dcmread(path)).Status == 0xA900
    association.release()
    assert states(one.queue) == []


def test_what_a_peer_sends_becomes_no_path(steps, tmp_path):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    image = pydicom.dcmread(path)
    with pytest.warns(UserWarning, match="Invalid value for VR UI"):
        image.SeriesInstanceUID = "../../escape"
    image.StudyInstanceUID = "1.2"
    association = associate(one.port, caller="../../CT1")
    association.send_c_store(image)
    association.release()
    names = {file.relative_to(one.node.files.folder).as_posix() for file in one.node.files.received.rglob("*.dcm")}
    assert len(names) == 1
    assert names.pop().startswith("received/1/")
    assert not list(tmp_path.rglob("*escape*"))


def test_another_object_under_a_known_uid_is_refused_and_the_first_stays(steps, tmp_path):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    assert send(one.port, [path]) == [0]
    image = pydicom.dcmread(path)
    image.PatientName = "Other^Name"
    said = answer(one, image)
    assert said.Status == module.DUPLICATE
    (kept,) = one.node.files.received.glob("*/*.dcm")
    assert pydicom.dcmread(kept).PatientName == PATIENT_NAME


def send_in(port: int, image: Dataset, syntax: str) -> int:
    """Send an object in a transfer syntax; returns the status of the answer."""
    ae = AE("PACS")
    ae.add_requested_context(CT, syntax)
    association = ae.associate("127.0.0.1", port, ae_title="TAT")
    try:
        return association.send_c_store(image).Status
    finally:
        association.release()


@pytest.mark.parametrize("change", ["nothing", "a pixel", "the name", "what cannot be decoded"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless])
def test_an_object_in_another_encoding_is_the_same_if_all_of_it_is(steps, tmp_path, syntax, change):
    one = steps()
    (path,) = series(tmp_path / "in", n_slices=1)
    assert send(one.port, [path]) == [0]
    again = pydicom.dcmread(path)
    if change == "a pixel":
        again.PixelData = again.PixelData[:-2] + b"\1\1"
    if change == "the name":
        again.PatientName = "Other^Name"
    if syntax == RLELossless:
        compress_rle(again)
    if change == "what cannot be decoded":
        again.PixelData = encapsulate([b"\1" * 70]) if syntax == RLELossless else again.PixelData[:-20]
    expected = 0 if change == "nothing" else module.DUPLICATE
    assert send_in(one.port, again, syntax) == expected
    assert one.queue.jobs()[0].n_instances == 1
    assert not list(one.node.files.incoming.iterdir())
    (kept,) = one.node.files.received.glob("*/*.dcm")
    assert pydicom.dcmread(kept) == pydicom.dcmread(path)


def break_off(association) -> None:
    """Close the connection without a word."""
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    association.kill()


@pytest.mark.parametrize("leave", [lambda association: association.abort(), break_off])
def test_a_series_that_broke_off_waits_for_its_sender(steps, tmp_path, archive, caplog, leave):
    caplog.set_level(logging.INFO, "bundle.tat")
    one = steps()
    paths = series(tmp_path / "in")
    association = associate(one.port)
    assert [association.send_c_store(pydicom.dcmread(path)).Status for path in paths[:2]] == [0, 0]
    leave(association)
    one.complete()
    assert states(one.queue) == ["incomplete"]
    assert "job 1: incomplete: received 2 objects, 0.0 MB, from CT1, but the connection of CT1 broke off" in caplog.text
    assert not one.node.restore_next()
    assert send(one.port, paths[2:]) == [0]
    one.complete()
    one.finish()
    assert states(one.queue) == ["done"]
    assert one.copies.restored == [(1, 3)]
    assert one.copies.remarks == [""]
    assert len(archive.came) == 3


def test_a_series_whose_sender_was_connected_when_the_node_was_killed_is_incomplete(steps, tmp_path):
    first = steps()
    paths = series(tmp_path / "in")
    association = associate(first.port)
    association.send_c_store(pydicom.dcmread(paths[0]))
    second = steps(clock=first.clock)  # the first one says nothing more
    second.complete()
    assert states(second.queue) == ["incomplete"]
    association.abort()
    send(second.port, paths)
    second.complete()
    assert states(second.queue) == ["waiting"]


def test_a_release_is_on_the_disk_when_it_is_answered(steps, tmp_path):
    one = steps()
    send(one.port, series(tmp_path / "in"))
    assert one.queue._connection.execute("SELECT count(*) FROM delivery").fetchone() == (0,)


@pytest.mark.parametrize("is_full", [False, True])
def test_a_series_of_which_objects_were_refused_waits_for_them(steps, tmp_path, monkeypatch, is_full):
    free = [10_000_000]
    one = steps(limits=Limits(min_free=5_000_000), free_bytes=lambda: free[0])
    paths = series(tmp_path / "in", n_slices=4)
    association = associate(one.port)
    assert association.send_c_store(pydicom.dcmread(paths[0])).Status == 0
    free[0] = 5_000_100
    with monkeypatch.context() as patched:
        if is_full:  # the queue cannot even note it
            patched.setattr(one.queue, "miss", fail_of_disk)
        assert [association.send_c_store(pydicom.dcmread(path)).Status for path in paths[1:3]] == [0xA700] * 2
        association.release()
        one.wait_for_callers()
        one.clock.pass_by(3600)
        if is_full:
            with pytest.raises(sqlite3.OperationalError):
                one.node.complete_series()
            assert states(one.queue) == ["receiving"]
    one.complete()
    (job,) = one.queue.jobs()
    assert (job.state, job.reason) == ("incomplete", "2 objects were refused (status A700)")
    free[0] = 10_000_000
    assert send(one.port, paths) == [0] * 4
    one.complete()
    one.finish()
    assert one.copies.restored == [(1, 4)]


def fail_of_disk(*_) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_a_series_beyond_its_bound_is_incomplete_and_restored_with_a_word_if_asked_for(steps, tmp_path):
    one = steps(limits=Limits(min_free=0, max_series=8_000))
    assert 0xA700 in send(one.port, series(tmp_path / "in", n_slices=4, size=30))
    one.complete()
    (job,) = one.queue.jobs()
    assert (job.state, job.reason.endswith("refused (status A700)")) == ("incomplete", True)
    one.queue.retry(1)
    one.finish()
    assert one.copies.remarks == [f"the series may be incomplete: {job.reason}"]
    assert one.queue.jobs()[0].state == "done"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_damaged_object_is_missing_from_its_series(steps, tmp_path, syntax):
    one = steps()
    assert send(one.port, series(tmp_path / "in", n_slices=2)[:1]) == [0]
    damaged = pydicom.dcmread(series(tmp_path / "other", n_slices=2, syntax=syntax)[1])
    del damaged.Rows
    assert send_in(one.port, damaged, syntax) == module.CANNOT_UNDERSTAND
    one.complete()
    assert one.queue.jobs()[0].reason == "1 object was refused (status C000)"


def test_a_caller_that_falls_silent_is_dropped_and_its_series_restored_with_a_word(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", 1.0)
    one = steps()
    association = associate(one.port)
    association.send_c_store(pydicom.dcmread(series(tmp_path / "in")[0]))
    one.complete()  # waits until the node has dropped it
    assert association.is_aborted or not association.is_established
    one.finish()
    assert one.copies.remarks == ["the series may be incomplete: CT1 stopped sending"]


def test_the_system_asks_callers_whether_they_are_there(steps):
    one = steps()
    association = associate(one.port)
    (taken,) = one.node.receiver._listener.active_associations
    connection = taken.dul.socket.socket
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    asked = [connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name, _ in listener._KEEP_ALIVE]
    idle, interval, n_times = asked
    assert idle + interval * n_times < module._TIMEOUT
    association.release()


def test_the_log_tells_nothing_of_a_patient(steps, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG, "bundle.tat")
    one = steps(limits=Limits(min_free=0, max_series=9_000))
    paths = series(tmp_path / "in", n_slices=9, size=20)
    image = pydicom.dcmread(paths[0])
    secrets = {str(element.value) for element in image if element.tag.group == 0x10 and len(str(element.value)) > 3}
    secrets |= {str(image[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    assert len(secrets) > 4
    statuses = send(one.port, paths)
    assert 0 in statuses
    assert 0xA700 in statuses
    one.complete()
    one.queue.retry(1)  # what was refused is missing
    one.copies.errors = [ValueError(str(image.PatientName))]
    one.node.restore_next()
    shown = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("bundle.tat"))
    shown += "".join(capfd.readouterr())
    assert "job 1" in shown
    assert [secret for secret in secrets if secret in shown] == []


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Files of two nodes whose authority is the same, and of one with another."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607

    for authority in ("ca", "other_ca"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{authority}.key", "-out",
                f"{authority}.pem", "-days", "2", "-subj", f"/CN={authority}")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, authority in (("node", "ca"), ("peer", "ca"), ("stranger", "other_ca")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "san")  # fmt: skip
    return folder


def client(certificates, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if name:
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


def tls_files(certificates) -> TlsFiles:
    return TlsFiles(certificates / "node.pem", certificates / "node.key", certificates / "ca.pem")


@pytest.mark.parametrize(("name", "is_taken"), [("peer", True), ("stranger", False), (None, False)])
def test_tls_takes_callers_whom_the_authority_knows(steps, certificates, tmp_path, name, is_taken):
    one = steps(tls=tls_files(certificates))
    association = associate(one.port, tls_args=(client(certificates, name), "127.0.0.1"))
    assert association.is_established is is_taken
    if is_taken:
        assert association.send_c_store(pydicom.dcmread(series(tmp_path / "in")[0])).Status == 0
        association.release()


def test_a_caller_without_tls_is_not_answered(steps, certificates):
    one = steps(tls=tls_files(certificates))
    assert not associate(one.port).is_established


def test_a_silent_caller_keeps_nobody_out_of_tls(steps, certificates):
    one = steps(tls=tls_files(certificates))
    with socket.create_connection(("127.0.0.1", one.port)):
        association = associate(one.port, tls_args=(client(certificates, "peer"), "127.0.0.1"))
        assert association.is_established
        association.release()


def test_results_go_out_over_tls(steps, certificates, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "peer.pem", certificates / "peer.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    archive = Archive(tls=context)
    one = Steps(tmp_path / "to_tls", archive, tls=tls_files(certificates))
    try:
        association = associate(one.port, tls_args=(client(certificates, "peer"), "127.0.0.1"))
        for path in series(tmp_path / "in"):
            assert association.send_c_store(pydicom.dcmread(path)).Status == 0
        association.release()
        one.complete()
        one.node.restore_next(), one.node.send_next()
        assert states(one.queue) == ["done"]
        assert len(archive.came) == 3
    finally:
        one.end(), archive.stop()
