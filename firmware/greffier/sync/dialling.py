"""One MQTT 5 client from its connection to its end, driven by one thread (paho-mqtt 2.2).

The library's own loops are not used: its reconnecting would send again what a broker refused, and
its thread may die unseen. Only QoS 1 is: it reports refused QoS 2 messages as delivered. It ignores
Receive Maximum and Maximum Packet Size of CONNACK; here they are kept.
"""

import socket
import ssl
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from greffier.clock import SECOND, steady_ns
from greffier.sync import troubles
from greffier.sync.topics import LARGEST_PAYLOAD

TIMEOUT_S: Final = 10.0
"""For the TCP connection, for the TLS handshake, and for CONNACK and SUBACK together."""
TOO_LARGE: Final = 0x95
MOST_RECEIVED: Final = 20
"""Messages that the broker may have on their way to us."""
UNANSWERED_MS: Final = 20_000
"""What TCP has no answer to for so long ends the connection (TCP_USER_TIMEOUT, RFC 5482): a line
that forgot it says nothing, and the keepalive alone would take minutes."""
_OWN_PACKET: Final = LARGEST_PAYLOAD + 4096
_NO_MAXIMUM: Final = 65_535
_MOST_WINDOW: Final = 64
_PACKET_HEAD: Final = 16
_SILENCE: Final = 3
_MOST_HEARD: Final = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connects: the client id, its certificate and key, and the authority that it believes."""

    client: str
    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker takes: unacknowledged messages at once, and octets of a packet (0: any)."""

    receive_maximum: int = _NO_MAXIMUM
    packet_size: int = 0

    def payload(self, topic: str) -> int:
        """The longest payload that may be published on *topic*."""
        if not self.packet_size:
            return LARGEST_PAYLOAD
        return min(LARGEST_PAYLOAD, self.packet_size - len(topic.encode()) - _PACKET_HEAD)


class _Socket(ssl.SSLSocket):
    """Reads no packet that is longer than was agreed: the client would wait for all of it."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if buflen > _OWN_PACKET:
            raise ConnectionAbortedError("a packet longer than was agreed")
        return super().recv(buflen, flags)


class _Context(ssl.SSLContext):
    """Remembers the socket that it wrapped: the client forgets one whose handshake failed."""

    wrapped: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:
        self.wrapped = super().wrap_socket(*args, **named)
        return self.wrapped


def tls_context(identity: Identity) -> _Context:
    """TLS 1.3 and nothing else, our authority and no other.

    Raises OSError (ssl.SSLError among them).
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Socket
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(identity.authority)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def dial(
    identity: Identity, host: str, port: int, keepalive_s: int, will: tuple[str, bytes] | None
) -> "Link":
    """Connect and send CONNECT; waits for TCP and TLS. Raises OSError, ValueError."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=identity.client,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )
    client.connect_timeout = TIMEOUT_S
    context = tls_context(identity)
    client.tls_set_context(context)
    client.max_queued_messages_set(_MOST_WINDOW)
    client.max_inflight_messages_set(_MOST_WINDOW)
    if will is not None:
        client.will_set(will[0], will[1], qos=1, retain=True)
    try:
        return Link(client, host, port, keepalive_s)
    except BaseException:
        if context.wrapped is not None:
            context.wrapped.close()
        raise


class Link:
    """A client and what it heard. One thread owns it."""

    def __init__(self, client: Client, host: str, port: int, keepalive_s: int) -> None:
        """Connects. Raises OSError, ValueError."""
        self._client = client
        self._keepalive_s = keepalive_s
        self._heard: deque[tuple[str, bytes]] = deque()
        self._acknowledged: list[tuple[object, int]] = []
        self._tokens: dict[int, tuple[object, int]] = {}
        self._subscribing: int | None = None
        self._fallen = False
        self.subscribed = False
        self.ready = False
        self.limits = Limits()
        self.trouble = ""
        self.detail = ""
        client.on_socket_open = _prepare
        # With this set the client writes when it is told to, never inside publish().
        client.on_socket_register_write = lambda client, userdata, sock: None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = MOST_RECEIVED
        properties.MaximumPacketSize = _OWN_PACKET
        client.connect(host, port, keepalive_s, clean_start=True, properties=properties)
        found = client.socket()
        if found is None:
            raise ConnectionError("the connection has gone at once")
        self._socket: Any = found
        self.fileno: int = found.fileno()
        self._begun_ns = self._received_ns = steady_ns()

    # --- what the thread asks ---

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._client.want_write())

    @property
    def pending(self) -> bool:
        """Whether there is something to read that the kernel does not know of."""
        with suppress(OSError, ValueError):
            return self._client.socket() is not None and self._socket.pending() > 0
        return False

    @property
    def unacknowledged(self) -> int:
        """Publications on their way."""
        return len(self._tokens)

    @property
    def room(self) -> bool:
        """Whether another publication may go."""
        return len(self._tokens) < min(self.limits.receive_maximum, _MOST_WINDOW)

    @property
    def nodelay(self) -> bool:
        """Whether small segments go at once (TCP_NODELAY)."""
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    @property
    def unanswered_ms(self) -> int:
        """How long TCP waits for an answer before it gives the connection up."""
        return int(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    def heard(self) -> list[tuple[str, bytes]]:
        """(topic, payload) of what came since."""
        found = list(self._heard)
        self._heard.clear()
        return found

    def acknowledged(self) -> list[tuple[object, int]]:
        """(token, reason code) of what the broker answered since."""
        found, self._acknowledged = self._acknowledged, []
        return found

    @property
    def over(self) -> bool:
        """Whether it has fallen already."""
        return self._fallen

    def fallen(self) -> bool:
        """Whether it is over: closed, or silent for too long."""
        now = steady_ns()
        if self._fallen or self._client.socket() is None:
            return True
        oldest = next((at for _, at in self._tokens.values()), now)  # in the order of publishing
        most = _SILENCE * self._keepalive_s * SECOND
        if now - self._received_ns > most or now - oldest > most:
            self._blame("sync.no_answer", "nothing came for three times the keepalive")
            return True
        if not self.subscribed and now - self._begun_ns > TIMEOUT_S * SECOND:
            self._blame("sync.no_answer", "no CONNACK or SUBACK")
            return True
        return False

    # --- what it does ---

    def turn(self, readable: bool, writable: bool) -> None:
        """Read, write, and keep the connection alive."""
        client = self._client
        if readable:
            self._received_ns = steady_ns()
            self._check(client.loop_read())
        if client.want_write() and (writable or not readable):
            self._check(client.loop_write())
        self._check(client.loop_misc())

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe once; ``subscribed`` tells when it is done."""
        if self._subscribing is not None or self.subscribed:
            return
        if not topics:
            self.subscribed = True
            return
        wanted = [(topic, SubscribeOptions(qos=1)) for topic in topics]
        result, self._subscribing = self._client.subscribe(wanted)
        self._check(result)

    def publish(self, topic: str, payload: bytes, token: object, retain: bool) -> bool:
        """Publish by QoS 1; False where the broker would not take that much."""
        if len(payload) > self.limits.payload(topic):
            return False
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._blame("sync.lost", f"publish: {info.rc!s}")
            self._fallen = True
            return True
        self._tokens[info.mid] = (token, steady_ns())
        self._check(self._client.loop_write())
        return True

    def leave(self) -> None:
        """Say good-bye where that can be done at once; then the Will is not sent."""
        with suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop_write()

    def close(self) -> None:
        """Let the socket go."""
        self._fallen = True
        self._client.on_disconnect = None
        with suppress(OSError, ValueError):
            self._socket.close()
        self._client.drop_out_messages()

    # --- what the client calls ---

    def _on_connect(
        self, _client: Client, _data: object, _flags: object, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._blame(troubles.of_reason(reason.value), f"CONNACK: {reason}")
            self._fallen = True
            return
        self._client.drop_out_messages()
        self.limits = Limits(
            getattr(properties, "ReceiveMaximum", _NO_MAXIMUM),
            getattr(properties, "MaximumPacketSize", 0),
        )
        self.ready = True

    def _on_disconnect(
        self, _client: Client, _data: object, flags: Any, reason: ReasonCode, _more: object
    ) -> None:
        self._fallen = True
        if flags.is_disconnect_packet_from_server:
            self._blame(troubles.of_reason(reason.value), f"DISCONNECT: {reason}")
        else:
            self._blame("sync.lost", str(reason))

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _more: object
    ) -> None:
        if mid != self._subscribing:
            return
        if any(one.is_failure for one in reasons):
            self._blame("sync.denied", f"SUBACK: {reasons[0]}")
            self._fallen = True
            return
        self.subscribed = True

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _more: object
    ) -> None:
        token, _ = self._tokens.pop(mid, (None, 0))
        if token is not None:
            self._acknowledged.append((token, reason.value))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if len(self._heard) < _MOST_HEARD and len(message.payload) <= LARGEST_PAYLOAD:
            self._heard.append((message.topic, bytes(message.payload)))

    def _on_log(self, _client: Client, _data: object, _level: object, text: str) -> None:
        """The client says only here why TLS was refused after the handshake (RFC 8446 2)."""
        found = troubles.of_text(text) if "socket" in text else ""
        if found:
            self._blame(found, text)

    def _check(self, result: MQTTErrorCode) -> None:
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._blame("sync.lost", str(result))
            self._fallen = True

    def _blame(self, trouble: str, detail: str) -> None:
        """The first cause counts; what follows from it does not."""
        if not self.trouble:
            self.trouble, self.detail = trouble, detail


def _prepare(_client: Client, _data: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
