import subprocess
import sys

import monai.networks.nets
import pytest
from monai.bundle import ConfigParser

import bundle.tat
from bundle.tat.networks import TAT


@pytest.mark.parametrize(
    "target",
    ["TAT", "monai.networks.nets.TAT", "monai.networks.nets.tat.TAT", "bundle.tat.networks.TAT"],
)
def test_every_name_in_a_config_is_the_same_class(target):
    parser = ConfigParser(
        {"imports": ["$import bundle.tat"], "network": {"_target_": target, "dim": 8, "task_features": 4}}
    )
    assert type(parser.get_parsed_content("network")) is TAT


def test_import_from_monai():
    from monai.networks.nets.tat import TAT as FROM_MONAI

    assert FROM_MONAI is TAT is monai.networks.nets.TAT is bundle.tat.TAT


def test_a_network_of_the_same_name_in_monai_keeps_it():
    program = (
        "import monai.networks.nets as nets\n"
        "class TAT: pass\n"
        "nets.TAT = TAT\n"
        "import bundle.tat\n"
        "assert nets.TAT is TAT and bundle.tat.TAT is not TAT\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603


def test_namespace_package_leaves_room_for_other_bundles():
    import bundle

    assert not hasattr(bundle, "__file__") or bundle.__file__ is None
