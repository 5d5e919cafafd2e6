"""Gains on pairs made from real scans, by texture, level, grid and person: tables in the pages.

Its input is the evaluation that ``make benchmark-real`` runs.

A gain is a difference of PSNR [dB]: over the input image, and over the better of two Gaussian filters, in the plane or
in space. The filters have their best width for each case, which is not known in clinical use.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.table import SliceTable, read_slices
from scripts.benchmarks.documents import REAL_PAGES, fill, markdown
from scripts.data.real.parts import REAL_PARTS, CountNoise, KSpaceCoverage, RealPart, TexturedNoise

GAUSSIANS: Final = ("gaussian", "gaussian_3d")
HEAD: Final = ("pairs of real scans", "input [dB]", "gain", "SSIM", "over the best Gaussian", "SSIM", "least gain")
HEAD_OF_RANGES: Final = ("pairs of real scans", "cases", "gain", "over the best Gaussian", "least gain of a case")


@dataclass(frozen=True)
class Gain:
    """Gains of one restored case.

    Args:
        part: part of a scan that the case is made from.
        psnr: PSNR of the degraded image [dB].
        over_input: gain of PSNR over the degraded image [dB], and of SSIM.
        over_gaussian: the same gains over the better of the Gaussian filters.
    """

    part: RealPart
    psnr: float
    over_input: tuple[float, float]
    over_gaussian: tuple[float, float]


def condition(part: RealPart) -> str:
    """Degradation of a part, in the words of the table."""
    match part.degradation:
        case TexturedNoise(_, deviation):
            texture = part.variant.split("_")[-1].removesuffix(f"{deviation:g}hu")
            return f"CT, {texture} noise of {deviation:g} HU"
        case KSpaceCoverage(kept):
            return f"MRI, {kept[0]:.0%} x {kept[1]:.0%} of k-space"
        case CountNoise(_, fwhm):
            return f"PET, {part.plane}, noise correlated over {fwhm:g} mm"
        case _:
            return f"{part.modality.value}, simulated low dose"


def strength(part: RealPart) -> str:
    """How much a part is degraded, for all textures and planes."""
    match part.degradation:
        case TexturedNoise(_, deviation):
            return f"CT, noise of {deviation:g} HU"
        case CountNoise(_, fwhm):
            return f"PET, noise correlated over {fwhm:g} mm"
        case _:
            return condition(part)


def gains(table: SliceTable) -> Iterator[Gain]:
    """Gains of each case of an evaluation, as means over its slices."""
    parts = {Path(part.path("low")).name.removesuffix(".nii.gz"): part for part in REAL_PARTS}
    scores: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in table.rows:
        scores[row.case][row.method].append((row.psnr, row.ssim))
    for case, methods in scores.items():
        psnr, ssim = ({name: fmean(score[i] for score in of) for name, of in methods.items()} for i in (0, 1))
        plain = max((name for name in GAUSSIANS if name in psnr), key=psnr.__getitem__)
        over_input, over_gaussian = (
            (psnr["restored"] - psnr[other], ssim["restored"] - ssim[other]) for other in ("input", plain)
        )
        yield Gain(parts[case], psnr["input"], over_input, over_gaussian)


def by_condition(found: Sequence[Gain]) -> dict[str, list[Gain]]:
    """The cases of each condition, in the order of the parts."""
    groups: dict[str, list[Gain]] = defaultdict(list)
    for gain in sorted(found, key=lambda gain: REAL_PARTS.index(gain.part)):
        groups[condition(gain.part)].append(gain)
    return dict(groups)


def over_persons(cases: Sequence[Gain]) -> dict[str, float]:
    """Gain over the input of each person, a mean over that person's cases [dB]."""
    persons: dict[str, list[float]] = defaultdict(list)
    for gain in cases:
        persons[gain.part.subject].append(gain.over_input[0])
    return {person: fmean(values) for person, values in sorted(persons.items())}


def summary(cases: Sequence[Gain]) -> dict[str, float]:
    """The figures of one condition, means over its cases."""
    return {
        "input": fmean(gain.psnr for gain in cases),
        "over_input": fmean(gain.over_input[0] for gain in cases),
        "over_input_ssim": fmean(gain.over_input[1] for gain in cases),
        "over_gaussian": fmean(gain.over_gaussian[0] for gain in cases),
        "over_gaussian_ssim": fmean(gain.over_gaussian[1] for gain in cases),
        "least": min(gain.over_input[0] for gain in cases),
    }


def table_of_conditions(groups: Mapping[str, Sequence[Gain]]) -> str:
    """A row for each condition."""
    rows = []
    for name, cases in groups.items():
        of = summary(cases)
        rows.append(
            [
                f"{name} ({len(cases)} cases)",
                f"{of['input']:.2f}",
                f"{of['over_input']:+.2f}",
                f"{of['over_input_ssim']:+.3f}",
                f"{of['over_gaussian']:+.2f}",
                f"{of['over_gaussian_ssim']:+.3f}",
                f"{of['least']:+.2f}",
            ]
        )
    return markdown(HEAD, rows)


def table_of_persons(groups: Mapping[str, Sequence[Gain]]) -> str:
    """Gain of each person in each condition."""
    by_person = {name: over_persons(cases) for name, cases in groups.items()}
    persons = sorted({person for of in by_person.values() for person in of})
    rows = [
        [name, *(f"{of[person]:+.2f}" if person in of else "" for person in persons)] for name, of in by_person.items()
    ]
    return markdown(["gain over the input [dB]", *persons], rows)


def table_of_ranges(groups: Mapping[str, Sequence[Gain]]) -> str:
    """Lowest and highest gain of the conditions of each strength [dB], for the model card."""
    strengths: dict[str, list[Sequence[Gain]]] = defaultdict(list)
    for cases in groups.values():
        strengths[strength(cases[0].part)].append(cases)
    rows = []
    for name, conditions in strengths.items():
        found = [summary(cases) for cases in conditions]
        ranges = (sorted({f"{of[key]:+.2f}" for of in found}, key=float) for key in ("over_input", "over_gaussian"))
        rows.append(
            [
                name,
                str(sum(map(len, conditions))),
                *(" to ".join(dict.fromkeys((values[0], values[-1]))) for values in ranges),
                f"{min(of['least'] for of in found):+.2f}",
            ]
        )
    return markdown(HEAD_OF_RANGES, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the scores of an evaluation; print the tables, write them as JSON and into the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slices", type=Path, help="slices.csv of an evaluation of data/real.json")
    parser.add_argument("--out", type=Path, default=Path("eval/real_scans.json"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, nargs="+", default=REAL_PAGES, help="pages with marks for the tables")
    options = parser.parse_args(arguments)
    groups = by_condition(list(gains(read_slices(options.slices))))
    conditions, persons = table_of_conditions(groups), table_of_persons(groups)
    print(f"{conditions}\n\n{persons}")
    figures = {name: summary(cases) | {"persons": over_persons(cases)} for name, cases in groups.items()}
    write_json(options.out, figures)
    fill(options.page, {"real": f"{conditions}\n\n{persons}", "real_ranges": table_of_ranges(groups)})


if __name__ == "__main__":
    main()
