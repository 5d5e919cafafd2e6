"""Writing a restored scan, completely or not at all."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from bundle.tat.atomic import folder_written_whole
from bundle.tat.cases.record import SOURCE_KEY, CaseRecord, Setting, check_replaceable, write_record
from bundle.tat.data.datalist import CASE_KEY, REMARK_KEY, resolve_path
from bundle.tat.dicom.derivation import Derivation
from bundle.tat.dicom.own_series import MODEL_NAME
from bundle.tat.dicom.reader import ASSUMPTIONS, reread_sources, source_files
from bundle.tat.dicom.writer import KINDS, Source, WrittenSeries, write_series
from bundle.tat.file_digest import file_sha256
from bundle.tat.formats import case_name
from bundle.tat.inferers.planes import is_in_planes
from bundle.tat.provenance import Provenance
from bundle.tat.quality.record import QUALITY_KEY, Quality, write_shown
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KSPACE_KEPT
from bundle.tat.transforms.load import FORMS_KEY, SOURCES_KEY
from bundle.tat.transforms.scale.intensity import N_OUTSIDE_RANGE
from bundle.tat.transforms.upsample import FinerPlane
from bundle.tat.version import VERSION
from bundle.tat.volume_files.nifti import write_nifti
from bundle.tat.volume_files.nifti_forms import NiftiForms

# Settings for saving, which do not change the result, and what is said in words: the modality, and the planes that were
# used, which also depend on the scan.
_NOT_DESCRIBED: Final = frozenset({"modality", "pet_planes", "dicom", "nifti", "uid_seed"})


class SaveRestoredd(MapTransform):
    """Save each image as a case: a folder ``<output_dir>/<case>/`` that is written completely or not at all.

    - A scan from a DICOM series is saved as a derived series (``IM0001.dcm`` and so on, see ``write_series``).
    - Any other scan is saved as ``<case>_restored.nii.gz`` in float32 with its affine. A scan from NIfTI keeps both
      forms of its header, see ``write_nifti``.
    - The record ``restoration.json`` says what made the result. It identifies the scan if the item has the entry
      ``fingerprint``.

    ``<case>`` is the item's entry ``case``. Without one, it is the input's file name without its suffix, or the name of
    its DICOM folder. The item's entry ``source_remark``, a phrase about the scan, is written into the record and into
    Derivation Description (0008,2111).

    Args:
        keys: keys that hold channel-first ``MetaTensor`` images.
        output_dir: folder, made when the first image is saved.
        weights: file of the weights that restored the images; its hash is written into the results.
        dicom: ``source`` writes Enhanced DICOM as objects of their kind, ``classic`` as one file for each slice.
        nifti: write NIfTI beside a derived DICOM series too.
        uid_seed: text from which the UIDs of a derived series are computed, together with the UIDs of its source and
            the weights, version and settings; ``None`` draws new UIDs.
        settings: settings that change the result, by name.
        modality_key: entry that names the modality.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: ``dicom`` is another word. The case's name cannot be that of a folder. Its folder holds
            anything but an earlier result, or cannot be written to. A file of its source series cannot be read again.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str,
        weights: str | None = None,
        dicom: str = "source",
        nifti: bool = False,
        uid_seed: str | None = None,
        settings: Mapping[str, Setting] | None = None,
        modality_key: str = "modality",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = resolve_path(output_dir)
        self.weights = None if weights is None else Path(str(weights)).expanduser()
        if dicom not in KINDS:
            raise RefusedInputError(f"dicom is {dicom!r}: pass {' or '.join(KINDS)}")
        self.dicom = dicom
        self.nifti = nifti
        # The command line turns digits into a number.
        self.uid_seed = None if uid_seed is None else str(uid_seed)
        self.settings = dict(settings or {})
        self.modality_key = modality_key

    def __call__(self, data: Mapping[Hashable, object]) -> dict[Hashable, object]:
        """Save; the data stay unchanged."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            if not isinstance(image, MetaTensor):
                raise TypeError(f"{key} is a {type(image).__name__}: pass a MetaTensor, which has an affine and a name")
            self._save(image, d)
        return d

    def _save(self, image: MetaTensor, data: Mapping[Hashable, Any]) -> None:
        """Write the folder of one case."""
        case, modality = _case(data, image), str(data.get(self.modality_key) or "")
        remarks = [str(data[REMARK_KEY])] if data.get(REMARK_KEY) else []
        folder, files = self.output_dir / case, source_files(image.meta)
        check_replaceable(folder, files or [_path(image)])
        values: NDArray[np.float32] = image.as_tensor()[0].to("cpu", torch.float32).numpy()
        plane = FinerPlane.of_meta(image.meta)
        quality: Quality | None = data.get(QUALITY_KEY)
        with folder_written_whole(folder) as temporary:
            series = WrittenSeries(0, "", ())
            if files:
                provenance = Derivation(
                    self._weights_sha256,
                    VERSION,
                    "; ".join([self._description(modality, in_planes=is_in_planes(image)), *remarks]),
                    verdict=quality.judgement.verdict if quality else "",
                )
                sources = _take_all(data[SOURCES_KEY]) if SOURCES_KEY in data else reread_sources(image.meta)
                series = write_series(
                    values,
                    sources,
                    temporary,
                    provenance=provenance,
                    uid_seed=self.uid_seed,
                    kind=self.dicom,
                    finer=plane.grids if plane else None,
                )
            if self.nifti or not files:
                file = temporary / f"{case}_restored.nii.gz"
                write_nifti(series.in_its_unit(values), image.affine.cpu().numpy(), file, _forms(image, plane))
            source = {SOURCE_KEY: str(data[SOURCE_KEY])} if SOURCE_KEY in data else {}
            settings = {**self.settings, **source}
            record = CaseRecord(
                case=case,
                modality=modality,
                provenance=Provenance(self._weights_sha256, VERSION),
                n_outside_network_range=int(image.meta.get(N_OUTSIDE_RANGE, 0)),
                n_outside_file_range=series.n_clipped,
                unit=series.unit,
                settings=settings,
                assumptions=(*json.loads(image.meta.get(ASSUMPTIONS) or "[]"), *remarks),
                kspace_kept=tuple(json.loads(image.meta.get(KSPACE_KEPT) or "[]")),
                in_planes=is_in_planes(image),
                quality=quality,
            )
            if quality is not None and quality.shown is not None:
                write_shown(temporary, quality.shown)
            write_record(temporary, record)

    @cached_property
    def _weights_sha256(self) -> str | None:
        return None if self.weights is None else file_sha256(self.weights)

    def _description(self, modality: str, *, in_planes: bool) -> str:
        """One sentence about the restoration, for Derivation Description."""
        names = (name for name in self.settings if name not in _NOT_DESCRIBED)
        settings = "".join(f", {name} {self.settings[name]}" for name in names)
        restored = "restored in three planes" if in_planes else "restored"
        return f"{modality or 'Image'} {restored} by a neural network ({MODEL_NAME} {VERSION}{settings})"


def _take_all(sources: deque[Source]) -> Iterator[Source]:
    """Data sets in their order, each released before the next one: their memory shrinks while files are written."""
    while sources:
        yield sources.popleft()


def _path(image: MetaTensor) -> Path:
    return Path(str(image.meta["filename_or_obj"]))


def _case(data: Mapping[Hashable, Any], image: MetaTensor) -> str:
    """Name of the folder that an image is saved to."""
    case = str(data.get(CASE_KEY) or case_name(_path(image)))
    if Path(case).name != case or case in (".", ".."):
        raise RefusedInputError(f"case {case!r} cannot be the name of a folder: pass one name without slashes")
    return case


def _forms(image: MetaTensor, plane: FinerPlane | None) -> NiftiForms | None:
    """The forms of the header that an image was read from, if that was NIfTI, on the grid that it has now."""
    text = image.meta.get(FORMS_KEY)
    forms = NiftiForms.from_json(text) if text else None
    return forms if forms is None or plane is None else forms.regridded(plane.to_coarse)
