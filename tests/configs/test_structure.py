import importlib
import json
import re
from pathlib import Path

import pytest

from bundle.tat.version import VERSION
from tests.configs.conftest import CONFIGS, ROOT, content

# Of modules that lie in no package of their own, such as bundle.tat.devices.
ROOT_MODULE_DOTS = 2
FILES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.json") if path.name != "metadata.json")


def ids(config: dict) -> set[str]:
    """Top-level ids, and those of sections that are no components themselves."""
    found = set()
    for key, value in ((key.removeprefix("+"), value) for key, value in config.items()):
        is_section = isinstance(value, dict) and "_target_" not in value
        found |= {f"{key}#{inner}" for inner in value} if is_section else {key}
    return found


def strings(value) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def documented_ids() -> list[tuple[str, str]]:
    """Rows of the tables: an id, and the files that it stands in."""
    text = (ROOT / "docs" / "reference" / "config-ids.md").read_text()
    return re.findall(r"^\| `([^`]+)` \|.*\| ([a-z_, ]+) \|$", text, re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_every_id_is_documented(name):
    rows = documented_ids()
    documented = {id_ for id_, files in rows if Path(name).stem in files.split(", ")}
    assert ids(content(name)) <= documented, "ids that docs/reference/config-ids.md does not list for this file"


def test_no_documented_id_is_gone():
    rows = documented_ids()
    for id_, files in rows:
        for file in files.split(", "):
            name = next((name for name in FILES if Path(name).stem == file), None)
            if name and file not in {"small"}:
                assert id_ in ids(content(name)), f"{id_} is not in {name}"


@pytest.mark.parametrize("name", [*FILES, "metadata.json"])
def test_configs_are_ascii_and_formatted(name):
    text = (CONFIGS / name).read_bytes().decode("ascii")
    assert text == json.dumps(json.loads(text), indent=4) + "\n"


@pytest.mark.parametrize("name", FILES)
def test_expressions_are_short(name):
    long = [text for text in strings(content(name)) if text.startswith("$") and len(text) > 60]
    stages = r"\$@\w+#\w+( \+ @\w+#\w+)+"  # names the parts of a pipeline and computes nothing
    assert not [text for text in long if not re.fullmatch(stages, text)]


@pytest.mark.parametrize("name", FILES)
def test_own_parts_are_named_by_the_package_that_offers_them(name):
    """So that a module can be moved within its package and every config goes on."""
    targets = re.findall(r'"_target_": "(bundle\.tat\.[^"]+)"', (CONFIGS / name).read_text())
    for target in targets:
        package, _, word = target.rpartition(".")
        module = importlib.import_module(package)
        assert callable(getattr(module, word))
        is_curated = hasattr(module, "__path__") and word in module.__all__
        assert is_curated or package.count(".") == ROOT_MODULE_DOTS, f"{target}: name it by its package"


@pytest.mark.parametrize("name", FILES)
def test_a_config_names_itself(name):
    config = content(name)
    assert (config.get("configs") or config["+configs"]) == [name]
    assert ("configs" in config) is (name in {"train.json", "inference.json"})


OTHER_READERS = {
    "mri_upsample": "upsampling",
    "strength": "weight",
    "data_consistency": "weight",
    "report": "report_level",
}


@pytest.mark.parametrize("name", FILES)
def test_a_switch_is_read_from_the_inputs(name):
    """The command gives ``False`` and ``false``, of which only one is false."""
    config = content(name)
    switches = set(content("inference.json")["inputs"]) | set(content("train.json")["inputs"])
    rest = json.dumps({key: value for key, value in config.items() if key != "inputs"})
    read_raw = [switch for switch in switches if re.search(rf"@{switch}\b", rest)]
    assert not read_raw
    for switch, expression in config.get("inputs", {}).items():
        reader = OTHER_READERS.get(switch, "bool")
        assert expression == f"$parse_{reader}('{switch}', @{switch})"
        assert isinstance(config[switch], bool) or reader in ("upsampling", "weight", "report_level")


@pytest.mark.parametrize("name", FILES)
def test_handlers_hold_only_components(name):
    config = content(name)
    for section in (config, config.get("train", {}), config.get("validate", {})):
        assert all(isinstance(handler, dict) for handler in section.get("handlers", []))


def test_validation_walks_like_inference():
    """What must be written twice, since inference.json has to be whole, is the same."""

    def steps(transforms):
        own = {"keys", "modality", "from_list", "mri_scale", "to_file_unit", "in_place", "allow_missing_keys"}
        return [{key: value for key, value in step.items() if key not in own} for step in transforms]

    inference = steps(content("inference.json")["preprocessing"]["transforms"])
    # What is validated on is known, and on its own grid; cached, so that nothing writes over it.
    left_out = (".CheckInDistributiond", ".UpsampleMrid", ".KeepInputd")
    inference = [step for step in inference if not step["_target_"].endswith(left_out)]
    stages = content("train.json")["validate"]
    validation = steps([step for name in ("read", "degrade", "scale", "pad") for step in stages[name]])
    assert stages["preprocessing"]["transforms"].count("@") == 4
    assert [step["_target_"] for step in inference] == [step["_target_"] for step in validation]
    assert inference[-1] | {"k": None} == validation[-1] | {"k": None}


def test_metadata_copies_are_identical_and_current():
    real, copy = CONFIGS / "metadata.json", ROOT / "metadata.json"
    assert real.read_bytes() == copy.read_bytes()
    assert not copy.is_symlink()
    metadata = json.loads(real.read_text())
    assert metadata["version"] == VERSION
    assert VERSION in metadata["changelog"]
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_metadata_pins_what_the_constraints_pin():
    metadata = content("metadata.json")
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    expected = metadata["required_packages_version"] | {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
    }
    assert {name: pinned[name] for name in expected} == expected
