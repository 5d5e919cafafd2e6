"""The settings of a node: where it listens, which callers it accepts, where it sends, and its limits."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bundle.tat.data.datalist import resolve_path
from bundle.tat.refusal import RefusedInputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_AE_LENGTH: Final = 16
_MAX_PORT: Final = 65535
_MEGABYTE: Final = 1_000_000
_DESTINATION: Final = re.compile(r"(?P<host>\[[^\]]+\]|[^:\s]+):(?P<port>\d+):(?P<ae_title>.+)")


class Destination(NamedTuple):
    """The archive that derived series are sent to.

    Args:
        host: name or address.
        port: TCP port.
        ae_title: its application entity title.
    """

    host: str
    port: int
    ae_title: str


class TlsFiles(NamedTuple):
    """Files in PEM.

    Args:
        certificate: of this node, with those between it and the authority.
        key: of the certificate, without a passphrase.
        authority: certificates of those who sign the certificates of peers.
    """

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Limits:
    """The limits of a node.

    Args:
        max_associations: most associations at a time.
        max_pdu: largest protocol data unit [bytes], 0 for no limit.
        max_instance: largest object [bytes].
        max_series: largest series [bytes].
        min_free: free disk space [bytes] below which objects are refused.
        keep_seconds: how long series stay on the disk when they are done [s].
    """

    max_associations: int = 8
    max_pdu: int = 65536
    max_instance: int = 512 * _MEGABYTE
    max_series: int = 4000 * _MEGABYTE
    min_free: int = 2000 * _MEGABYTE
    keep_seconds: float = 7 * 86400.0


@dataclass(frozen=True)
class NodeSettings:
    """The settings of a node.

    Args:
        folder: of the queue and the scans.
        send_to: where derived series are sent.
        ae_title: AE title of the node; associations that call another title are refused.
        port: TCP port that it listens on; 0 lets the system choose one.
        bind: address that it listens on.
        quiet: time without an object after which a series is complete [s], if none of its callers is connected.
        allow_ae: AE titles of accepted callers; empty for any.
        allow_address: networks of accepted callers; empty for any.
        limits: largest sizes and numbers.
        tls: for connections in both directions; ``None`` for plain ones.
    """

    folder: Path
    send_to: Destination
    ae_title: str = "TAT"
    port: int = 11112
    bind: str = "127.0.0.1"
    quiet: float = 10.0
    allow_ae: tuple[str, ...] = ()
    allow_address: tuple[Network, ...] = ()
    limits: Limits = Limits()
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        """Refuse a node that other computers reach, if its callers are not named."""
        if not ipaddress.ip_address(self.bind).is_loopback and not (self.allow_ae and self.allow_address):
            raise RefusedInputError(
                f"bind is {self.bind}, which other computers reach: name the callers with --allow_ae and "
                "--allow_address, such as --allow_ae CT1,PACS --allow_address 192.0.2.0/24"
            )

    def is_allowed_address(self, address: str) -> bool:
        """Whether a caller may connect.

        Args:
            address: of the caller; IPv4 in IPv6 counts as IPv4, and a zone is left out.
        """
        caller = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped:
            caller = caller.ipv4_mapped
        return not self.allow_address or any(caller in network for network in self.allow_address)


def node_folder(folder: str | None) -> Path:
    """The folder where a node keeps its queue and scans.

    Args:
        folder: as the user gives it; ``None`` for the folder that systemd names, or else one of this user.
    """
    if folder is not None:
        return resolve_path(folder)
    if of_service := os.environ.get("STATE_DIRECTORY"):
        return resolve_path(of_service.partition(":")[0])
    return resolve_path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "tat-node"


def read_destination(text: str | None) -> Destination:
    """Read ``HOST:PORT:AE``, where an IPv6 address is in brackets.

    Args:
        text: as the user gives it.

    Raises:
        RefusedInputError: it is missing, or has another form.
    """
    parts = _DESTINATION.fullmatch(text or "")
    if parts is None:
        raise RefusedInputError(
            f"send_to is {text!r}: name the receiver as HOST:PORT:AE, such as 127.0.0.1:4242:ARCHIVE"
        )
    port = read_number("the port of send_to", parts["port"], low=1, high=_MAX_PORT, whole=True)
    ae_title = read_ae_title("the AE title of send_to", parts["ae_title"])
    return Destination(_read_host(parts["host"]), int(port), ae_title)


def _read_host(text: str) -> str:
    """Read the host of a receiver: an IPv6 address in brackets, or what may be a name; it is not looked up here.

    Source:
        RFC 1035 2.3.4: parts of a name have 1 to 63 characters; RFC 3490 for those beyond ASCII.
    """
    try:
        if text.startswith("["):
            return str(ipaddress.IPv6Address(text[1:-1]))
        text.encode("idna")
    except ValueError:  # that of a name is a UnicodeError, which is one
        raise RefusedInputError(
            f"the host of send_to is {text!r}: pass a name such as pacs.example, an IPv4 address, or IPv6 in brackets"
        ) from None
    return text


def read_ae_title(name: str, text: str) -> str:
    """Read an application entity title.

    Args:
        name: of the option, for messages.
        text: as the user gives it.

    Raises:
        RefusedInputError: it is longer than 16 characters, empty, or has characters that DICOM forbids.

    Source:
        DICOM PS3.5 6.2, value representation AE.
    """
    title = text.strip()
    if not 0 < len(title) <= _MAX_AE_LENGTH or not title.isascii() or not title.isprintable() or "\\" in title:
        raise RefusedInputError(f"{name} is {text!r}: pass 1 to {_MAX_AE_LENGTH} characters of ASCII, no backslash")
    return title


def read_number(name: str, value: object, *, low: float, high: float, whole: bool = False) -> float:
    """Read a number with bounds.

    Args:
        name: of the option, for messages.
        value: as the user gives it.
        low: smallest accepted value.
        high: largest accepted value.
        whole: whether it must be a whole number.

    Raises:
        RefusedInputError: it is no number, out of bounds, or not whole.
    """
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if isinstance(value, bool) or not low <= number <= high or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise RefusedInputError(f"{name} is {value!r}: pass {kind} from {low:g} to {high:g}")
    return number


def read_address(text: str) -> str:
    """Read the address to listen on.

    Args:
        text: as the user gives it; ``localhost`` stands for 127.0.0.1.

    Raises:
        RefusedInputError: it is no IP address; other names are not looked up.
    """
    word = "127.0.0.1" if text == "localhost" else text
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        raise RefusedInputError(f"bind is {text!r}: pass an IP address, such as 127.0.0.1 or 0.0.0.0") from None


def read_networks(text: str | None) -> tuple[Network, ...]:
    """Read the addresses of callers.

    Args:
        text: addresses or networks, separated by commas.

    Raises:
        RefusedInputError: one of them is neither.
    """
    networks = []
    for word in _words(text):
        try:
            networks.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise RefusedInputError(
                f"allow_address names {word!r}: {error}; pass an address or network such as 192.0.2.0/24"
            ) from None
    return tuple(networks)


def read_ae_titles(text: str | None) -> tuple[str, ...]:
    """Read the AE titles of callers.

    Args:
        text: titles, separated by commas.

    Raises:
        RefusedInputError: one of them is no title.
    """
    return tuple(read_ae_title("a title of allow_ae", word) for word in _words(text))


def read_tls(certificate: str | None, key: str | None, authority: str | None) -> TlsFiles | None:
    """Read the files for TLS.

    Args:
        certificate: path.
        key: path.
        authority: path.

    Returns:
        The files; ``None`` where none is named.

    Raises:
        RefusedInputError: some are named and others are not, or a file does not exist.
    """
    named = {"tls_cert": certificate, "tls_key": key, "tls_ca": authority}
    if not any(named.values()):
        return None
    for name, path in named.items():
        if not path:
            raise RefusedInputError(f"TLS needs three files, and {name} is missing: pass --{name} FILE")
        if not Path(path).is_file():
            raise RefusedInputError(f"{name} {path} does not exist: pass a file in PEM")
    return TlsFiles(*map(Path, filter(None, named.values())))


def read_limits(
    *,
    max_associations: object = 8,
    max_pdu: object = 65536,
    max_instance: object = 512,
    max_series: object = 4000,
    min_free: object = 2000,
    keep: object = 7,
) -> Limits:
    """Read the limits of a node.

    Args:
        max_associations: most associations at a time.
        max_pdu: [bytes].
        max_instance: [MB], millions of bytes.
        max_series: [MB].
        min_free: [MB].
        keep: [days].

    Raises:
        RefusedInputError: one of them is no number within bounds.
    """
    return Limits(
        max_associations=int(read_number("max_associations", max_associations, low=1, high=100, whole=True)),
        max_pdu=int(read_number("max_pdu", max_pdu, low=4096, high=1 << 20, whole=True)),
        max_instance=int(read_number("max_instance", max_instance, low=0.001, high=1e5) * _MEGABYTE),
        max_series=int(read_number("max_series", max_series, low=0.001, high=1e6) * _MEGABYTE),
        min_free=int(read_number("min_free", min_free, low=0, high=1e8) * _MEGABYTE),
        keep_seconds=read_number("keep", keep, low=0, high=36500) * 86400.0,
    )


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]
