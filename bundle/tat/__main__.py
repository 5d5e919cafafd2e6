"""``python -m bundle.tat`` is the command ``tat``, also under ``torchrun``."""

import sys

from bundle.tat_command import main

if __name__ == "__main__":
    sys.exit(main())
