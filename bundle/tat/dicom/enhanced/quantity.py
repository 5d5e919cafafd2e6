"""Unit, corrections and times of Enhanced PET, in the attributes of classic PET."""

from __future__ import annotations

import copy
import re
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Codes of UCUM in Measurement Units Code Sequence (0040,08EA), PS3.16 CID 84, as Units (0054,1001) has them.
_UNITS: Final = MappingProxyType(
    {"Bq/ml": "BQML", "Bq/mL": "BQML", "g/ml{SUVbw}": "GML", "{SUVbw}g/ml": "GML", "{counts}": "CNTS"}
)
# Corrections that Enhanced PET answers with YES or NO, and what Corrected Image (0028,0051) calls them.
_CORRECTIONS: Final = MappingProxyType(
    {
        "DecayCorrected": "DECY",
        "AttenuationCorrected": "ATTN",
        "ScatterCorrected": "SCAT",
        "DeadTimeCorrected": "DTIM",
        "GantryMotionCorrected": "MOTN",
        "PatientMotionCorrected": "PMOT",
        "CountLossNormalizationCorrected": "CLN",
        "RandomsCorrected": "RAN",
        "NonUniformRadialSamplingCorrected": "RADL",
        "SensitivityCalibrated": "DCAL",
        "DetectorNormalizationCorrection": "NORM",
    }
)
# No injection is weaker than this in Bq, and none is stronger than this in MBq.
_LARGEST_DOSE_IN_MBQ: Final = 1e5
_BQ_A_MBQ: Final = 1e6


def complete_pet(view: Dataset) -> None:
    """Add the attributes of classic PET that SUV needs, where they are absent.

    Args:
        view: a frame as a classic image, with its Real World Value Mapping (0040,9096); changed in place.

    Source:
        DICOM PS3.3 C.8.22 (Enhanced PET), C.7.6.16.2.11 (real world value mapping) and C.8.9 (classic PET).
    """
    if not view.get("Units"):
        _take_unit(view)
    if not view.get("CorrectedImage"):
        named = [name for keyword, name in _CORRECTIONS.items() if view.get(keyword) == "YES"]
        if named:
            set_new(view, "CorrectedImage", named)
    if not view.get("DecayCorrection") and view.get("DecayCorrected"):
        _take_decay_correction(view)
    _take_dose(view)


def set_new(view: Dataset, keyword: str, value: object) -> None:
    """Give a view a value in a new element: its present one may belong to the object.

    Args:
        view: a frame as a classic image; changed in place.
        keyword: of the element.
        value: of the element.
    """
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is not None:
        view.add_new(tag, dictionary_VR(tag), value)


def set_date_and_time(view: Dataset, event: str, moment: str) -> None:
    """Set the date and time of an event, in two elements as classic images have them.

    Args:
        view: a frame as a classic image; changed in place.
        event: ``Series`` or ``Acquisition``.
        moment: value of VR DT; its time zone, if it has one, is assumed to be that of the object.
    """
    set_new(view, f"{event}Date", moment[:8])
    set_new(view, f"{event}Time", re.split("[+-]", moment[8:])[0])


def _take_unit(view: Dataset) -> None:
    """Unit, slope and intercept of the one mapping whose unit is known."""
    for mapping in view.get("RealWorldValueMappingSequence") or ():
        codes = {str(code.get("CodeValue", "")) for code in mapping.get("MeasurementUnitsCodeSequence") or ()}
        units = [_UNITS[code] for code in codes if code in _UNITS]
        slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")
        if units and slope is not None and intercept is not None:
            from pydicom.valuerep import format_number_as_ds

            set_new(view, "Units", units[0])
            if units[0] == "GML":
                set_new(view, "SUVType", "BW")
            set_new(view, "RescaleSlope", format_number_as_ds(float(slope)))
            set_new(view, "RescaleIntercept", format_number_as_ds(float(intercept)))
            return


def _take_decay_correction(view: Dataset) -> None:
    """Time that the values are corrected to; that of the series under START, PS3.3 C.8.9.1.1.5."""
    if view.DecayCorrected != "YES":
        set_new(view, "DecayCorrection", "NONE")
        return
    moment = str(view.get("DecayCorrectionDateTime") or "")
    items = view.get("RadiopharmaceuticalInformationSequence") or ()
    if not moment:
        return
    if [_moment(item.get("RadiopharmaceuticalStartDateTime")) for item in items] == [_moment(moment)]:
        set_new(view, "DecayCorrection", "ADMIN")
        return
    set_new(view, "DecayCorrection", "START")
    set_date_and_time(view, "Series", moment)


def _moment(value: object) -> datetime | str:
    """A date and time that can be compared, also with other numbers of digits."""
    text = str(value or "")
    for form in ("%Y%m%d%H%M%S.%f%z", "%Y%m%d%H%M%S%z", "%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return text


def _take_dose(view: Dataset) -> None:
    """Dose in Bq: some writers give that of an Enhanced object in MBq, as nuclear medicine has it."""
    from pydicom.sequence import Sequence

    items = list(view.get("RadiopharmaceuticalInformationSequence") or ())
    if not any(0 < float(item.get("RadionuclideTotalDose") or 0) < _LARGEST_DOSE_IN_MBQ for item in items):
        return
    items = [copy.deepcopy(item) for item in items]
    for item in items:
        dose = float(item.get("RadionuclideTotalDose") or 0)
        if 0 < dose < _LARGEST_DOSE_IN_MBQ:
            item.RadionuclideTotalDose = dose * _BQ_A_MBQ
    set_new(view, "RadiopharmaceuticalInformationSequence", Sequence(items))
