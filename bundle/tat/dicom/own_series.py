"""Marks by which a series or a folder that this program wrote is recognised."""

from typing import Final

# Manufacturer's Model Name (0008,1090) of the item that is added to Contributing Equipment Sequence (0018,A001).
MODEL_NAME: Final = "TAT medical image restoration"
# Ends the Series Description (0008,103E) of a restored series.
SERIES_SUFFIX: Final = "restored by TAT"
# Its presence marks a folder as a case that this program wrote, whole.
RECORD_NAME: Final = "restoration.json"
