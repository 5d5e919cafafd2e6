"""Scans of known measures, and a calibration that is easy to reason about."""

import numpy as np

from bundle.tat.metrics.regions import smoothed
from bundle.tat.modality import Modality
from bundle.tat.quality.calibration import Calibration, Grade, Logistic, ModalityCalibration, Representation
from bundle.tat.quality.measures import CaseMeasures, SliceMeasures, measure_slice

GRADE = Grade(20, 19, 80, 70, (0.75, 0.99), (0.78, 0.94), 0.93)


def anatomy(side=96):
    """A body of soft tissue with an organ in it."""
    down, right = np.mgrid[:side, :side] / side - 0.5
    image = np.full((side, side), -1000.0)
    image[np.hypot(down, right) < 0.45] = 40.0
    image[np.hypot(down - 0.1, right - 0.15) < 0.12] = 200.0
    return smoothed(image.astype(np.float32), 0.7)


def noise(deviation, seed=0, side=96):
    return (deviation * np.random.default_rng(seed).standard_normal((side, side))).astype(np.float32)


def measured(restore, n_slices=3, **known) -> CaseMeasures:
    """What is measured of a CT whose noise of 20 HU was dealt with in some way."""
    clean = anatomy()
    slices = [measure_slice(clean + noise(20.0, n), restore(clean), Modality.CT, index=n) for n in range(n_slices)]
    return CaseMeasures(Modality.CT, n_slices, tuple(filter(None, slices)), **known)


def edge_logistic(middle=0.5, slope=4.0) -> Logistic:
    """Chance that rises with the edge ratio, and is a half where its logarithm is ``middle``."""
    return Logistic(("edge_ratio",), (middle,), (1.0,), (slope,), 0.0)


def calibration(weights_sha256="0" * 64, limit=5.0, **changed) -> Calibration:
    """A calibration of CT that looks at edges only; the root of 2 has the logarithm 0.5."""
    entries = {
        "harm": edge_logistic(1.5),
        "edges": edge_logistic(0.5),
        "do_not_use": 0.5,
        "look_closely": 0.3,
        "look_at_edges": 0.5,
        "ranges": {"edge_ratio": (-3.0, 5.0)},
        "band": ((0.0,) * 16, (0.1,) * 16),
        "representation": Representation((0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), limit),
        "grades": {"do not use": GRADE, "look closely": GRADE},
        "n_cases": (100, 200),
        "n_subjects": (4, 5),
    }
    return Calibration(weights_sha256, {Modality.CT: ModalityCalibration(**{**entries, **changed})})


def one_slice(**changed) -> SliceMeasures:
    """A slice with plain numbers."""
    entries = {
        "index": 0,
        "noise_before": 20.0,
        "noise_after": 5.0,
        "change_flat": 18.0,
        "change_edges": 15.0,
        "change_body": 17.0,
        "autocorrelation": 0.1,
        "blur": 0.0,
        "kspace_change": None,
        "spectrum": (1.0 / 16,) * 16,
    }
    return SliceMeasures(**{**entries, **changed})
