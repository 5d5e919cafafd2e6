"""Volumes in files that are not DICOM: their voxels and their geometry. NIfTI is also written here."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.volume_files.nifti import write_nifti as write_nifti
    from bundle.tat.volume_files.nifti_forms import NiftiForms as NiftiForms
    from bundle.tat.volume_files.open import open_volume as open_volume
    from bundle.tat.volume_files.volume_file import VolumeFile as VolumeFile
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
