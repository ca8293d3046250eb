"""One connection against a real broker: its word for each failure, and that it returns."""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from greffier.sync import topics, troubles
from greffier.sync.connection import (
    MOST_QUEUED,
    Acked,
    Broker,
    Connection,
    Down,
    Event,
    Publication,
    Up,
)
from greffier.sync.dialling import Identity
from greffier_sim.broker import HOST, free_port
from greffier_sim.head_office import Box, HeadOffice

WAIT_S = 120.0


class Listener:
    """What a connection said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, wanted: Callable[[Event], bool]) -> Event:
        end = time.monotonic() + WAIT_S
        with self._changed:
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                left = end - time.monotonic()
                assert left > 0, f"it did not come: {self.events}"
                self._changed.wait(left)

    def wait_up(self, count: int = 1) -> Up:
        found = self.wait(lambda _: sum(isinstance(one, Up) for one in self.events) >= count)
        del found
        return next(one for one in reversed(self.events) if isinstance(one, Up))

    def wait_down(self, trouble: str) -> Down:
        found = self.wait(lambda one: isinstance(one, Down) and one.trouble == trouble)
        assert isinstance(found, Down)
        return found

    def codes(self) -> list[int]:
        return [one.code for one in self.events if isinstance(one, Acked)]


@pytest.fixture(name="head", scope="module")
def _head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadOffice]:
    with HeadOffice(tmp_path_factory.mktemp("head")) as head:
        yield head


@pytest.fixture(name="box", scope="module")
def _box(head: HeadOffice) -> Box:
    return head.admit()


def identity(box: Box) -> Identity:
    folder = box.folder
    return Identity(box.device, folder.certificate(), folder.key(), folder.authority)


class Made:
    """A connection that is stopped at the end."""

    def __init__(self, who: Identity, port: int, host: str = HOST, **more: object) -> None:
        self.heard = Listener()
        brokers = more.pop("brokers", [Broker(host, port)])
        self.connection = Connection(who, brokers, self.heard, **more)  # type: ignore[arg-type]

    def __enter__(self) -> "Made":
        self.connection.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.stop()


def offers(device: str, payload: bytes = b"x", token: object = 1) -> Publication:
    return Publication(topics.up(device, "offer"), payload, token)


def test_it_publishes_hears_and_keeps_the_brokers_limits(head: HeadOffice, box: Box) -> None:
    with Made(identity(box), head.broker.port) as made:
        up = made.heard.wait_up()
        assert up.limits.packet_size > topics.LARGEST_PAYLOAD
        assert 0 < up.limits.receive_maximum < 65_535
        assert made.connection.publish(offers(box.device))
        made.heard.wait(lambda one: isinstance(one, Acked))
        assert made.heard.codes() == [0x10], "nobody listens"


def test_a_topic_that_is_not_its_own_is_told_as_denied(head: HeadOffice, box: Box) -> None:
    with Made(identity(box), head.broker.port) as made:
        made.heard.wait_up()
        made.connection.publish(offers("box-ffffffff"))
        made.heard.wait(lambda one: isinstance(one, Acked))
        assert made.heard.codes() == [0x87]


def test_what_the_broker_would_not_take_is_not_published(tmp_path: Path) -> None:
    settings = {"max_packet_size": "20000"}
    with HeadOffice(tmp_path, settings) as head:
        box = head.admit()
        with Made(identity(box), head.broker.port) as made:
            assert made.heard.wait_up().limits.packet_size == 20_000
            made.connection.publish(offers(box.device, b"x" * 30_000))
            made.connection.publish(offers(box.device, b"x" * 10_000, 2))
            made.heard.wait(lambda one: isinstance(one, Acked) and one.token == 2)
            assert made.heard.codes() == [0x95, 0x10]
            assert sum(isinstance(one, Up) for one in made.heard.events) == 1, "no poison"


def test_a_broker_that_was_killed_is_found_again_and_nothing_is_sent_again(
    tmp_path: Path,
) -> None:
    with HeadOffice(tmp_path) as head:
        box = head.admit()
        with Made(identity(box), head.broker.port) as made:
            made.heard.wait_up()
            head.broker.kill()
            made.heard.wait(lambda one: isinstance(one, Down))
            assert not made.connection.publish(offers(box.device))
            head.broker.start()
            made.connection.hurry()
            made.heard.wait_up(2)
            assert made.heard.codes() == []
            assert made.connection.publish(offers(box.device))
            made.heard.wait(lambda one: isinstance(one, Acked))


def test_the_next_broker_of_the_list_is_taken(head: HeadOffice, box: Box) -> None:
    brokers = [Broker(HOST, free_port()), Broker(HOST, free_port()), Broker(HOST, head.broker.port)]
    with Made(identity(box), 0, brokers=brokers) as made:
        made.heard.wait_up()


def test_a_queue_that_is_full_says_so(head: HeadOffice, box: Box) -> None:
    with Made(identity(box), head.broker.port) as made:
        made.heard.wait_up()
        head.broker.freeze()
        try:
            taken = sum(made.connection.publish(offers(box.device)) for _ in range(500))
        finally:
            head.broker.thaw()
        assert MOST_QUEUED <= taken < 500


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced(head: HeadOffice, box: Box) -> None:
    broken = threading.Event()

    def feed(*_: object) -> None:
        if not broken.is_set():
            broken.set()
            raise SystemExit

    with Made(identity(box), head.broker.port, feed=feed) as made:
        made.heard.wait_up()
        end = time.monotonic() + WAIT_S
        while not made.connection.look_after():
            assert time.monotonic() < end
            time.sleep(0.01)
        made.heard.wait_up(2)
        assert made.connection.up
        assert not made.connection.look_after()


def test_what_trips_over_a_message_ends_that_connection_and_not_the_next(
    head: HeadOffice, box: Box
) -> None:
    broken = threading.Event()

    def feed(*_: object) -> None:
        if not broken.is_set():
            broken.set()
            raise IndexError

    with Made(identity(box), head.broker.port, feed=feed) as made:
        made.heard.wait_down("sync.lost")
        made.connection.hurry()
        made.heard.wait_up(2)
        assert not made.connection.look_after()


def test_a_broker_that_announces_a_huge_packet_is_left(head: HeadOffice, box: Box) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(head.office.broker / "broker.crt", head.office.broker / "broker.key")

    def serve(server: socket.socket) -> None:
        plain, _ = server.accept()
        with context.wrap_socket(plain, server_side=True) as client:
            client.recv(4096)
            client.sendall(bytes.fromhex("2003000000"))  # CONNACK
            client.sendall(bytes.fromhex("30ffffff7f"))  # PUBLISH of 256 MiB
            client.recv(4096)

    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        with Made(identity(box), server.getsockname()[1]) as made:
            made.heard.wait_up()
            assert made.heard.wait_down("sync.lost")
        thread.join(WAIT_S)


# --- each failure has one clear word ---


def test_nobody_listens(box: Box) -> None:
    with Made(identity(box), free_port()) as made:
        made.heard.wait_down("sync.refused_connection")
        assert made.connection.trouble == "sync.refused_connection"


def test_a_name_that_is_unknown(box: Box) -> None:
    with Made(identity(box), 1, host="nowhere.invalid") as made:
        made.heard.wait_down("sync.host_unknown")


def test_a_broker_that_says_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greffier.sync.dialling.TIMEOUT_S", 0.3)
    with (
        socket.create_server((HOST, 0)) as silent,
        Made(identity(box), silent.getsockname()[1]) as made,
    ):
        made.heard.wait_down("sync.no_answer")


def test_a_broker_of_another_authority(box: Box, tmp_path: Path) -> None:
    with HeadOffice(tmp_path) as other, Made(identity(box), other.broker.port) as made:
        made.heard.wait_down("sync.broker_unknown")


def test_a_broker_of_another_name(head: HeadOffice, box: Box) -> None:
    with Made(identity(box), head.broker.port, host="localhost") as made:
        made.heard.wait_down("sync.broker_name")


def test_a_certificate_of_another_authority(head: HeadOffice, box: Box, tmp_path: Path) -> None:
    other = HeadOffice(tmp_path).admit()
    folder = other.folder
    who = Identity(other.device, folder.certificate(), folder.key(), box.folder.authority)
    with Made(who, head.broker.port) as made:
        made.heard.wait_down("sync.certificate_refused")


def test_a_key_that_does_not_belong_to_the_certificate(head: HeadOffice, box: Box) -> None:
    who = Identity(box.device, box.folder.certificate(), box.folder.key(True), box.folder.authority)
    with Made(who, head.broker.port) as made:
        made.heard.wait_down("sync.key_mismatch")


def test_files_that_are_not_there(head: HeadOffice, box: Box, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with Made(Identity(box.device, missing, missing, missing), head.broker.port) as made:
        made.heard.wait_down("sync.certificate_unusable")


@pytest.mark.parametrize(("days", "word"), [((-9, -1), "expired"), ((1, 9), "refused")])
def test_a_certificate_out_of_its_time(
    head: HeadOffice, box: Box, tmp_path: Path, days: tuple[int, int], word: str
) -> None:
    certificate = _dated(head, box.device, tmp_path, days)
    with Made(certificate, head.broker.port) as made:
        made.heard.wait_down(f"sync.certificate_{word}")


def test_every_trouble_has_its_line_and_its_alarm() -> None:
    for name in troubles.TEXTS:
        assert troubles.alarm_of(name).startswith("sync.")
    assert (
        troubles.first_of({"sync.lost", "sync.certificate_expired"}) == "sync.certificate_expired"
    )
    assert troubles.first_of(set()) == ""


def _dated(head: HeadOffice, device: str, folder: Path, days: tuple[int, int]) -> Identity:
    ca = x509.load_pem_x509_certificate(head.office.ca_certificate.read_bytes())
    signer = serialization.load_pem_private_key((head.office.ca / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .sign(signer, hashes.SHA256())
    )
    (folder / "c.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "c.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Identity(device, folder / "c.crt", folder / "c.key", head.office.ca_certificate)
