"""Knowing the modality of a scan, and never guessing it."""

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
from bundle.tat.transforms.pet_scale import note_suv_factor

SAY_MODALITY: Final = "pass --modality CT, --modality MRI or --modality PET"
NAME_IN_LIST: Final = "name it in the list, as CT, MRI or PET"


class ResolveModalityd(MapTransform):
    """Settle the modality of a scan from its datalist entry, header, sidecar or BIDS name, or the user's word.

    Writes a ``Modality`` value (``CT``, ``MRI`` or ``PET``) under ``modality_key``. The metadata of PET gets what its
    sidecar says about SUV, see ``note_suv_factor``.

    Args:
        keys: key of the image whose metadata may name the modality (``modality``, which the DICOM reader fills from
            (0008,0060)). An item that has an ``image`` may bring its sidecar along.
        modality: what the user says, for files that do not tell; ``None`` when nothing is said.
        modality_key: where a datalist names the modality and where the answer goes.
        from_list: whether scans come from a list that names their modality, as in training, where no one word can be
            right for all: the remedy is to name it there.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: nobody tells the modality, two tell different ones, it is none that TAT restores, or the
            sidecar cannot be read.
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
        """Ask everyone who may know, and refuse when they disagree."""
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
    """Refuse what is no scan of anatomy: a network that was trained on intensities changes quantities.

    Args:
        sidecar: of the scan.

    Raises:
        RefusedInputError: the sidecar says that it is a phase image, a map or another such thing.
    """
    if sidecar is not None and (reason := sidecar.not_a_slice_reason):
        raise RefusedInputError(f"by Image Type in {sidecar.path.name}, this is {reason}: pass the magnitude images")


def modality_beside(path: Path | None, sidecar: Sidecar | None) -> dict[str, str]:
    """What is told of the modality of a scan in a file of its own, but not in that file.

    Args:
        path: of the file, if it is known.
        sidecar: what was read beside it.

    Returns:
        Source -> its word.
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


def resolve_modality(told: Mapping[str, str], *, remedy: str = SAY_MODALITY) -> Modality:
    """The one modality that all sources name.

    Args:
        told: source -> its word.
        remedy: what to do where nothing tells.

    Returns:
        The modality.

    Raises:
        RefusedInputError: no source, sources that disagree, or an unknown word.
    """
    if not told:
        raise RefusedInputError(f"nothing tells the modality of this scan: {remedy}")
    modalities = {who: parse_modality(word) for who, word in told.items()}
    if len(set(modalities.values())) > 1:
        claims = ", ".join(f"{who} says {modality.value}" for who, modality in modalities.items())
        raise RefusedInputError(f"the modality is in doubt: {claims}; correct the one that is wrong")
    return next(iter(modalities.values()))
