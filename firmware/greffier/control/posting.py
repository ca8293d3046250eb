"""A signed POST of JSON, as webhooks get it (docs/control-protocol.md, *Alarms*)."""

import hashlib
import hmac
import http.client
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 10.0


class PostFailed(Exception):
    """It was not received. The text is for our own tests: it goes nowhere."""


def post(
    url: str,
    secret_file: Path | None,
    body: bytes,
    tls: ssl.SSLContext | None = None,
    patience_s: float = PATIENCE_S,
) -> None:
    """POST *body* with its signature under the secret. Any 2xx is a receipt. Raises PostFailed.

    *tls* replaces the system's certificate authorities. No redirect, no proxy is followed.
    """
    try:
        secret = secret_file.read_bytes().strip() if secret_file else b""
        if not secret:
            raise PostFailed("no secret")
        status = _post(url, body, hmac.new(secret, body, hashlib.sha256), tls, patience_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PostFailed(type(error).__name__) from error
    if not 200 <= status < 300:
        raise PostFailed(f"status {status}")


def _post(
    url: str, body: bytes, signature: hmac.HMAC, tls: ssl.SSLContext | None, patience_s: float
) -> int:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = tls or ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=patience_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=patience_s)
    try:
        headers = {
            "Content-Type": "application/json",
            "Greffier-Signature": f"sha256={signature.hexdigest()}",
            "User-Agent": "greffier",
            "Connection": "close",
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
