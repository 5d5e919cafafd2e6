"""TAT, the Task-Adaptive Transformer for medical image restoration, as a MONAI bundle.

Importing this package registers the network with MONAI, so that ``"_target_": "TAT"`` works in any config.
"""

import sys
from typing import Final

import monai.networks.nets as monai_nets

from bundle.tat.networks import TAT
from bundle.tat.networks import tat as tat_module
from bundle.tat.version import VERSION as __version__  # noqa: N811 - the name that packages carry their version under

_MONAI_MODULE: Final = "monai.networks.nets.tat"


def _register_network() -> None:
    """Make TAT a MONAI network: ``TAT``, ``monai.networks.nets.TAT`` and ``monai.networks.nets.tat.TAT``.

    MONAI has no plug-in hook. Its config parser looks for a bare class name in the modules whose names start with
    ``monai``, among classes whose ``__module__`` is such a name. Hence the alias module and the changed ``__module__``.
    If MONAI ships a TAT of its own one day, that one keeps its name. Ours is then ``bundle.tat.networks.TAT`` only.
    """
    if hasattr(monai_nets, "TAT"):
        return
    sys.modules[_MONAI_MODULE] = tat_module
    monai_nets.tat = tat_module  # type: ignore[attr-defined]
    monai_nets.TAT = TAT  # type: ignore[attr-defined]
    TAT.__module__ = _MONAI_MODULE


_register_network()

__all__ = ["TAT", "__version__"]
