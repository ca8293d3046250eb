"""Alarms as a signed POST of JSON (docs/control-protocol.md, section on the webhook)."""

import ssl
from collections.abc import Sequence

from greffier import canonical
from greffier.config.records import Output
from greffier.control.forms import to_object
from greffier.control.messages import Alarm, Notice
from greffier.control.posting import PostFailed, post
from greffier.recorder.alarm import sentence
from greffier.recorder.outputs.outbox import OutputFailed


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
            post(self._output.address, self._output.secret, body, self._tls)
        except PostFailed as error:
            raise OutputFailed(str(error)) from error

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
