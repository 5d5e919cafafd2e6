"""Restore every CT, MR and PET object that public packages ship, each separately, and tabulate the results.

The packages are unpacked source distributions, wheels or npm packages, each in one folder. Each object is restored with
the `inference.json` of the working folder, so two builds can be compared with `--before`. With `--identity` the network
returns its input, since the result of an object does not depend on it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import re
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pydicom
from monai.bundle import run

from bundle.tat.networks.tat import TAT

MODALITIES = ("CT", "MR", "PT")
# A row of the table of cases, with its message.
FAILED = re.compile(r" failed  (.*)")
# Parts of sentences that differ from object to object.
NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


@dataclass(frozen=True)
class Outcome:
    """Result of one object.

    Args:
        package: folder of its package.
        file: its path in that folder.
        kind: name of its SOP class.
        modality: Modality (0008,0060).
        n_results: number of restored volumes.
        sentence: why it was refused or skipped; empty if it was restored.
    """

    package: str
    file: str
    kind: str
    modality: str
    n_results: int
    sentence: str


def restore_all(packages: Sequence[Path]) -> Iterator[Outcome]:
    """Restore the objects of packages, in the order of their paths.

    Args:
        packages: folders.

    Yields:
        The result of each object.
    """
    for package in packages:
        for path in sorted(package.rglob("*")):
            if path.is_file() and (kind := _kind(path)):
                n_results, sentence = _restore(path)
                yield Outcome(package.name, str(path.relative_to(package)), *kind, n_results, sentence)


def _kind(path: Path) -> tuple[str, str] | None:
    """SOP class and modality of a DICOM object of ``MODALITIES``; ``None`` for any other file."""
    named = path.suffix.lower() in (".dcm", ".ima")
    try:
        image = pydicom.dcmread(path, stop_before_pixels=True, force=named)
        modality = str(image.get("Modality") or "")
        uid = image.get("SOPClassUID") or image.file_meta.get("MediaStorageSOPClassUID") or ""
    except Exception:  # pydicom raises many kinds on what is no DICOM
        return None
    return (pydicom.uid.UID(str(uid)).name, modality) if modality in MODALITIES else None


def _restore(path: Path) -> tuple[int, str]:
    """Restore one file in a separate folder; gives the number of results, and the reason if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given", Path(folder) / "out"
        given.mkdir()
        (given / path.name).symlink_to(path.resolve())
        table = io.StringIO()
        try:
            with contextlib.redirect_stdout(table), contextlib.redirect_stderr(io.StringIO()):
                run(config_file="configs/inference.json", dataset_dir=str(given), output_dir=str(out), device="cpu")
        except (Exception, SystemExit) as error:
            # Of several volumes, the table says why each has failed.
            sentence = "; ".join(dict.fromkeys(FAILED.findall(table.getvalue()))) or _innermost(error)
        else:
            sentence = ""
        # A refusal names the temporary folder, a skipped image its file.
        sentence = sentence.replace(str(given / path.name), "").replace(f"{given}/", "").replace(str(given), "")
        sentence = sentence.rsplit(f"; {path.name}: ", 1)[-1].strip(" :")
        return len(list(out.glob("*/restoration.json"))), sentence


def _innermost(error: BaseException) -> str:
    """Message of the first error; MONAI wraps it in others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{error}" if type(error).__name__ == "RefusedInputError" else f"{type(error).__name__}: {error}"


def tabulate(now: Sequence[Outcome], before: Sequence[Outcome] = ()) -> str:
    """A table in Markdown: a row for each package and SOP class.

    Args:
        now: results of the objects.
        before: results of another build.
    """
    restored_before = {(one.package, one.file): one.n_results for one in before}
    groups: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in now:
        groups[one.package, one.kind].append(one)
    lines = ["| package | objects | restored before | restored now | of the rest |", "| --- | --- | --- | --- | --- |"]
    for (package, kind), objects in sorted(groups.items()):
        n_before = sum(restored_before.get((one.package, one.file), 0) > 0 for one in objects)
        rest = Counter(NUMBER.sub("N", one.sentence) for one in objects if not one.n_results)
        reasons = "; ".join(f"{count} x {sentence}" for sentence, count in rest.most_common())
        n_now = sum(one.n_results > 0 for one in objects)
        cells = (package, f"{len(objects)} {kind}", str(n_before) if before else "", str(n_now), reasons)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def read_outcomes(file: Path) -> list[Outcome]:
    """Outcomes of an earlier run.

    Args:
        file: JSON, as ``main`` writes it.
    """
    return [Outcome(**one) for one in json.loads(file.read_text(encoding="utf-8"))]


def main() -> None:
    """Restore objects or read earlier results, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", type=Path, help="folders of unpacked packages")
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON file of results; it is read if no package is named"
    )
    parser.add_argument("--before", type=Path, help="JSON file of another build's results")
    parser.add_argument("--identity", action="store_true", help="replace the network by one that returns its input")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.disable(logging.CRITICAL)
    os.environ["TQDM_DISABLE"] = "1"
    if arguments.identity:
        TAT.forward = lambda _, image: image
    if arguments.packages:
        outcomes = []
        for outcome in restore_all(arguments.packages):
            outcomes.append(outcome)
            sys.stderr.write(f"{outcome.package} {outcome.file}: {outcome.sentence or outcome.n_results}\n")
        arguments.out.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n", encoding="utf-8")
    before = read_outcomes(arguments.before) if arguments.before else []
    sys.stdout.write(tabulate(read_outcomes(arguments.out), before) + "\n")


if __name__ == "__main__":
    main()
