"""Alarms as a signed POST of JSON (docs/control-protocol.md, section on the webhook)."""

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from greffier import canonical
from greffier.config.records import Output
from greffier.control.forms import to_object
from greffier.control.messages import Alarm, Notice
from greffier.recorder.alarm import sentence
from greffier.recorder.outputs.outbox import OutputFailed

PATIENCE_S = 10.0


class Webhook:
    """*tls* replaces the system's certificate authorities. No redirect, no proxy is followed."""

    def __init__(self, output: Output, device: str, tls: ssl.SSLContext | None = None) -> None:
        self._output = output
        self._device = device
        self._tls = tls

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        """Raises OutputFailed."""
        if not notices:
            return
        body = self._body(notices, standing)
        try:
            secret = self._output.secret.read_bytes().strip() if self._output.secret else b""
            if not secret:
                raise OutputFailed("no secret")
            status = self._post(body, hmac.new(secret, body, hashlib.sha256).hexdigest())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise OutputFailed(type(error).__name__) from error
        if not 200 <= status < 300:
            raise OutputFailed(f"status {status}")

    def _post(self, body: bytes, signature: str) -> int:
        parts = urlsplit(self._output.address)
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                host, port, timeout=PATIENCE_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        try:
            headers = {
                "Content-Type": "application/json",
                "Greffier-Signature": f"sha256={signature}",
                "User-Agent": "greffier",
                "Connection": "close",
            }
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _body(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> bytes:
        def told(alarm: Alarm) -> dict[str, object]:
            return {**to_object(alarm), "text": sentence(alarm, self._output.language)}

        return canonical.dump(
            {
                "v": 1,
                "device": self._device,
                "notices": [{**to_object(one), "alarm": told(one.alarm)} for one in notices],
                "standing": [told(one) for one in standing],
            }
        )
