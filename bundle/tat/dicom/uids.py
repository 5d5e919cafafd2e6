"""UIDs of a derived series: new each time, or the same for the same source, weights and seed."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Identity:
    """The UIDs of an image.

    Args:
        series_uid: Series Instance UID (0020,000E).
        instance_uid: SOP Instance UID (0008,0018).
    """

    series_uid: str
    instance_uid: str


class SeriesIdentities:
    """Gives each image of one derived series its UIDs.

    Args:
        seed: text that the UIDs are computed from, with those of the sources; ``None`` draws new ones.
    """

    def __init__(self, seed: str | None) -> None:
        self._seed = seed
        self._series_uid = ""
        self._seen: set[str] = set()
        self._n_derived = 0
        self._of_first: dict[str, str] = {}

    def join(self, image: Dataset) -> None:
        """Give an image the study and the frame of reference of the first one, where anonymisation made new ones.

        A series belongs to one study and has one frame of reference, PS3.3 A.1.2.

        Args:
            image: data set of a source image; changed in place. A missing UID is not added.
        """
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
            if uid := str(image.get(keyword) or ""):
                setattr(image, keyword, self._of_first.setdefault(keyword, uid))

    def derive(self, source_uid: str, pixels: bytes, part: str = "") -> Identity:
        """The UIDs of the image that is derived from a source image.

        Args:
            source_uid: SOP Instance UID of the source; empty where it has none of its own.
            pixels: of the derived image. With the number of the image, they replace a UID that is missing or repeated,
                so that with a seed another result has other UIDs.
            part: which of the frames of the source it is derived from; empty for all of them.

        Returns:
            UIDs; the series is one for all images, named after the first.
        """
        self._n_derived += 1
        source = f"{source_uid}{part}"
        if not source_uid or source in self._seen:
            source = f"{self._n_derived} {hashlib.sha256(pixels).hexdigest()}"
        self._seen.add(source)
        self._series_uid = self._series_uid or new_uid(self._seed, "series", source)
        return Identity(self._series_uid, new_uid(self._seed, "instance", source))


def shared_uids(uids: Iterable[str]) -> frozenset[str]:
    """UIDs that several images have, so that they identify none of them.

    Args:
        uids: SOP Instance UID of each image of a series.
    """
    return frozenset(uid for uid, n_images in Counter(uids).items() if n_images > 1)


def new_uid(seed: str | None, *names: str) -> str:
    """A UID below 2.25, made from a UUID.

    Args:
        seed: text that it is computed from, with the names; ``None`` draws it.
        names: what distinguishes it from others of this seed.

    Returns:
        A UID of 44 characters or fewer.

    Source:
        DICOM PS3.5 B.2.
    """
    if seed is None:
        return f"2.25.{uuid.uuid4().int}"
    digest = hashlib.sha256("\0".join((seed, *names)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
