"""The network beside filters that take seconds for a slice, on real scans with noise added: a table in the page.

Scored is the middle slice of one case for each person and condition. Each filter has its best strength for that very
slice, which is not known in clinical use. BM3D needs the extra ``bm3d``, for non-commercial use only.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from tqdm import tqdm

from bundle.tat.atomic import write_json
from bundle.tat.evaluation.baseline_filters import Filter, find_filters
from bundle.tat.evaluation.cases import Case
from bundle.tat.evaluation.scoring import INPUT, RESTORED, MethodResult, keep_best, score_case
from bundle.tat.formats import case_name
from bundle.tat.modality import Modality
from bundle.tat.volume_files.open import open_volume
from scripts.benchmarks.ablation.scored import TESTING, Item, choose_scored
from scripts.benchmarks.documents import ROOT, fill, markdown
from scripts.benchmarks.pipeline import WEIGHTS, Pipeline

FILTERS: Final = ("gaussian", "non_local_means", "bm3d")
# Filters add hardly anything to MRI that lacks part of k-space.
MODALITIES: Final = (Modality.CT, Modality.PET)

# Condition -> method -> gain of each person [dB].
Gains = Mapping[str, Mapping[str, Sequence[float]]]


def middle_slice(item: Item, pipeline: Pipeline) -> Case:
    """Restore the middle slice of a case.

    Args:
        item: entry of a datalist.
        pipeline: of its modality.
    """
    image, label = (open_volume(Path(item[key])) for key in ("image", "label"))
    middle = slice(image.shape[2] // 2, image.shape[2] // 2 + 1)
    values = image.values()[..., middle]
    return Case(
        name=case_name(Path(item["image"])),
        modality=pipeline.modality,
        image=values,
        restored=pipeline.restore(values, image.affine),
        label=label.values()[..., middle],
        affine=image.affine,
        subject=item["subject"],
    )


def gains_of(results: Iterable[MethodResult], conditions: Mapping[str, str]) -> Gains:
    """Gain of each method over the input, by condition; slices that cannot be scored are left out.

    Args:
        results: of every case, with one parameter for each filter.
        conditions: degradation of each case.
    """
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for result in results:
        if result.slices:
            scores[result.case][result.method] = result.means.psnr
    gains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case, of_methods in scores.items():
        for method, psnr in of_methods.items():
            if method != INPUT:
                gains[conditions[case]][method].append(psnr - of_methods[INPUT])
    return gains


def table(gains: Gains, filters: Sequence[str]) -> str:
    """A row for each condition: mean gain over persons, the network's and that of each filter; ``-`` without scores."""
    methods = [RESTORED, *filters]
    head = ["middle slices", "network", *(name.replace("_", " ") for name in filters), "network over the best of them"]
    rows = []
    for condition, found in gains.items():
        means = {method: fmean(found[method]) for method in methods if found.get(method)}
        best = max((means[name] for name in filters if name in means), default=None)
        cells = [f"{means[method]:+.2f}" if method in means else "-" for method in methods]
        lead = "-" if best is None else f"{means[RESTORED] - best:+.2f}"
        rows.append([f"{condition} ({len(found[RESTORED])} persons)", *cells, lead])
    return markdown(head, rows)


def unsuitable(filters: Iterable[Filter]) -> list[str]:
    """Say which filters are not meant for all modalities of the table.

    Args:
        filters: that were chosen.
    """
    return [
        f"{filter_.name} is meant for {', '.join(sorted(filter_.modalities))} only"
        for filter_ in filters
        if not filter_.modalities.issuperset(MODALITIES)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Restore and filter the slices; print the table, write it as JSON and into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="prepared data (default: data/)")
    parser.add_argument("--filters", nargs="+", default=FILTERS, help=f"default: {' '.join(FILTERS)}")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: models/model.pt")
    parser.add_argument("--out", type=Path, default=Path("eval/other_filters.json"), help="default: %(default)s")
    parser.add_argument("--page", type=Path, nargs="+", default=[ROOT / "docs" / "benchmark.md"])
    options = parser.parse_args(arguments)
    filters = find_filters(options.filters)
    if unfit := unsuitable(filters):
        parser.error(f"{'; '.join(unfit)}: pass --filters that suit {' and '.join(MODALITIES)}")
    chosen, conditions = choose_scored(options.data)
    pipelines = {modality: Pipeline(modality, options.weights) for modality in MODALITIES}
    items = [item for item in chosen[TESTING] if Modality(item["modality"]) in pipelines]
    results: list[MethodResult] = []
    for item in tqdm(items, unit="slice"):
        case = middle_slice(item, pipelines[Modality(item["modality"])])
        results += keep_best(score_case(case, filters), "case")
    gains = gains_of(results, conditions)
    made = table(gains, options.filters)
    print(made)
    write_json(options.out, {name: dict(of_methods) for name, of_methods in gains.items()})
    fill(options.page, {"other_filters": made})


if __name__ == "__main__":
    main()
