"""The shipped weights exported by tat export, and by MONAI's own verbs, from a foreign directory."""

import json
import os
import subprocess
import sys

import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata

from bundle.tat.handlers.weights_loader import load_weights
from tests.test_layout import ROOT

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")

pytestmark = pytest.mark.integration

CONFIG = ROOT / "configs" / "inference.json"
WEIGHTS = ROOT / "models" / "model.pt"
FILES = ("model.ts", "model.onnx", "model.pt2")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return tmp_path_factory.mktemp("somewhere else")


@pytest.fixture(scope="module")
def call(foreign):
    def run(*arguments, fails=False):
        command = [sys.executable, *map(str, arguments)]
        variables = {**os.environ, "PYTHONWARNINGS": "default", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=foreign, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def network():
    parser = ConfigParser()
    parser.read_config(str(CONFIG))
    network = parser.get_parsed_content("network_def").eval()
    load_weights(network, str(WEIGHTS))
    return network


@pytest.fixture(scope="module")
def exported(call, foreign):
    """All files of the shipped weights, written and checked by tat export."""
    print(call("-m", "bundle.tat", "export", "exported"))  # noqa: T201 - the table of errors
    return foreign / "exported"


def run_onnx(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: torch.from_numpy(session.run(None, {name: image.numpy()})[0])


def assert_right(restore, network, *shape):
    image = torch.rand(shape)
    with torch.inference_mode():
        assert (restore(image) - network(image)).abs().max() <= 1e-4


@pytest.fixture(scope="module")
def restorers(exported):
    """The three files, loaded; that of ``torch.export`` takes a while."""
    program = torch.export.load(exported / "model.pt2").module()
    return torch.jit.load(exported / "model.ts"), run_onnx(exported / "model.onnx"), program


def expected_texts():
    return {f"{path.stem}.json": json.loads(path.read_text()) for path in (CONFIG, CONFIG.with_name("metadata.json"))}


def test_every_file_was_checked_at_eight_shapes(exported):
    table = json.loads((exported / "errors.json").read_text())
    assert set(table["errors"]) == set(FILES)
    for name, rows in table["errors"].items():
        assert len({(row["batch"], row["height"], row["width"]) for row in rows}) == 8, name
        assert all(row["max_abs_error"] <= table["bound"] for row in rows), name
    assert sorted(path.name for path in exported.iterdir()) == sorted([*FILES, "errors.json"])


def test_metadata_and_config_are_in_every_file(exported):
    _, metadata, more = load_net_with_metadata(str(exported / "model.ts"), more_extra_files=("inference.json",))
    torchscript = {"metadata.json": metadata, "inference.json": json.loads(more["inference.json"])}
    properties = {entry.key: json.loads(entry.value) for entry in onnx.load(exported / "model.onnx").metadata_props}
    extra = dict.fromkeys(expected_texts(), "")
    torch.export.load(exported / "model.pt2", extra_files=extra)
    for texts in (torchscript, properties, {name: json.loads(text) for name, text in extra.items()}):
        for name, expected in expected_texts().items():
            assert expected.items() <= texts[name].items()


# In the last one as many pixels as in 17 images of 64 x 64.
@pytest.mark.parametrize("shape", [(1, 1, 68, 64), (1, 1, 64, 68), (1, 1, 60, 61), (16, 1, 68, 64)])
def test_sides_that_are_no_multiples_of_8_are_refused(restorers, shape):
    for restore in restorers:
        with pytest.raises(Exception, match=r"multiples of 8|[Gg]uard|divisible|reshape|shape"):
            restore(torch.rand(shape))


def test_triton_repository(call, exported, foreign, network):
    call(ROOT / "scripts" / "release" / "triton_repository.py", "--out", "triton-models", "--exported", exported)
    for name, file in (("tat_torchscript", "model.pt"), ("tat_onnx", "model.onnx")):
        config = text_format.Parse((foreign / "triton-models" / name / "config.pbtxt").read_text(), model_config())
        assert config.name == name
        assert [list(entry.dims) for entry in (*config.input, *config.output)] == [[1, -1, -1]] * 2
        assert (foreign / "triton-models" / name / "1" / file).is_file()
    session = onnxruntime.InferenceSession(foreign / "triton-models" / "tat_onnx" / "1" / "model.onnx")
    assert [value.name for value in (*session.get_inputs(), *session.get_outputs())] == ["INPUT__0", "OUTPUT__0"]
    assert_right(run_onnx(foreign / "triton-models" / "tat_onnx" / "1" / "model.onnx"), network, 2, 1, 40, 72)
    assert_right(
        torch.jit.load(foreign / "triton-models" / "tat_torchscript" / "1" / "model.pt"), network, 2, 1, 40, 72
    )


def model_config():
    """The part of Triton's ``model_config.proto`` that we write; its numbers and types are Triton's."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference")
    kinds = {"string": field.TYPE_STRING, "int32": field.TYPE_INT32, "int64": field.TYPE_INT64}
    messages = {
        "Value": [("string_value", 1, "string", False)],
        "Entry": [("key", 1, "string", False), ("value", 2, "Value", False)],
        "Group": [("count", 2, "int32", False), ("kind", 4, "Kind", False)],
        "Tensor": [("name", 1, "string", False), ("data_type", 2, "DataType", False), ("dims", 4, "int64", True)],
        "ModelConfig": [
            ("name", 1, "string", False),
            ("platform", 2, "string", False),
            ("max_batch_size", 4, "int32", False),
            ("input", 5, "Tensor", True),
            ("output", 6, "Tensor", True),
            ("instance_group", 7, "Group", True),
            ("parameters", 14, "Entry", True),
        ],
    }
    enums = {"Kind": ["KIND_AUTO", "KIND_GPU", "KIND_CPU"], "DataType": ["TYPE_INVALID", "TYPE_FP32"]}
    for name, values in enums.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for label, number, kind, is_repeated in fields:
            entry = message.field.add(name=label, number=number)
            entry.label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            if kind in kinds:
                entry.type = kinds[kind]
            else:
                entry.type = field.TYPE_ENUM if kind in enums else field.TYPE_MESSAGE
                entry.type_name = f".inference.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))()


def test_monais_ckpt_export(call, foreign, network):
    path = foreign / "by_monai.ts"
    command = ["-m", "monai.bundle", "ckpt_export", "--net_id", "network_def", "--config_file", CONFIG]
    call(*command, "--bundle_root", ROOT, "--filepath", path)
    restore, metadata, more = load_net_with_metadata(str(path), more_extra_files=("inference.json",))
    assert expected_texts()["metadata.json"].items() <= metadata.items()
    assert json.loads(more["inference.json"]) == expected_texts()["inference.json"]
    for shape in ((1, 1, 64, 64), (3, 1, 120, 200)):
        assert_right(restore, network, *shape)


def test_monais_ckpt_export_refuses_to_trace(call, foreign):
    command = ["-m", "monai.bundle", "ckpt_export", "--net_id", "network_def", "--config_file", CONFIG]
    command += ["--bundle_root", ROOT, "--filepath", foreign / "traced.ts", "--use_trace", "True"]
    assert "use torch.jit.script instead" in call(*command, "--input_shape", "[1,1,64,64]", fails=True)
    assert not (foreign / "traced.ts").exists()


def test_monais_onnx_export_is_right_at_its_size_and_refuses_others(call, foreign, network):
    path = foreign / "fixed.onnx"
    command = ["-m", "monai.bundle", "onnx_export", "--net_id", "network_def", "--config_file", CONFIG]
    call(*command, "--ckpt_file", WEIGHTS, "--filepath", path, "--input_shape", "[1,1,64,64]")
    assert_right(run_onnx(path), network, 1, 1, 64, 64)
    for shape in ((3, 1, 64, 64), (1, 1, 72, 64)):
        with pytest.raises(Exception, match="INVALID_ARGUMENT"):
            run_onnx(path)(torch.rand(shape))
