import pytest
import torch
from monai.data import MetaTensor

from bundle.tat.transforms.modality import ResolveModalityd


def image(modality: str | None = None) -> MetaTensor:
    return MetaTensor(torch.zeros(1, 2, 2), meta={} if modality is None else {"modality": modality})


@pytest.mark.parametrize(
    ("in_file", "in_list", "said", "expected"),
    [
        ("MR", None, None, "MRI"),
        ("PT", None, None, "PET"),
        (None, "CT", None, "CT"),
        (None, None, "pet", "PET"),
        ("CT", "ct", "CT", "CT"),
        ("", None, "MRI", "MRI"),
    ],
)
def test_whoever_knows_is_believed(in_file, in_list, said, expected):
    data = {"image": image(in_file)} | ({"modality": in_list} if in_list else {})
    assert ResolveModalityd("image", modality=said)(data)["modality"] == expected


def test_silence_is_refused_with_what_to_pass():
    with pytest.raises(ValueError, match="pass --modality CT, --modality MRI or --modality PET"):
        ResolveModalityd("image")({"image": image()})


def test_contradiction_is_refused():
    with pytest.raises(ValueError, match="the file says MRI, --modality says CT"):
        ResolveModalityd("image", modality="CT")({"image": image("MR")})


@pytest.mark.parametrize("word", ["US", "NM", "XA"])
def test_other_modalities_are_refused(word):
    with pytest.raises(ValueError, match=f"modality '{word}' is not one that TAT restores"):
        ResolveModalityd("image")({"image": image(word)})


def test_a_sidecar_and_a_bids_name_are_asked(tmp_path):
    path = tmp_path / "sub-1_pet.nii.gz"
    image = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": str(path)})
    assert ResolveModalityd("image")({"image": image})["modality"] == "PET"
    (tmp_path / "sub-1_pet.json").write_text('{"Modality": "MR"}')
    with pytest.raises(ValueError, match=r"its sidecar sub-1_pet\.json says MRI, its BIDS name says PET"):
        ResolveModalityd("image")({"image": image})
    (tmp_path / "sub-1_pet.json").write_text('{"Modality": "NM"}')
    with pytest.raises(ValueError, match="modality 'NM' is not one that TAT restores"):
        ResolveModalityd("image")({"image": image})


def test_a_map_is_refused_by_its_sidecar(tmp_path):
    (tmp_path / "a.nii").touch()
    (tmp_path / "a.json").write_text('{"Modality": "MR", "ImageType": ["DERIVED", "PRIMARY", "ADC"]}')
    scan = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": str(tmp_path / "a.nii")})
    with pytest.raises(ValueError, match=r"by Image Type in a\.json, this is a map of diffusion"):
        ResolveModalityd("image")({"image": scan})
