import errno
import subprocess
import sys

import pytest
import torch

from bundle.tat.cases.refusals import explain_failure, find_refusal, is_output_lost
from bundle.tat.refusal import RefusedInputError

PROGRAM = """
from bundle.tat.cases.refusals import show_in_one_line
from bundle.tat.refusal import RefusedInputError
show_in_one_line()
try:
    raise {inner}
except ValueError as error:
    raise RuntimeError("wrapped") from error
"""


def run(inner: str) -> subprocess.CompletedProcess:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM.format(inner=inner)], capture_output=True, text=True, check=False
    )


def test_a_refusal_is_one_line_and_the_exit_code_says_so():
    result = run("RefusedInputError('a bad scan')")
    assert result.stderr == "refused: a bad scan\n"
    assert result.returncode == 1


def test_other_errors_keep_their_traceback():
    result = run("ValueError('a bug')")
    assert "Traceback" in result.stderr
    assert "ValueError: a bug" in result.stderr
    assert result.returncode == 1


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
