"""Clean scans alone: the degraded partner is simulated, see ``bundle.tat.transforms.degradation.degrade``."""

from bundle.tat.data.datalist import Item, find_scan_paths
from bundle.tat.data.layouts.paired_folders import task_folders
from bundle.tat.refusal import RefusedInputError


def list_clean(root: str, modality: str | None = None, section: str | None = None, *, n_draws: int = 1) -> list[Item]:
    """List the scans of ``ROOT[/SECTION][/MODALITY]/NAME``.

    Args:
        root: folder with NIfTI or NRRD files or DICOM series.
        modality: of the scans, where no folder is named after one; otherwise the only folder to take.
        section: subfolder, such as ``training`` and ``validation``.
        n_draws: how often each scan is listed; each time it is degraded with other dose, counts and noise.

    Returns:
        Items with ``label`` (clean), ``draw`` (0, 1, ...) and, if it is known, ``modality``.

    Raises:
        RefusedInputError: a folder is missing or holds no scan, or ``n_draws`` is not positive.
    """
    if n_draws < 1:
        raise RefusedInputError(f"n_draws is {n_draws}: pass 1 or more")
    return [
        {"label": str(scan), "draw": draw, **({"modality": known} if known else {})}
        for folder, known in task_folders(root, modality, section)
        for scan in find_scan_paths(folder).values()
        for draw in range(n_draws)
    ]
