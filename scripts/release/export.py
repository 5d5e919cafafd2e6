"""Export the network with its weights to TorchScript, ONNX and torch.export, and hold each file to the network itself.

A file appears in the folder only after it has given the network's output, within 1e-4, at every size and batch.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from bundle.tat.atomic import written_whole
from bundle.tat.cases.refusals import find_refusal
from bundle.tat.handlers.weights_loader import load_weights
from scripts.release.export_check import BOUND, compare
from scripts.release.export_formats import FORMATS, Source

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "monai", "onnx", "onnxscript", "onnxruntime")


def read_source(config_file: Path, ckpt_file: Path) -> Source:
    """Build the config's network and load the weights; the metadata lie beside the config."""
    parser = ConfigParser()
    parser.read_config(str(config_file))
    network = parser.get_parsed_content("network_def").eval()
    load_weights(network, str(ckpt_file))
    return Source(network, config_file, ckpt_file, config_file.with_name("metadata.json"))


def export(source: Source, out: Path, formats: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Write each file, check it, then put it in place; returns the errors of each."""
    errors = {}
    out.mkdir(parents=True, exist_ok=True)
    for chosen in (FORMATS[name] for name in formats):
        start = time.perf_counter()
        # TorchScript files remember their name, so the scratch file has the final one, in a folder of its own.
        with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as folder:
            scratch = Path(folder) / chosen.file
            print(f"{chosen.file}: recording (minutes for ONNX and torch.export)", flush=True)
            chosen.write(source, scratch)
            print(f"  written in {time.perf_counter() - start:.0f} s; largest difference to the network:", flush=True)
            errors[chosen.file] = compare(chosen.read(scratch), source.network)
            scratch.replace(out / chosen.file)
    return errors


def main(arguments: Sequence[str] | None = None) -> None:
    """Export and write the table of errors; a refusal is one line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="What the files are good for: docs/exports.md.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "export", help="folder (default: %(default)s)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="default: all")
    parser.add_argument("--config_file", type=Path, default=ROOT / "configs" / "inference.json")
    parser.add_argument("--ckpt_file", type=Path, default=ROOT / "models" / "model.pt", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        errors = export(read_source(options.config_file, options.ckpt_file), options.out, options.formats)
    except Exception as error:
        if (refusal := find_refusal(error)) is None:
            raise
        sys.exit(str(refusal))
    table = {"versions": {name: version(name) for name in PACKAGES}, "bound": BOUND, "errors": errors}
    with written_whole(options.out / "errors.json") as path:
        path.write_text(json.dumps(table, indent=4) + "\n")
    print(f"files and errors.json: {options.out}")


if __name__ == "__main__":
    main()
