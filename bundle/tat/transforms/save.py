"""Writing a restored scan: whole, or not at all."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from bundle.tat.atomic import written_whole
from bundle.tat.data.formats import case_name

# Entries of the two affines of a NIfTI header may differ by this much [mm]; both are stored in float32.
AFFINE_TOLERANCE: Final = 1e-3


class SaveRestoredd(MapTransform):
    """Save each image as ``<output_dir>/<name>/<name>_restored.nii.gz`` in float32, with the affine it came with.

    ``<name>`` is the input's file name without its suffix, or its DICOM folder's name. A reader of the output folder
    never sees half a file: it appears under its name only when it is complete.

    Args:
        keys: keys that hold channel-first ``MetaTensor`` images.
        output_dir: folder, made when the first image is saved.
        allow_missing_keys: skip a key that is absent.

    Raises:
        RefusedInputError: the folder or the file cannot be written.
    """

    def __init__(self, keys: KeysCollection, output_dir: str, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(str(output_dir)).expanduser()

    def __call__(self, data: Mapping[Hashable, object]) -> dict[Hashable, object]:
        """Save, and leave the data as they are."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            if not isinstance(image, MetaTensor):
                raise TypeError(
                    f"{key} is a {type(image).__name__}: saving needs a MetaTensor, for its affine and name"
                )
            name = case_name(Path(str(image.meta["filename_or_obj"])))
            write_nifti(image, self.output_dir / name / f"{name}_restored.nii.gz")
        return d


def write_nifti(image: MetaTensor, path: Path) -> None:
    """Write a NIfTI file, whole or not at all.

    Args:
        image: ``(1, W, H[, D])`` with a RAS affine [mm].
        path: file to write; its folder is made, an older file is replaced.

    Raises:
        RefusedInputError: the file system does not let us.
    """
    # nibabel itself, since MONAI's writer changes the number of dimensions of slices and one-slice volumes.
    nifti = nibabel.Nifti1Image(image[0].cpu().numpy().astype(np.float32, copy=False), image.affine.cpu().numpy())
    nifti.set_sform(nifti.affine, code="scanner")
    # A quaternion cannot hold the shear of a tilted gantry; where it would tell another geometry, it must tell none.
    nifti.set_qform(nifti.affine, code="scanner")
    if not np.allclose(nifti.get_qform(), nifti.affine, atol=AFFINE_TOLERANCE):
        nifti.set_qform(None, code="unknown")
    nifti.header.set_xyzt_units("mm")
    with written_whole(path) as temporary:
        nibabel.save(nifti, temporary)
