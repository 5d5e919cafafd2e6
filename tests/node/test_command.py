"""The words of ``tat serve``."""

import sys

import pytest

from bundle.tat.node.clock import Clock
from bundle.tat.node.files import NodeFiles
from bundle.tat.node.job_queue import JobQueue
from bundle.tat_command import main
from tests.configs.conftest import foreign_directory, weights  # noqa: F401 - the fixtures
from tests.node.test_job_queue import add, instance


def refusal(words: str, capsys) -> str:
    assert main(["serve", *words.split()]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "refused: send_to is None: name the receiver as HOST:PORT:AE"),
        ("--send-to here", "refused: send_to is 'here'"),
        ("--send-to 127.0.0.1:104:A --bind 0.0.0.0", "refused: bind is 0.0.0.0, which other computers reach"),
        ("--send-to 127.0.0.1:104:A --port 99999", "refused: port is 99999: pass a whole number from 0 to 65535"),
        ("--send-to 127.0.0.1:104:A --tls_key k.pem", "refused: TLS needs three files, and tls_cert is missing"),
        ("--send-to 127.0.0.1:104:A --any_slices", "refused: any_slices is no id of inference.json"),
        ("--send-to 127.0.0.1:104:A --output_dir x", "refused: output_dir is set by tat serve itself"),
        ("--status --folder gone", "holds no queue: pass --folder of a node that has run"),
        ("--retry 3 --folder gone", "holds no queue"),
        ("--folder --status", "refused: --folder needs a value: --folder DIR"),
        ("--send-to a..b:104:A", "refused: the host of send_to is 'a..b'"),
        ("--retry three", "refused: retry is 'three': pass a whole number"),
    ],
)
def test_words_are_refused_in_one_line(foreign_directory, capsys, words, message):  # noqa: F811
    assert message in refusal(words, capsys)


def test_without_pynetdicom_the_extra_is_named(foreign_directory, capsys, monkeypatch):  # noqa: F811
    for name in [one for one in sys.modules if one.partition(".")[0] == "pynetdicom"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("receiver", "sender", "listener", "service"):
        monkeypatch.delitem(sys.modules, f"bundle.tat.node.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    shown = refusal("--send-to 127.0.0.1:104:A --folder node", capsys)
    assert shown == "refused: tat serve needs pynetdicom: pip install '.[node]' in the bundle's folder\n"


def test_a_folder_that_another_node_has_is_refused_before_weights_are_loaded(foreign_directory, capsys):  # noqa: F811
    pytest.importorskip("pynetdicom", reason="the extra node is not installed: pip install '.[node]'")
    words = ["serve", "--send-to", "127.0.0.1:104:A", "--folder", "node", "--ckpt_path", "gone.pt"]
    with NodeFiles(foreign_directory / "node").owned():
        assert main(words) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("refused: another tat serve has the folder")
    assert "gone.pt" not in shown
    assert main(words) == 1
    assert "gone.pt" in capsys.readouterr().err


def test_status_and_retry_need_no_network(foreign_directory, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    queue = JobQueue(NodeFiles(foreign_directory / "node").queue, Clock())
    add(queue, instance(1))
    queue.refuse(1, "another unit")
    assert main(["serve", "--status", "--folder", "node"]) == 0
    assert "1 refused" in capsys.readouterr().out
    assert main(["serve", "--retry", "1", "--folder", "node"]) == 0
    assert capsys.readouterr().out == "job 1 was refused and is in the queue again\n"
    assert queue.jobs()[0].state == "waiting"
    queue.close()
