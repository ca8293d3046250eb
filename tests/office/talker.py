"""A bare MQTT 5 client that notes all that happens to it: for tests of the broker's rules."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from greffier_sim.broker import HOST, client_context
from greffier_sim.head_office import Box, HeadOffice

WAIT_S = 120.0
# MQTT 5, 3.1: a clean start, keep alive 60 s, no property, no client id.
CONNECT = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"
CONNACK = b"\x20"


class Talker:
    """One connection. What paho's thread notes, the test reads under the condition's lock."""

    def __init__(self, context: ssl.SSLContext, port: int, client_id: str = "") -> None:
        self._changed = threading.Condition()
        self.connected: list[str] = []
        self.lost: list[str] = []
        self.published: dict[int, str] = {}
        self.heard: list[tuple[str, bytes]] = []
        self.names: list[str] = []
        self.limits: list[int | None] = []
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda _c, _u, _f, reason, _p: self._note(
            self.lost, str(reason)
        )
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda _c, _u, mid, _r, _p: self._note_published(mid, "sub")
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(HOST, port, keepalive=30, clean_start=True)
        self._client.loop_start()

    def _note(self, notes: list[Any], what: object) -> None:
        with self._changed:
            notes.append(what)
            self._changed.notify_all()

    def _note_published(self, number: int, what: str) -> None:
        with self._changed:
            self.published[number] = what
            self._changed.notify_all()

    def _on_connect(self, _c: Client, _u: object, _f: object, reason: object, found: Any) -> None:
        self._note(self.names, getattr(found, "AssignedClientIdentifier", ""))
        self._note(self.limits, getattr(found, "MaximumPacketSize", None))
        self._note(self.connected, str(reason))

    def _on_publish(self, _c: Client, _u: object, mid: int, reason: object, _p: object) -> None:
        self._note_published(mid, str(reason))

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self._note(self.heard, (message.topic, message.payload))

    def wait(self, ready: Callable[[], object]) -> bool:
        """Whether *ready* became true in time."""
        end = time.monotonic() + WAIT_S
        with self._changed:
            while not ready():
                if (left := end - time.monotonic()) <= 0:
                    return False
                self._changed.wait(left)
        return True

    def say(self, topic: str, payload: bytes = b"x", retain: bool = False) -> str:
        """Publish with QoS 1; the broker's word on it."""
        number = self._client.publish(topic, payload, 1, retain).mid
        assert self.wait(lambda: number in self.published)
        return self.published[number]

    def listen(self, topic: str) -> None:
        """Subscribe and wait for the broker's answer."""
        _result, number = self._client.subscribe(topic, 1)
        assert number is not None
        assert self.wait(lambda: number in self.published)

    def close(self) -> None:
        """End the connection and its thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def of_box(at: HeadOffice, box: Box, bulk: bool = False, client_id: str = "") -> Talker:
    """A connection with a box's certificate, which the broker has taken."""
    folder = box.folder
    context = client_context(folder.authority, folder.certificate(bulk), folder.key(bulk))
    return taken(Talker(context, at.broker.port, client_id))


def of_collector(at: HeadOffice, bulk: bool = False) -> Talker:
    """A connection with the collector's certificate, which the broker has taken."""
    context = client_context(at.office.ca_certificate, *at.office.collector(bulk))
    return taken(Talker(context, at.broker.port))


def taken(one: Talker) -> Talker:
    """*one*, once the broker has said yes."""
    assert one.wait(lambda: one.connected) and one.connected == ["Success"]
    return one


def refused(ca: Path, certificate: Path, key: Path, port: int) -> bool:
    """Whether the broker ends a connection with this certificate instead of answering CONNECT."""
    context = client_context(ca, certificate, key)
    with socket.create_connection((HOST, port), WAIT_S) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=HOST) as safe:
                safe.sendall(CONNECT)  # TLS 1.3 tells a client only now what is wrong with it
                return safe.recv(1) != CONNACK
        except (ssl.SSLError, ConnectionError):
            return True
