"""Sharp slices with known noise, and the row that sums them up."""

import numpy as np
import pytest

from bundle.tat.modality import Modality
from bundle.tat.quality.measures import CaseMeasures
from bundle.tat.simulation.texture import TEXTURES
from scripts.benchmarks.sharp_slices import HEAD, LEVELS, row_of, with_noise
from scripts.quality.cases import KnownCase
from scripts.quality.measured import MeasuredCase

EMPTY = np.zeros((0, 0), np.float32)


@pytest.fixture
def clean() -> KnownCase:
    label = np.zeros((1, 64, 72), np.float32)
    return KnownCase("neck", "", Modality.CT, "neck", label + 5.0, label, 0.3)


def test_noise_of_every_texture_and_level_is_added_to_the_truth(clean):
    cases = list(with_noise(clean))
    assert len(cases) == len(LEVELS) * len(TEXTURES)
    for one in cases:
        noise = one.image - clean.label
        assert noise.std() == pytest.approx(float(one.condition), rel=0.2)
        assert abs(noise.mean()) < 0.5 * noise.std()
    for one, again in zip(cases, with_noise(clean), strict=True):
        np.testing.assert_array_equal(one.image, again.image)


def test_a_row_spans_its_cases(clean):
    measures = CaseMeasures(Modality.CT, 1, (), pixel_sides=(0.3, 0.3), kspace_kept=())
    cases = [
        MeasuredCase(case, measures, EMPTY, gain, -gain, (1.0, 1.0 + gain), np.zeros(0))
        for case, gain in zip(with_noise(clean), (0.5, 2.0), strict=False)
    ]
    row = dict(zip(HEAD, row_of(cases, ["do not use", "as trained"]), strict=True))
    assert row == {
        "CT slice": "neck, 0.30 mm",
        "noise added [HU]": "2",
        "gain [dB]": "+0.50 to +2.00",
        "gain at edges [dB]": "-2.00 to -0.50",
        "error at edges over flat tissue: before, after": "1.00, 1.50 to 3.00",
        "as trained": "1",
        "look closely": "0",
        "do not use": "1",
    }
