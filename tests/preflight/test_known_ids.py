"""Ids that change nothing are refused, those of one's own overlays are not."""

import json

import pytest

from bundle.tat.preflight.known_ids import arguments_of, check_ids, references
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import CONFIGS

TRAIN, INFERENCE = (str(CONFIGS / name) for name in ("train.json", "inference.json"))


def message(*files, **overrides) -> str:
    with pytest.raises(RefusedInputError) as refusal:
        check_ids(list(files), **overrides)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("file", "id_", "nearest"),
    [
        (INFERENCE, "slice_batchsize", "slice_batch_size"),
        (INFERENCE, "modalty", "modality"),
        (INFERENCE, "network_def#dimm", "network_def#dim"),
        (INFERENCE, "inferer#progres", "inferer#progress"),
        (INFERENCE, "inputs#ampp", "inputs#amp"),
        (TRAIN, "pretraind", "pretrained"),
        (TRAIN, "train#trainer#max_epoch", "train#trainer#max_epochs"),
        (TRAIN, "train::trainer::acumulation_steps", "train#trainer#accumulation_steps"),
        (TRAIN, "train#trainr#max_epochs", "train#trainer"),
        (TRAIN, "train#n_slice", None),
        (TRAIN, "train#handlers#x", None),
        (TRAIN, "nothing_like_it", None),
    ],
)
def test_a_misspelt_id_is_refused_and_the_nearest_named(file, id_, nearest):
    said = message(file, **{id_: 1})
    assert said.startswith(f"{id_.replace('::', '#')} is no id of {file.rsplit('/', 1)[-1]}: ")
    assert said.endswith(f"did you mean {nearest}?" if nearest else "docs/reference/config-ids.md lists the ids")


def test_all_are_named():
    said = message(INFERENCE, foo=1, slice_axes=0, amp=True)
    assert "foo is no id" in said
    assert "did you mean slice_axis?" in said
    assert "amp is" not in said


@pytest.mark.parametrize(
    ("file", "overrides"),
    [
        (INFERENCE, {"dataset_dir": "x", "amp": True, "inferer#progress": False, "network_def#max_memory": None}),
        (INFERENCE, {"handlers#0#_disabled_": True, "network_def": {"_target_": "torch.nn.Identity"}, "handlers": []}),
        (INFERENCE, {"final_id": "after", "after": [], "factor": 2, "pet_scale": "$1 / @factor"}),
        (TRAIN, {"train#dataset#cache_rate": 0.3, "train#trainer#max_epochs": 3, "train#dataset#data": []}),
        (TRAIN, {"validate#dataloader#batch_size": 1, "train#augment#0#prob": 1, "train#crop": []}),
        (TRAIN, {"train#trainer#amp_kwargs#dtype": "float16", "optimizer#weight_decay": 0.1}),
        (TRAIN, {"tracking": "mlflow", "experiment_name": "x", "run_name": "y"}),
    ],
)
def test_ids_that_change_something_are_known(file, overrides):
    check_ids(file, **overrides)


OWN = {
    "sources": {"root": "$@dataset_dir + '/mine'"},
    "item_entries": {"subject": 3},
    "train#mine": {"_target_": "bundle.tat.data.layouts.list_clean", "root": "@sources#root"},
    "train#datalist": "$[i | @item_entries for i in @train#mine]",
}


def write(folder, content) -> str:
    (folder / "mine.json").write_text(json.dumps(content))
    return str(folder / "mine.json")


def test_an_overlay_may_define_ids_that_it_refers_to(tmp_path):
    mine = write(tmp_path, OWN)
    check_ids([TRAIN, mine], **{"train#mine#n_draws": 2, "item_entries#scanner": "A", "sources#root": "elsewhere"})
    assert "did you mean train#mine#n_draws?" in message(TRAIN, mine, **{"train#mine#n_draw": 2})


def test_an_id_whose_reader_was_replaced_is_known_all_the_same(tmp_path):
    """As in the worked example of docs/how-to/data.md, whose overlay puts lists of its own in the place of IXI's."""
    ixi = str(CONFIGS / "layouts" / "data_ixi.json")
    mine = write(tmp_path, {"train#datalist": [], "validate#datalist": [], "train#degrade": []})
    check_ids([TRAIN, ixi, mine], **{"validate#n_slices": 3})
    assert "did you mean validate#n_slices?" in message(TRAIN, ixi, mine, **{"validate#n_slice": 3})


@pytest.mark.parametrize("unused", ["item_entris", "train#min", "sources#rot"])
def test_what_an_overlay_defines_for_nothing_is_refused(tmp_path, unused):
    mine = write(tmp_path, {**OWN, unused: [1]})
    assert f"{unused} is no id of train.json" in message(TRAIN, mine)


def test_a_product_of_matrices_refers_to_nothing(tmp_path):
    mine = write(tmp_path, {"sources": "$np.eye(2) @ np.eye(2)", "train#datalist": "@sources"})
    assert "foo is no id of train.json" in message(TRAIN, mine, foo=1)


def test_the_ids_of_the_first_config_are_its_own(tmp_path):
    check_ids(write(tmp_path, {"whatever": 1, "run": []}), whatever=2)
    assert "docs" in message(write(tmp_path, {"whatever": 1, "run": []}), else_=2)


def test_references_are_found_wherever_they_stand():
    content = {
        "plain": "@a#b",
        "expression": "$@c + f(@d::e)",
        "list": ["@f", {"inner": "@##g", "sibling": "@#h"}],
        "macro": "%i#j",
        "text": "mail@k",
        "pair": ("@l",),
    }
    found = set(references(content))
    assert found == {"a::b", "c", "d::e", "f", "list::g", "list::1::h", "i::j", "l"}


class Base:
    def __init__(self, one, **rest): ...


class Closed(Base):
    def __init__(self, two): ...


class HandsOn(Closed):
    def __init__(self, three, **rest):
        super().__init__(three, **rest)


def takes_all(**rest): ...


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Closed, {"two"}),
        (HandsOn, {"three", "rest", "two"}),
        (Base, None),
        (takes_all, None),
        ("torch.nn.Identity", None),
        ("no.such.thing", None),
        ("SqueezeDimd", {"keys", "dim", "update_meta", "allow_missing_keys"}),
    ],
)
def test_arguments(target, expected):
    assert arguments_of(target) == expected
