"""Certificates of a certificate authority that is made for the tests, and servers that show them."""

import ssl
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import trustme

from tests.support.hostile import Hostile, Say, hostile

PAST, FUTURE = datetime.now(UTC) - timedelta(days=9), datetime.now(UTC) + timedelta(days=9)


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def certificate(
    *names: str, not_before: datetime | None = None, not_after: datetime | None = None, trusted: bool = True
) -> ssl.SSLContext:
    """Return a server's context with a certificate for these names; not `trusted`: of another authority."""
    issuer = authority() if trusted else trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(context)
    return context


@cache
def self_signed() -> ssl.SSLContext:
    """Return a server's context with a certificate that vouches for itself."""
    issuer = trustme.CA()
    with issuer.private_key_pem.tempfile() as key, issuer.cert_pem.tempfile() as pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
    return context


@cache
def with_foreign_root(*names: str) -> ssl.SSLContext:
    """Return a server's context with a certificate and the root it comes from, which nobody here trusts."""
    issuer = trustme.CA()
    issued = issuer.issue_cert(*names)
    chain = trustme.Blob(issued.cert_chain_pems[0].bytes() + issuer.cert_pem.bytes())
    with issued.private_key_pem.tempfile() as key, chain.tempfile() as pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
    return context


def trust_authority(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process trust the authority, as a user does: by SSL_CERT_FILE."""
    bundle = folder / "authority.pem"
    authority().cert_pem.write_to_path(str(bundle))
    patch.setenv("SSL_CERT_FILE", str(bundle))


def encrypted(say: Say, *names: str) -> AbstractAsyncContextManager[tuple[Hostile, str]]:
    """Serve over TLS on loopback, as `localhost` unless other names are given; yield the server and its URL."""
    return hostile(say, tls=certificate(*(names or ("localhost",))))
