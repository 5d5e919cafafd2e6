"""Write a model repository for Triton Inference Server from the exported files; untested with a server.

The name is not triton.py because a script's folder comes first on Python's path, and PyTorch looks for a package of
that name.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from bundle.tat.atomic import folder_written_whole
from bundle.tat.export.files import export, read_source

ROOT = Path(__file__).resolve().parents[2]
INPUT, OUTPUT = "INPUT__0", "OUTPUT__0"  # the names that Triton's PyTorch backend gives to positions
# The optimised executor compiles again for each size of image.
TORCHSCRIPT_PARAMETERS = 'parameters { key: "DISABLE_OPTIMIZED_EXECUTION" value { string_value: "true" } }\n'
CONFIG = """\
# Untested with a Triton server. The network only: scale to [0, 1], pad to multiples of 8 and undo both in the client.

name: "{name}"
platform: "{platform}"
max_batch_size: 16
input [ {{ name: "INPUT__0" data_type: TYPE_FP32 dims: [ {n_channels}, -1, -1 ] }} ]
output [ {{ name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] }} ]
# For GPUs: KIND_GPU.
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
{parameters}"""


def rename_onnx(source: Path, target: Path) -> None:
    """Copy an ONNX file, its input and output renamed for Triton."""
    model = onnx.load(source)
    names = {model.graph.input[0].name: INPUT, model.graph.output[0].name: OUTPUT}
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names[value.name]
    onnx.checker.check_model(model)
    onnx.save(model, target)


def write_repository(exported: Path, out: Path) -> None:
    """Write ``tat_torchscript`` and ``tat_onnx``, completely or not at all."""
    image = onnx.load(exported / "model.onnx").graph.input[0]
    n_channels = image.type.tensor_type.shape.dim[1].dim_value
    with folder_written_whole(out) as folder:
        for name, platform, file, parameters in (
            ("tat_torchscript", "pytorch_libtorch", "model.pt", TORCHSCRIPT_PARAMETERS),
            ("tat_onnx", "onnxruntime_onnx", "model.onnx", ""),
        ):
            (folder / name / "1").mkdir(parents=True)
            config = CONFIG.format(name=name, platform=platform, parameters=parameters, n_channels=n_channels)
            (folder / name / "config.pbtxt").write_text(config, encoding="utf-8")
            if file == "model.onnx":
                rename_onnx(exported / file, folder / name / "1" / file)
            else:
                shutil.copyfile(exported / "model.ts", folder / name / "1" / file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Export the network, check the files and write the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "triton-models", help="folder for the repository; it is replaced"
    )
    parser.add_argument(
        "--exported", type=Path, help="output folder of tat export (default: export now, which takes minutes)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        exported = options.exported or Path(folder)
        if not options.exported:
            source = read_source(ROOT / "configs" / "inference.json", ROOT / "models" / "model.pt")
            export(source, exported, ("ts", "onnx"))
        write_repository(exported, options.out)
    print(f"model repository: {options.out}")


if __name__ == "__main__":
    main()
