"""Refusing an unknown id: MONAI would add it to the config, where it changes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from pydoc import locate
from typing import Any, Final

from monai.bundle import ConfigComponent, ConfigParser, ReferenceResolver
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS, ID_SEP_KEY, MACRO_KEY, MERGE_KEY
from monai.utils import ensure_tuple

from bundle.tat.refusal import RefusedInputError

Content = Mapping[str, Any]

# Ids that MONAI and MONAI Label read themselves.
READ_BY_HOSTS: Final = frozenset({"imports", "_meta_", "displayable_configs"})


def check_ids(
    config_file: str | Sequence[str],
    *,
    run_id: str = "run",
    init_id: str = "initialize",
    final_id: str = "finalize",
    tracking: str | None = None,
    **overrides: object,
) -> None:
    """Refuse ids that change nothing, before anything is read or trained.

    The first file is the whole config: its ids are known. An id of another file or of an override must be one of them,
    or an argument of the component that it changes. Otherwise one of the files or overrides must refer to it. So a
    user's own overlay may define ids and use them.

    Args:
        config_file: as for ``monai.bundle.run``: the config, or the list of it and its overlays.
        run_id: as for ``monai.bundle.run``: id that is run.
        init_id: as for ``monai.bundle.run``: id that is run before.
        final_id: as for ``monai.bundle.run``: id that is run after.
        tracking: as for ``monai.bundle.run``; its settings add ids.
        **overrides: as for ``monai.bundle.run``: ids, with ``#`` or ``::`` between their parts, and values.

    Raises:
        RefusedInputError: ids that are unknown, each with the nearest known one.
    """
    files = ensure_tuple(config_file)
    whole, *overlays = (ConfigParser.load_config_file(file) for file in files)
    # References in all files count: a later overlay may have replaced the one that refers to an id.
    referred = {one for content in (whole, *overlays, overrides) for one in references(content)}
    more = {*referred, run_id, init_id, final_id, *_ids_of_tracking(tracking)}
    known = _KnownIds(whole, ConfigParser.load_config_files(files), more)
    said = [*(id_.removeprefix(MERGE_KEY) for overlay in overlays for id_ in overlay), *overrides]
    unknown = [id_ for id_ in dict.fromkeys(map(ReferenceResolver.normalize_id, said)) if id_ not in known]
    if unknown:
        name = Path(files[0]).name
        raise RefusedInputError("; ".join(f"{_typed(id_)} is no id of {name}: {known.advice(id_)}" for id_ in unknown))


class _KnownIds:
    """The ids that a run knows.

    Args:
        whole: content of the first config.
        merged: that and all overlays.
        named: ids that are referred to, or read by MONAI.
    """

    def __init__(self, whole: Content, merged: Content, named: set[str]) -> None:
        self._whole = ConfigParser(whole)
        self._merged = ConfigParser(merged)
        self._named = (READ_BY_HOSTS | named) - {""}  # a lone ``@`` multiplies matrices

    def __contains__(self, id_: str) -> bool:
        parent, _, last = id_.rpartition(ID_SEP_KEY)
        if id_ in self._whole:
            return True
        section: Any = self._merged.get(parent) if parent else None
        if ConfigComponent.is_instantiable(section):
            return last in ConfigComponent.non_arg_keys or takes(section["_target_"], last)
        if isinstance(section, list):
            return id_ in self._merged  # MONAI adds nothing to a list
        # A plain section that is referred to is taken as a whole.
        inside = f"{id_}{ID_SEP_KEY}"
        return parent in self._named or any(f"{one}{ID_SEP_KEY}".startswith(inside) for one in self._named)

    def advice(self, id_: str) -> str:
        """The remedy for an unknown id: the nearest known one at the same place."""
        parent, _, last = id_.rpartition(ID_SEP_KEY)
        while parent and parent not in self._merged:
            parent, _, last = parent.rpartition(ID_SEP_KEY)
        nearest = get_close_matches(last, self._neighbours(parent) - {last}, n=1)
        if not nearest:
            return "docs/reference/config-ids.md lists the ids"
        return f"did you mean {_typed(f'{parent}{ID_SEP_KEY}{nearest[0]}' if parent else nearest[0])}?"

    def _neighbours(self, parent: str) -> set[str]:
        """Names that may stand at one place of the config."""
        section = self._merged.get(parent)
        names = set(section) if isinstance(section, dict) else set()
        if ConfigComponent.is_instantiable(section):
            names |= arguments_of(section["_target_"]) or set()
        return names - ConfigComponent.non_arg_keys


def references(content: object, id_: str = "") -> Iterator[str]:
    """The ids that a piece of config refers to, by ``@``, in an expression or by a macro.

    Args:
        content: the piece.
        id_: where it stands, which relative references count from.
    """
    if isinstance(content, (dict, list, tuple)):
        for _, inner, value in ReferenceResolver.iter_subconfigs(id_, content):
            yield from references(value, ReferenceResolver.normalize_id(inner).removeprefix(MERGE_KEY))
    elif isinstance(content, str):
        absolute = ConfigParser.resolve_relative_ids(id_, content)
        if absolute.startswith(MACRO_KEY):
            yield ConfigParser.split_path_id(absolute.removeprefix(MACRO_KEY))[1]
        yield from ReferenceResolver.match_refs_pattern(absolute)


def takes(target: object, name: str) -> bool:
    """Whether a component takes an argument, as far as its signature says."""
    arguments = arguments_of(target)
    return arguments is None or name in arguments


def arguments_of(target: object) -> set[str] | None:
    """The arguments that a class or function takes.

    Args:
        target: ``_target_`` of a component.

    Returns:
        Their names; ``None`` if it takes any, or if its signature is not known.
    """
    made: Any = target
    if isinstance(target, str):
        made = locate(ConfigComponent({"_target_": target}).resolve_module_name())
    # A class that hands on what it does not know takes what its bases take.
    bases = made.__mro__ if inspect.isclass(made) else ()
    calls = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)] or [made]
    names: set[str] = set()
    for call in calls:
        try:
            parameters = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):
            return None
        names |= {parameter.name for parameter in parameters} - {"self"}
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            return names
    return None


def _ids_of_tracking(tracking: str | None) -> set[str]:
    """The ids that MONAI adds for the settings of a tracking."""
    if tracking is None:
        return set()
    known: Mapping[str, Content] = DEFAULT_EXP_MGMT_SETTINGS
    settings = known[tracking] if tracking in known else ConfigParser.load_config_files(tracking)
    return set(settings["configs"])


def _typed(id_: str) -> str:
    """An id as users type it."""
    return id_.replace(ID_SEP_KEY, "#")
