"""Diagnosis of a trained TAT: conflicts of the tasks' gradients, and separation of the tasks by their representation.

It needs the extra ``report``. docs/how-to/diagnosis.md explains the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monai.utils import ensure_tuple

from bundle.tat.diagnosis.degradations import CleanPatch, draw_clean, group_by_degradation
from bundle.tat.diagnosis.record import DiagnosisRecord, as_command
from bundle.tat.diagnosis.report import (
    report_degradations,
    report_gradients,
    report_representations,
    report_training,
)
from bundle.tat.diagnosis.samples import TaskSamples, draw_samples, read_configs, read_loss, read_network
from bundle.tat.file_digest import file_sha256
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.scale.mri_scale import MriScale
from bundle.tat.version import VERSION

Files = str | Path | Sequence[str | Path]


def diagnose_tasks(
    config_file: Files,
    weights: str | Path,
    datalist: str | Path,
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    training_log: str | Path | None = None,
    twin: str | Path | None = None,
    twin_config: Files = (),
    n_batches: int = 8,
    n_patches: int = 4,
    seed: int = 0,
    measured: bool = False,
    mri_scale: MriScale = "fixed",
) -> list[str]:
    """Write tables and pictures about a trained network, and about a second network (twin) to compare with.

    Args:
        config_file: training config and its overlays.
        weights: ``model.pt`` of the training with these configs.
        datalist: datalist whose section ``training`` is drawn from.
        out: folder for tables and pictures.
        checkpoint: ``checkpoint.pt`` of that training, for its trained loss weights.
        training_log: of that training; ``None`` takes ``training_log.csv`` beside the weights.
        twin: ``model.pt`` of a training to compare with.
        twin_config: overlays of the twin's training, which override ``config_file``.
        n_batches: number of training batches that are drawn, at least 2.
        n_patches: number of clean patches of each person that get all degradations of their task; 0 leaves this out.
        seed: of the draw.
        measured: leave the note about simulation out, since nothing was simulated.
        mri_scale: setting of the training.

    Returns:
        The main results, one sentence each.

    Raises:
        RefusedInputError: a file cannot be used, the data hold only one task, ``twin_config`` is given without
            ``twin``, or a file cannot be written.
    """
    if twin_config and not twin:
        raise RefusedInputError(
            f"twin_config is {twin_config}, but twin is missing: pass twin, the model.pt of that training"
        )
    configs, twin_configs = _paths(config_file), _paths(twin_config)
    weights, datalist, out = Path(weights), Path(datalist), Path(out)
    checkpoint, training_log, twin = (Path(path) if path else None for path in (checkpoint, training_log, twin))
    more = {"datalist_file": str(datalist.absolute()), "dataset_dir": str(datalist.absolute().parent)}
    parser = read_configs(configs, **more, seed=seed, mri_scale=mri_scale)
    trained = {"network": (parser, weights)}
    if twin:
        trained["twin"] = (read_configs([*configs, *twin_configs], **more, seed=seed, mri_scale=mri_scale), twin)
    networks, made_by = {}, {}
    for name, (of_network, path) in trained.items():
        network = read_network(of_network, path)
        title = f"{name} {'without' if network.tren is None else 'with'} weight generation"
        networks[title], made_by[title] = network, Provenance(file_sha256(path), VERSION)
    loss = read_loss(parser, checkpoint)
    samples = draw_samples(parser, n_batches)
    command = {
        "config_file": configs,
        "weights": weights,
        "checkpoint": checkpoint,
        "training_log": training_log,
        "twin": twin,
        "twin_config": twin_configs,
        "datalist": datalist,
        "out": out,
        "n_batches": n_batches,
        "n_patches": n_patches,
        "seed": seed,
        "measured": measured,
        "mri_scale": None if mri_scale == "fixed" else mri_scale,
    }
    record = DiagnosisRecord(
        command=as_command(command),
        datalist=datalist.name,
        section="training",
        seed=seed,
        networks=made_by,
        checkpoint_sha256=file_sha256(checkpoint) if checkpoint else None,
    )
    note = "" if measured else ", simulated degradations"
    data = f"{n_batches} training batches from {datalist.name} ({_count_scans(samples)}){note}"
    log = training_log or weights.with_name("training_log.csv")
    sentences = [
        *report_training(log, out, data=f"{log.name}{note}"),
        *report_gradients(networks, loss, samples, out, data=data, record=record),
        *report_representations(networks, samples, out, data=data, record=record),
    ]
    patches = draw_clean(parser, n_patches, seed=seed) if n_patches else []
    if patches:
        known, of_patches = group_by_degradation(patches), _describe_patches(patches, datalist)
        sentences += report_degradations(networks, loss, known, out, data=of_patches, record=record)
    record.write(out)
    return sentences


def _describe_patches(patches: Sequence[CleanPatch], datalist: Path) -> str:
    n_persons = len({patch.person for patch in patches})
    return f"{len(patches)} clean patches of {n_persons} persons from {datalist.name}, simulated degradations"


def _paths(files: Files) -> tuple[Path, ...]:
    return tuple(Path(file) for file in ensure_tuple(files))


def _count_scans(samples: TaskSamples) -> str:
    return "scans: " + ", ".join(f"{n} {task}" for task, n in sorted(samples.n_scans.items()))
