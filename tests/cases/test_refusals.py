import errno
import sys

import pytest
import torch

from bundle.tat.cases.refusals import explain_failure, find_refusal, is_output_lost, show_in_one_line
from bundle.tat.refusal import RefusedInputError


@pytest.fixture
def shown(monkeypatch, capsys):
    """What the process shows of its last error."""

    def show(error: BaseException) -> str:
        sys.excepthook(type(error), error, error.__traceback__)
        return capsys.readouterr().err

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    show_in_one_line()
    return show


def test_a_refusal_is_one_line(shown):
    assert shown(caused_by(RefusedInputError("a bad scan"))) == "refused: a bad scan\n"


def test_other_errors_keep_their_traceback(shown):
    text = shown(caused_by(ValueError("a bug")))
    assert "Traceback" in text
    assert "ValueError: a bug" in text


def test_the_first_refusal_of_a_chain_is_found():
    refusal = RefusedInputError("x")
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("outer") from refusal
    assert find_refusal(caught.value) is refusal
    assert find_refusal(ValueError("y")) is None


def caused_by(cause: BaseException) -> RuntimeError:
    """An error as MONAI raises it, with its cause."""
    try:
        raise RuntimeError("applying transform") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("cause", [MemoryError(), torch.OutOfMemoryError("no memory left")])
def test_lack_of_memory_is_about_the_scan(cause):
    assert "the memory is too small" in str(explain_failure(caused_by(cause)))


def test_a_refusal_is_about_the_scan_and_other_errors_are_not():
    assert explain_failure(caused_by(RefusedInputError("a bad scan"))) == "a bad scan"
    assert explain_failure(caused_by(TypeError("a bug"))) is None


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, True), (errno.EROFS, True), (errno.ENOENT, False)])
def test_a_full_disk_is_about_all_scans(number, expected):
    assert is_output_lost(caused_by(OSError(number, "why"))) is expected
