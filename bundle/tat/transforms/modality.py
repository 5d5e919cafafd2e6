"""Finding the modality of a scan, without guessing."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.data.bids import bids_modality
from bundle.tat.data.datalist import IMAGE_KEY
from bundle.tat.data.sidecar import SIDECAR_KEY, Sidecar, read_sidecar
from bundle.tat.formats import is_volume_file
from bundle.tat.modality import Modality, parse_modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source
from bundle.tat.transforms.scale.pet_scale import note_suv_factor

SAY_MODALITY: Final = "pass --modality CT, --modality MRI or --modality PET"
NAME_IN_LIST: Final = "name it in the list, as CT, MRI or PET"


class ResolveModalityd(MapTransform):
    """Find the modality of a scan from its datalist entry, header, sidecar, BIDS name, or the user's setting.

    Writes a ``Modality`` value (``CT``, ``MRI`` or ``PET``) under ``modality_key``. For PET, what the sidecar says
    about SUV is written into the metadata, see ``note_suv_factor``.

    Args:
        keys: key of the image whose metadata may name the modality (``modality``, which the DICOM reader fills from
            (0008,0060)). An item that has an ``image`` may bring its sidecar along.
        modality: the user's setting, for files that do not name it; ``None`` for no setting.
        modality_key: entry in which a datalist names the modality, and which gets the result.
        from_list: whether scans come from a list that names their modality, as in training. The remedy in a refusal is
            then to name it in the list, since one setting cannot be right for all scans.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: no source names the modality, two sources differ, TAT does not restore it, or the sidecar
            cannot be read.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str | None = None,
        modality_key: str = "modality",
        from_list: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modality = modality
        self.remedy = NAME_IN_LIST if from_list else SAY_MODALITY
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read all sources, and refuse when they disagree."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            with naming_source(image):
                sidecar = _sidecar(image, d, key)
                check_anatomy(sidecar)
                told = {
                    "the datalist": d.get(self.modality_key),
                    "the file": image.meta.get("modality") if isinstance(image, MetaTensor) else None,
                    **modality_beside(_path(image), sidecar),
                    "--modality": self.modality,
                }
                said = {who: str(word) for who, word in told.items() if word}
                modality = resolve_modality(said, remedy=self.remedy)
                if modality is Modality.PET and sidecar is not None:
                    note_suv_factor(image, sidecar)
            d[self.modality_key] = modality.value
        return d


def check_anatomy(sidecar: Sidecar | None) -> None:
    """Refuse images that do not show anatomy: a network that was trained on intensities would change quantities.

    Args:
        sidecar: of the scan.

    Raises:
        RefusedInputError: by its sidecar, the image is a phase image, a map or similar.
    """
    if sidecar is not None and (reason := sidecar.not_a_slice_reason):
        raise RefusedInputError(f"by Image Type in {sidecar.path.name}, this is {reason}: pass the magnitude images")


def modality_beside(path: Path | None, sidecar: Sidecar | None) -> dict[str, str]:
    """The modality of a scan according to its file name and its sidecar.

    Args:
        path: of the scan's file, if it is known.
        sidecar: of the scan, if there is one.

    Returns:
        Source -> its word for the modality.
    """
    told: dict[str, str] = {}
    if sidecar is not None and sidecar.modality:
        told[f"its sidecar {sidecar.path.name}"] = sidecar.modality
    by_name = bids_modality(path) if path is not None and is_volume_file(path) else None
    return {**told, "its BIDS name": by_name.value} if by_name else told


def _sidecar(image: object, data: Mapping[Hashable, Any], key: Hashable) -> Sidecar | None:
    """The sidecar of an image that was read from a file of its own."""
    if key == IMAGE_KEY and SIDECAR_KEY in data:
        known: Sidecar | None = data[SIDECAR_KEY]
        return known
    path = _path(image)
    return read_sidecar(path) if path is not None and is_volume_file(path) else None


def _path(image: object) -> Path | None:
    """The file that an image was read from."""
    name = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return Path(str(name)) if name else None


def resolve_modality(words: Mapping[str, str], *, remedy: str = SAY_MODALITY) -> Modality:
    """The one modality that all sources name.

    Args:
        words: source -> its word for the modality.
        remedy: what to do where there is no source.

    Returns:
        The modality.

    Raises:
        RefusedInputError: no source, sources that disagree, or an unknown word.
    """
    if not words:
        raise RefusedInputError(f"nothing tells the modality of this scan: {remedy}")
    modalities = {who: parse_modality(word) for who, word in words.items()}
    if len(set(modalities.values())) > 1:
        claims = ", ".join(f"{who} says {modality.value}" for who, modality in modalities.items())
        raise RefusedInputError(f"the modality is in doubt: {claims}; correct the one that is wrong")
    return next(iter(modalities.values()))
