import subprocess
import sys

import pytest

from bundle.tat.engines.refusals import find_refusal
from bundle.tat.refusal import RefusedInputError

PROGRAM = """
from bundle.tat.engines.refusals import show_in_one_line
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
