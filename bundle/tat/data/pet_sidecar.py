"""PET in standardised uptake values, from what PET-BIDS or dcm2niix write beside a file."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from bundle.tat.data.sidecar import Sidecar
from bundle.tat.dicom.suv.factor import GREATEST_DOSE, HEAVIEST, LEAST_DOSE, LIGHTEST, activity_to_suv
from bundle.tat.dicom.suv.nuclides import (
    HALF_LIFE_TOLERANCE,
    LONGEST_HALF_LIFE,
    MAX_HALF_LIVES,
    NUCLIDES,
    SHORTEST_HALF_LIFE,
    Nuclide,
    average_time,
    decayed_share,
)
from bundle.tat.refusal import RefusedInputError

# Units, in lower case, of activity concentration: factor to Bq/ml.
_CONCENTRATIONS: Final = MappingProxyType(
    {"bq/ml": 1.0, "bqml": 1.0, "kbq/ml": 1e3, "kbqml": 1e3, "mbq/ml": 1e6, "mbqml": 1e6}
)
# Units of SUV by body weight, and their name in DICOM.
_SUV: Final = frozenset({"suv", "suvbw", "gml", "g/ml"})
# Units, in lower case, of activity: factor to Bq.
_ACTIVITIES: Final = MappingProxyType(
    {"bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9, "uci": 3.7e4, "µci": 3.7e4, "mci": 3.7e7, "ci": 3.7e10}
)
# Two entries for one quantity may be rounded differently by this part.
_ROUNDING: Final = 0.01
_NOT_CORRECTED: Final = frozenset({"none", "no", "false", "uncorrected", "nac"})
# The unit of a weight, which is kg where none is named.
_KILOGRAMS: Final = frozenset({"", "kg", "kilogram", "kilograms"})
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_FORMULA: Final = (
    "the body weight [g] over the part [Bq] of the injected activity that is left at the time that the values are "
    "decay corrected to"
)


def sidecar_unit(sidecar: Sidecar) -> str | None:
    """The unit of PET as its sidecar has it; ``None`` where it names none."""
    return sidecar.text("Units") or None


def sidecar_suv_factor(sidecar: Sidecar) -> float | None:
    """Factor that brings the values of a PET file to SUV by body weight.

    Args:
        sidecar: of the file.

    Returns:
        1 for SUV. For an activity concentration, body weight over the activity that is left of the injected one at the
        time that the values are decay corrected to. ``None`` where the sidecar names no unit.

    Raises:
        RefusedInputError: another unit; not corrected for attenuation; an infusion; or entries that are missing, out of
            bounds or contradictory. The message names entries, never the patient's values.

    Source:
        BIDS 1.10, "Positron Emission Tomography": times are seconds after TimeZero.
    """
    unit = sidecar_unit(sidecar)
    if unit is None:
        return None
    kind = unit.lower().replace(" ", "")
    if kind in _SUV:
        return 1.0
    if kind not in _CONCENTRATIONS:
        raise _refused(sidecar, f"says that Units are {unit}, which is neither Bq/mL nor SUV")
    _check_comparable(sidecar)
    dose, weight, half_life = _injected_activity(sidecar), _body_weight(sidecar), _half_life(sidecar)
    times, missing_times = _times(sidecar, half_life)
    missing = [
        *(["the injected activity (InjectedRadioactivity)"] if dose is None else []),
        *(["the body weight (BodyWeight, or weight in participants.tsv)"] if weight is None else []),
        *missing_times,
        *(["the half-life (TracerRadionuclide)"] if half_life is None else []),
    ]
    if missing or dose is None or weight is None or half_life is None or times is None:
        raise _refused(sidecar, f"says that Units are {unit}, but SUV also needs {', '.join(missing)}")
    share = decayed_share(_checked_seconds(sidecar, times, half_life), half_life)
    return _CONCENTRATIONS[kind] * activity_to_suv(weight, dose, share)


def _refused(sidecar: Sidecar, fault: str) -> RefusedInputError:
    """The error that a sidecar is refused with, to be raised; it names the remedy."""
    return RefusedInputError(
        f"its sidecar {sidecar.path.name} {fault}: correct it, or pass --pet_scale, the factor from the file's unit to "
        f"SUV. From Bq/mL it is {_FORMULA}"
    )


def _check_comparable(sidecar: Sidecar) -> None:
    """Refuse what has no SUV."""
    if sidecar.text("AttenuationCorrection").lower() in _NOT_CORRECTED:
        raise _refused(sidecar, "says that attenuation is not corrected, which SUV needs")
    if "infusion" in sidecar.text("ModeOfAdministration").lower():
        raise _refused(sidecar, "says that the tracer was infused, so that there is no single time of injection")


def _within(sidecar: Sidecar, name: str, value: float, low: float, high: float, unit: str) -> float:
    """A value, if it lies within bounds."""
    if not low <= value <= high:
        bound = f"below {low:g}" if value < low else f"above {high:g}"
        raise _refused(sidecar, f"has {name} {bound} {unit}")
    return value


def _injected_activity(sidecar: Sidecar) -> float | None:
    """Injected activity [Bq]; dcm2niix wrote it as DICOM has it, and writes it as PET-BIDS has it."""
    found = []
    as_dicom, as_bids = sidecar.number("RadionuclideTotalDose"), sidecar.number("InjectedRadioactivity")
    if as_dicom is not None:
        found.append(_within(sidecar, "RadionuclideTotalDose", as_dicom, LEAST_DOSE, GREATEST_DOSE, "Bq"))
    if as_bids is not None:
        unit = sidecar.text("InjectedRadioactivityUnits")
        if unit.lower() not in _ACTIVITIES:
            raise _refused(sidecar, f"has InjectedRadioactivityUnits {unit or 'missing'}, which should be MBq or Bq")
        dose = as_bids * _ACTIVITIES[unit.lower()]
        found.append(_within(sidecar, "InjectedRadioactivity", dose, LEAST_DOSE, GREATEST_DOSE, "Bq"))
    return _one_value(sidecar, "RadionuclideTotalDose and InjectedRadioactivity", found)


def _body_weight(sidecar: Sidecar) -> float | None:
    """Body weight [kg]: of the sidecar itself, or else of the table of participants."""
    weights = {name: sidecar.number(name) for name in ("BodyWeight", "PatientWeight")}
    found = [_within(sidecar, name, weight, LIGHTEST, HEAVIEST, "kg") for name, weight in weights.items() if weight]
    if found or sidecar.participant_weight is None:
        return _one_value(sidecar, "BodyWeight and PatientWeight", found)
    values, unit = sidecar.participant_weight
    if len(values) > 1 or unit.lower() not in _KILOGRAMS or not _NUMBER.fullmatch(values[0]):
        raise _refused(sidecar, "gives no BodyWeight, and weight in participants.tsv is not one number of kg")
    return _within(sidecar, "a subject of weight", float(values[0]), LIGHTEST, HEAVIEST, "kg")


def _one_value(sidecar: Sidecar, names: str, values: list[float]) -> float | None:
    """The one value that several entries give."""
    if values and max(values) > (1 + _ROUNDING) * min(values):
        raise _refused(sidecar, f"contradicts itself: {names} differ")
    return values[0] if values else None


def _half_life(sidecar: Sidecar) -> float | None:
    """Half-life [s], that of the nuclide if only that is named."""
    half_life, nuclide = sidecar.number("RadionuclideHalfLife"), _nuclide(sidecar.text("TracerRadionuclide"))
    if half_life is None:
        return None if nuclide is None else nuclide.half_life
    _within(sidecar, "RadionuclideHalfLife", half_life, SHORTEST_HALF_LIFE, LONGEST_HALF_LIFE, "s")
    if nuclide is not None and abs(half_life / nuclide.half_life - 1) > HALF_LIFE_TOLERANCE:
        raise _refused(sidecar, f"contradicts itself: RadionuclideHalfLife is not that of {nuclide.name}")
    return half_life


def _nuclide(text: str) -> Nuclide | None:
    """A nuclide that is written as ``F18``, ``18F``, ``^18^Fluorine`` and the like."""
    letters, digits = re.sub(r"[^a-z]", "", text.lower()), re.sub(r"\D", "", text)
    for nuclide in NUCLIDES:
        element, mass = nuclide.name.split()
        if digits == mass and letters in (element, nuclide.symbol.lower().removesuffix(mass)):
            return nuclide
    return None


def _times(sidecar: Sidecar, half_life: float | None) -> tuple[float | None, list[str]]:
    """Time from the injection to what the values are decay corrected to [s], and what is missing for it."""
    if sidecar.text("DecayCorrection").upper() == "ADMIN":  # DICOM's word, which dcm2niix passes on
        if sidecar.fields.get("ImageDecayCorrected") is False:
            raise _refused(sidecar, "contradicts itself: DecayCorrection is ADMIN, but ImageDecayCorrected false")
        return 0.0, []
    injection, (reference, missing) = sidecar.number("InjectionStart"), _reference(sidecar, half_life)
    if injection is None:
        return None, ["the time of the injection (InjectionStart)", *missing]
    return (None if reference is None else reference - injection), missing


def _reference(sidecar: Sidecar, half_life: float | None) -> tuple[float | None, list[str]]:
    """Time that the values are decay corrected to [s after TimeZero], and what is missing for it."""
    is_corrected = sidecar.fields.get("ImageDecayCorrected")
    if is_corrected is True:
        time = sidecar.number("ImageDecayCorrectionTime")
        return time, [] if time is not None else ["the time of the decay correction (ImageDecayCorrectionTime)"]
    if is_corrected is not False:
        return None, ["whether it is decay corrected (ImageDecayCorrected)"]
    starts, durations = sidecar.numbers("FrameTimesStart"), sidecar.numbers("FrameDuration")
    if len(starts) != 1 or len(durations) != 1 or durations[0] <= 0:
        return None, ["decay correction, or one frame with FrameTimesStart and FrameDuration"]
    return (None if half_life is None else starts[0] + average_time(durations[0], half_life)), []


def _checked_seconds(sidecar: Sidecar, seconds: float, half_life: float) -> float:
    """Time from the injection to the reference [s], if it is possible."""
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        where = "before" if seconds < 0 else f"more than {MAX_HALF_LIVES} half-lives after"
        raise _refused(sidecar, f"puts the time of the decay correction {where} InjectionStart")
    return seconds
