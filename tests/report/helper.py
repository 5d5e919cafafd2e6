"""An output folder as runs leave it, made without a network."""

from dataclasses import replace

import numpy as np

from bundle.tat.cases.record import CaseRecord, write_record
from bundle.tat.metrics.regions import smoothed
from bundle.tat.modality import Modality
from bundle.tat.provenance import Provenance
from bundle.tat.quality.record import Quality, ShownSlice, ShownSlices, write_shown
from bundle.tat.quality.verdict import judge
from tests.quality.helper import anatomy, calibration, measured, noise

SHA256 = "ab" * 32


def write_case(out, name, *, blur=0.0, thorough=False, is_measured=True, in_planes=False, side=96):
    """A case whose noise was taken away, and its edges blurred or not."""
    known = calibration(SHA256)
    measures = measured(lambda clean: smoothed(clean, blur) if blur else clean, representation=2.0)
    measures = replace(measures, tissue_shifts={"soft tissue": -1.2}, disagreement=1.5 if thorough else None)
    clean = anatomy(side)
    spread = np.abs(noise(2.0, side=side)) if thorough else None
    after = smoothed(clean, blur) if blur else clean
    slices = [ShownSlice(index, clean + noise(20.0, index, side), after, spread) for index in (2, 1)]
    quality = Quality(measures, judge(measures, known), ShownSlices(*slices, np.diag([-1.0, -1.0, 3.0, 1.0])))
    folder = out / name
    folder.mkdir(parents=True)
    record = CaseRecord(
        name, Modality.CT.value, Provenance(SHA256, "0.1.0"), settings={"uid_seed": "Doe", "amp": False}
    )
    record = replace(record, in_planes=in_planes)
    write_record(folder, replace(record, quality=quality) if is_measured else record)
    if is_measured:
        write_shown(folder, quality.shown)
