"""The nuclides of PET, and how they decay."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

# Nuclides of PET lie between rubidium 82 (76 s) and iodine 124 (3.6e5 s).
SHORTEST_HALF_LIFE: Final = 60.0
LONGEST_HALF_LIFE: Final = 1e6
# Published half-lives differ by less than a hundredth; another nuclide or a half-life in minutes by far more.
HALF_LIFE_TOLERANCE: Final = 0.03
# After them a thousandth of the activity is left, too little for an image: the times are wrong.
MAX_HALF_LIVES: Final = 10


class Nuclide(NamedTuple):
    """A nuclide of PET.

    Args:
        name: as messages have it.
        symbol: element and mass number, as PET-BIDS has it.
        codes: Code Value (0008,0100) in SNOMED CT and in the older SNOMED RT, PS3.16 CID 4020.
        half_life: [s].
    """

    name: str
    symbol: str
    codes: tuple[str, str]
    half_life: float


NUCLIDES: Final = (
    Nuclide("carbon 11", "C11", ("40565003", "C-105A1"), 1221.8),
    Nuclide("nitrogen 13", "N13", ("21576001", "C-107A1"), 597.9),
    Nuclide("oxygen 15", "O15", ("129504001", "C-B1038"), 122.2),
    Nuclide("fluorine 18", "F18", ("77004003", "C-111A1"), 6586.2),
    Nuclide("copper 64", "Cu64", ("3932008", "C-127A2"), 45724.0),
    Nuclide("gallium 68", "Ga68", ("35337001", "C-131A3"), 4062.6),
    Nuclide("rubidium 82", "Rb82", ("79197006", "C-159A2"), 76.4),
    Nuclide("zirconium 89", "Zr89", ("63360001", "C-168A4"), 282240.0),
    Nuclide("iodine 124", "I124", ("40937006", "C-114A5"), 360800.0),
)


def decayed_share(seconds: float, half_life: float) -> float:
    """Share of an activity that is left after a time.

    Args:
        seconds: the time [s].
        half_life: of the nuclide [s].

    Returns:
        0.5 after one half-life.
    """
    return math.pow(2.0, -seconds / half_life)


def average_time(duration: float, half_life: float) -> float:
    """Time at which the activity is the average over a frame, a little before its middle.

    Args:
        duration: of the frame [s].
        half_life: of the nuclide [s].

    Returns:
        Time after the start of the frame [s].
    """
    decay = math.log(2) * duration / half_life
    return duration / decay * math.log(decay / -math.expm1(-decay))
