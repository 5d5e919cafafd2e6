"""Reading a scan of any supported format."""

import logging
from collections import deque
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from bundle.tat.data.datalist import IMAGE_KEY, SERIES_KEY, series_of
from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.dicom.reader import read_series
from bundle.tat.formats import is_pickle
from bundle.tat.volume_files.open import open_volume
from bundle.tat.volume_files.volume_file import refusing_unreadable

logger = logging.getLogger(__name__)

# Entry of an item with the data sets that its derived series is written from; writing removes them.
SOURCES_KEY: Final = "sources"
# Metadata entry with the forms of a NIfTI header, which the result gets too (see ``NiftiForms``).
FORMS_KEY: Final = "nifti_forms"

_N_AXES: Final = 3


class LoadScand(MapTransform):
    """Load a volume or a DICOM series into a channel-first ``MetaTensor`` in float32 with its RAS affine [mm].

    A DICOM series is given as its folder, as one file or as the list of its files. Any other volume is given as a file
    that ``open_volume`` reads. Slices pickled by the authors of the paper (``.bin``) are read too, through an unpickler
    that accepts only arrays.

    An item of ``find_scans`` holds the ``series`` of its image, so it is not searched again. It also gets an entry
    ``sources``, from which ``SaveRestoredd`` writes the derived series without opening the files again.

    A file that cannot be read is refused in one sentence. The log names a NIfTI file whose header has two geometries.

    Args:
        keys: keys that hold paths.
        allow_uneven: accept a DICOM series whose slices are not evenly spaced, which NIfTI cannot store. Its affine has
            the mean distance of the slices.
        allow_missing_keys: skip a key that is absent.

    Shape:
        path -> ``(C, W, H[, D])``, ``C`` is 1 unless the file has a fourth dimension of more than 1.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or cannot be decoded.
    """

    def __init__(self, keys: KeysCollection, *, allow_uneven: bool = False, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.allow_uneven = allow_uneven

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each path by the image it names."""
        d = dict(data)
        for key in self.key_iterator(d):
            known = {SERIES_KEY: d[SERIES_KEY]} if key == IMAGE_KEY and SERIES_KEY in d else {}
            item = {IMAGE_KEY: d[key], **known}
            path = Path(str(ensure_tuple(d[key])[0]))
            with refusing_unreadable(path):
                series = series_of(item)
                if series is None:
                    d[key] = _load(path)
                else:
                    read = read_series(series, allow_uneven=self.allow_uneven)
                    d[key] = _as_tensor(read.values, read.metadata, path)
                    if known:
                        d[SOURCES_KEY] = deque(read.sources)
        return d


def _load(path: Path) -> MetaTensor:
    """Read a file that is no DICOM."""
    if is_pickle(path) and path.exists():
        reader = PickledSliceReader()
        return _as_tensor(*reader.get_data(reader.read(path)), path)
    volume = open_volume(path)
    if volume.note:
        logger.warning("%s %s", path, volume.note)
    metadata = {
        "affine": volume.affine,
        "original_affine": volume.affine.copy(),
        "spatial_shape": np.asarray(volume.shape[:_N_AXES]),
        "original_channel_dim": "no_channel" if len(volume.shape) <= _N_AXES else -1,
        "space": "RAS",
    }
    if volume.forms is not None:
        metadata[FORMS_KEY] = volume.forms.to_json()
    return _as_tensor(volume.values(), metadata, path)


def _as_tensor(values: NDArray[np.float32], metadata: Mapping[str, Any], path: Path) -> MetaTensor:
    """A volume as MONAI's ``LoadImage`` would give it, sharing the memory of the array."""
    meta = {**metadata, "filename_or_obj": str(path)}
    affine = torch.from_numpy(meta.pop("affine"))
    image = torch.from_numpy(values)
    channel_first = image[None] if image.ndim <= _N_AXES else image.flatten(_N_AXES).movedim(-1, 0)
    return MetaTensor(channel_first, affine=affine, meta=meta)
