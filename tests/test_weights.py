"""The shipped weights are those that the documents and the metadata speak of."""

import hashlib
import json

from tests.test_layout import ROOT

WEIGHTS = "models/model.pt"


def test_metadata_and_record_name_the_shipped_file():
    digest = hashlib.sha256((ROOT / WEIGHTS).read_bytes()).hexdigest()
    metadata = json.loads((ROOT / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["weights"][WEIGHTS]["sha256"] == digest
    assert f"`{digest}`" in (ROOT / metadata["weights"][WEIGHTS]["origin"]).read_text(encoding="utf-8")


def test_they_stay_small():
    assert (ROOT / WEIGHTS).stat().st_size < 10_000_000
