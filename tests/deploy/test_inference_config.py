import shutil

import numpy as np
import pydicom
import pytest
import torch

from bundle.tat.deploy.volumes import to_case, to_volume_of
from bundle.tat.inference_config import InferenceConfig, find_bundle
from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError
from tests.configs.conftest import foreign_directory, run_config, weights  # noqa: F401 - the fixtures
from tests.dicom_sources import stored_values, write_source
from tests.test_layout import ROOT


def bundle_in(folder, name):
    (folder / name / "configs").mkdir(parents=True)
    shutil.copy(ROOT / "configs" / "inference.json", folder / name / "configs")
    return str(folder / name)


def test_a_bundle_is_found_where_it_lies(tmp_path):
    bundle = bundle_in(tmp_path, "tat")
    assert find_bundle(bundle) == bundle
    assert find_bundle(str(tmp_path)) == bundle


def test_no_bundle_and_two_bundles_are_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="holds 0 bundles"):
        find_bundle(str(tmp_path))
    bundle_in(tmp_path, "one"), bundle_in(tmp_path, "two")
    with pytest.raises(RefusedInputError, match="holds 2 bundles"):
        find_bundle(str(tmp_path))


def through_arrays(case, key):
    """A case as the next operator of an application gets it."""
    return to_case(*to_volume_of(case, key), key)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_the_parts_do_what_the_bundle_does(foreign_directory, weights, modality):  # noqa: F811
    """Reading, restoring and saving by hand leads to the pixels of the command line, and to its UIDs."""
    write_source(foreign_directory / "series", stored_values(modality, 2, 20, 30), modality)
    options = {"dataset_dir": "series", "uid_seed": "a test", "ckpt_path": str(weights), "device": "cpu"}
    run_config("inference.json", output_dir="bundle", **options)
    config = InferenceConfig(output_dir="parts", **options)
    (item,) = config.found.items
    case = config.runner.prepare(through_arrays(config.runner.read(item), "image"))
    restored = through_arrays(config.runner.restore(case), "pred")
    values = restored.data["pred"].as_tensor().numpy()
    assert values.dtype == np.float32
    assert config.runner.save(restored).status == "restored"
    for name in ("IM0001.dcm", "IM0002.dcm"):
        ours, theirs = (pydicom.dcmread(folder + "/series/" + name) for folder in ("parts", "bundle"))
        assert ours.PixelData == theirs.PixelData
        assert ours.SOPInstanceUID == theirs.SOPInstanceUID
        assert ours.DerivationDescription == theirs.DerivationDescription
    assert np.ptp(values) > 0


def test_wrong_weights_are_refused_at_once(tmp_path):
    torch.save(TAT(dim=8, task_features=4).state_dict(), tmp_path / "other.pt")
    with pytest.raises(RefusedInputError, match="of another architecture"):
        InferenceConfig(ckpt_path=str(tmp_path / "other.pt"), device="cpu")
