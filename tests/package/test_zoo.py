"""What the continuous integration of MONAI's model zoo asks of a bundle, in its order, without a network or a GPU."""

import copy
import hashlib
import json
import re
import subprocess
from pathlib import Path

import monai.bundle
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata

from bundle.tat.version import VERSION
from tests.release import NAME, ROOT

CONFIGS = ROOT / "configs"
SCHEMA = Path(__file__).parent / "metadata_schema.json"
METADATA = json.loads((CONFIGS / "metadata.json").read_text())
# The zoo asks that names say task, modality and what; and that they have no "_v", after which it expects a version.
NAME_PATTERN = r"(?!.*_v\d?)[a-z0-9]+(_[a-zA-Z0-9]+)+"


def content(name: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(CONFIGS / name))
    return parser


def test_files_are_where_the_specification_wants_them():
    for name in ("LICENSE", "configs/metadata.json", "configs/inference.json", "models/model.pt", "docs/README.md"):
        assert (ROOT / name).is_file()
    assert re.fullmatch(NAME_PATTERN, NAME)
    # Written only when a file is too large for the repository; the tests of the layout know when.
    assert not list(ROOT.glob("large_files*"))


def test_version_is_in_the_changelog():
    assert METADATA["version"] == VERSION
    assert all(isinstance(text, str) and text for text in METADATA["changelog"].values())
    assert list(METADATA["changelog"])[-1] == VERSION


def verify(metadata: dict, folder: Path) -> None:
    """The verb, on a file of its own; the schema lies there already, so that nothing is downloaded."""
    (folder / "metadata.json").write_text(json.dumps(metadata))
    monai.bundle.verify_metadata(
        meta_file=str(folder / "metadata.json"),
        filepath=str(SCHEMA),
        hash_val=hashlib.sha256(SCHEMA.read_bytes()).hexdigest(),
        hash_type="sha256",
    )


def test_metadata_follows_the_schema(tmp_path):
    verify(METADATA, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("copyright", None),
        ("version", 1),
        ("required_packages_version", ["monai"]),
        ("references", [1]),
        ("network_data_format/outputs", None),
        ("network_data_format/inputs/image/num_channels", 1.5),
        ("network_data_format/inputs/image/spatial_shape", "8*n"),
        ("network_data_format/inputs/image/value_range", ["0"]),
        ("network_data_format/inputs/image/dtype", None),
        ("network_data_format/outputs/pred/is_patch_data", "yes"),
        ("other_data_format", {}),
    ],
)
def test_our_words_of_the_schema_refuse_what_it_refuses(tmp_path, path, value):
    metadata = copy.deepcopy(METADATA)
    *parents, last = path.split("/")
    inner = metadata
    for parent in parents:
        inner = inner[parent]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    with pytest.raises(ValueError, match="Failed validating"):
        verify(metadata, tmp_path)


def test_data_format_is_the_networks():
    """What the metadata says of the network's image is what its code and its config say."""
    formats = METADATA["network_data_format"]
    image, restored = formats["inputs"]["image"], formats["outputs"]["pred"]
    network = content("inference.json").get_parsed_content("network_def")
    assert image["num_channels"] == network.embed.in_channels
    assert restored["num_channels"] == network.head[-1].out_channels
    assert image["spatial_shape"] == restored["spatial_shape"] == ["8*n", "8*n"]
    assert len(image["channel_def"]) == len(restored["channel_def"]) == image["num_channels"]


def test_required_packages_are_the_projects_own():
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    needed = set(re.findall(r'^ +"([\w-]+)', listed[1], re.MULTILINE)) - {"monai", "torch", "numpy"}
    assert set(METADATA["required_packages_version"]) == needed
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in METADATA["required_packages_version"].values())


@pytest.mark.parametrize("n", [1, 5])
def test_network_takes_and_gives_what_the_metadata_says(n):
    monai.bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "inference.json"),
        device="cpu",
        n=n,
        bundle_root=str(ROOT),
    )


def test_weights_export_to_torchscript(tmp_path):
    monai.bundle.ckpt_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(ROOT / "models" / "model.pt"),
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "inference.json"),
        bundle_root=str(ROOT),
    )
    scripted, metadata, extra = load_net_with_metadata(str(tmp_path / "model.ts"), more_extra_files=("inference.json",))
    assert {key: metadata[key] for key in METADATA} == METADATA
    assert json.loads(extra["inference.json"]) == json.loads((CONFIGS / "inference.json").read_text())
    network = content("inference.json").get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(ROOT / "models" / "model.pt", weights_only=True))
    image = torch.rand(2, 1, 64, 40)
    with torch.inference_mode():
        torch.testing.assert_close(scripted(image), network(image), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("inference.json", "bundle_root device network_def inferer output_dir dataset preprocessing postprocessing"),
        (
            "train.json",
            "bundle_root device dataset_dir val_interval network_def train#trainer train#trainer#max_epochs "
            "train#dataset train#handlers train#inferer validate#evaluator validate#handlers validate#dataset",
        ),
    ],
)
def test_configs_have_the_zoos_ids(name, ids):
    parser = content(name)
    assert not [id_ for id_ in ids.split() if id_ not in parser]


def test_model_card_has_the_zoos_headings():
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "README.md").read_text(), re.MULTILINE)
    wanted = (
        "Model Overview, Data, Training configuration, Input, Output, Performance, MONAI Bundle Commands, References"
    )
    expected = [*wanted.split(", "), "License"]
    assert [heading for heading in headings if heading in expected] == expected


def test_no_text_names_a_place_on_somebodys_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of the files that are kept")
    texts = [ROOT / name for name in listed.stdout.split("\0") if Path(name).suffix in {".json", ".md", ".py", ".toml"}]
    places = re.compile(r"(/home/|/Users/|/workspace/|[A-Z]:\\\\?Users)\w")
    assert not [str(path) for path in texts if path.is_file() and places.search(path.read_text(encoding="utf-8"))]
