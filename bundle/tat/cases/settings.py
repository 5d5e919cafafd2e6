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
    slice_axis: int = -1,
    any_resolution: bool = False,
    data_consistency: bool = False,
    amp: bool = False,
    amp_dtype: str = "bfloat16",
    dicom: str = "source",
    nifti: bool = False,
    uid_seed: object = None,
) -> dict[str, Setting]:
    """Put the settings of a run into one form, so that those of two runs can be compared.

    Args:
        modality: what the user says.
        mri_scale: how MRI is brought to the scale of the training data.
        pet_scale: factor from the unit of the file to SUV.
        slice_axis: array axis of the slices, counted from either end.
        any_resolution: whether MRI of more resolution than the network knows is restored all the same.
        data_consistency: whether the k-space samples that an MRI kept are put back.
        amp: whether products are computed in half precision.
        amp_dtype: the format of those.
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
        "slice_axis": slice_axis % _N_AXES,
        "any_resolution": any_resolution,
        "data_consistency": data_consistency,
        "amp": amp,
        "amp_dtype": str(amp_dtype) if amp else None,
        "dicom": dicom,
        "nifti": nifti,
        "uid_seed": None if uid_seed is None else str(uid_seed),
    }


def parse_bool(name: str, switch: bool | str) -> bool:
    """Read a switch, which the command line gives as text unless it is written as Python does.

    Args:
        name: what the user calls it.
        switch: ``True`` or ``False``, or the word in any case.

    Raises:
        RefusedInputError: it is something else.
    """
    word = str(switch).lower()
    if word not in ("true", "false"):
        raise RefusedInputError(f"{name} is {switch!r}: pass True or False")
    return word == "true"
