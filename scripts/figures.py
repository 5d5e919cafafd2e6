"""What the scripts draw with: matplotlib, or one line that says how to get it."""

import sys

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "matplotlib":
        raise
    sys.exit("drawing needs matplotlib: pip install 'tat-medical-image-restoration[report]'")

__all__ = ["Figure", "NullFormatter"]
