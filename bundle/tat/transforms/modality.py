"""Knowing the modality of a scan, and never guessing it."""

from collections.abc import Hashable, Mapping
from typing import Final

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.modality import Modality, parse_modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source

SAY_MODALITY: Final = "pass --modality CT, --modality MRI or --modality PET"
NAME_IN_LIST: Final = "name it in the list, as CT, MRI or PET"


class ResolveModalityd(MapTransform):
    """Settle the modality of a scan from its datalist entry, its DICOM header or the user's word.

    Writes a ``Modality`` value (``CT``, ``MRI`` or ``PET``) under ``modality_key``.

    Args:
        keys: key of the image whose metadata may name the modality (``modality``, which the DICOM reader fills from
            (0008,0060)).
        modality: what the user says, for files that do not tell; ``None`` when nothing is said.
        modality_key: where a datalist names the modality and where the answer goes.
        from_list: whether scans come from a list that names their modality, as in training, where no one word can be
            right for all: the remedy is to name it there.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: nobody tells the modality, two tell different ones, or it is none that TAT restores.
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

    def __call__(self, data: Mapping[Hashable, object]) -> dict[Hashable, object]:
        """Ask everyone who may know, and refuse when they disagree."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            told = {
                "the datalist": d.get(self.modality_key),
                "the file": image.meta.get("modality") if isinstance(image, MetaTensor) else None,
                "--modality": self.modality,
            }
            said = {who: str(word) for who, word in told.items() if word}
            with naming_source(image):
                d[self.modality_key] = resolve_modality(said, remedy=self.remedy).value
        return d


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
