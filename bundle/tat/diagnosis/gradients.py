"""Agreement of the gradients of tasks, and of the degradations of one task, measured by their cosines.

Source:
    Conflict of gradients (a cosine below 0): Yu et al. 2020, "Gradient Surgery for Multi-Task Learning",
    arXiv:2001.06782, definition 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from bundle.tat.diagnosis.degradations import CleanPatch, Patch, Samples
from bundle.tat.diagnosis.samples import Batch, samples_of
from bundle.tat.networks import TAT

# Flat gradient of each part of the network.
Gradient = Mapping[str, Tensor]

_COMMON_PARTS: Final = ("encoder", "latent", "decoder", "refinement", "head")
_PART_OF_MODULE: Final = MappingProxyType(
    {name: name for name in (*_COMMON_PARTS, "tren", "weight_generation")}
    | dict.fromkeys(("embed", "down"), "encoder")
    | dict.fromkeys(("up", "reduce"), "decoder")
)

# Groups of parameters on which gradients are compared, with the parts of the network in each. Up to "common", an
# adaptive and a static network of one size have the same parameters.
GROUPS: Final = MappingProxyType(
    {part: (part,) for part in _COMMON_PARTS}
    | {"common": _COMMON_PARTS, "tren": ("tren",), "weight_generation": ("weight_generation",)}
    | {"all": (*_COMMON_PARTS, "tren", "weight_generation")}
)


@dataclass(frozen=True, kw_only=True)
class GradientCosine:
    """Agreement of the gradients of two tasks on one group of parameters.

    Args:
        task: one task.
        other: another task. If it is the same task, the other gradient is of the batch before: this shows the noise of
            the comparison.
        group: one of ``GROUPS``.
        mean: mean cosine over batches; ``None`` where a gradient is 0 in all of them.
        sd: sample standard deviation over batches; ``None`` for fewer than two batches.
        conflict: share of batches with a cosine below 0; ``None`` where there is no mean.
        n: number of batches that have a cosine; for one task with itself, pairs of batches.
    """

    task: str
    other: str
    group: str
    mean: float | None
    sd: float | None
    conflict: float | None
    n: int


def compare_tasks(
    network: nn.Module, loss: Callable[[Tensor, Tensor, Tensor], Tensor], batches: Iterable[Batch]
) -> list[GradientCosine]:
    """Compare the gradients of all pairs of tasks, and of each task with itself on the batch before.

    Args:
        network: a TAT; its parameters and their ``grad`` are left as they are.
        loss: called with image, prediction and label of one task's samples.
        batches: ``image`` and ``label`` ``(B, C, H, W)``, ``modality`` of each sample; all of the same tasks.

    Returns:
        One entry for each pair of tasks, ordered by name, and for each group that the network has.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    before: Mapping[str, Gradient] = {}
    for batch in batches:
        now = task_gradients(network, loss, batch)
        _collect(values, now, before)
        before = now
    return [_summarise(*key, found) for key, found in values.items()]


def task_gradients(
    network: nn.Module, loss: Callable[[Tensor, Tensor, Tensor], Tensor], batch: Batch
) -> dict[str, Gradient]:
    """Gradient of each task's loss on its own samples of a batch.

    Args:
        network: a TAT; its parameters and their ``grad`` are left as they are.
        loss: called with image, prediction and label of one task's samples.
        batch: ``image`` and ``label`` ``(B, C, H, W)``, ``modality`` of each sample.

    Returns:
        Task -> part of the network -> flat gradient.
    """
    device = next(network.parameters()).device
    return {
        task: gradient_of(network, loss, *samples_of(batch, task, device)) for task in sorted(set(batch["modality"]))
    }


def gradient_of(
    network: nn.Module, loss: Callable[[Tensor, Tensor, Tensor], Tensor], image: Tensor, label: Tensor
) -> Gradient:
    """Gradient of the loss on some samples.

    Args:
        network: a TAT; its parameters and their ``grad`` are left as they are.
        loss: called with image, prediction and label.
        image: ``(B, C, H, W)``.
        label: ``(B, C, H, W)``.

    Returns:
        Part of the network -> flat gradient.
    """
    names, parameters = zip(*network.named_parameters(), strict=True)
    of_parameters = torch.autograd.grad(
        loss(image, network(image), label), parameters, allow_unused=True, materialize_grads=True
    )
    flat: dict[str, list[Tensor]] = {}
    for name, gradient in zip(names, of_parameters, strict=True):
        flat.setdefault(part_of(name), []).append(gradient.flatten())
    return {part: torch.cat(pieces) for part, pieces in flat.items()}


def compare_degradations(
    network: TAT, loss: Callable[[Tensor, Tensor, Tensor], Tensor], samples: Samples
) -> dict[str, list[GradientCosine]]:
    """Compare the gradients of the degradations of each task, person by person on the same clean patches.

    Args:
        network: a TAT; its parameters and their ``grad`` are left as they are.
        loss: called with image, prediction and label of one degradation's samples.
        samples: degradations, each with patches of the same persons in the same order.

    Returns:
        Task -> cosines as of ``compare_tasks``, with the quality of a degradation instead of a task, and a person
        instead of a batch. A quality with itself compares the same noise on a person and on the person before.
    """
    device = next(network.parameters()).device
    n_slices = 1 + 2 * network.context
    found: dict[str, list[GradientCosine]] = {}
    for task in sorted({degradation.task for degradation in samples}):
        of_task = {
            degradation.quality: by_person(some) for degradation, some in samples.items() if degradation.task == task
        }
        values: dict[tuple[str, str, str], list[float]] = {}
        before: Mapping[str, Gradient] = {}
        for person in next(iter(of_task.values())):
            pairs = {quality: as_tensors(persons[person], n_slices, device) for quality, persons in of_task.items()}
            now = {quality: gradient_of(network, loss, *pair) for quality, pair in pairs.items()}
            _collect(values, now, before)
            before = now
        found[task] = [_summarise(*key, some) for key, some in values.items()]
    return found


def part_of(name: str) -> str:
    """Part of the network that a parameter belongs to.

    The factors of generated kernels (``adaptation``) always count as weight generation. So the other parts have the
    same parameters as in a static network.

    Args:
        name: of a parameter of TAT, such as ``decoder1.0.attention.depthwise.weight``.

    Returns:
        ``encoder``, ``latent``, ``decoder``, ``refinement``, ``head``, ``tren`` or ``weight_generation``.
    """
    if name.endswith(".adaptation"):
        return "weight_generation"
    return _PART_OF_MODULE[name.partition(".")[0].rstrip("123")]


def cosine(first: Gradient, second: Gradient, parts: Sequence[str]) -> list[float]:
    """Cosine of the angle between two gradients on some parts of a network, computed in double precision.

    Args:
        first: gradient of a network.
        second: another gradient of the same network.
        parts: parts to compare; the network may lack some of them, but not all.

    Returns:
        A list with the cosine in [-1, 1]; an empty list where a gradient is 0 and has no direction.
    """
    pairs = [(first[part].double(), second[part].double()) for part in parts if part in first]
    dot, norm, other_norm = (float(sum(products)) for products in zip(*map(_products, pairs), strict=True))
    return [max(-1.0, min(1.0, dot / math.sqrt(norm * other_norm)))] if norm * other_norm > 0 else []


def by_person(samples: Sequence[tuple[CleanPatch, Patch]]) -> dict[str, list[tuple[CleanPatch, Patch]]]:
    """The samples of each person, in their order."""
    groups: dict[str, list[tuple[CleanPatch, Patch]]] = {}
    for patch, degraded in samples:
        groups.setdefault(patch.person, []).append((patch, degraded))
    return groups


def as_tensors(
    samples: Sequence[tuple[CleanPatch, Patch]], n_slices: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Image and label of samples ``(B, C, H, W)``; copies of the slice are used as its neighbours."""
    label, image = (torch.from_numpy(np.stack(one))[:, None].to(device) for one in _unzip(samples))
    return image.expand(-1, n_slices, -1, -1), label


def _unzip(samples: Sequence[tuple[CleanPatch, Patch]]) -> tuple[list[Patch], list[Patch]]:
    return [patch.pixels for patch, _ in samples], [degraded for _, degraded in samples]


def _collect(
    values: dict[tuple[str, str, str], list[float]], now: Mapping[str, Gradient], before: Mapping[str, Gradient]
) -> None:
    """Add the cosines of all pairs of one batch, and the cosine of each gradient with that of the batch before."""
    for one, other in combinations_with_replacement(now, 2):
        second = before.get(one) if one == other else now[other]
        if second is None:
            continue
        for group, parts in GROUPS.items():
            if any(part in second for part in parts):
                found = values.setdefault((one, other, group), [])
                found.extend(cosine(now[one], second, parts))


def _products(pair: tuple[Tensor, Tensor]) -> tuple[float, float, float]:
    first, second = pair
    return float(first @ second), float(first @ first), float(second @ second)


def _summarise(task: str, other: str, group: str, values: Sequence[float]) -> GradientCosine:
    return GradientCosine(
        task=task,
        other=other,
        group=group,
        mean=float(np.mean(values)) if values else None,
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        conflict=float(np.mean(np.asarray(values) < 0)) if values else None,
        n=len(values),
    )
