"""Writing the scores of all cases of a datalist."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast, get_args

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from bundle.tat.atomic import write_json
from bundle.tat.data.datalist import resolve_path
from bundle.tat.evaluation.baseline_filters import find_filters
from bundle.tat.evaluation.cases import Case
from bundle.tat.evaluation.scoring import (
    SLICE_DATA_RANGE,
    SLICE_PROTOCOL,
    VOLUME_DATA_RANGE,
    VOLUME_PROTOCOL,
    FilterChoice,
    MethodResult,
    find_unscored,
    keep_best,
    score_case,
)
from bundle.tat.evaluation.statistics import import_stats
from bundle.tat.evaluation.summary import check_protocol, summarise
from bundle.tat.evaluation.table import (
    EvaluationRecord,
    SliceTable,
    case_rows,
    read_slices,
    slice_rows,
    write_csv,
)
from bundle.tat.file_digest import file_sha256
from bundle.tat.formats import case_name
from bundle.tat.modality import Modality
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError
from bundle.tat.version import VERSION

logger = logging.getLogger(__name__)


class EvaluationReport:
    """Handler that scores each case of an evaluation and writes tables and a summary when all are done.

    Files in ``output_dir``: ``slices.csv``, ``cases.csv``, ``volumes.csv`` and, last, ``summary.json``; see
    docs/concepts/evaluation.md. What can be checked without a restoration is checked when the run starts.

    Args:
        output_dir: folder of the files; made when they are written.
        ckpt_path: weights file that the network was loaded from.
        datalist_file: datalist of the cases; only its name is written into the files.
        section: section of the datalist.
        baselines: plain filters to score on the same cases, by their names in ``evaluation.baseline_filters``.
        baselines_for: ``modality`` or ``case``: whether a filter has one best parameter for a modality or for a case.
        compare_to: ``slices.csv`` of another run on the same cases, to test against; ``None`` for none.
        seed: of the bootstrap.
        mri_scale: how MRI was brought to the scale of training; it is written into the files.
        pet_planes: whether PET was restored in its three planes, where its voxels suit; written into the files.

    Shape:
        decollated engine output: dictionaries with ``image``, ``label`` and ``pred`` ``(1, W, H[, D])``. They are in
        physical units, with slices along the last axis. The entries of the batch name the ``modality``, and may name
        the ``subject``.
    """

    def __init__(
        self,
        output_dir: str,
        ckpt_path: str,
        *,
        datalist_file: str,
        section: str = "testing",
        baselines: Sequence[str] = ("gaussian",),
        baselines_for: FilterChoice = "modality",
        compare_to: str | None = None,
        seed: int = 0,
        mri_scale: str = "fixed",
        pet_planes: bool = False,
    ) -> None:
        self.output_dir = resolve_path(output_dir)
        self.ckpt_path = Path(ckpt_path).expanduser()
        self.datalist_name = Path(datalist_file).name
        self.section = section
        self.filters = find_filters(baselines)
        if baselines_for not in get_args(FilterChoice):
            raise RefusedInputError(
                f"baselines_for is {baselines_for!r}: pass one of {', '.join(get_args(FilterChoice))}"
            )
        self.baselines_for = baselines_for
        self.compare_to = Path(compare_to).expanduser() if compare_to else None
        self.seed = seed
        self.mri_scale = mri_scale
        self.pet_planes = pet_planes
        self._results: dict[str, list[MethodResult]] = {}

    def attach(self, engine: Engine) -> None:
        """Score in each iteration of ``engine``, and write the files at its end."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.score)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, _: Engine) -> None:
        """Forget an earlier run, and check now what would otherwise stop this run at its end.

        Raises:
            RefusedInputError: the table to compare with cannot be read or has another protocol.
            ImportError: scipy is not installed.
        """
        import_stats()
        self._results = {}
        self._record = EvaluationRecord(
            protocol=SLICE_PROTOCOL,
            data_range=SLICE_DATA_RANGE,
            provenance=Provenance(file_sha256(self.ckpt_path), VERSION),
            datalist=self.datalist_name,
            section=self.section,
            mri_scale=self.mri_scale,
            pet_planes=self.pet_planes,
        )
        self._other: SliceTable | None = None
        if self.compare_to:
            self._other = read_slices(self.compare_to)
            check_protocol(self._record, self._other.record)
            self._tell_planes(self._other)

    def _tell_planes(self, other: SliceTable) -> None:
        """Log that PET of the two runs was restored in other ways, which may be what is compared."""
        if other.has_pet and self.pet_planes != other.record.pet_planes and idist.get_rank() == 0:
            logger.warning(
                "%s here, %s in %s: for the same in both, pass --pet_planes %s",
                self._record.planes,
                other.record.planes,
                self.compare_to,
                other.record.pet_planes,
            )

    def score(self, engine: Engine) -> None:
        """Score the volumes of one iteration.

        Raises:
            RefusedInputError: a case cannot be scored, has the name of another case of its modality, or has no subject
                although others of its modality have one.
        """
        outputs, batches = (cast(Sequence[Mapping[str, Any]], it) for it in (engine.state.output, engine.state.batch))
        for output, batch in zip(outputs, batches, strict=True):
            source = str(output["image"].meta["filename_or_obj"])
            case = _read_case({**batch, **output}, case_name(Path(source)))
            self._results[source] = score_case(case, self.filters, device=output["pred"].device)
        check_cases(self._results)

    def write(self, _: Engine) -> None:
        """Write the four files; with several processes, the first one writes the scores of all.

        Raises:
            RefusedInputError: no case can be scored.
        """
        by_case = gather(self._results)
        if idist.get_rank() > 0:
            return
        check_cases(by_case)
        ordered = sorted(by_case.values(), key=lambda scored: (scored[0].modality, scored[0].case))
        results = keep_best((result for scored in ordered for result in scored), self.baselines_for)
        unscored = find_unscored(results)
        summary = summarise(results, self._record, other=self._other, seed=self.seed)
        of_slices = self._record.columns()
        of_volumes = replace(self._record, protocol=VOLUME_PROTOCOL, data_range=VOLUME_DATA_RANGE).columns()
        write_csv(self.output_dir / "slices.csv", [{**asdict(row), **of_slices} for row in slice_rows(results)])
        write_csv(self.output_dir / "cases.csv", [{**row, **of_slices} for row in case_rows(results)])
        write_csv(self.output_dir / "volumes.csv", [{**row, **of_volumes} for row in case_rows(results, whole=True)])
        write_json(self.output_dir / "summary.json", summary)
        logger.info("scores of %d cases written to %s", len(by_case) - len(unscored), self.output_dir)
        if unscored:
            names = ", ".join(f"{result.modality.value} {result.case}" for result in unscored)
            logger.warning(
                "%d more cases are not scored, since their label is constant in every slice: %s", len(unscored), names
            )


def gather(results: dict[str, list[MethodResult]]) -> dict[str, list[MethodResult]]:
    """Collect the scores of all processes.

    Args:
        results: scores of this process, by the path of the case.

    Returns:
        Scores of all processes. A case that a sampler gave to two processes, to make their shares equal, is there once.
    """
    if idist.get_world_size() == 1:
        return results
    parts = cast(list[dict[str, list[MethodResult]]], idist.all_gather(results))
    return {source: scored for part in parts for source, scored in part.items()}


def check_cases(results: Mapping[str, Sequence[MethodResult]]) -> None:
    """Refuse cases of one name, and modalities in which only some cases have a subject.

    Args:
        results: scores by the path of the case.

    Raises:
        RefusedInputError: two scans of one modality have the same name, or one has a subject and another has none.
    """
    paths: dict[tuple[str, str], str] = {}
    has_subject: dict[str, bool] = {}
    for path, (first, *_) in results.items():
        key = (first.modality, first.case)
        if key in paths:
            raise RefusedInputError(f"{paths[key]} and {path} are both named {first.case}: rename one")
        paths[key] = path
        if has_subject.setdefault(first.modality, first.subject is not None) != (first.subject is not None):
            raise RefusedInputError(
                f"only some {first.modality.value} cases have a subject, see {path}: "
                "name the subject of all of them in the datalist, or of none"
            )


def _read_case(volume: Mapping[str, Any], name: str) -> Case:
    image, label, restored = (_slices_last(volume[key]) for key in ("image", "label", "pred"))
    return Case(
        name=name,
        modality=Modality(volume["modality"]),
        image=image,
        label=label,
        restored=restored,
        affine=np.asarray(volume["image"].affine.cpu(), dtype=np.float64),
        subject=str(volume["subject"]) if "subject" in volume else None,
    )


def _slices_last(image: torch.Tensor) -> NDArray[np.float32]:
    """``(1, W, H[, D])`` as an array ``(W, H, D)``; a single image is a volume of one slice."""
    array: NDArray[np.float32] = image[0].detach().cpu().numpy().astype(np.float32, copy=False)
    return array if array.ndim == 3 else array[..., np.newaxis]
