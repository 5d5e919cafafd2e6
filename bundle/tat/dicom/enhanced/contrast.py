"""What an Enhanced frame shows: whether it is a slice of anatomy, and which volume of its object it belongs to."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# Complex Image Component (0008,9208), PS3.3 C.8.13.3.1.2.
_COMPONENTS: Final = MappingProxyType(
    {
        "PHASE": "the phase of a complex image",
        "REAL": "the real part of a complex image",
        "IMAGINARY": "the imaginary part of a complex image",
        "MIXED": "a mixture of magnitude and phase",
    }
)
# Volume Based Calculation Technique (0008,9207), PS3.3 C.8.16.2.1.3. MPR gives slices.
_TECHNIQUES: Final = MappingProxyType(
    {
        "MAX_IP": "a maximum intensity projection",
        "MIN_IP": "a minimum intensity projection",
        "VOLUME_RENDER": "a rendered volume",
        "SURFACE_RENDER": "a rendered surface",
        "CURVED_MPR": "a curved reformation",
    }
)
# Derived pixel contrast, value 4 of Frame Type (0008,9007): what is computed pixel by pixel is no measured intensity.
# PS3.3 C.8.16.1.4 (common), C.8.13.3.1.1.4 (MR) and C.8.15.3.1.1.4 (CT).
_CONTRASTS: Final = MappingProxyType(
    {
        "ADC": "a map of apparent diffusion coefficients",
        "DIFFUSION_ANISO": "a map of anisotropy",
        "DIFFUSION_ATTNTD": "a map of attenuated diffusion",
        "DIVISION": "a quotient of images",
        "EFF_ATOMIC_NUM": "a map of atomic numbers",
        "ELECTRON_DENSITY": "a map of electron densities",
        "FRACT_ANISO": "a map of anisotropy",
        "MASKED": "a masked image",
        "MAT_FRACTIONAL": "a map of a material",
        "MAT_SPECIFIC": "a map of a material",
        "MAT_VALUE_BASED": "a map of a material",
        "MAXIMUM": "a maximum of images",
        "MINIMUM": "a minimum of images",
        "MTT": "a map of transit times",
        "MULTIPLICATION": "a product of images",
        "NEI": "a map of enhancement",
        "PERCENTAGE": "a map of percentages",
        "QUANTITY": "a parametric map",
        "R_COEFFICIENT": "a map of correlations",
        "RCBF": "a map of blood flow",
        "RCBV": "a map of blood volume",
        "REL_CBF": "a map of blood flow",
        "REL_CBV": "a map of blood volume",
        "STD_DEVIATION": "a map of standard deviations",
        "SUBTRACTION": "a difference of images",
        "T1": "a map of T1",
        "T1_MAP": "a map of T1",
        "T2": "a map of T2",
        "T2_MAP": "a map of T2",
        "T2_STAR": "a map of T2*",
        "T2_STAR_MAP": "a map of T2*",
        "TCS": "a map of statistics",
        "TTP": "a map of times to peak",
        "T_TEST": "a map of statistics",
        "VELOCITY": "a map of velocities",
        "Z_SCORE": "a map of statistics",
    }
)
_N_TYPES: Final = 4


def not_anatomy(view: Dataset) -> str | None:
    """What a frame is instead of a slice of measured intensities, in the attributes that only Enhanced objects have.

    Args:
        view: the frame as a classic image.

    Returns:
        Its kind; ``None`` if nothing says that it is no slice.
    """
    kind = _word(view, "ComplexImageComponent"), _word(view, "VolumeBasedCalculationTechnique")
    types = [str(word).upper() for word in view.get("ImageType") or ()]
    contrast = types[_N_TYPES - 1] if len(types) >= _N_TYPES else ""
    found = _COMPONENTS.get(kind[0]) or _TECHNIQUES.get(kind[1]) or _CONTRASTS.get(contrast)
    if not found and _word(view, "VolumetricProperties") == "DISTORTED":
        return "a distorted volume"
    return found


def volume_of(view: Dataset) -> tuple[str, ...]:
    """What tells the volume of a frame from others of its series: frames that differ in it are never of one volume.

    Args:
        view: the frame as a classic image.

    Returns:
        Stack ID (0020,9056), Frame Type (0008,9007), echo time, b-value and direction of the diffusion gradient.
    """
    echo, b_value = view.get("EchoTime"), view.get("DiffusionBValue")
    direction = [
        f"{float(number):.3f}"
        for item in view.get("DiffusionGradientDirectionSequence") or ()
        for number in item.get("DiffusionGradientOrientation") or ()
    ]
    return (
        _word(view, "StackID"),
        "\\".join(str(word) for word in view.get("ImageType") or ()),
        "" if echo is None else f"{float(echo):.4g}",
        "" if b_value is None else f"{float(b_value):g}",
        " ".join(direction) if _word(view, "DiffusionDirectionality") == "DIRECTIONAL" else "",
    )


def phase_of(view: Dataset, pointers: tuple[int, ...]) -> tuple[str, ...]:
    """What may tell two frames at one place apart, most telling first.

    Args:
        view: the frame as a classic image.
        pointers: see ``dimension_pointers``.

    Returns:
        Temporal Position Index (0020,9128), Temporal Position Time Offset (0020,930D), Nominal Cardiac Trigger Delay
        Time (0020,9153), Frame Acquisition Number (0020,9156), and each index that is not of a place.
    """
    named = ("TemporalPositionIndex", "TemporalPositionTimeOffset", "NominalCardiacTriggerDelayTime")
    indices = view.get("DimensionIndexValues")
    values = (indices,) if isinstance(indices, int) else tuple(indices or ())
    return (
        *(_word(view, name) for name in (*named, "FrameAcquisitionNumber")),
        *(str(values[pointer]) if pointer < len(values) else "" for pointer in pointers),
    )


# Dimension Index Pointers (0020,9165) to where a frame lies, not to what it shows.
_PLACES: Final = frozenset({0x00209057, 0x00200032, 0x00209056, 0x00201041, 0x00209113, 0x00209116, 0x00200037})


def dimension_pointers(image: Dataset) -> tuple[int, ...]:
    """Which of the indices of a frame are not of its place.

    Args:
        image: Enhanced data set.

    Returns:
        Positions in Dimension Index Values (0020,9157).
    """
    items = image.get("DimensionIndexSequence") or ()
    return tuple(
        index for index, item in enumerate(items) if int(item.get("DimensionIndexPointer") or 0) not in _PLACES
    )


def _word(view: Dataset, name: str) -> str:
    value = view.get(name)
    return "" if value is None else str(value).strip().upper()
