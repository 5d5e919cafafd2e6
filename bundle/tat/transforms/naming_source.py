"""Naming the scan in a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager

from monai.data import MetaTensor

from bundle.tat.refusal import RefusedInputError


@contextmanager
def naming_source(image: object) -> Iterator[None]:
    """Put the path of an image before the message of a refusal.

    Args:
        image: a ``MetaTensor`` that was read from a file; other images have no path.

    Raises:
        RefusedInputError: the refusal that was raised inside, with the path in front.
    """
    try:
        yield
    except RefusedInputError as error:
        path = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
        raise RefusedInputError(f"{path}: {error}" if path else str(error)) from error
