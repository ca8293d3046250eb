"""Everything that loses data while all acknowledgements are green: progress or alarm, never done.

In each story the box goes on recording, what it takes for received is durable at head office, and
once the trap is lifted everything gets there.
"""

import contextlib
import datetime
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from greffier.audit import verify
from greffier.control import client
from greffier.control.transfer import SyncNow
from greffier.errors import GreffierError
from greffier_office import authority
from greffier_office.authority import Authority, Use
from greffier_sim.broker import Broker
from greffier_sim.held_parts import held_parts
from greffier_sim.mqtt_party import Credentials, Party
from greffier_sim.service import wait_until
from greffier_sim.soak_missing import Missing
from greffier_sim.sync_lab import SyncLab, lab

pytestmark = pytest.mark.story
PATIENCE_S = 240.0
SHORT = ("--shortest", "0.5", "--longest", "1", "--duty", "1")
"""About one call a second that is recorded, for as long as the stories take."""

Change = Callable[[Path], object]
"""What is done to sync's folder."""


class Trapped:
    """A box in one lab, before whose sync traps are laid and lifted again."""

    def __init__(self, place: SyncLab) -> None:
        self.lab = place
        self.draw = random.Random(4)

    def known(self) -> set[str]:
        """What the box's log says is at head office."""
        return {
            str(one.data["part"])
            for one in verify.entries(self.lab.box.data)
            if one.ev == "part.received"
        }

    def received(self) -> set[str]:
        """The same, and all of it is."""
        known = self.known()
        held = {part for device, part in held_parts(self.lab.head.office)}
        assert known <= held
        return known

    def record(self) -> set[str]:
        """Recording goes on: a part that is sealed from now on."""
        return self.lab.fresh()

    def arrives(self, parts: set[str]) -> None:
        """*parts* get their receipts."""
        self.urge()
        wait_until(
            lambda: parts <= self.received(), "the parts are at head office", PATIENCE_S, 0.3
        )

    def urge(self) -> None:
        """What a person does who has mended it: ``sync now``."""
        with contextlib.suppress(GreffierError):
            client.ask(self.lab.socket, SyncNow())

    def says(self, *troubles: str) -> str:
        """Sync says in a word what is wrong: one of *troubles*, which is returned."""
        words = {one.removeprefix("sync.") for one in troubles}
        state = self.lab.wait_for(
            lambda state: state.trouble in words, f"trouble {troubles}", PATIENCE_S
        )
        return state.trouble

    def alarms(self, name: str) -> None:
        """The alarm *name* stands in the recorder."""
        self.lab.box.wait_for(lambda status: name in {one.name for one in status.alarms})

    @contextlib.contextmanager
    def broker(self, settings: Mapping[str, str]) -> Iterator[Broker]:
        """The broker with other *settings*, and after that as it was."""
        head = self.lab.head
        usual, folder = head.broker, self.lab.folder / "trap"
        usual.stop()
        other = Broker(head.office, folder, usual.port, settings)
        try:
            with other:
                self.reconnect()
                yield other
        finally:
            usual.start()
            self.reconnect()

    def reconnect(self) -> None:
        """Both sides come back at once, and not when their patience with a broker says so."""
        self.lab.office.kill()
        self.lab.office.start()

        def look() -> bool:
            state = self.lab.state()
            if state is not None and state.state not in ("offline", "connecting"):
                return True
            self.urge()
            return False

        wait_until(look, "sync is connected again", PATIENCE_S, 0.5)

    @contextlib.contextmanager
    def denied(self, *lines: str) -> Iterator[None]:
        """The broker's list without the lines that end in one of *lines*."""
        path = self.lab.head.office.broker / "acl"
        names = (self.lab.device, "%u")
        ends = tuple(f"greffier/1/{name}/{line}" for line in lines for name in names)
        kept = [line for line in path.read_text().splitlines() if not line.endswith(ends)]
        other = self.lab.folder / "denied"
        other.write_text("\n".join(kept) + "\n")
        with self.broker({"acl_file": str(other)}):
            yield

    @contextlib.contextmanager
    def files(self, change: Change) -> Iterator[None]:
        """Sync's folder changed by *change*, sync started anew; after that as it was."""
        folder = self.lab.sync_folder
        kept = {path: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite"}
        kept = {path: data for path, data in kept.items() if "sqlite" not in path.name}
        self.lab.sync.kill()
        change(folder)
        self.lab.sync.start()
        try:
            yield
        finally:
            self.lab.sync.kill()
            for path, data in kept.items():
                path.write_bytes(data)
            self.lab.sync.start()


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trapped]:
    """One lab for all stories: each leaves it as it found it."""
    try:
        with lab(tmp_path_factory.mktemp("traps"), pauses=False) as place:
            place.start()
            with place.talking(2, *SHORT):
                made = Trapped(place)
                yield made
                parts = made.record()
            made.arrives(parts)
            assert place.box.status() is not None
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def sound(trapped: Trapped) -> Iterator[None]:
    """After each story everything that was recorded gets to head office, and no trouble stands."""
    yield
    trapped.arrives(trapped.record())
    trapped.lab.wait_for(lambda state: not state.trouble, "all is well again", PATIENCE_S)


def test_a_broker_that_queues_ten_messages_loses_nothing(trapped: Trapped) -> None:
    with trapped.broker({"max_queued_messages": "10", "max_inflight_messages": "1"}):
        trapped.arrives(trapped.record() | trapped.record())


@pytest.mark.parametrize("setting", ["message_size_limit", "max_packet_size"])
def test_a_message_that_is_too_large_for_the_broker_is_progress_or_alarm(
    trapped: Trapped, setting: str
) -> None:
    with trapped.broker({setting: "20000"}):
        parts = trapped.record()
        state = trapped.lab.wait_for(
            lambda state: state.trouble == "too_large" or parts <= trapped.received(),
            "progress or alarm",
            PATIENCE_S,
        )
        assert state.trouble or parts <= trapped.received()


def test_a_broker_that_takes_no_chunk_at_all_is_an_alarm(trapped: Trapped) -> None:
    with trapped.broker({"max_packet_size": "1000"}):
        parts = trapped.record()
        trapped.says("sync.too_large")
        trapped.alarms("sync.too_large")
        assert not parts & trapped.received()


@pytest.mark.parametrize("topic", ["up/audit", "up/offer", "up/c/+"])
def test_a_topic_that_the_box_may_not_write_is_an_alarm(trapped: Trapped, topic: str) -> None:
    with trapped.denied(topic):
        parts = trapped.record()
        trapped.says("sync.denied")
        trapped.alarms("sync.broker_denied")
        assert not parts & trapped.received()


def test_a_topic_that_the_box_may_not_read_is_no_progress_and_an_alarm(trapped: Trapped) -> None:
    with trapped.denied("down/#"):
        parts = trapped.record()
        trapped.says("sync.no_collector")
        assert not parts & trapped.received()


def test_presence_that_may_not_be_written_costs_nothing_else(trapped: Trapped) -> None:
    with trapped.denied("up/p"):
        trapped.arrives(trapped.record())


def test_a_broker_that_is_killed_at_random_loses_nothing(trapped: Trapped) -> None:
    parts: set[str] = set()
    for _ in range(4):
        parts |= trapped.record()
        trapped.lab.head.broker.restart()
    trapped.reconnect()
    trapped.arrives(parts)


def test_nobody_subscribed_is_said_and_waited_for(trapped: Trapped) -> None:
    trapped.lab.office.kill()
    parts = trapped.record()
    trapped.says("sync.no_collector")
    assert not parts & trapped.received()
    trapped.lab.office.start()
    trapped.arrives(parts)


def test_a_thief_of_the_client_id_gets_nothing_and_stops_nothing(trapped: Trapped) -> None:
    head = trapped.lab.head
    thief = head.admit(0x7E)
    who = Credentials(head.office.ca_certificate, thief.folder.certificate(), thief.folder.key())
    topics = [f"greffier/1/{trapped.lab.device}/#"]
    with Party(head.broker.port, who, topics, client_id=trapped.lab.device) as party:
        trapped.arrives(trapped.record())
        assert party.heard == ()
    # A broker that was set up badly lets him throw the box out: it comes back.
    with trapped.broker({"use_username_as_clientid": "false"}):
        for _ in range(3):
            with Party(head.broker.port, who, topics, client_id=trapped.lab.device) as party:
                assert party.heard == ()
        trapped.reconnect()
        trapped.arrives(trapped.record())


def broken(make: Callable[[Authority, x509.Certificate], bytes]) -> Change:
    """A change of sync's folder: another certificate for the control connection's key."""

    def change(folder: Path) -> None:
        own = x509.load_pem_x509_certificate((folder / "control.crt").read_bytes())
        office = Authority.load(
            (folder.parent / "head/office/ca/ca.key").read_bytes(),
            (folder.parent / "head/office/ca/ca.crt").read_bytes(),
        )
        (folder / "control.crt").write_bytes(make(office, own))

    return change


def valid_between(
    ca: Authority, own: x509.Certificate, begin: datetime.datetime, end: datetime.datetime
) -> bytes:
    """*own* with another time to live."""
    builder = (
        x509.CertificateBuilder(ca.certificate.subject, own.subject, own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for one in own.extensions:
        builder = builder.add_extension(one.value, one.critical)
    return authority.pem(builder.sign(ca.key, hashes.SHA256()))


DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


def of_another_authority(_ca: Authority, own: x509.Certificate) -> bytes:
    """Signed by nobody whom the broker knows."""
    other = Authority.new("other", int(NOW.timestamp()) * 10**9)
    name = str(own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    key = own.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    made = other.issue(key, name, Use.CLIENT, int(NOW.timestamp()) * 10**9, 10)
    return authority.pem(made)


CERTIFICATES: dict[str, tuple[Change, str]] = {
    "expired": (
        broken(lambda ca, own: valid_between(ca, own, NOW - 20 * DAY, NOW - DAY)),
        "sync.certificate_expired",
    ),
    # The same as a box whose clock is ten days late.
    "not yet valid": (
        broken(lambda ca, own: valid_between(ca, own, NOW + 9 * DAY, NOW + 99 * DAY)),
        "sync.certificate_early",
    ),
    "another authority": (broken(of_another_authority), "sync.certificate_refused"),
    "no certificate": (
        lambda folder: (folder / "control.crt").write_bytes(b"nothing\n"),
        "sync.certificate_unusable",
    ),
    "another key": (
        lambda folder: (folder / "control.key").write_bytes((folder / "bulk.key").read_bytes()),
        "sync.key_mismatch",
    ),
    "key gone": (
        lambda folder: (folder / "control.key").unlink(),
        "sync.certificate_unusable",
    ),
    "authority gone": (
        lambda folder: (folder / "ca.crt").unlink(),
        "sync.certificate_unusable",
    ),
    "another office's authority": (
        lambda folder: (folder / "ca.crt").write_bytes(
            authority.pem(Authority.new("other", int(NOW.timestamp()) * 10**9).certificate)
        ),
        "sync.broker_unknown",
    ),
}


@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_wrong_certificate_is_one_clear_alarm(trapped: Trapped, what: str) -> None:
    change, trouble = CERTIFICATES[what]
    with trapped.files(change):
        parts = trapped.record()
        trapped.says(trouble)
        trapped.alarms("sync.certificate")
        assert not parts & trapped.received()


def elsewhere(address: str) -> Change:
    """A change of sync's folder: the broker is said to be at *address*."""

    def change(folder: Path) -> None:
        path = folder / "enrolment.json"
        known = path.read_text()
        port = known.split("127.0.0.1:")[1].split('"')[0]
        path.write_text(known.replace(f"127.0.0.1:{port}", address))

    return change


@pytest.mark.parametrize(
    ("address", "trouble"),
    [
        ("127.0.0.1:1", "sync.refused_connection"),
        ("no-such-host.invalid:8883", "sync.host_unknown"),
    ],
)
def test_a_broker_that_is_not_there_is_one_clear_word(
    trapped: Trapped, address: str, trouble: str
) -> None:
    with trapped.files(elsewhere(address)):
        parts = trapped.record()
        trapped.says(trouble)
        assert not parts & trapped.received()


def test_a_full_disk_at_head_office_is_waited_for(trapped: Trapped) -> None:
    objects = trapped.lab.head.office.objects
    trapped.lab.office.kill()
    kept = trapped.lab.folder / "kept"
    subprocess.run(["cp", "-a", str(objects), str(kept)], check=True)
    options = ["-t", "tmpfs", "-o", "size=64k", "none", str(objects)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        trapped.lab.office.start()
        pytest.skip("no file system can be mounted here")
    try:
        trapped.lab.office.start()
        parts = trapped.record()
        trapped.lab.wait_for(lambda state: bool(state.trouble), "it is said", PATIENCE_S)
        assert not parts & trapped.known()
    finally:
        trapped.lab.office.kill()
        subprocess.run(["umount", str(objects)], check=True)
        trapped.lab.office.start()
    trapped.arrives(parts)
