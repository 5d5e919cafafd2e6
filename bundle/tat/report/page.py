"""The page of a report, rendered from the contents of a run's output folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from bundle.tat.cases.record import SOURCE_KEY
from bundle.tat.modality import INTENSITY_RANGES, Modality
from bundle.tat.quality.calibration import Calibration
from bundle.tat.quality.record import Quality
from bundle.tat.report.collect import RestoredCase, RunContents
from bundle.tat.report.pictures import SlicePictures, colour_stops, draw_slice, draw_slices, draw_spectrum
from bundle.tat.report.words import VERDICTS, Line, chances, grade_sentences, measured_lines, number
from bundle.tat.version import VERSION

# Pictures of more cases would make a page that a browser opens slowly; the most doubtful cases come first.
MAX_PICTURED: Final = 20
# Settings that are not shown: a text of the user's own, and a random number.
_NOT_TOLD: Final = frozenset({SOURCE_KEY, "uid_seed"})


@dataclass(frozen=True)
class CaseSection:
    """The part of the page about one case.

    Args:
        number: its place on the page, from 1.
        case: its record.
        chances: chances of harm, which the verdict rests on.
        lines: its measures.
        worst: pictures of the most doubtful slice; ``None`` where none are shown.
        median: pictures of the median slice; ``None`` where none are shown.
        spectrum: drawing of the change's spectrum; empty where nothing was measured.
        slices: drawing of the noise by slice; empty where nothing was measured.
        settings: settings of the run that changed the result.
    """

    number: int
    case: RestoredCase
    chances: list[Line]
    lines: list[Line]
    worst: SlicePictures | None
    median: SlicePictures | None
    spectrum: str
    slices: str
    settings: str

    @property
    def quality(self) -> Quality | None:
        """Measures and verdict; ``None`` where the case was restored without a report."""
        return self.case.record.quality

    @property
    def unit(self) -> str:
        """Unit of the pictures; empty where nothing was measured."""
        return INTENSITY_RANGES[self.quality.measures.modality].unit if self.quality else ""


def render_page(run: RunContents, calibration: Calibration) -> str:
    """Render the page.

    Args:
        run: contents of the output folder.
        calibration: of the weights; it is used only for cases that these weights restored.

    Returns:
        HTML that needs no other file.
    """
    sections = [_section(place, case, calibration) for place, case in enumerate(run.cases, 1)]
    environment = Environment(
        loader=PackageLoader("bundle.tat.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter(section.case.verdict or "not measured" for section in sections)
    return environment.get_template("report.html.j2").render(
        sections=sections,
        left_out=run.left_out,
        counts=[(verdict, counts[verdict]) for verdict in (*VERDICTS, "not measured") if counts[verdict]],
        verdicts=VERDICTS,
        n_failed=sum(one.n for one in run.left_out if one.status == "failed"),
        n_skipped=sum(one.n for one in run.left_out if one.status == "skipped"),
        max_pictured=MAX_PICTURED,
        grades={
            modality.value: grade_sentences(dict(known.grades))
            for modality, known in calibration.modalities.items()
            if any(case.record.modality == modality.value for case in run.cases)
        },
        made_by=sorted(
            {
                (one.case.record.provenance.version, one.case.record.provenance.weights_sha256 or "not known")
                for one in sections
            }
        ),
        settings=sorted({section.settings for section in sections}),
        version=VERSION,
        number=number,
        change_stops=colour_stops("RdBu_r"),
        spread_stops=colour_stops("viridis"),
    )


def _section(place: int, case: RestoredCase, calibration: Calibration) -> CaseSection:
    quality = case.record.quality
    told = [f"{name} {value}" for name, value in sorted(case.record.settings.items()) if name not in _NOT_TOLD]
    settings = ", ".join(told)
    if quality is None:
        return CaseSection(place, case, [], [], None, None, "", "", settings)
    is_theirs = case.record.provenance.weights_sha256 == calibration.weights_sha256
    known = calibration.modalities.get(quality.measures.modality) if is_theirs else None
    error = calibration.errors.get(quality.measures.modality) if is_theirs else None
    shown = case.shown() if place <= MAX_PICTURED else None
    modality = Modality(quality.measures.modality)
    worst, median = (
        (None, None)
        if shown is None
        else (draw_slice(one, shown.affine, modality) for one in (shown.worst, shown.median))
    )
    has_curves = bool(quality.measures.slices) and place <= MAX_PICTURED
    return CaseSection(
        number=place,
        case=case,
        chances=chances(quality.judgement),
        lines=measured_lines(quality.measures, known, error),
        worst=worst,
        median=median if worst and median and median.index != worst.index else None,
        spectrum=draw_spectrum(quality.measures, known) if has_curves else "",
        slices=draw_slices(quality.measures) if has_curves and len(quality.measures.slices) > 1 else "",
        settings=settings,
    )
