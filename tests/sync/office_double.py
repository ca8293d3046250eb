"""A head office as docs/sync-protocol.md says it, in memory: no durability, every check.

It can be told to be bad: ``drop`` loses what it names, ``hold`` answers nothing.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from greffier import merkle
from greffier.audit import batch, note
from greffier.audit.receipt import Receipt
from greffier.sync import chunk, messages, topics
from greffier.sync.messages import Collector, Have, Later, Need, Offer, Offered, Range
from greffier_sim.broker import HOST, client_context
from greffier_sim.head_office import HeadOffice

LANE = "a1"


@dataclass
class Upload:
    device: str
    offered: Offered
    data: bytearray
    have: set[int] = field(default_factory=set)
    missing: int = 0


class OfficeDouble:
    """Listens from :meth:`start` to :meth:`stop`; its thread is the client's."""

    def __init__(self, head: HeadOffice, log_key: note.VerifierKey, credit: int = 1 << 20) -> None:
        self.head = head
        self.log_key = log_key
        self.credit = credit
        self.receipts = head.office.receipt_signer()
        self.witness = head.office.witness_signer()
        self.leaves: list[bytes] = []
        self.entries: list[bytes] = []
        self.held: dict[str, bytes] = {}
        self.uploads: dict[str, Upload] = {}
        self.offers: list[str] = []
        self.octets = 0
        self.unasked = 0
        self.batches: list[tuple[int, int, float]] = []
        self.presences: list[messages.Presence] = []
        self.problems: list[str] = []
        self.drop: Callable[[str], bool] = lambda topic: False
        self.refuse: str = ""
        self.later: int = 0
        self.lock = threading.Lock()
        self.client: Client | None = None

    def start(self) -> None:
        office = self.head.office
        certificate, key = office.collector()
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.tls_set_context(client_context(office.ca_certificate, certificate, key))
        client.max_inflight_messages_set(20)
        client.suppress_exceptions = False
        ready = threading.Event()

        def on_connect(client: Client, *_: Any) -> None:
            client.subscribe(
                [(f"greffier/1/+/up/{one}", 1) for one in ("audit", "offer", "p", f"c/{LANE}")]
            )

        client.on_connect = on_connect
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._on_message
        client.on_socket_open = lambda client, data, sock: sock.setsockopt(6, 1, 1)
        client.connect(HOST, self.head.broker.port)
        client.loop_start()
        assert ready.wait(120)
        self.client = client
        here = messages.write(Collector(True, LANE, time.time_ns()))
        client.publish(topics.collector(LANE), here, 1)

    def stop(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
            self.client = None

    def __enter__(self) -> "OfficeDouble":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _say(self, device: str, what: str, payload: bytes) -> None:
        assert self.client is not None
        if not self.drop(what):
            self.client.publish(topics.down(device, what), payload, 1)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if self.drop(message.topic):
            return
        sent = topics.sender(message.topic)
        assert sent is not None
        device, what, _ = sent
        with self.lock:
            try:
                if what == "audit":
                    self._batch(device, batch.decode(message.payload))
                elif what == "offer":
                    offer = messages.read(message.payload)
                    assert isinstance(offer, Offer)
                    for one in offer.parts:
                        self._offered(device, one)
                elif what == "c":
                    self._chunk(chunk.decode(message.payload))
                elif what == "p":
                    presence = messages.read(message.payload)
                    assert isinstance(presence, messages.Presence)
                    self.presences.append(presence)
            except (ValueError, AssertionError) as error:
                self.problems.append(repr(error))

    def _batch(self, device: str, one: batch.Batch) -> None:
        opened = note.open_checkpoint(one.checkpoint, self.log_key, ())
        size = len(self.leaves)
        cosigned = ""
        if one.first <= size and one.entries:
            new = one.entries[size - one.first :]
            leaves = self.leaves + [merkle.leaf_hash(entry) for entry in new]
            root = merkle.root(leaves[: one.end])
            if not merkle.verify_consistency(
                one.end, opened.checkpoint.size, one.proof, root, opened.checkpoint.root
            ):
                self.problems.append("the proof does not hold")
                return
            self.leaves = leaves
            self.entries += new
            self.batches.append((one.first, one.end, time.monotonic()))
        if len(self.leaves) == opened.checkpoint.size:
            line = self.witness.cosign(opened.checkpoint, int(time.time()))
            cosigned = (one.checkpoint.decode() + line.decode()) if line else ""
        self._say(device, "audit", messages.write(Have(len(self.leaves), cosigned)))

    def _offered(self, device: str, one: Offered) -> None:
        self.offers.append(one.part)
        if one.part in self.held:
            self._receipt(device, one)
            return
        if self.later:
            self.later -= 1
            self._say(device, "need", messages.write(Later(one.part, "busy", 1)))
            return
        if not any(one.sha256.encode() in entry for entry in self.entries):
            self._say(device, "need", messages.write(Later(one.part, "log", 1)))
            return
        upload = self.uploads.setdefault(one.part, Upload(device, one, bytearray(one.size)))
        self._need(upload)

    def _need(self, upload: Upload) -> None:
        size = upload.offered.size
        start = len(upload.have) and max(upload.have)
        end = min(size, start + self.credit)
        upload.missing = end
        need = Need(upload.offered.part, LANE, (Range(start, end),), end - start, 30)
        self._say(upload.device, "need", messages.write(need))

    def _chunk(self, one: chunk.Chunk) -> None:
        upload = self.uploads.get(one.part.hex())
        if upload is None:
            self.unasked += one.part.hex() not in self.held
            return
        end = one.offset + len(one.data)
        self.octets += len(one.data)
        upload.data[one.offset : end] = one.data
        reached = max(upload.have, default=0)
        if one.offset <= reached < end:
            upload.have.add(end)
        if end > upload.missing:
            self.unasked += 1
        if max(upload.have, default=0) == upload.offered.size:
            self._finish(upload)
        elif max(upload.have, default=0) >= upload.missing:
            self._need(upload)

    def _finish(self, upload: Upload) -> None:
        del self.uploads[upload.offered.part]
        if hashlib.sha256(upload.data).hexdigest() != upload.offered.sha256:
            self.problems.append("another SHA-256")
            return
        self.held[upload.offered.part] = bytes(upload.data)
        self._receipt(upload.device, upload.offered)

    def _receipt(self, device: str, one: Offered) -> None:
        envelope = hashlib.sha256(one.envelope_block).hexdigest()
        made = Receipt(device, one.part, one.size, one.sha256, envelope, int(time.time()))
        self._say(device, "receipt", made.signed(self.receipts))
