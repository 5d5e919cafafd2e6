"""Results of MR objects in folders: restored, restored on a finer grid, or refused, each with its sentence.

The files of a series in one folder are an object. Files at the same slice position, such as test files of packages, are
one object each. An object goes through reading, the checks and saving. The network is left out, since it refuses
nothing. An object that is refused with the advice to pass ``--mri_upsample`` is tried again with it.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pydicom
import torch
from monai.bundle import ConfigParser

from bundle.tat.atomic import write_json
from bundle.tat.cases.refusals import explain_failure
from bundle.tat.data.datalist import Item, find_scans
from bundle.tat.dicom.acquisition_matrix import ACQUIRED_SHARES
from bundle.tat.dicom.open import looks_like_dicom
from bundle.tat.engines import CaseRunner
from bundle.tat.file_digest import file_sha256
from bundle.tat.provenance import Provenance
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.in_distribution import KSPACE_KEPT
from bundle.tat.version import VERSION
from scripts.benchmarks.pipeline import INFERENCE, WEIGHTS

ADVICE: Final = re.compile(r"--mri_upsample (\S+)")


class MrObject(NamedTuple):
    """Files that belong together: their name relative to the given folder, and their paths."""

    name: str
    files: tuple[Path, ...]


class Outcome(NamedTuple):
    """Result of an object, and its k-space.

    Args:
        name: of the object.
        n_files: number of its files.
        matrix: columns and rows as stored, with the number of slices; empty where nothing was read.
        result: restored, restored on a finer grid, or refused.
        sentence: why it is refused without further options; empty where it is restored.
        upsampling: value of ``--mri_upsample`` with which it is restored, if one is needed.
        acquired: shares of columns and rows by Acquisition Matrix, where it gives them.
        kept: shares of columns and rows by the pixels, where they give an estimate.
    """

    name: str
    n_files: int
    matrix: tuple[int, ...]
    result: Literal["restored", "upsampled", "refused"]
    sentence: str = ""
    upsampling: str = ""
    acquired: tuple[float, ...] | None = None
    kept: tuple[float | None, ...] | None = None


def find_objects(root: Path) -> Iterator[MrObject]:
    """Find the MR objects under a folder."""
    series: dict[tuple[Path, str], dict[Path, str]] = defaultdict(dict)
    for path in sorted(root.rglob("*")):
        if path.is_file() and looks_like_dicom(path):
            image = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            if image.get("Modality") == "MR":
                place = str(image.get("ImagePositionPatient"))
                series[path.parent, str(image.get("SeriesInstanceUID"))][path] = place
    for files in series.values():
        if 1 < len(files) < 2 * len(set(files.values())):
            first = min(files)
            yield MrObject(f"{first.parent.relative_to(root.parent)}/{first.name} ...", tuple(files))
        else:
            yield from (MrObject(str(path.relative_to(root.parent)), (path,)) for path in files)


@lru_cache(maxsize=4)
def make_runner(weights: Path, output: Path, upsampling: str | None, *, any_resolution: bool = False) -> CaseRunner:
    """The runner of ``inference.json`` with the network left out."""
    parser = ConfigParser()
    parser.read_config(str(INFERENCE))
    parser.update({"ckpt_path": str(weights), "output_dir": str(output / str(upsampling)), "mri_upsample": upsampling})
    parser.update({"network_def": torch.nn.Identity(), "device": "cpu", "inferer#progress": False, "overwrite": True})
    parser.update({"any_resolution": any_resolution})
    parser.parse()
    runner: CaseRunner = parser.get_parsed_content("runner")
    return runner


def run(item: Item, runner: CaseRunner) -> str:
    """Run the steps on an item; gives the reason of a refusal, or an empty text if it is saved."""
    try:
        runner.save(runner.restore(runner.prepare(runner.read(item))))
    except Exception as error:
        reason = explain_failure(error)
        if reason is None:
            raise
        return reason
    return ""


def describe_kspace(item: Item, weights: Path, output: Path) -> Mapping[str, Any]:
    """K-space of an item by its header and by its pixels; empty where they cannot be read."""
    runner = make_runner(weights, output, None)
    data: Any = None
    matrix: tuple[int, ...] = ()
    try:
        data = runner.read(item).data
        matrix = tuple(data["image"].shape[1:]) if data else ()
        for step in runner.preprocessing.transforms:
            data = step(data)
    except Exception as error:
        if explain_failure(error) is None:
            raise
    if data is None:
        return {}
    meta = data["image"].meta
    told = {"acquired": meta.get(ACQUIRED_SHARES), "kept": meta.get(KSPACE_KEPT)}
    shares = {name: None if text is None else tuple(json.loads(text) or ()) for name, text in told.items()}
    return {"matrix": matrix, **{name: found or None for name, found in shares.items()}}


def judge(one: MrObject, weights: Path, scratch: Path) -> Iterator[Outcome]:
    """Try an object, which may hold several volumes."""
    source = one.files[0] if len(one.files) == 1 else link_together(one.files, scratch)
    try:
        items = find_scans(str(source), "testing").items
    except RefusedInputError as refusal:
        yield Outcome(one.name, len(one.files), (), "refused", without_path(str(refusal), source))
        return
    for index, item in enumerate(items, start=1):
        name = one.name if len(items) == 1 else f"{one.name}, volume {index}"
        known = {"name": name, "n_files": len(one.files), "matrix": (), **describe_kspace(item, weights, scratch)}
        sentence = without_path(run(item, make_runner(weights, scratch, None)), source)
        advice = ADVICE.search(sentence)
        if advice and not run(item, make_runner(weights, scratch, advice[1])):
            yield Outcome(**known, result="upsampled", sentence=sentence, upsampling=advice[1])
        else:
            yield Outcome(**known, result="refused" if sentence else "restored", sentence=sentence)


def link_together(files: Sequence[Path], scratch: Path) -> Path:
    """Make a folder that holds these files and no others."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    for path in files:
        (folder / path.name).symlink_to(path.absolute())
    return folder


def without_path(sentence: str, source: Path) -> str:
    """A refusal without the path of its scan."""
    place, name = re.escape(str(source)), re.escape(source.name)
    plain = re.sub(rf"^{place}(/[^:]*)?( cannot be restored| holds no .*?; {name})?: ", "", sentence)
    return plain.replace(str(source), source.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, try every object and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="unpacked packages, or any folders of DICOM files")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    parser.add_argument("--table", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    logging.getLogger("bundle.tat").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = [
            outcome
            for folder in options.folders
            for one in find_objects(folder)
            for outcome in judge(one, options.weights, Path(scratch))
        ]
    if not outcomes:
        sys.exit(f"there are no MR objects in {', '.join(map(str, options.folders))}: pass other folders")
    for outcome in outcomes:
        print(outcome.name, outcome.result, outcome.upsampling, outcome.sentence, sep="  ")
    made_by = Provenance(file_sha256(options.weights), VERSION).columns()
    write_json(options.table, {**made_by, "objects": [outcome._asdict() for outcome in outcomes]})


if __name__ == "__main__":
    main()
