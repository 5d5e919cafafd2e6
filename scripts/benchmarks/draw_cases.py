"""Draw two test slices of each modality: one with the median gain and one with the worst gain."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from bundle.tat.atomic import written_whole
from bundle.tat.evaluation.cases import Case, read_cases
from bundle.tat.evaluation.table import SliceRow, read_slices
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.visualize.restored import SIMULATION_NOTES
from bundle.tat.visualize.slices import draw_case
from scripts.benchmarks.weights import check_restored_by

# Noise compresses badly. With a palette of the colours in use, a picture has less than half the size.
N_GREYS: Final = 160
N_DIFFERENCES: Final = 256 - N_GREYS


class Choice(NamedTuple):
    """A slice and its choice: ``rank`` is ``median`` or ``worst``, ``gain`` is that of PSNR over the input [dB]."""

    modality: Modality
    rank: str
    case: str
    index: int
    gain: float
    n_slices: int


def choose(rows: Iterable[SliceRow]) -> list[Choice]:
    """Find the two slices of each modality; for an even number, the lower of the two middle gains is the median."""
    by_method: dict[str, dict[tuple[str, str, int], float]] = defaultdict(dict)
    for row in rows:
        by_method[row.method][row.modality, row.case, row.slice] = row.psnr
    choices = []
    for modality in Modality:
        ranked = sorted(
            (psnr - by_method["input"][task, case, index], case, index)
            for (task, case, index), psnr in by_method["restored"].items()
            if task == modality.value
        )
        ranks = {"median": (len(ranked) - 1) // 2, "worst": 0} if ranked else {}
        for rank, position in ranks.items():
            gain, case, index = ranked[position]
            choices.append(Choice(modality, rank, case, index, gain, len(ranked)))
    return choices


def draw_choices(choices: Iterable[Choice], cases: Iterable[Case]) -> Iterator[tuple[str, Figure]]:
    """Draw every choice, with the name of its file."""
    by_name = {(case.modality, case.name): case for case in cases}
    for choice in choices:
        which = f"{choice.rank} gain of {choice.n_slices} test slices, {choice.gain:+.2f} dB"
        note = f"{which}; {SIMULATION_NOTES[choice.modality]}"
        figure = draw_case(by_name[choice.modality, choice.case], index=choice.index, note=note)
        yield f"case_{choice.modality.value.lower()}_{choice.rank}.png", figure


def write_picture(figure: Figure, path: Path) -> None:
    """Write a PNG with a palette, completely or not at all."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    scales = {"gray": N_GREYS, "RdBu_r": N_DIFFERENCES}
    palette = np.concatenate([colormaps[name](np.linspace(0, 1, n), bytes=True)[:, :3] for name, n in scales.items()])
    found, places = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    distances = np.stack([((found - colour.astype(float)) ** 2).sum(axis=1) for colour in palette])
    picture = Image.fromarray(distances.argmin(axis=0).astype(np.uint8)[places].reshape(pixels.shape[:2]))
    picture.putpalette(palette.tobytes())
    with written_whole(path) as temporary:
        picture.save(temporary, format="png", optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write two pictures for each modality."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=Path, required=True, help="slices.csv of the evaluation")
    parser.add_argument("--datalist", type=Path, required=True, help="JSON datalist that was scored")
    parser.add_argument("--restored", type=Path, required=True, help="output folder of the inference")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    options = parser.parse_args(arguments)
    try:
        table = read_slices(options.slices)
        choices = choose(table.rows)
        check_restored_by(
            table.record.provenance.weights_sha256,
            {options.restored / choice.case for choice in choices},
            message="was not made with the weights of the table: restore it again",
        )
        cases = read_cases(options.datalist, table.record.section, options.restored)
    except RefusedInputError as refusal:
        sys.exit(str(refusal))
    for name, figure in draw_choices(choices, cases):
        write_picture(figure, options.out / name)
        print(options.out / name)


if __name__ == "__main__":
    main()
