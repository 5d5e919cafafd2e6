"""Restoring the objects of one job, with the case runner of ``tat restore``."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from bundle.tat.atomic import flush_folder
from bundle.tat.cases.refusals import is_output_lost
from bundle.tat.data.datalist import CASE_KEY, IMAGE_KEY, REMARK_KEY, SERIES_KEY, Item
from bundle.tat.dicom.study import StudyContents, list_study
from bundle.tat.engines.case_runner import failed_row
from bundle.tat.inference_config import InferenceConfig
from bundle.tat.refusal import RefusedInputError
from bundle.tat.walk import Walked

# Reasons that a job names; the rest are counted.
_N_REASONS: Final = 3


class Restored(NamedTuple):
    """The result of restoring a job.

    Args:
        files: derived objects, in their order.
        n_volumes: volumes that were restored.
        refused: why others were refused, a sentence each.
    """

    files: list[Path]
    n_volumes: int
    refused: list[str]

    @property
    def reason(self) -> str:
        """The first refusals in one line; empty where there is none."""
        more = len(self.refused) - _N_REASONS
        return "; ".join([*self.refused[:_N_REASONS], *([f"and {more} more"] if more > 0 else [])])


class DiskFullError(Exception):
    """A result cannot be written, and no other could."""


class Restorer(Protocol):
    """Restores the objects of a job."""

    def restore(self, job: int, files: Sequence[Path], remark: str = "") -> Restored:
        """Restore a job; what an earlier try has finished is kept.

        Args:
            job: its number.
            files: its objects.
            remark: a remark about the source that is written into the results; empty for none.

        Returns:
            The derived objects, and the refusals.

        Raises:
            DiskFullError: a result cannot be written.
        """


class SeriesRestorer:
    """Restores as ``tat restore`` does.

    Args:
        results: folder of the results, ``<job>-<volume>`` each.
        received: folder that the objects are in.
        bundle_root: as for ``InferenceConfig``.
        **ids: as for ``InferenceConfig``.

    Raises:
        RefusedInputError: as for ``InferenceConfig``.
    """

    def __init__(self, results: Path, received: Path, *, bundle_root: str | None = None, **ids: object) -> None:
        self._results = results
        self._received = received
        # No bar: the log of a service is no terminal.
        own = {"output_dir": str(results), "inferer#progress": False}
        self._runner = InferenceConfig(bundle_root, **{**ids, **own}).runner

    def restore(self, job: int, files: Sequence[Path], remark: str = "") -> Restored:
        """See ``Restorer``."""
        study = list_study(self._received, Walked(sorted(files), [], []))
        restored = Restored([], 0, [f"{one.name}: {one.reason}" for one in study.skipped])
        for item in _items(job, study, remark):
            try:
                self._runner.save(self._runner.restore(self._runner.prepare(self._runner.read(item))))
            except Exception as error:
                if is_output_lost(error):
                    raise DiskFullError from error
                restored.refused.append(failed_row(item[CASE_KEY], "", error).message)
                gc.collect()  # an error may hold volumes, in a circle
                continue
            folder = self._results / item[CASE_KEY]
            flush_folder(self._results)
            restored.files.extend(sorted(folder.glob("*.dcm")))
            restored = restored._replace(n_volumes=restored.n_volumes + 1)
        return restored


def _items(job: int, study: StudyContents, remark: str) -> list[Item]:
    """The volumes of a job as entries of a datalist, named after the job."""
    if not study.series and not study.skipped:
        raise RefusedInputError("the job holds no object: send its series again")
    return [
        {
            IMAGE_KEY: [str(file) for file in series.files],
            SERIES_KEY: series,
            CASE_KEY: f"{job}-{number}",
            REMARK_KEY: remark,
        }
        for number, series in enumerate(study.series, start=1)
    ]
