"""Somebody who speaks MQTT with a certificate of head office's authority: honest, or a rogue.

It remembers what it hears, says what it is told to, octet for octet, and reports what the broker
answered. It follows no protocol of ours: that is what makes it of use against those who do.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from greffier_sim.broker import HOST, client_context

PATIENCE_S = 120.0
DENIED = "Not authorized"
"""What a broker says of a topic that is not for this party (0x87)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom the broker takes it for: three PEM files."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Heard:
    """One message."""

    topic: str
    payload: bytes
    retained: bool


class Party:
    """One connection. ``with`` connects and subscribes; any thread may use it.

    What was heard is guarded by ``_changed``; the library's thread writes, others read.
    """

    def __init__(
        self, port: int, credentials: Credentials, topics: Sequence[str] = (), client_id: str = ""
    ) -> None:
        self._topics = topics
        self._port = port
        self._changed = threading.Condition()
        self._heard: list[Heard] = []
        self._answers: dict[int, str] = {}
        self._granted = False
        self.refused = ""
        """Why the broker did not let it in, or threw it out."""
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        c = credentials
        self._client.tls_set_context(client_context(c.ca, c.certificate, c.key))
        self._client.max_inflight_messages_set(20)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    def __enter__(self) -> Self:
        self._client.connect(HOST, self._port)
        self._client.loop_start()
        self._until(lambda: self._granted or bool(self.refused), "the broker does not answer")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Disconnect; what was heard stays."""
        self._client.disconnect()
        self._client.loop_stop()
        # The library leaves its own two sockets to the collector of cycles, which complains.
        self._client._reset_sockets()

    @property
    def heard(self) -> tuple[Heard, ...]:
        """Everything until now, in order."""
        with self._changed:
            return tuple(self._heard)

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        """Publish with QoS 1; the broker's word for it ("Success", "Not authorized", ...)."""
        sent = self._client.publish(topic, payload, 1, retain)
        self._until(lambda: sent.mid in self._answers, f"no answer to {topic}")
        with self._changed:
            return self._answers.pop(sent.mid)

    def flood(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Publish all of *payloads*, whatever becomes of them (QoS 0)."""
        for payload in payloads:
            self._client.publish(topic, payload, 0)

    def wait_for(self, wanted: Callable[[Heard], bool], seconds: float = PATIENCE_S) -> Heard:
        """The first message, of all that came or will, that is *wanted*. Raises TimeoutError."""
        found: list[Heard] = []

        def look() -> bool:
            found.extend(one for one in self._heard if wanted(one))
            return bool(found)

        self._until(look, "the message did not come", seconds)
        return found[0]

    def _until(self, ready: Callable[[], bool], why: str, seconds: float = PATIENCE_S) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while not ready():
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(why)
                self._changed.wait(left)

    def _on_connect(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            if code.is_failure:
                self.refused = str(code)
            elif not self._topics:
                self._granted = True
            self._changed.notify_all()
        if not code.is_failure and self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self.refused = str(code)
            self._changed.notify_all()

    def _on_subscribe(
        self,
        _client: Client,
        _data: object,
        _mid: int,
        _codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self._granted = True
            self._changed.notify_all()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._changed:
            self._heard.append(Heard(message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()

    def _on_publish(
        self,
        _client: Client,
        _data: object,
        mid: int,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self._answers[mid] = str(code)
            self._changed.notify_all()


def _send_at_once(_client: Client, _data: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
