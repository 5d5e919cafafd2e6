"""What a result depends on besides its scan, the weights and the version."""

from bundle.tat.cases.record import Setting
from bundle.tat.modality import parse_modality
from bundle.tat.refusal import RefusedInputError

_N_AXES = 3


def result_settings(
    *,
    modality: str | None = None,
    mri_scale: str = "percentile",
    pet_scale: float = 1.0,
    mri_upsample: float | str | None = None,
    slice_axis: int = -1,
    pet_planes: bool = True,
    any_resolution: bool = False,
    strength: float = 1.0,
    data_consistency: float = 0.0,
    consistency_taper: bool = False,
    amp: bool = False,
    amp_dtype: str = "bfloat16",
    dicom: str = "source",
    nifti: bool = False,
    uid_seed: object = None,
) -> dict[str, Setting]:
    """Put the settings of a run into one form, so that those of two runs can be compared.

    Args:
        modality: as the user gives it.
        mri_scale: how MRI is brought to the scale of the training data.
        pet_scale: factor from the unit of the file to SUV.
        mri_upsample: factor of the finer grid of MRI, or the side of its pixels.
        slice_axis: array axis of the slices, counted from either end.
        pet_planes: whether PET is restored in three planes.
        any_resolution: whether MRI of a resolution that the network was not trained on is restored.
        strength: weight of the restored image, 0 to 1; the rest is the scan.
        data_consistency: weight of the k-space that an MRI kept, 0 to 1.
        consistency_taper: whether that weight falls towards the edge of the kept part.
        amp: whether products are computed in half precision.
        amp_dtype: the format of that precision.
        dicom: which kind of DICOM is written.
        nifti: whether NIfTI is written beside DICOM.
        uid_seed: what UIDs are computed from.

    Returns:
        The settings by name.

    Raises:
        RefusedInputError: an unknown modality.
    """
    return {
        "modality": parse_modality(str(modality)).value if modality else None,
        "mri_scale": mri_scale,
        "pet_scale": float(pet_scale),
        "mri_upsample": mri_upsample,
        "slice_axis": slice_axis % _N_AXES,
        "pet_planes": pet_planes,
        "any_resolution": any_resolution,
        "strength": float(strength),
        "data_consistency": float(data_consistency),
        "consistency_taper": consistency_taper if data_consistency else None,
        "amp": amp,
        "amp_dtype": str(amp_dtype) if amp else None,
        "dicom": dicom,
        "nifti": nifti,
        "uid_seed": None if uid_seed is None else str(uid_seed),
    }


def parse_bool(name: str, switch: bool | str) -> bool:
    """Read a switch. The command line gives it as text, unless it is written as Python writes it.

    Args:
        name: of the switch, for the message.
        switch: ``True`` or ``False``, or the word in any case.

    Raises:
        RefusedInputError: it is something else.
    """
    word = str(switch).lower()
    if word not in ("true", "false"):
        raise RefusedInputError(f"{name} is {switch!r}: pass True or False")
    return word == "true"


def parse_weight(name: str, weight: float | bool | str) -> float:
    """Read a weight; a switch is read as 0 or 1.

    Args:
        name: of the weight, for the message.
        weight: a number from 0 to 1; ``True`` for 1 and ``False`` for 0; or either as text.

    Raises:
        RefusedInputError: it is something else.
    """
    words = {"true": 1.0, "false": 0.0}
    word = str(weight).lower()
    try:
        value = words[word] if word in words else float(word)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 1.0:
        raise RefusedInputError(f"{name} is {weight!r}: pass a number from 0 (off) to 1, or True or False")
    return value
