"""Reading a scan, whatever its format."""

import logging
import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
from monai.config import KeysCollection
from monai.data import ImageReader, ITKReader, MetaTensor, NibabelReader
from monai.data.utils import to_affine_nd
from monai.transforms import LoadImage, MapTransform
from monai.utils import ensure_tuple

from bundle.tat.data.layouts.authors import PickledSliceReader
from bundle.tat.dicom.open import first_line, looks_like_dicom
from bundle.tat.dicom.reader import DicomSeriesReader
from bundle.tat.formats import is_nifti, is_nrrd, is_pickle
from bundle.tat.refusal import RefusedInputError


class LoadScand(MapTransform):
    """Load NIfTI, NRRD or a DICOM series into a channel-first ``MetaTensor`` in float32 with its RAS affine.

    A DICOM series is given as its folder, as one file or as the list of its files. Slices pickled by the authors of the
    paper (``.bin``) are read too, through an unpickler that admits arrays only.

    MONAI's ``LoadImaged`` with the reader chosen by what the path is, instead of by trial: a file that cannot be read
    is refused in one sentence, and a DICOM series is checked (see ``DicomSeriesReader``).

    Args:
        keys: keys that hold paths.
        allow_missing_keys: skip a key that is absent.

    Shape:
        path -> ``(C, W, H[, D])``, ``C`` is 1 unless the file has a fourth dimension.

    Raises:
        RefusedInputError: the path does not exist, is of another format, or cannot be decoded.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        with warnings.catch_warnings():
            # LoadImage sets up every reader that it knows, and tells twice that a decoder for NVIDIA cards is missing.
            warnings.simplefilter("ignore")
            logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
            self._loader = LoadImage(image_only=True, ensure_channel_first=True)

    def __call__(self, data: Mapping[Hashable, object]) -> dict[Hashable, object]:
        """Replace each path by the image it names."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._load([Path(str(path)) for path in ensure_tuple(d[key])])
        return d

    def _load(self, paths: Sequence[Path]) -> MetaTensor:
        path = paths[0]
        reader = DicomSeriesReader() if len(paths) > 1 else reader_for(path)
        try:
            check_real(path)
            image: MetaTensor = self._loader([str(path) for path in paths], reader=reader)
        except RefusedInputError:
            raise
        except Exception as error:
            # Decoders raise anything from EOFError to RuntimeError; whichever it is, this file cannot be used.
            raise RefusedInputError(f"cannot read {path}: {first_line(error)}") from error
        # A 2-D file of some readers comes with a 2-D affine; its third axis points out of the slice.
        image.affine = to_affine_nd(3, image.affine)
        return image


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
    """The reader of a path's format.

    Args:
        path: a NIfTI, NRRD or DICOM file, a pickled slice, or a folder with one DICOM series.

    Returns:
        A MONAI reader.

    Raises:
        RefusedInputError: the path does not exist or is of another format.
    """
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist")
    if path.is_dir():
        return DicomSeriesReader()
    if is_nifti(path):
        return NibabelReader()
    if is_nrrd(path):
        return ITKReader()
    if is_pickle(path):
        return PickledSliceReader()
    if looks_like_dicom(path):
        return DicomSeriesReader()
    raise RefusedInputError(f"{path} is neither NIfTI (.nii, .nii.gz), NRRD (.nrrd) nor DICOM")
