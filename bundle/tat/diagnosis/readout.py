"""Linear read-out of task and degradation from features, for persons that it was not fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bundle.tat.diagnosis.degradations import Degradation, Samples
from bundle.tat.diagnosis.gradients import as_tensors
from bundle.tat.networks import TAT

Array = NDArray[np.float64]

# Strength of the ridge over the number of samples; features have a standard deviation of 1.
PENALTY: Final = 0.01
PIXELS: Final = "pixels"
LEVEL_4: Final = "level 4"
Z: Final = "Z"


@dataclass(frozen=True)
class Features:
    """Features, degradation and person of samples.

    Args:
        of_samples: name of the features -> ``(N, D)``. There are three: pixels without a network (mean, deviation and
            mean difference of neighbours), the mean of the encoder's last level over the patch, and its ``Z``.
        degradations: degradation of each sample.
        persons: person of each sample.
    """

    of_samples: Mapping[str, Array]
    degradations: Sequence[Degradation]
    persons: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Readout:
    """Score of a linear read-out of features.

    Args:
        task: ``CT``, ``MRI`` or ``PET``, or ``all``.
        what: ``task``, ``quality`` (of the degradation) or ``strength``.
        features: name of the features.
        score: share of samples that get their own class. For ``strength`` it is the explained share of the variance of
            its logarithm, which may be negative.
        chance: score of guessing.
        lowest: lowest score of a person; ``None`` for ``strength``.
        highest: highest score of a person; ``None`` for ``strength``.
        n_persons: number of persons; each was left out in turn.
        n: number of samples.
    """

    task: str
    what: str
    features: str
    score: float
    chance: float
    lowest: float | None
    highest: float | None
    n_persons: int
    n: int


def extract(network: TAT, samples: Samples) -> Features:
    """Features of degraded patches.

    Args:
        network: an adaptive TAT.
        samples: patches by their degradation.

    Raises:
        ValueError: the network is static.
    """
    if network.tren is None:
        raise ValueError("a static network has no task representation: build TAT(adaptive=True)")
    device = next(network.parameters()).device
    found: dict[str, list[torch.Tensor]] = {PIXELS: [], LEVEL_4: [], Z: []}
    degradations: list[Degradation] = []
    persons: list[str] = []
    for degradation, of_patches in samples.items():
        image, _ = as_tensors(of_patches, 1 + 2 * network.context, device)
        with torch.inference_mode():
            level4 = network.encode(image)[3]
            found[Z].append(network.tren(level4))
            found[LEVEL_4].append(level4.mean(dim=(2, 3)))
            steps = image.diff(dim=2).abs().mean(dim=(1, 2, 3)) + image.diff(dim=3).abs().mean(dim=(1, 2, 3))
            found[PIXELS].append(torch.stack([image.mean(dim=(1, 2, 3)), image.std(dim=(1, 2, 3)), steps / 2], dim=1))
        degradations += [degradation] * len(of_patches)
        persons += [patch.person for patch, _ in of_patches]
    arrays = {name: torch.cat(parts).cpu().double().numpy() for name, parts in found.items()}
    return Features(arrays, degradations, persons)


def read_out(features: Features) -> list[Readout]:
    """Predict task, quality and strength of the degradation from each of the features.

    Returns:
        One row for each target with two classes or values or more, and with persons to leave out.
    """
    tasks = [one.task for one in features.degradations]
    rows = list(_read_classes(features, list(range(len(tasks))), tasks, "all", "task"))
    for task in sorted(set(tasks)):
        places = [place for place, name in enumerate(tasks) if name == task]
        rows += _read_classes(features, places, [features.degradations[p].quality for p in places], task, "quality")
        strengths = [features.degradations[p].strength for p in places]
        rows += _read_values(features, places, [s for s in strengths if s is not None], task)
    return rows


def predict_held_out(features: Array, targets: Array, groups: Sequence[str]) -> Array:
    """Predict the targets of each group by a ridge regression on the others.

    Args:
        features: ``(N, D)``.
        targets: ``(N, K)``.
        groups: of each sample, two or more.

    Returns:
        ``(N, K)``.

    Source:
        Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634.
    """
    predicted = np.zeros_like(targets)
    names = np.asarray(groups)
    for name in np.unique(names):
        held = names == name
        centre, scale = features[~held].mean(axis=0), features[~held].std(axis=0)
        known, asked = ((features[part] - centre) / np.maximum(scale, 1e-12) for part in (~held, held))
        mean = targets[~held].mean(axis=0)
        matrix = known.T @ known + PENALTY * len(known) * np.eye(known.shape[1])
        predicted[held] = asked @ np.linalg.solve(matrix, known.T @ (targets[~held] - mean)) + mean
    return predicted


def _read_classes(
    features: Features, places: Sequence[int], classes: Sequence[str], task: str, what: str
) -> Iterator[Readout]:
    persons = [features.persons[place] for place in places]
    names, of_sample = np.unique(np.asarray(classes), return_inverse=True)
    if len(names) < 2 or len(set(persons)) < 2:
        return
    for name, vectors in features.of_samples.items():
        predicted = predict_held_out(vectors[list(places)], np.eye(len(names))[of_sample], persons)
        is_right = (predicted.argmax(axis=1) == of_sample).astype(np.float64)
        by_person = [float(is_right[np.asarray(persons) == person].mean()) for person in sorted(set(persons))]
        yield Readout(
            task=task,
            what=what,
            features=name,
            score=float(is_right.mean()),
            chance=float(np.bincount(of_sample).max() / len(of_sample)),
            lowest=min(by_person),
            highest=max(by_person),
            n_persons=len(by_person),
            n=len(is_right),
        )


def _read_values(features: Features, places: Sequence[int], values: Iterable[float], task: str) -> Iterator[Readout]:
    persons = [features.persons[place] for place in places]
    targets = np.log(np.asarray(list(values), dtype=np.float64))[:, None]
    if len(np.unique(targets)) < 2 or len(set(persons)) < 2:
        return
    for name, vectors in features.of_samples.items():
        predicted = predict_held_out(vectors[list(places)], targets, persons)
        unexplained = float(((targets - predicted) ** 2).sum() / ((targets - targets.mean()) ** 2).sum())
        yield Readout(
            task=task,
            what="strength",
            features=name,
            score=1.0 - unexplained,
            chance=0.0,
            lowest=None,
            highest=None,
            n_persons=len(set(persons)),
            n=len(targets),
        )
