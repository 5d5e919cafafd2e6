"""DICOM, read and written: the one package that knows its elements. Only ``reader`` imports MONAI."""
