"""SUV of PET files from what PET-BIDS and dcm2niix write beside them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.tat.data.bids import ParticipantEntry
from bundle.tat.data.pet_sidecar import sidecar_suv_factor
from bundle.tat.data.sidecar import Sidecar
from bundle.tat.refusal import RefusedInputError

# 370 MBq of fluorine 18 in 74 kg, seen one half-life after the injection: 185 MBq are left, 74,000 g / 1.85e8 Bq.
PET_BIDS = {
    "Units": "Bq/mL",
    "TracerRadionuclide": "F18",
    "InjectedRadioactivity": 370,
    "InjectedRadioactivityUnits": "MBq",
    "BodyWeight": 74,
    "TimeZero": "10:00:00",
    "ScanStart": 0,
    "InjectionStart": -6586.2,
    "FrameTimesStart": [0],
    "FrameDuration": [600],
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "AttenuationCorrection": "CT",
    "ModeOfAdministration": "bolus",
}
BY_HAND = 0.0004
DCM2NIIX_2022 = {"Modality": "PT", "Units": "BQML", "RadionuclideTotalDose": 3.7e8, "RadionuclideHalfLife": 6586.2}
DCM2NIIX_2026 = {
    "Modality": "PT",
    "Units": "Bq/mL",
    "DecayCorrection": "START",
    "TracerRadionuclide": "18Fluorine",
    "RadionuclideHalfLife": 6586.2,
    "InjectedRadioactivity": 370,
    "InjectedRadioactivityUnits": "MBq",
    "ScanStart": 0,
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
}


def factor(fields, **changes):
    kept = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return sidecar_suv_factor(Sidecar(Path("/d/sub-01_pet.json"), kept))


def test_the_factor_is_the_one_computed_by_hand():
    assert factor(PET_BIDS) == pytest.approx(BY_HAND, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({"InjectionStart": 0, "ImageDecayCorrectionTime": 6586.2}, 1),
        ({"InjectionStart": 0}, 0.5),
        ({"ImageDecayCorrectionTime": -6586.2}, 0.5),
        ({"InjectionStart": -3 * 6586.2}, 4),
        ({"InjectedRadioactivity": 3.7e8, "InjectedRadioactivityUnits": "Bq"}, 1),
        ({"InjectedRadioactivity": 10, "InjectedRadioactivityUnits": "mCi"}, 1),
        ({"InjectedRadioactivity": None, "RadionuclideTotalDose": 3.7e8}, 1),
        ({"RadionuclideTotalDose": 3.7e8}, 1),
        ({"BodyWeight": None, "PatientWeight": 37}, 0.5),
        ({"Units": "kBq/mL"}, 1000),
        ({"Units": "BQML"}, 1),
        ({"TracerRadionuclide": None, "RadionuclideHalfLife": 6586.2}, 1),
        ({"DecayCorrection": "ADMIN"}, 0.5),
        ({"DecayCorrection": "ADMIN", "InjectionStart": None}, 0.5),
    ],
)
def test_each_entry_is_heard(changes, ratio):
    assert factor(PET_BIDS, **changes) == pytest.approx(BY_HAND * ratio, rel=1e-9)


@pytest.mark.parametrize("text", ["F18", "18F", "[18F]", "F-18", "18Fluorine", "^18^Fluorine"])
def test_a_nuclide_is_written_in_many_ways(text):
    assert factor(PET_BIDS, TracerRadionuclide=text) == pytest.approx(BY_HAND)


@given(
    weight=st.floats(1, 300),
    dose=st.floats(1e7, 1e9),
    injection=st.floats(-20000, 0),
    correction=st.floats(0, 20000),
    shift=st.floats(-5000, 5000),
)
@settings(max_examples=50, deadline=None)
def test_time_zero_does_not_matter_and_dose_times_factor_is_weight(weight, dose, injection, correction, shift):
    def of(zero):
        return factor(
            PET_BIDS,
            BodyWeight=weight,
            InjectedRadioactivity=dose / 1e6,
            InjectionStart=injection - zero,
            ImageDecayCorrectionTime=correction - zero,
        )

    assert of(shift) == pytest.approx(of(0), rel=1e-6)
    left = dose * 0.5 ** ((correction - injection) / 6586.2)
    assert of(0) * left == pytest.approx(weight * 1000, rel=1e-9)


def test_a_frame_without_decay_correction_refers_to_its_average_time():
    """A short frame at one half-life after the injection: half of the activity is left."""
    assert factor(PET_BIDS, ImageDecayCorrected=False, FrameDuration=[1]) == pytest.approx(BY_HAND, rel=1e-4)


@pytest.mark.parametrize("units", ["SUV", "SUVbw", "GML", "g/ml"])
def test_suv_is_suv(units):
    assert factor({"Units": units}) == 1.0


@pytest.mark.parametrize("units", [None, "", "n/a"])
def test_nothing_is_said_of_the_unit(units):
    assert factor(PET_BIDS, Units=units) is None


NOT_WEIGHED = {name: value for name, value in PET_BIDS.items() if name != "BodyWeight"}
PATH = Path("/d/sub-01_pet.json")


@pytest.mark.parametrize("unit", ["", "kg"])
def test_the_participant_is_weighed_where_the_sidecar_does_not_tell(unit):
    weight = ParticipantEntry(("74",), unit)
    assert sidecar_suv_factor(Sidecar(PATH, NOT_WEIGHED, weight)) == pytest.approx(BY_HAND)
    of_this_scan = Sidecar(PATH, PET_BIDS, ParticipantEntry(("37",), ""))
    assert sidecar_suv_factor(of_this_scan) == pytest.approx(BY_HAND)


@pytest.mark.parametrize(
    "weight", [ParticipantEntry(("163",), "lb"), ParticipantEntry(("74", "75"), ""), ParticipantEntry(("74 kg",), "")]
)
def test_a_weight_in_doubt_is_refused_without_its_value(weight):
    with pytest.raises(RefusedInputError, match=r"weight in participants\.tsv is not one number of kg") as refused:
        sidecar_suv_factor(Sidecar(PATH, NOT_WEIGHED, weight))
    assert not any(value in str(refused.value) for value in weight.values)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        (DCM2NIIX_2022, ["BodyWeight, or weight in participants.tsv", "InjectionStart", "ImageDecayCorrected"]),
        (DCM2NIIX_2026, ["BodyWeight, or weight in participants.tsv", "InjectionStart"]),
        ({**DCM2NIIX_2026, "PatientWeight": 74}, ["InjectionStart"]),
        ({"Units": "Bq/mL"}, ["InjectedRadioactivity", "BodyWeight", "InjectionStart", "TracerRadionuclide"]),
        ({**PET_BIDS, "ImageDecayCorrectionTime": "n/a"}, ["ImageDecayCorrectionTime"]),
        ({**PET_BIDS, "ImageDecayCorrected": False, "FrameTimesStart": [0, 5]}, ["one frame with FrameTimesStart"]),
    ],
)
def test_what_is_missing_is_named_with_the_way_out(fields, missing):
    with pytest.raises(RefusedInputError) as refused:
        factor(fields)
    said = str(refused.value)
    assert "SUV also needs" in said
    assert all(name in said for name in missing)
    assert ("BodyWeight" in said) == any("BodyWeight" in name for name in missing)
    assert "--pet_scale" in said
    assert "body weight [g]" in said
    assert "74" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Units": "CNTS"}, "Units are CNTS, which is neither Bq/mL nor SUV"),
        ({"Units": "SUVlbm"}, "Units are SUVlbm"),
        ({"AttenuationCorrection": "none"}, "attenuation is not corrected"),
        ({"ModeOfAdministration": "bolus-infusion"}, "the tracer was infused"),
        ({"InjectedRadioactivityUnits": "mg"}, "InjectedRadioactivityUnits mg"),
        ({"InjectedRadioactivityUnits": None}, "InjectedRadioactivityUnits missing"),
        ({"InjectedRadioactivityUnits": "GBq"}, r"InjectedRadioactivity above 1e\+11 Bq"),
        ({"RadionuclideTotalDose": 370}, r"RadionuclideTotalDose below 100000 Bq"),
        ({"RadionuclideTotalDose": 3e8}, "RadionuclideTotalDose and InjectedRadioactivity differ"),
        ({"PatientWeight": 80}, "BodyWeight and PatientWeight differ"),
        ({"BodyWeight": 74000}, "BodyWeight above 500 kg"),
        ({"RadionuclideHalfLife": 109.77}, "RadionuclideHalfLife is not that of fluorine 18"),
        ({"RadionuclideHalfLife": 1.83}, "RadionuclideHalfLife below 60 s"),
        ({"InjectionStart": 60}, "the decay correction before InjectionStart"),
        ({"InjectionStart": -1e5}, "more than 10 half-lives after InjectionStart"),
        ({"InjectionStart": "09:00:00"}, "InjectionStart in sub-01_pet.json is not a number"),
        ({"DecayCorrection": "ADMIN", "ImageDecayCorrected": False}, "contradicts itself: DecayCorrection is ADMIN"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(RefusedInputError, match=said):
        factor(PET_BIDS, **changes)
