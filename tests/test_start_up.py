"""What a user waits for before anything happens: imports. Counted, since their time depends on the machine."""

import subprocess
import sys

from tests.configs.conftest import CONFIGS, ROOT

AFTER_MONAI = """
import sys
import monai.networks.nets
known = set(sys.modules)
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
print(*{name.partition(".")[0] for name in set(sys.modules) - known})
"""
PACKAGES = [".".join(file.relative_to(ROOT).parts[:-1]) for file in ROOT.glob("bundle/tat/**/__init__.py")]
AFTER_A_RUN = """
import sys
import monai.bundle
known = set(sys.modules)
monai.bundle.run(config_file=sys.argv[1], dataset_dir=sys.argv[2], output_dir=sys.argv[3], modality="CT", device="cpu",
                 network_def={"_target_": "torch.nn.Identity"}, handlers=[], report=sys.argv[4])
print(*{name.partition(".")[0] for name in set(sys.modules) - known})
"""


def packages(program: str, *words: object) -> set[str]:
    """Packages that a program in a fresh process imports after MONAI."""
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.splitlines()[-1].split())


def test_the_bundle_imports_nothing_that_monai_has_not_imported():
    assert "bundle.tat.dicom.suv" in PACKAGES
    assert packages(AFTER_MONAI, *PACKAGES) == {"bundle", "monai"}  # of MONAI's: the name that TAT is registered under


def test_restoring_nifti_imports_no_reader_of_dicom_and_nothing_to_train_score_or_draw_with(tmp_path):
    scan = ROOT / "tests" / "samples" / "ct_lung1_low.nii.gz"
    found = packages(AFTER_A_RUN, CONFIGS / "inference.json", scan, tmp_path, "none")
    assert "bundle" in found
    slow = {"pydicom", "scipy", "skimage", "matplotlib", "SimpleITK", "itk", "pandas", "mlflow", "tensorboard", "onnx"}
    assert not found & slow
    assert "jinja2" not in found


def test_a_report_imports_what_draws_it_and_nothing_else_that_is_slow(tmp_path):
    scan = ROOT / "tests" / "samples" / "pet_lung1_low.nii.gz"
    found = packages(AFTER_A_RUN.replace('"CT"', '"PET"'), CONFIGS / "inference.json", scan, tmp_path, "brief")
    assert {"matplotlib", "jinja2"} <= found
    assert not found & {"scipy", "skimage", "SimpleITK", "itk", "pandas", "mlflow", "tensorboard", "onnx"}
