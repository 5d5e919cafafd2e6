"""How far a run over many cases has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from bundle.tat.data.datalist import IMAGE_KEY, SERIES_KEY
from bundle.tat.data.scan_info import read_scan_info
from bundle.tat.formats import is_volume
from bundle.tat.inferers.slices import RestorationSliceInferer
from bundle.tat.refusal import RefusedInputError


class RunProgress:
    """One progress bar for all slices of a run, with the time that is left for all of them.

    Args:
        n_slices: slices of each case; 0 where the number is not known, and it is counted when the case has been read.
        bar: the bar, in slices.
    """

    def __init__(self, n_slices: Sequence[int], bar: tqdm) -> None:
        self._ahead = list(n_slices)
        self._n_cases = len(n_slices)
        self._bar = bar
        self._set_total()

    def begin(self, index: int) -> None:
        """Show that a case is being read."""
        self._describe(index, "reading")

    def restore(self, index: int, n_slices: int) -> None:
        """Show that a case has been read and is being restored, and count its slices."""
        self._ahead[index] = 0
        self._set_total(n_slices)
        self._describe(index, "restoring")

    def save(self, index: int) -> None:
        """Show that the slices of a case have been restored and are being saved."""
        self._describe(index, "saving")

    def end(self, index: int) -> None:
        """Note that a case has ended, restored or not."""
        self._ahead[index] = 0
        self._set_total()

    def _describe(self, index: int, doing: str) -> None:
        self._bar.set_description(f"case {index + 1} of {self._n_cases}, {doing}")

    def _set_total(self, n_now: int = 0) -> None:
        self._bar.total = self._bar.n + n_now + sum(self._ahead)
        self._bar.refresh()


@contextmanager
def one_bar(inferer: RestorationSliceInferer, n_slices: Sequence[int]) -> Iterator[RunProgress]:
    """Let an inferer count the slices of a run on one bar, if it shows progress.

    Args:
        inferer: has the bar inside this context.
        n_slices: as for ``RunProgress``.
    """
    is_shown = inferer.show_progress
    # Lines of the log go above the bar, not into it.
    above = logging_redirect_tqdm() if is_shown else nullcontext()
    with above, tqdm(total=sum(n_slices), unit="slice", disable=not is_shown) as bar:
        inferer.bar = bar
        try:
            yield RunProgress(n_slices, bar)
        finally:
            inferer.bar = None


def count_slices(item: Mapping[str, Any], slice_axis: int) -> int:
    """Slices of a case, as far as its header or the list says.

    Args:
        item: entry of a datalist.
        slice_axis: array axis that they are stacked along, not negative.

    Returns:
        Their number; 0 when it is not known.
    """
    series = item.get(SERIES_KEY)
    if series is not None:
        return (series.headers[0].columns, series.headers[0].rows, len(series.headers))[slice_axis]
    path = Path(str(item[IMAGE_KEY]))
    if not is_volume(path):
        return 0  # the list was made without a look into its series
    try:
        shape = read_scan_info(path).shape
    except RefusedInputError:
        return 0  # it is refused when it is to be read
    return shape[slice_axis] if slice_axis < len(shape) else 1
