"""Scans to restore, each with the name that its result goes by."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from monai.data import Dataset

from bundle.tat.formats import name_cases


class CaseDataset(Dataset):
    """MONAI's ``Dataset`` of cases: a list of paths is enough, whoever made it.

    Args:
        data: entries with ``image``, and perhaps ``case`` and ``modality``; from ``find_scans``, or a list of one's own.
        transform: reads and prepares an entry.

    Raises:
        RefusedInputError: see ``name_cases``.
    """

    def __init__(
        self, data: Iterable[Mapping[str, Any]], transform: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__(name_cases(data), transform)
