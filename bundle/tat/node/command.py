"""What ``tat serve`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bundle.tat.node.clock import Clock
from bundle.tat.node.files import QUEUE, NodeFiles
from bundle.tat.node.job_queue import JobQueue
from bundle.tat.node.settings import (
    NodeSettings,
    node_folder,
    read_address,
    read_ae_title,
    read_ae_titles,
    read_destination,
    read_limits,
    read_networks,
    read_number,
    read_tls,
)
from bundle.tat.node.status import describe_queue
from bundle.tat.optional import MissingPackageError
from bundle.tat.preflight import check_ids
from bundle.tat.refusal import RefusedInputError

# Ids that the node sets by itself.
_OWN_IDS: Final = ("dataset_dir", "output_dir", "section", "overwrite", "nifti")


def serve(
    *,
    config_file: str,
    send_to: str | None = None,
    ae_title: str = "TAT",
    port: object = 11112,
    bind: str = "127.0.0.1",
    folder: str | None = None,
    quiet: object = 10,
    keep: object = 7,
    allow_ae: str | None = None,
    allow_address: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    tls_ca: str | None = None,
    max_associations: object = 8,
    max_pdu: object = 65536,
    max_instance: object = 512,
    max_series: object = 4000,
    min_free: object = 2000,
    metrics_file: str | None = None,
    once: bool = False,
    status: bool = False,
    retry: object = None,
    **ids: Any,
) -> str | None:
    """Run a node until it gets a signal to end; or describe its queue, or put a job back into it.

    Args:
        config_file: ``inference.json``.
        send_to: ``HOST:PORT:AE`` of the archive that receives the derived series.
        ae_title: AE title of the node.
        port: TCP port; 0 lets the system choose.
        bind: address to listen on.
        folder: of the queue and the scans, see ``node_folder``.
        quiet: seconds without an object after which a series is complete.
        keep: days that a series stays on the disk when it is done.
        allow_ae: AE titles of callers, separated by commas.
        allow_address: addresses or networks of callers, separated by commas.
        tls_cert: certificate of the node, in PEM.
        tls_key: its key.
        tls_ca: certificates of the authority that signs those of peers.
        max_associations: associations at a time.
        max_pdu: largest protocol data unit [bytes].
        max_instance: largest object [MB].
        max_series: largest series [MB].
        min_free: disk space that stays free [MB].
        metrics_file: file for the counters for monitoring.
        once: end when no received series is in progress any more.
        status: describe the queue, and end.
        retry: number of a job to put back into the queue; the node may be running.
        **ids: of the config, such as ``device``.

    Returns:
        Text to print; ``None`` after a run.

    Raises:
        RefusedInputError: an option is refused, or the run was not a full success, see ``Node.run``.
        MissingPackageError: pynetdicom is not installed.
    """
    where = node_folder(folder)
    if status:
        return describe_queue(where)
    if retry is not None:
        return _retry(where, int(read_number("retry", retry, low=1, high=1e12, whole=True)))
    settings = NodeSettings(
        folder=where,
        send_to=read_destination(send_to),
        ae_title=read_ae_title("ae_title", str(ae_title)),
        port=int(read_number("port", port, low=0, high=65535, whole=True)),
        bind=read_address(str(bind)),
        quiet=read_number("quiet", quiet, low=0, high=86400),
        allow_ae=read_ae_titles(allow_ae),
        allow_address=read_networks(allow_address),
        limits=read_limits(
            max_associations=max_associations,
            max_pdu=max_pdu,
            max_instance=max_instance,
            max_series=max_series,
            min_free=min_free,
            keep=keep,
        ),
        tls=read_tls(tls_cert, tls_key, tls_ca),
    )
    _check_ids(config_file, ids)
    _run(settings, None if metrics_file is None else Path(metrics_file), once=once, ids=ids)
    return None


def _run(settings: NodeSettings, metrics_file: Path | None, *, once: bool, ids: dict[str, Any]) -> None:
    try:
        from bundle.tat.node.service import Node
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pynetdicom":
            raise
        raise MissingPackageError("tat serve needs pynetdicom: pip install '.[node]' in the bundle's folder") from error
    from bundle.tat.node.restorer import SeriesRestorer

    files = NodeFiles(settings.folder)
    with files.owned():  # before the weights are loaded
        restorer = SeriesRestorer(files.results, files.received, **ids)
        Node(settings, files, restorer, metrics_file=metrics_file).run(once=once)


def _retry(folder: Path, number: int) -> str:
    queue = folder / QUEUE
    if not queue.is_file():
        raise RefusedInputError(f"{folder} holds no queue: pass --folder of a node that has run")
    opened = JobQueue(queue, Clock())
    try:
        job = opened.retry(number)
    finally:
        opened.close()
    return f"job {job.id} was {job.state} and is in the queue again"


def _check_ids(config_file: str, ids: dict[str, Any]) -> None:
    """Refuse unknown ids, and those that the node sets itself."""
    for name in _OWN_IDS:
        if name in ids:
            raise RefusedInputError(f"{name} is set by tat serve itself: leave --{name} out")
    check_ids(config_file, **ids)
