"""The work behind each verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from monai.bundle import run
from monai.utils import ensure_tuple

from bundle.tat.bundle_root import find_bundle_root
from bundle.tat.cases.refusals import find_refusal, hide_echoes
from bundle.tat.optional import MissingPackageError, exit_if_missing
from bundle.tat.preflight import check_ids, only_ids
from bundle.tat.refusal import RefusedInputError
from bundle.tat.verbs.configs import config_files
from bundle.tat.verbs.log import short_log


def perform(name: str, options: Mapping[str, Any]) -> int:
    """Run a verb, and print what it returns.

    Args:
        name: the verb.
        options: its words, as ``bundle.tat_command`` reads them.

    Returns:
        The exit code: 0, or 1 after a refusal, which is printed in one line. Errors of the program are raised.
    """
    hide_echoes()
    is_training = name in ("train", "evaluate")
    log = nullcontext() if options.get("verbose") else short_log(engines=is_training)
    try:
        with log:
            said = VERBS[name](**options)
    except Exception as error:
        refusal = error if isinstance(error, MissingPackageError) else find_refusal(error)
        if refusal is None:
            raise
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    sys.stdout.write(f"{said}\n" if said else "")
    return 0


def _restore(*, dataset_dir: str, output_dir: str, **ids: Any) -> None:
    configs = config_files("inference", bundle_root=ids.get("bundle_root"))
    # As paths, not as text: MONAI takes a # in a text for a separator of ids.
    where = {"dataset_dir": Path(dataset_dir), "output_dir": Path(output_dir)}
    _run(configs, {"inferer#progress": False}, {**where, **ids})


def _report(*, output_dir: str, ckpt_path: str | None = None) -> str:
    from bundle.tat.report import ReportWriter

    weights = ckpt_path or str(Path(find_bundle_root()) / "models" / "model.pt")
    return str(ReportWriter(output_dir, weights).rewrite())


def _train(*, full: bool = False, layout: str | None = None, data: str | None = None, **ids: Any) -> None:
    configs = config_files("train", bundle_root=ids.get("bundle_root"), full=full, layout=layout)
    _run(configs, {"progress#disable": True}, {**_dataset_dir(data), **ids})


def _evaluate(
    *, small: bool = False, full: bool = False, layout: str | None = None, data: str | None = None, **ids: Any
) -> None:
    if small and full:
        raise RefusedInputError("small and full are both given: leave one out")
    configs = config_files("evaluate", bundle_root=ids.get("bundle_root"), full=full, layout=layout)
    if "baselines" in ids:
        ids["baselines"] = ensure_tuple(ids["baselines"])  # one name is no list on the command line
    _run(configs, {"progress#disable": True}, {**_dataset_dir(data), **ids})


def _dataset_dir(data: str | None) -> dict[str, str]:
    return {} if data is None else {"dataset_dir": data}


def _run(configs: Sequence[str], without_bar: Mapping[str, object], ids: Mapping[str, Any]) -> None:
    """Run configs as ``python -m monai.bundle run`` does, with a progress bar only on a terminal.

    Args:
        configs: paths; the user may name others.
        without_bar: id and value that leave out the bar, unless the user sets this id.
        ids: for MONAI. ``verbose`` is not passed on: it lets MONAI log by the bundle's ``logging.conf``.
    """
    given = dict(ids)
    defaults: dict[str, Any] = {"config_file": configs}
    if not given.pop("verbose", False):
        defaults["logging_file"] = False
    if not sys.stderr.isatty():
        defaults |= without_bar
    arguments = {**defaults, **given}
    check_ids(**only_ids(arguments))
    run(**arguments)


def _info(*, json: bool = False, **options: Any) -> str:
    from bundle.tat.info.report import report_scans

    inference, *_ = config_files("inference", bundle_root=options.get("bundle_root"))
    return report_scans(config_file=inference, as_json=json, **options)


def _score(**options: Any) -> str:
    from bundle.tat.evaluation.restored import score_restored

    return score_restored(**options)


def _compare(**options: Any) -> str:
    from bundle.tat.evaluation.comparison import compare_runs

    return compare_runs(**options)


def _draw(**options: Any) -> str:
    with exit_if_missing("matplotlib", extra="report"):
        from bundle.tat.visualize.restored import draw_restored

    return "\n".join(map(str, draw_restored(**options)))


def _diagnose(*, full: bool = False, layout: str | None = None, **options: Any) -> str:
    with exit_if_missing("matplotlib", extra="report"):
        from bundle.tat.diagnosis.tasks import diagnose_tasks

    configs = options.pop("config_file", None) or config_files("train", full=full, layout=layout)
    return "\n".join(diagnose_tasks(config_file=configs, **options))


def _export(**options: Any) -> str:
    from bundle.tat.export.files import export_files

    return export_files(**options)


def _serve(**options: Any) -> str | None:
    from bundle.tat.node.command import serve

    inference, *_ = config_files("inference", bundle_root=options.get("bundle_root"))
    return serve(config_file=inference, **options)


VERBS: Final[Mapping[str, Callable[..., str | None]]] = MappingProxyType(
    {
        "restore": _restore,
        "report": _report,
        "info": _info,
        "train": _train,
        "evaluate": _evaluate,
        "score": _score,
        "compare": _compare,
        "draw": _draw,
        "diagnose": _diagnose,
        "export": _export,
        "serve": _serve,
    }
)
