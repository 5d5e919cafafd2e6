"""Keep metadata.json in the repository's root a byte-identical copy of configs/metadata.json, the original.

A symbolic link is not possible, since zip archives turn links into text files.
"""

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "configs" / "metadata.json"
COPY = ROOT / "metadata.json"


def main() -> None:
    """Copy, or with ``--check`` only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when the copies differ")
    if parser.parse_args().check:
        if not COPY.is_file() or COPY.read_bytes() != SOURCE.read_bytes():
            sys.exit("metadata.json and configs/metadata.json differ: run make format")
    else:
        shutil.copyfile(SOURCE, COPY)


if __name__ == "__main__":
    main()
