"""What makes a training the one that it is, so that it does not go on as another one without a word."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from monai.utils import ensure_tuple

from bundle.tat.file_digest import file_sha256, sampled_digest
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError

Identity = dict[str, Any]

# Of all files, names and sizes are looked at; into so many of them, spread evenly.
N_OPENED: Final = 64
# Hexadecimal digits of a digest that tell two trainings apart.
N_DIGITS: Final = 12


def describe_training(
    *, data: Sequence[Mapping[str, Any]], tasks: Any, pretrained: str | None, settings: Mapping[str, Any]
) -> Identity:
    """What must be the same for a training to go on, by config id.

    Args:
        data: items that are trained on.
        tasks: modalities that were chosen, one or several; ``None`` for all.
        pretrained: weights that the training starts from; ``None`` for random ones.
        settings: other ids, with plain values.

    Returns:
        Text, numbers and lists by id. Of data and weights it holds digests and no path, which may move.

    Raises:
        RefusedInputError: ``pretrained`` or a scan cannot be read, or a task is unknown.
    """
    weights = None if pretrained is None else file_sha256(Path(pretrained).expanduser())[:N_DIGITS]
    plain: Identity = json.loads(json.dumps(dict(settings)))
    return {
        "data": f"{len(data)} items ({_data_digest(data)})",
        "tasks": None if tasks is None else sorted({parse_modality(task).value for task in ensure_tuple(tasks)}),
        "pretrained": weights,
        **plain,
    }


def refuse_another(identity: Mapping[str, Any], other: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with a training as another one.

    Args:
        identity: of the training that a checkpoint is of.
        other: of the one that is to go on.
        path: the checkpoint.

    Raises:
        RefusedInputError: they differ; it names in what, and what to do.
    """
    names = [name for name in {**other, **identity} if identity.get(name) != other.get(name)]
    if names:
        differences = "; ".join(f"{name} {identity.get(name)}, not {other.get(name)}" for name in names)
        raise RefusedInputError(
            f"{path} was trained with {differences}: pass the former to go on with that training, or another "
            "--ckpt_dir for this one (--pretrained takes the weights of a model.pt along)"
        )


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
