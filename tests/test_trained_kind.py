import hashlib
import json
from pathlib import Path

import pytest

from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.trained_kind import TrainedKind, kind_file, read_trained_kind

MODELS = Path(__file__).parents[1] / "models"


def test_what_stands_beside_the_shipped_weights_is_about_them():
    content = json.loads(kind_file(MODELS / "model.pt").read_text())
    assert content["weights_sha256"] == hashlib.sha256((MODELS / "model.pt").read_bytes()).hexdigest()
    assert set(read_trained_kind(str(MODELS / "model.pt")).pixel_sizes) == set(Modality)


def test_kind_of_other_weights(tmp_path, caplog):
    content = {"pixel_sizes": {"MRI": [0.5, 1]}, "mri_kept": [0.2, 0.8], "mri_kept_beside_whole": [0.2, 0.4]}
    (tmp_path / "own.json").write_text(json.dumps(content))
    assert read_trained_kind(str(tmp_path / "own.pt")) == TrainedKind(
        {Modality.MRI: (0.5, 1.0)}, (0.2, 0.8), (0.2, 0.4)
    )
    assert not caplog.text
    assert read_trained_kind(str(tmp_path / "others.pt")) == TrainedKind({})
    assert "no others.json beside the weights" in caplog.text


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"pixel_sizes": {"XA": [1, 2]}}', '{"pixel_sizes": {}, "mri_kept": [1]}']
)
def test_what_cannot_be_understood_is_refused(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(RefusedInputError, match=r"model\.json does not say what the weights were trained on"):
        read_trained_kind(str(tmp_path / "model.pt"))
