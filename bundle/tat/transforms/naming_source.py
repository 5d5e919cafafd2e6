"""Saying which scan a refusal is about."""

from collections.abc import Iterator
from contextlib import contextmanager

from monai.data import MetaTensor

from bundle.tat.refusal import RefusedInputError


@contextmanager
def naming_source(image: object) -> Iterator[None]:
    """Put the path of an image before what is said against it.

    Args:
        image: a ``MetaTensor`` that was read from a file; anything else has no name.

    Raises:
        RefusedInputError: what was raised inside, with the path in front.
    """
    try:
        yield
    except RefusedInputError as error:
        path = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
        raise RefusedInputError(f"{path}: {error}" if path else str(error)) from error
