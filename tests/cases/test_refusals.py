import errno
import sys

import pytest
import torch
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from monai.handlers import StatsHandler
from monai.transforms import Compose
from torch.utils.data import DataLoader, Dataset

from bundle.tat.cases.refusals import explain_failure, find_refusal, is_output_lost, show_in_one_line
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source


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


def test_an_error_that_is_its_own_cause_is_told_once():
    error = ValueError("x")
    error.__cause__ = error
    assert find_refusal(error) is None
    assert explain_failure(error) is None
    assert not is_output_lost(error)


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


def refuse(_: object) -> None:
    """A transform that says which scan it is about, as all do."""
    with naming_source(MetaTensor(torch.zeros(1), meta={"filename_or_obj": "a.nii.gz"})):
        raise RefusedInputError("a bad scan")


class Scans(Dataset):
    """One scan, read by ``read``."""

    def __init__(self, read):
        self.read = read

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.read(index)


@pytest.mark.parametrize("read", [refuse, Compose([refuse])], ids=["plain", "composed"])
@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_refusal_comes_whole_out_of_a_process_that_loads_data(read, n_workers):
    with pytest.raises((RefusedInputError, RuntimeError)) as caught:
        list(DataLoader(Scans(read), num_workers=n_workers))
    assert str(find_refusal(caught.value)) == "a.nii.gz: a bad scan"


def divide(_: object) -> float:
    return 1 / 0


def test_an_error_of_the_program_in_such_a_process_is_no_refusal():
    with pytest.raises(ZeroDivisionError) as caught:
        list(DataLoader(Scans(divide), num_workers=1))
    assert find_refusal(caught.value) is None


def test_engines_and_handlers_do_not_echo_a_refusal(shown, caplog):
    """Ignite logs it, and MONAI's handler with its traceback, before it reaches the user."""
    evaluator = SupervisedEvaluator(
        device="cpu", val_data_loader=[0], network=torch.nn.Identity(), val_handlers=[StatsHandler(iteration_log=False)]
    )
    evaluator._process_function = lambda *_: refuse(0)
    loggers = [StatsHandler().logger, evaluator.logger]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    with pytest.raises(RefusedInputError) as caught:
        evaluator.run()
    for logger in loggers:
        logger.removeHandler(caplog.handler)
    assert "a bad scan" not in caplog.text
    assert shown(caught.value) == "refused: a.nii.gz: a bad scan\n"
