"""Tables and pictures of a diagnosis, and the sentences that go with them (needs the extra ``report``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from bundle.tat.diagnosis.degradations import MIDDLE, Samples
from bundle.tat.diagnosis.figures import (
    draw_cosines,
    draw_degradations,
    draw_generated,
    draw_readouts,
    draw_representations,
    draw_training,
    read_training_log,
    read_validation_log,
)
from bundle.tat.diagnosis.gradients import GradientCosine, compare_degradations, compare_tasks
from bundle.tat.diagnosis.readout import Z, extract, read_out
from bundle.tat.diagnosis.record import DiagnosisRecord
from bundle.tat.diagnosis.representation import (
    GeneratedSize,
    count_recognised,
    measure_generated,
    principal_components,
    represent,
)
from bundle.tat.diagnosis.samples import TaskSamples
from bundle.tat.evaluation.table import write_csv
from bundle.tat.networks import TAT
from bundle.tat.visualize.saving import save_figure


def report_gradients(
    networks: Mapping[str, TAT],
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    samples: TaskSamples,
    output_dir: Path,
    *,
    data: str,
    record: DiagnosisRecord,
) -> list[str]:
    """Compare the tasks' gradients in every network: ``gradient_cosines.csv`` and ``.png``.

    Args:
        networks: name -> network.
        loss: called with image, prediction and label; the same for all networks.
        samples: patches to compute the gradients on.
        output_dir: folder of the files; made when it is missing.
        data: where the samples come from, for the title.
        record: of the numbers, for the table.

    Returns:
        Sentences for the reader: for each network, the pair of tasks that agrees least.

    Raises:
        RefusedInputError: the files cannot be written.
    """
    found = {name: compare_tasks(network, loss, samples.batches) for name, network in networks.items()}
    rows = [{"network": name, **asdict(row)} for name, cosines in found.items() for row in cosines]
    write_csv(output_dir / "gradient_cosines.csv", record.add_provenance(rows))
    save_figure(draw_cosines(found, data=data), output_dir / "gradient_cosines.png")
    sentences = []
    for name, cosines in found.items():
        for row in _least([row for row in cosines if row.group == "common" and row.task != row.other]):
            sentences.append(
                f"{name}: {row.task} and {row.other} agree least on the common parameters, "
                f"mean cosine {row.mean:+.2f}, in conflict in {row.conflict:.0%} of {row.n} batches"
            )
    return sentences


def report_representations(
    networks: Mapping[str, TAT], samples: TaskSamples, output_dir: Path, *, data: str, record: DiagnosisRecord
) -> list[str]:
    """Analyse the task representations: ``task_representation.csv`` and ``.png``, ``task_recognition.csv``.

    The size of the kernels generated from them goes to ``generated_kernels.csv`` and ``.png``.

    Args:
        networks: name -> network; static networks are left out.
        samples: patches to represent.
        output_dir: folder of the files; made when it is missing.
        data: where the samples come from, for the title.
        record: of the numbers, for the tables.

    Returns:
        Sentences for the reader: how many patches are recognised, how large the generated kernels are, and which
        networks were left out.

    Raises:
        RefusedInputError: a task has a single patch, or the files cannot be written.
    """
    sentences: list[str] = []
    points: list[dict[str, object]] = []
    counts: list[dict[str, object]] = []
    sizes: dict[str, dict[str, GeneratedSize]] = {}
    pictures = {}
    for name, network in networks.items():
        if network.tren is None:
            sentences.append(f"{name}: left out, since a static network has no task representation")
            continue
        seen = represent(network, samples.batches)
        pictures[name] = (seen.tasks, principal_components(seen.vectors))
        for task, (first, second) in zip(seen.tasks, pictures[name][1].coordinates, strict=True):
            points.append({"network": name, "task": task, "component_1": float(first), "component_2": float(second)})
        for features, vectors in {"Z": seen.vectors, "mean and sd of pixels": seen.brightness}.items():
            n_right, n = count_recognised(vectors, seen.tasks), len(seen.tasks)
            counts.append({"network": name, "features": features, "n_recognised": n_right, "n_patches": n})
            sentences.append(
                f"{name}: the nearest centroid of {features} gives the right task for {n_right} of {n} patches"
            )
        sizes[name] = measure_generated(network, samples.batches)
        largest = max(sizes[name].values(), key=lambda size: size.whole)
        sentences.append(
            f"{name}: the root mean square of generated kernels is at most {largest.whole:.1e} of that of the shared "
            f"kernels, for their differences between tasks {largest.between_tasks:.1e}"
        )
    if pictures:
        rows = [{"network": name, "part": part, **asdict(it)} for name, of in sizes.items() for part, it in of.items()]
        write_csv(output_dir / "task_representation.csv", record.add_provenance(points))
        write_csv(output_dir / "task_recognition.csv", record.add_provenance(counts))
        write_csv(output_dir / "generated_kernels.csv", record.add_provenance(rows))
        save_figure(draw_representations(pictures, data=data), output_dir / "task_representation.png")
        save_figure(draw_generated(sizes, data=data), output_dir / "generated_kernels.png")
    return sentences


def report_degradations(
    networks: Mapping[str, TAT],
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    samples: Samples,
    output_dir: Path,
    *,
    data: str,
    record: DiagnosisRecord,
) -> list[str]:
    """Compare the gradients of each task's degradations, and read degradations out of ``Z``.

    Files: ``degradation_cosines.csv`` and ``.png``, ``readout.csv`` and ``.png``.

    Args:
        networks: name -> network; static networks have no ``Z``.
        loss: called with image, prediction and label; the same for all networks.
        samples: patches of known degradations.
        output_dir: folder of the files; made when it is missing.
        data: where the samples come from, for the titles.
        record: of the numbers, for the tables.

    Returns:
        Sentences for the reader: for each network, the pair of degradations that agrees least, and how often the
        read-out of ``Z`` gives the right quality of a degradation.

    Raises:
        RefusedInputError: the files cannot be written.
    """
    middle = {degradation: samples[degradation] for degradation in MIDDLE if degradation in samples}
    cosines = {name: compare_degradations(network, loss, middle) for name, network in networks.items()}
    rows = [
        {"network": name, "of_task": task, **asdict(row)}
        for name, of_tasks in cosines.items()
        for task, found in of_tasks.items()
        for row in found
    ]
    write_csv(output_dir / "degradation_cosines.csv", record.add_provenance(rows))
    save_figure(draw_degradations(cosines, data=data), output_dir / "degradation_cosines.png")
    sentences = [
        f"{name}, {task}: {row.task} and {row.other} agree least, mean cosine {row.mean:+.2f}, "
        f"in conflict for {row.conflict:.0%} of {row.n} persons"
        for name, of_tasks in cosines.items()
        for task, found in of_tasks.items()
        for row in _least([row for row in found if row.group == "common" and row.task != row.other])
    ]
    readouts = {
        name: read_out(extract(network, samples)) for name, network in networks.items() if network.tren is not None
    }
    readouts = {name: found for name, found in readouts.items() if found}
    if readouts:
        told = [{"network": name, **asdict(row)} for name, found in readouts.items() for row in found]
        write_csv(output_dir / "readout.csv", record.add_provenance(told))
        save_figure(draw_readouts(readouts, data=data), output_dir / "readout.png")
    sentences += [
        f"{name}: Z gives the right {row.task} {row.what} for {row.score:.0%} of {row.n} patches of unseen persons, "
        f"chance {row.chance:.0%}"
        for name, found in readouts.items()
        for row in found
        if row.features == Z and row.what != "strength"
    ]
    return sentences


def _least(rows: Sequence[GradientCosine]) -> list[GradientCosine]:
    """A list with the row of the lowest mean; an empty list where no row has a mean."""
    return sorted((row for row in rows if row.mean is not None), key=lambda row: row.mean or 0.0)[:1]


def report_training(log: Path, output_dir: Path, *, data: str) -> list[str]:
    """Draw loss weight, difficulty and validation scores of each task over training: ``training.png``.

    Args:
        log: ``training_log.csv`` of a training; ``validation_log.csv`` beside it is read if it is there.
        output_dir: folder of the file; made when it is missing.
        data: name of the training data, for the title.

    Returns:
        A sentence for the reader if there is no log.

    Raises:
        RefusedInputError: a log cannot be read, or the file cannot be written.
    """
    if not log.is_file():
        return [f"{log} does not exist, so there is no picture of loss weight and difficulty: pass training_log"]
    of_validations = log.with_name("validation_log.csv")
    validations = read_validation_log(of_validations) if of_validations.is_file() else None
    figure = draw_training(read_training_log(log), data=data, validations=validations)
    save_figure(figure, output_dir / "training.png")
    return []
