"""The identity of a training: its data, weights and settings, so that it is not continued as another training."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from monai.utils import ensure_tuple

from bundle.tat.file_digest import file_sha256, sampled_digest
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError

Identity = dict[str, Any]

# Names and sizes of all files are compared; this many files, spread evenly, are also opened.
N_OPENED: Final = 64
# Hexadecimal digits of a digest that are compared.
N_DIGITS: Final = 12
# Overlays that give a setting one value, which a refusal names.
_OVERLAYS: Final = MappingProxyType(
    {("optimizer", "MuonWithAdamW"): "muon.json", ("stop_gradient", False): "ablations/no_stop_gradient.json"}
)


def describe_training(
    *,
    data: Sequence[Mapping[str, Any]],
    tasks: Any,
    pretrained: str | None,
    recipe: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> Identity:
    """What must be the same for a training to continue, by config id.

    Args:
        data: items that are trained on.
        tasks: modalities that were chosen, one or several; ``None`` for all.
        pretrained: weights that the training starts from; ``None`` for random ones.
        recipe: of each overlay that changes the pairs, its name as ``overlay`` and its amounts by id.
        settings: other ids, with plain values; a function counts by its name.

    Returns:
        Text, numbers and lists by id. Of data and weights it holds digests and no paths, since files may be moved.

    Raises:
        RefusedInputError: ``pretrained`` or a scan cannot be read, or a task is unknown.
    """
    weights = None if pretrained is None else file_sha256(Path(pretrained).expanduser())[:N_DIGITS]
    amounts = {name: value for one in recipe for name, value in one.items() if name != "overlay"}
    plain: Identity = json.loads(json.dumps({**settings, **amounts}, default=attrgetter("__name__")))
    return {
        "data": f"{len(data)} items ({_data_digest(data)})",
        "tasks": None if tasks is None else sorted({parse_modality(task).value for task in ensure_tuple(tasks)}),
        "pretrained": weights,
        "recipe": sorted(one["overlay"] for one in recipe),
        **plain,
    }


def refuse_another(identity: Mapping[str, Any], other: Mapping[str, Any], path: Path) -> None:
    """Refuse to continue a training with other settings.

    Args:
        identity: of the training of a checkpoint. A name that it does not have is not compared: an earlier version
            wrote it, and says nothing about that setting.
        other: of the training that is to continue.
        path: the checkpoint.

    Raises:
        RefusedInputError: they differ; the message names the differences and the remedy.
    """
    names = [name for name in identity if identity[name] != other.get(name)]
    if names:
        # Where an overlay is missing now, so are its amounts: the overlay says enough.
        shown = [name for name in names if name in other] or names
        differences = "; ".join(f"{name} {identity[name]}, not {other.get(name)}" for name in shown)
        raise RefusedInputError(
            f"{path} was trained with {differences}: pass the first values{_advise_overlays(identity, other, names)} "
            "to continue that training, or another --ckpt_dir for a new one "
            "(--pretrained FILE starts it from the weights of a model.pt)"
        )


def _advise_overlays(identity: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]) -> str:
    """Which overlays to add or to leave out, in brackets; empty where the settings that differ are not of overlays."""
    given = {overlay for name in names for overlay in _overlays(name, identity[name])}
    now = {overlay for name in names for overlay in _overlays(name, other.get(name))}
    advice = [f"add {overlay}" for overlay in sorted(given - now)]
    advice += [f"leave out {overlay}" for overlay in sorted(now - given)]
    return f" ({', '.join(advice)})" if advice else ""


def _overlays(name: str, value: Any) -> list[str]:
    """Overlays that give a setting its value."""
    if name == "recipe":
        return list(value or ())
    return [overlay for key, overlay in _OVERLAYS.items() if key == (name, value)]


def _data_digest(data: Sequence[Mapping[str, Any]]) -> str:
    """Digest of the items in their order: their entries, and names and content of their files."""
    described = [{name: _describe(value) for name, value in item.items()} for item in data]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    for item in data[:: -(-len(data) // N_OPENED) or 1]:
        for value in item.values():
            if isinstance(value, str) and Path(value).is_file():
                with Path(value).open("rb") as file:
                    digest.update(sampled_digest(file, with_time=False).encode())
    return digest.hexdigest()[:N_DIGITS]


def _describe(value: object) -> object:
    """An entry of an item, files and folders by their names and sizes."""
    if isinstance(value, list | tuple):
        return [_describe(one) for one in value]
    if not isinstance(value, str) or not (path := Path(value)).is_absolute() or not path.exists():
        return value
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path.name, len(files), sum(file.stat().st_size for file in files)]
