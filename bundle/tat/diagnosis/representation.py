"""Whether the task representation separates the tasks, and how large the kernels generated from it are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bundle.tat.diagnosis.samples import Batch
from bundle.tat.networks import TAT
from bundle.tat.networks.frozen_kernels import adapted_convolutions
from bundle.tat.refusal import RefusedInputError


@dataclass(frozen=True)
class Representations:
    """Task representations of samples.

    Args:
        tasks: task of each sample.
        vectors: their task representations ``Z`` ``(N, 4F)``.
        brightness: mean and standard deviation of their pixels, on the network's scale [0, 1] ``(N, 2)``.
    """

    tasks: list[str]
    vectors: NDArray[np.float64]
    brightness: NDArray[np.float64]


@dataclass(frozen=True)
class PrincipalComponents:
    """Samples in the plane in which they differ most.

    Args:
        coordinates: ``(N, 2)``, in the unit of the samples.
        explained: shares of the variance along the two axes.
    """

    coordinates: NDArray[np.float64]
    explained: tuple[float, float]


def represent(network: TAT, batches: Iterable[Batch]) -> Representations:
    """Compute the task representation of every sample.

    Args:
        network: an adaptive TAT.
        batches: ``image`` ``(B, C, H, W)`` and ``modality`` of each sample.

    Returns:
        The representations, in the order of the samples.

    Raises:
        ValueError: the network is static.
    """
    device = next(network.parameters()).device
    tasks: list[str] = []
    vectors, brightness = [], []
    for batch in batches:
        with torch.inference_mode():
            image = batch["image"].to(device)
            vectors.append(network.task_representation(image))
            brightness.append(torch.stack([image.mean(dim=(1, 2, 3)), image.std(dim=(1, 2, 3))], dim=1))
        tasks.extend(batch["modality"])
    return Representations(tasks, _array(vectors), _array(brightness))


def principal_components(vectors: NDArray[np.float64]) -> PrincipalComponents:
    """Project samples on their first two principal components, by a singular value decomposition.

    Args:
        vectors: ``(N, D)`` with at least two samples and two dimensions.

    Returns:
        The projections. The largest loading of each axis is positive, so the same samples always give the same picture.
    """
    centred = vectors - vectors.mean(axis=0)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(axes).argmax(axis=1, keepdims=True)
    axes = axes * np.where(np.take_along_axis(axes, largest, axis=1) < 0, -1.0, 1.0)
    variances = scales**2 / max(float((scales**2).sum()), np.finfo(np.float64).tiny)
    return PrincipalComponents(centred @ axes[:2].T, (float(variances[0]), float(variances[1])))


def count_recognised(vectors: NDArray[np.float64], tasks: Sequence[str]) -> int:
    """Count the samples whose nearest centroid is that of their task; each sample is left out of its own centroid.

    Args:
        vectors: ``(N, D)``.
        tasks: task of each sample.

    Returns:
        Number of samples that get their own task; a sample at the same distance to two centroids gets the first.

    Raises:
        RefusedInputError: a task has a single sample, so it has no centroid without this sample.
    """
    names, of_sample = np.unique(np.asarray(tasks), return_inverse=True)
    counts = np.bincount(of_sample)
    if counts.min() < 2:
        raise RefusedInputError(f"{names[counts.argmin()]} has a single sample: pass at least 2 of each task")
    sums = np.stack([vectors[of_sample == task].sum(axis=0) for task in range(len(names))])
    samples = np.arange(len(vectors))
    centroids = np.repeat((sums / counts[:, np.newaxis])[np.newaxis], len(vectors), axis=0)
    centroids[samples, of_sample] = (sums[of_sample] - vectors) / (counts[of_sample] - 1)[:, np.newaxis]
    nearest = np.linalg.norm(centroids - vectors[:, np.newaxis], axis=2).argmin(axis=1)
    return int((nearest == of_sample).sum())


@dataclass(frozen=True)
class GeneratedSize:
    """Size of generated kernels relative to the shared kernels that they are added to, as root mean squares.

    Below 1e-7, single precision rounds the sum to the shared kernel.

    Args:
        whole: size of ``adaptation * generated``.
        between_tasks: size of the differences between the mean of a task and the mean of all tasks. A part that is the
            same for all images could as well be in a static kernel.
        within_tasks: size of the differences between the images of one task.
    """

    whole: float
    between_tasks: float
    within_tasks: float


def measure_generated(network: TAT, batches: Iterable[Batch]) -> dict[str, GeneratedSize]:
    """Measure the size of the generated kernels relative to the shared kernels that they are added to.

    Args:
        network: an adaptive TAT.
        batches: ``image`` ``(B, C, H, W)`` and ``modality`` of each sample.

    Returns:
        Part of the network (``latent``, ``decoder1``, ...) -> size; each task has the same weight.

    Raises:
        ValueError: the network is static.
    """
    device = next(network.parameters()).device
    # Convolution -> task -> kernels that were added, of each image.
    added: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    shared: dict[str, float] = {}
    with torch.inference_mode():
        for batch in batches:
            kernels = network.generate_kernels(network.encode(batch["image"].to(device))[3])
            for name, convolution, generated in adapted_convolutions(network, kernels):
                shared[name] = float(convolution.weight.double().square().mean())
                of_samples = (convolution.kernels(generated) - convolution.weight).double().cpu().numpy()
                for task, kernel in zip(batch["modality"], of_samples, strict=True):
                    added.setdefault(name, {}).setdefault(str(task), []).append(kernel)
    squares: dict[str, list[NDArray[np.float64]]] = {}
    for name, of_tasks in added.items():
        squares.setdefault(name.partition(".")[0], []).append(np.append(_mean_squares(of_tasks), shared[name]))
    sums = {part: np.sum(some, axis=0) for part, some in sorted(squares.items())}
    return {part: GeneratedSize(*np.sqrt(some[:3] / some[3]).tolist()) for part, some in sums.items()}


def _mean_squares(of_tasks: Mapping[str, Sequence[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Mean squares of kernels: whole, of the tasks' means around that of all, and around the mean of the own task."""
    means = {task: np.mean(some, axis=0) for task, some in of_tasks.items()}
    of_all = np.mean(list(means.values()), axis=0)
    whole = np.mean([np.mean(np.square(some)) for some in of_tasks.values()])
    between = np.mean([np.mean(np.square(mean - of_all)) for mean in means.values()])
    within = np.mean([np.mean(np.square(np.stack(some) - means[task])) for task, some in of_tasks.items()])
    return np.array([whole, between, within])


def _array(parts: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    array: NDArray[np.float64] = torch.cat(list(parts)).cpu().double().numpy()
    return array
