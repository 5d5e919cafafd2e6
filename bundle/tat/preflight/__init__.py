"""Checks of a run before it starts: known ids and overlays that go together. A refusal is one line."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.preflight.command_line import only_ids as only_ids
    from bundle.tat.preflight.command_line import prepare_run as prepare_run
    from bundle.tat.preflight.known_ids import check_ids as check_ids
    from bundle.tat.preflight.overlays import check_overlays as check_overlays
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
