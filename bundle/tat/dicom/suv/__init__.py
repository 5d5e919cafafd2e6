"""PET in standardised uptake values, from what a DICOM header says."""
