"""Opening a file that holds a volume and is not DICOM, in any of the formats that are read."""

from pathlib import Path

from bundle.tat.formats import FORMATS, is_meta_image, is_mgh, is_nifti, is_nrrd, is_pair
from bundle.tat.refusal import RefusedInputError
from bundle.tat.volume_files.geometry import check_affine
from bundle.tat.volume_files.nifti import open_nibabel
from bundle.tat.volume_files.volume_file import VolumeFile, refusing_unreadable


def open_volume(path: Path) -> VolumeFile:
    """Read the header of a volume, in the format that its name stands for.

    Args:
        path: NIfTI, an ``.hdr`` and ``.img`` pair, NRRD, MetaImage or FreeSurfer.

    Returns:
        The volume, whose voxels are not read yet.

    Raises:
        RefusedInputError: the path does not exist, is of another format, its header cannot be read, or its affine is
            singular.
    """
    if not path.exists():
        raise RefusedInputError(f"{path} does not exist: check the path")
    with refusing_unreadable(path):
        if is_nifti(path) or is_pair(path) or is_mgh(path):
            volume = open_nibabel(path)
        elif is_nrrd(path) or is_meta_image(path):
            from bundle.tat.volume_files.itk_formats import open_itk  # SimpleITK takes a while to import

            volume = open_itk(path)
        else:
            raise RefusedInputError(f"{path} is none of {FORMATS}: convert it to NIfTI")
        check_affine(volume.affine, volume.shape)
    return volume
