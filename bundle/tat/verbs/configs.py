"""Which configs a verb runs: their only list."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from torch.distributed import is_torchelastic_launched

from bundle.tat.bundle_root import find_bundle_root
from bundle.tat.refusal import RefusedInputError

Workflow = Literal["inference", "train", "evaluate"]

_LAYOUTS: Final = "layouts/data_{}.json"


def config_files(
    workflow: Workflow, *, bundle_root: str | None = None, full: bool = False, layout: str | None = None
) -> list[str]:
    """The configs of a workflow, each laid over those before it.

    Args:
        workflow: what they are for.
        bundle_root: the bundle; ``None`` finds the one that this package belongs to, or the working directory.
        full: the paper's network instead of the small one, trained by the paper's recipe.
        layout: how the folder of the scans is laid out; ``None`` for a datalist.

    Returns:
        Absolute paths. The last is for several processes, where this one was started by ``torchrun``.

    Raises:
        RefusedInputError: the bundle is not found, or has no such layout.
    """
    folder = Path(bundle_root or find_bundle_root()).absolute() / "configs"
    if not (folder / "inference.json").is_file():
        raise RefusedInputError(
            f"there is no {folder / 'inference.json'}: start in the folder of the bundle, or pass --bundle_root"
        )
    names = ["inference.json" if workflow == "inference" else "train.json"]
    if workflow != "inference" and not full:
        names.append("small.json")
    if workflow == "train" and not full:
        names.append("augmented.json")
    if layout is not None:
        names.append(_layout(folder, str(layout)))
    if workflow == "evaluate":
        names.append("evaluate.json")
    if is_torchelastic_launched():
        names.append(f"multi_gpu_{workflow}.json")
    return [str(folder / name) for name in names]


def _layout(folder: Path, layout: str) -> str:
    """The overlay of a layout."""
    known = sorted(path.stem.removeprefix("data_") for path in folder.glob(_LAYOUTS.format("*")))
    if layout not in known:
        raise RefusedInputError(f"layout is {layout!r}: pass one of {', '.join(known)}")
    return _LAYOUTS.format(layout)
