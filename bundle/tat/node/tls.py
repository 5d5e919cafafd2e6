"""TLS for both directions: each side shows a certificate, and accepts certificates that one authority has signed."""

from __future__ import annotations

import ssl

from bundle.tat.node.settings import TlsFiles
from bundle.tat.refusal import RefusedInputError


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """The context for incoming connections: TLS 1.2 or newer, and callers show a certificate.

    Args:
        files: certificate, key and authority.

    Raises:
        RefusedInputError: a file cannot be used for TLS, or certificate and key do not belong together.

    Source:
        DICOM PS3.15 B.12, the modified BCP 195 profile, asks for TLS 1.2 or newer.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """The context for outgoing connections: the receiver's certificate must name its host.

    Args:
        files: certificate, key and authority.

    Raises:
        RefusedInputError: as for ``server_context``.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without asking for a passphrase: nobody is there to type it for a service.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        context.load_verify_locations(files.authority)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(map(str, files))
        raise RefusedInputError(
            f"the files for TLS ({names}) do not fit together: {error}; pass PEM files, the key without a passphrase"
        ) from error
    return context
