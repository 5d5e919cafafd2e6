"""UIDs of a derived series: new each time, or the same for the same source, weights and seed."""

import hashlib
import uuid
from dataclasses import dataclass

from bundle.tat.refusal import RefusedInputError


@dataclass(frozen=True)
class Identity:
    """What sets an image apart from all others.

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

    def derive(self, source_uid: str, part: str = "") -> Identity:
        """The UIDs of the image that is derived from a source image.

        Args:
            source_uid: SOP Instance UID of the source.
            part: which of the frames of the source it is derived from; empty for all of them.

        Returns:
            UIDs; the series is one for all images, named after the first.

        Raises:
            RefusedInputError: the source has no UID, or one that another source has.
        """
        if not source_uid:
            raise RefusedInputError("an image has no SOPInstanceUID: nothing can refer to it, give it one")
        source = f"{source_uid}{part}"
        if source in self._seen:
            raise RefusedInputError("two images have the same SOPInstanceUID: give each its own")
        self._seen.add(source)
        self._series_uid = self._series_uid or new_uid(self._seed, "series", source)
        return Identity(self._series_uid, new_uid(self._seed, "instance", source))


def new_uid(seed: str | None, *names: str) -> str:
    """A UID below 2.25, made from a UUID.

    Args:
        seed: what to compute it from, with the names; ``None`` draws it.
        names: what tells it from others of this seed.

    Returns:
        A UID of 44 characters or fewer.

    Source:
        DICOM PS3.5 B.2.
    """
    if seed is None:
        return f"2.25.{uuid.uuid4().int}"
    digest = hashlib.sha256("\0".join((seed, *names)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
