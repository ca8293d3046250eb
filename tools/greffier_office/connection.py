"""One connection to a broker, with a thread that owns it: made anew whenever it is lost.

MQTT 5 over TLS 1.3, clean start, QoS 1, Receive Maximum 20, TCP_NODELAY (docs/sync-protocol.md
section 2). A client of the library is used for one connection only, so nothing that it remembers
outlives it, and its own threads, which are known to die silently, are not used.
"""

import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from greffier.errors import BadKeyFile
from greffier_office.broker import Address

RECEIVE_MAXIMUM: Final = 20
KEEPALIVE_S: Final = 30
CONNECT_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
MOST_QUEUED: Final = 2000
"""Messages that may wait to be sent; more are lost, and the box asks again."""
UNANSWERED_MS: Final = 20_000
"""After so long without an answer of TCP the connection is over (RFC 5482)."""
_LOOP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when the connection is lost."""

    topic: str
    payload: bytes


def tls_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 that believes *ca* alone and shows *certificate*. Raises BadKeyFile."""
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise BadKeyFile(path=certificate, reason=reason) from error
    return context


class Connection(threading.Thread):
    """Tries for ever until :meth:`stop`. *heard* takes (topic, payload), in this thread.

    *changed* is told, in this thread, when it begins and ceases to be *ready* (all subscriptions
    are granted). ``lost`` is why it was lost last, "" at first.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        context: ssl.SSLContext,
        topics: Sequence[str],
        heard: Callable[[str, bytes], None],
        changed: Callable[[], None],
        will: Will | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._address = address
        self._context = context
        self._topics = topics
        self._heard = heard
        self._changed = changed
        self._will = will
        self._client: mqtt.Client | None = None  # replaced by this thread, read by any
        self._unacknowledged = RECEIVE_MAXIMUM  # this thread's: what the broker takes of ours
        self._stopping = threading.Event()
        self.ready = threading.Event()
        self.lost = ""
        self.beat = time.monotonic()

    def say(
        self, topic: str, payload: bytes, *, expiry_s: int | None = None, retain: bool = False
    ) -> bool:
        """Hand *payload* to the client. Any thread; false where it is lost at once."""
        client = self._client
        if client is None or not self.ready.is_set():
            return False
        properties = None
        if expiry_s is not None:
            properties = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=expiry_s)
        sent = client.publish(topic, payload, 1, retain, properties)
        return sent.rc == mqtt.MQTT_ERR_SUCCESS

    def stop(self) -> None:
        """Say goodbye (the Will is not published) and end."""
        self._stopping.set()

    def run(self) -> None:
        """The thread."""
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._connected()
            except (OSError, ValueError, mqtt.WebsocketConnectionError) as error:
                self.lost = str(error) or type(error).__name__
            self._gone()
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause = FIRST_PAUSE_S
            self.beat = time.monotonic()
            self._stopping.wait(random.uniform(0.1, pause))  # noqa: S311 - spreads, hides nothing
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _connected(self) -> None:
        """One connection from its beginning to its end. Raises OSError, ValueError."""
        client = self._made()
        properties = _properties(
            PacketTypes.CONNECT, ReceiveMaximum=RECEIVE_MAXIMUM, SessionExpiryInterval=0
        )
        client.connect(
            self._address.host,
            self._address.port,
            KEEPALIVE_S,
            clean_start=True,
            properties=properties,
        )
        self._client = client
        while not self._stopping.is_set():
            self.beat = time.monotonic()
            result = client.loop(_LOOP_S)
            if result != mqtt.MQTT_ERR_SUCCESS:
                self.lost = self.lost or mqtt.error_string(result)
                return
        client.disconnect()
        end = time.monotonic() + 2.0
        while client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS and time.monotonic() < end:
            continue

    def _made(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="", protocol=mqtt.MQTTv5)
        client.tls_set_context(self._context)
        client.connect_timeout = CONNECT_S
        client.max_queued_messages_set(MOST_QUEUED)
        client.max_inflight_messages_set(self._unacknowledged)
        client.on_socket_open = _prepare
        # With it, a publish of another thread is written by this one: a TLS socket has one owner.
        client.on_socket_register_write = lambda *_: None
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, 1, retain=True)
        return client

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self.lost = str(reason)
            return
        most = getattr(properties, "ReceiveMaximum", None) or 65_535
        if most < self._unacknowledged:  # the library takes a limit before it connects only
            self._unacknowledged = most
            client.disconnect()
            return
        options = SubscribeOptions(qos=1)
        client.subscribe([(topic, options) for topic in self._topics])

    def _on_subscribe(
        self, client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _properties: Any
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self.lost = ", ".join(refused)
            client.disconnect()
            return
        self.lost = ""
        self.ready.set()
        self._changed()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._heard(message.topic, bytes(message.payload))

    def _gone(self) -> None:
        client, self._client = self._client, None
        was_ready = self.ready.is_set()
        self.ready.clear()
        if client is not None:
            with contextlib.suppress(OSError):
                client.disconnect()
        if was_ready:
            self._changed()


def _properties(kind: int, **values: int) -> Properties:
    made = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _prepare(_client: Any, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
