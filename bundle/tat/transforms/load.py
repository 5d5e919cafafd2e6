"""Reading a scan, whatever its format."""

import logging
import warnings
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import ImageReader, ITKReader, MetaTensor, NibabelReader
from monai.data.utils import to_affine_nd
from monai.transforms import LoadImage, MapTransform
from monai.utils import ensure_tuple

from bundle.tat.data.datalist import IMAGE_KEY, SERIES_KEY, series_of
from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.dicom.open import first_line
from bundle.tat.dicom.reader import SeriesVolume, read_series
from bundle.tat.formats import is_nifti, is_nrrd, is_pickle
from bundle.tat.refusal import RefusedInputError

# Entry of an item with the data sets that its derived series is written from; they are used up by that.
SOURCES_KEY: Final = "sources"


class LoadScand(MapTransform):
    """Load NIfTI, NRRD or a DICOM series into a channel-first ``MetaTensor`` in float32 with its RAS affine.

    A DICOM series is given as its folder, as one file or as the list of its files. Slices pickled by the authors of the
    paper (``.bin``) are read too, through an unpickler that admits arrays only.

    An item of ``find_scans`` brings the ``series`` of its image along, which is not searched again. It gets an entry
    ``sources`` too, from which ``SaveRestoredd`` writes the derived series without opening the files again.

    Other formats are read by MONAI's ``LoadImage``, with the reader chosen by what the path is instead of by trial. A
    file that cannot be read is refused in one sentence.

    Args:
        keys: keys that hold paths.
        allow_uneven: take a DICOM series whose slices are not evenly spaced, which no NIfTI can hold. Its affine has
            their mean distance.
        allow_missing_keys: skip a key that is absent.

    Shape:
        path -> ``(C, W, H[, D])``, ``C`` is 1 unless the file has a fourth dimension.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or cannot be decoded.
    """

    def __init__(self, keys: KeysCollection, *, allow_uneven: bool = False, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.allow_uneven = allow_uneven
        with warnings.catch_warnings():
            # LoadImage sets up every reader that it knows, and tells twice that a decoder for NVIDIA cards is missing.
            warnings.simplefilter("ignore")
            logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
            self._loader = LoadImage(image_only=True, ensure_channel_first=True)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each path by the image it names."""
        d = dict(data)
        for key in self.key_iterator(d):
            known = {SERIES_KEY: d[SERIES_KEY]} if key == IMAGE_KEY and SERIES_KEY in d else {}
            item = {IMAGE_KEY: d[key], **known}
            path = Path(str(ensure_tuple(d[key])[0]))
            with _refusing(path):
                series = series_of(item)
                if series is None:
                    d[key] = self._load(path)
                else:
                    read = read_series(series, allow_uneven=self.allow_uneven)
                    d[key] = _as_tensor(read, path)
                    if known:
                        d[SOURCES_KEY] = deque(read.sources)
        return d

    def _load(self, path: Path) -> MetaTensor:
        """Read a file that is no DICOM."""
        reader = reader_for(path)
        check_real(path)
        image: MetaTensor = self._loader(str(path), reader=reader)
        # A 2-D file of some readers comes with a 2-D affine; its third axis points out of the slice.
        image.affine = to_affine_nd(3, image.affine)
        return image


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Refuse a file that cannot be read; decoders raise anything from EOFError to RuntimeError."""
    try:
        yield
    except RefusedInputError:
        raise
    except Exception as error:
        raise RefusedInputError(f"cannot read {path}: {first_line(error)}") from error


def _as_tensor(read: SeriesVolume, path: Path) -> MetaTensor:
    """A series as MONAI's ``LoadImage`` would give it, sharing the memory of its slices."""
    meta = {**read.metadata, "filename_or_obj": str(path)}
    affine = torch.from_numpy(meta.pop("affine"))
    return MetaTensor(torch.from_numpy(read.values)[None], affine=affine, meta=meta)


def check_real(path: Path) -> None:
    """Refuse a complex image, whose imaginary part a cast to float32 would drop in silence.

    Args:
        path: a scan; NIfTI is looked at.

    Raises:
        RefusedInputError: it is complex.
    """
    if is_nifti(path) and np.issubdtype(nibabel.load(path).get_data_dtype(), np.complexfloating):  # type: ignore[attr-defined]
        raise RefusedInputError(f"{path} is complex: pass its magnitude")


def reader_for(path: Path) -> ImageReader:
    """The reader of a file that is no DICOM.

    Args:
        path: a NIfTI or NRRD file, or a pickled slice.

    Returns:
        A MONAI reader.

    Raises:
        RefusedInputError: the path does not exist or is of another format.
    """
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist")
    if is_nifti(path):
        return NibabelReader()
    if is_nrrd(path):
        return ITKReader()
    if is_pickle(path):
        return PickledSliceReader()
    raise RefusedInputError(f"{path} is neither NIfTI (.nii, .nii.gz), NRRD (.nrrd) nor DICOM")
