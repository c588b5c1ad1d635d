"""Connection errors: why no connection was made, in words of our own, and what to do about it.

The texts of aiohttp's errors can contain the URL, and so the key, or a proxy's password: none of them is repeated.
"""

import errno
import platform
import socket
import ssl
import sys

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientHttpProxyError,
)

from pipeline.api.reachability import Reason

_BUNDLE = "set SSL_CERT_FILE to a file that contains it"
_CLOCK = "check the clock of this machine; if it is right, only the owner of the server can renew it"
_SILENT = Reason("no answer in time", "check the network, and whether a firewall or a proxy is in between")
_DROPPED = Reason("the connection was dropped", "try again; a firewall or a proxy may be the cause")
_BY_ERRNO = {
    errno.ECONNREFUSED: Reason("connection refused", "nothing listens there: check host and port"),
    errno.ENETUNREACH: Reason("no route to the host", "check the network"),
    errno.EHOSTUNREACH: Reason("no route to the host", "check the network"),
    errno.ETIMEDOUT: _SILENT,
}
_NO_ROOTS = (
    f"on macOS run '/Applications/Python {platform.python_version_tuple()[0]}.{platform.python_version_tuple()[1]}/"
    "Install Certificates.command'"
    if sys.platform == "darwin"
    else "install the package ca-certificates"
)
_UNKNOWN_ISSUER = Reason(
    "the issuer of its certificate is not known here", f"{_NO_ROOTS}; if a proxy of your company has a root, {_BUNDLE}"
)
_OTHER_HOST = Reason(
    "its certificate is for another host",
    "check the host name; a proxy, or the login page of a network, may have answered in its place",
)
_BY_VERIFY_CODE = {
    9: Reason("its certificate is not valid yet", _CLOCK),
    10: Reason("its certificate has expired", _CLOCK),
    18: Reason("its certificate is self-signed", f"if it is that of your company's proxy, {_BUNDLE}"),
    19: Reason(
        "its certificate comes from a root that is not trusted here",
        f"if it is that of your company's proxy or of a virus scanner, {_BUNDLE}",
    ),
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
"""By OpenSSL's number of the error (X509_V_ERR_...): its texts differ by version."""


def reason(error: BaseException) -> Reason:
    """Return why there is no connection."""
    match error:
        case ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            other = Reason(f"its certificate is refused ({refused.verify_message})", _BUNDLE)
            return _BY_VERIFY_CODE.get(refused.verify_code, other)
        case ClientConnectorError():
            return _connection_reason(error)
        case ClientHttpProxyError(status=status):
            return _proxy_reason(status)
        case TimeoutError():
            return _SILENT
        case _:
            return _DROPPED


def _connection_reason(error: ClientConnectorError) -> Reason:
    cause = error.os_error
    if isinstance(error, ClientConnectorDNSError):
        is_silent = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return Reason(
            "no name server answers" if is_silent else "there is no such host", "check the network and the name"
        )
    if isinstance(error, ClientConnectorSSLError):
        what = (getattr(cause, "reason", None) or type(cause).__name__).lower().replace("_", " ")
        return Reason(f"no TLS ({what})", "check scheme, host and port: something else may answer there")
    if isinstance(cause, ConnectionResetError):  # asyncio's has no number if it is reset during the handshake
        return _DROPPED
    name = errno.errorcode.get(cause.errno or 0, type(cause).__name__)
    return _BY_ERRNO.get(cause.errno or 0, Reason(f"the connection failed ({name})", "check the network"))


def _proxy_reason(status: int) -> Reason:
    if status == 407:
        return Reason("the proxy refuses the user and password, or wants some (407)", "check them in source.proxy")
    if is_temporary(status):
        return Reason(f"the proxy cannot connect ({status})", "try again later, or ask its administrator")
    return Reason(f"the proxy does not connect to this server ({status})", "check source.proxy")


def is_temporary(status: int) -> bool:
    """Whether a proxy that answers with this status may make the connection later: it, or the server, has a problem."""
    return status in (408, 429) or status >= 500
