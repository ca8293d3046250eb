"""A real mosquitto with the files that greffier-office writes: who gets in, and who says what."""

import contextlib
import os
import socket
import ssl
import time
from pathlib import Path

import pytest
from tests.office.talker import Talker, of_box, of_collector, refused, taken

from greffier.durable import Disk
from greffier.errors import UsageError
from greffier_office import admission, authority, broker
from greffier_office.authority import Authority, Use
from greffier_office.broker import Address
from greffier_sim.broker import HOST, client_context
from greffier_sim.head_office import Box, HeadOffice

DENIED = "Not authorized"
NOBODY = "No matching subscribers"


def topic(box: Box, rest: str) -> str:
    return f"greffier/1/{box.device}/{rest}"


def revoke(at: HeadOffice, box: Box) -> None:
    """As the command does it."""
    assert admission.revoke(at.office, box.device, at.disk, time.time_ns())
    at.broker.reload()


def issue(at: HeadOffice, ca: Authority, name: str, now_ns: int, days: int) -> tuple[Path, Path]:
    """A certificate and its key, in files."""
    key = authority.new_key()
    one = ca.issue(key.public_key(), name, Use.CLIENT, now_ns, days)
    paths = at.folder / f"{name}.crt", at.folder / f"{name}.key"
    Disk().write_file(paths[0], authority.pem(one))
    Disk().write_file(paths[1], authority.key_pem(key))
    return paths


def test_a_box_says_what_it_may_and_nothing_else(head_office: HeadOffice) -> None:
    box, other = head_office.admit(1), head_office.admit(2)
    with of_collector(head_office) as collector, of_box(head_office, box) as control:
        collector.listen("greffier/1/+/up/#")
        for what in ("up/offer", "up/audit", "up/p"):
            assert control.say(topic(box, what)) == "Success"
        for what in ("up/c/a1", "up/rsp", "up/offer/x", "down/need", "down/receipt", "x"):
            assert control.say(topic(box, what)) == DENIED
        for what in ("up/offer", "up/audit", "up/p", "up/c/a1", "down/receipt"):
            assert control.say(topic(other, what)) == DENIED
        assert control.say("greffier/1/collector/a1/p") == DENIED
        assert control.say("$SYS/broker/uptime") in (DENIED, "Success")  # taken, and not passed on
        assert collector.wait(lambda: len(collector.heard) == 3)
    with of_collector(head_office) as collector, of_box(head_office, box, bulk=True) as bulk:
        collector.listen("greffier/1/+/up/c/a1")
        assert bulk.say(topic(box, "up/c/a1")) == "Success"
        for what in ("up/offer", "up/audit", "up/p", "up/c", "up/c/a/b", "down/need"):
            assert bulk.say(topic(box, what)) == DENIED
        assert bulk.say(topic(other, "up/c/a1")) == DENIED


def test_a_box_hears_only_what_is_for_it(head_office: HeadOffice) -> None:
    box, other = head_office.admit(1), head_office.admit(2)
    with (
        of_collector(head_office) as collector,
        of_box(head_office, box) as mine,
        of_box(head_office, box, bulk=True) as bulk,
        of_box(head_office, other) as foreign,
    ):
        for one in (mine, bulk, foreign):
            one.listen("#")
            one.listen("greffier/1/+/down/#")
        collector.listen("greffier/1/+/up/#")
        assert mine.say(topic(box, "up/offer")) == "Success"
        collector.say(topic(box, "down/receipt"), b"for the first")
        collector.say("greffier/1/collector/a1/p", b"here", retain=True)
        collector.say(topic(other, "down/receipt"), b"for the second")
        assert mine.wait(lambda: (topic(box, "down/receipt"), b"for the first") in mine.heard)
        assert foreign.wait(
            lambda: (topic(other, "down/receipt"), b"for the second") in foreign.heard
        )
        assert collector.wait(lambda: collector.heard)
        presence = ("greffier/1/collector/a1/p", b"here")
        for one in (mine, foreign, bulk):  # each hears it in its own time
            assert one.wait(lambda one=one: presence in one.heard)
        assert set(mine.heard) == {(topic(box, "down/receipt"), b"for the first"), presence}
        assert set(foreign.heard) == {(topic(other, "down/receipt"), b"for the second"), presence}
        assert set(bulk.heard) == {presence}


def test_a_stolen_client_id_does_not_put_its_owner_out(head_office: HeadOffice) -> None:
    box, thief = head_office.admit(1), head_office.admit(2)
    with of_box(head_office, box) as victim, of_collector(head_office) as collector:
        collector.listen("greffier/1/+/up/#")
        with of_box(head_office, thief, client_id=box.device) as other:
            assert other.say(topic(box, "up/offer")) == DENIED
            assert victim.say(topic(box, "up/offer")) == "Success"
            assert (victim.connected, victim.lost) == (["Success"], [])
        assert victim.names == [box.device]


def test_the_broker_announces_its_limits_and_says_when_nobody_listens(
    head_office: HeadOffice,
) -> None:
    box = head_office.admit()
    with of_box(head_office, box) as control:
        assert control.limits == [262144]
        assert control.say(topic(box, "up/offer")) == NOBODY


def test_without_a_certificate_nobody_gets_in(head_office: HeadOffice) -> None:
    context = ssl.create_default_context(cafile=str(head_office.office.ca_certificate))
    with (
        socket.create_connection((HOST, head_office.broker.port), 5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
        context.wrap_socket(plain, server_hostname=HOST) as safe,
    ):
        safe.sendall(b"\x10\x00")
        if not safe.recv(1):
            raise ConnectionError


def test_tls_1_2_is_refused(head_office: HeadOffice) -> None:
    office = head_office.office
    context = client_context(office.ca_certificate, *office.collector())
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((HOST, head_office.broker.port), 5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname=HOST)


def test_a_revoked_box_is_silenced_at_once_and_never_comes_back(head_office: HeadOffice) -> None:
    lost, kept, later = (head_office.admit(number) for number in (1, 2, 3))
    port, ca = head_office.broker.port, head_office.office.ca_certificate
    with (
        of_collector(head_office) as collector,
        of_box(head_office, lost) as control,
        of_box(head_office, kept) as other,
    ):
        collector.listen("greffier/1/+/up/#")
        control.listen(topic(lost, "down/#"))
        revoke(head_office, lost)
        revoke(head_office, later)  # in the same second: two lists of one time
        for box in (lost, later):
            for bulk in (False, True):
                certificate, key = box.folder.certificate(bulk), box.folder.key(bulk)
                assert refused(ca, certificate, key, port)
        assert control.say(topic(lost, "up/offer")) == DENIED
        collector.say(topic(lost, "down/receipt"))
        assert other.say(topic(kept, "up/offer")) == "Success"
        assert (other.lost, control.heard) == ([], [])
    with of_box(head_office, kept) as again:
        assert again.names == [kept.device]


def test_a_box_that_is_let_in_while_the_broker_runs_may_speak(head_office: HeadOffice) -> None:
    first = head_office.admit(1)
    with of_collector(head_office) as collector, of_box(head_office, first) as control:
        collector.listen("greffier/1/+/up/#")
        second = head_office.admit(2)
        with of_box(head_office, second) as new:
            assert new.say(topic(second, "up/offer")) == "Success"
        assert control.lost == []


def test_expired_unripe_and_foreign_certificates_are_refused(head_office: HeadOffice) -> None:
    box = head_office.admit()
    port, ca = head_office.broker.port, head_office.office.ca_certificate
    assert not refused(ca, box.folder.certificate(), box.folder.key(), port)
    own = head_office.office.authority()
    day = 86_400 * 1_000_000_000
    old = Authority.new("siege", time.time_ns() - 30 * day)
    aged = Authority(own.key, old.certificate)  # our key, so that only the times are wrong
    assert refused(ca, *issue(head_office, aged, "a", time.time_ns() - 20 * day, 10), port)
    assert refused(ca, *issue(head_office, own, "b", time.time_ns() + 20 * day, 10), port)
    rogue = Authority.new("siege", time.time_ns())
    assert refused(ca, *issue(head_office, rogue, box.device, time.time_ns(), 10), port)
    assert "certificate verify failed" in head_office.broker.said()


def test_a_box_cannot_pose_as_the_broker(head_office: HeadOffice) -> None:
    """Its certificate is of the same authority, but a client's, and names no host."""
    box = head_office.admit()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(box.folder.certificate(), box.folder.key())
    client = client_context(box.folder.authority, box.folder.certificate(), box.folder.key())
    client.check_hostname = False  # the use alone must be enough
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    near = client.wrap_bio(to_client, to_server)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        for _turn in range(4):
            for side in (near, far):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()


def test_a_killed_broker_comes_back_on_its_port_and_knows_nothing(head_office: HeadOffice) -> None:
    box = head_office.admit()
    with of_collector(head_office) as collector:
        collector.listen("greffier/1/+/up/#")
        with of_box(head_office, box) as control:
            assert control.say(topic(box, "up/p"), b"retained", retain=True) == "Success"
            head_office.broker.restart()
            assert control.wait(lambda: control.lost and len(control.connected) == 2)
    with of_collector(head_office) as collector:
        collector.listen("greffier/1/+/up/#")
        collector.say(topic(box, "down/need"))
        assert collector.heard == []


def test_sound_may_go_to_a_broker_of_its_own(tmp_path: Path) -> None:
    with HeadOffice(tmp_path, apart=True) as at:
        box = at.admit()
        assert at.bulk_broker.port != at.broker.port
        assert box.folder.read_enrolment().bulk_brokers == (f"{HOST}:{at.bulk_broker.port}",)
        folder, office = box.folder, at.office
        context = client_context(folder.authority, folder.certificate(True), folder.key(True))
        theirs = client_context(office.ca_certificate, *office.collector(bulk=True))
        with (
            taken(Talker(theirs, at.bulk_broker.port)) as collector,
            taken(Talker(context, at.bulk_broker.port)) as bulk,
        ):
            collector.listen("greffier/1/+/up/c/a1")
            assert bulk.say(topic(box, "up/c/a1")) == "Success"
            assert collector.wait(lambda: collector.heard)


def test_only_a_mosquitto_is_told_to_reload(head_office: HeadOffice) -> None:
    pid = head_office.folder / "pid"
    for text in ("", "x", "0", "1", "-5", "99999999", str(os.getpid()), "é"):
        pid.write_text(text)
        assert not broker.reload(pid)
    assert not broker.reload(head_office.folder / "none")
    assert broker.reload(head_office.office.broker / broker.PID_FILE)
    head_office.broker.kill()
    assert not broker.reload(head_office.office.broker / broker.PID_FILE)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mqtt.example.org", "mqtt.example.org", 8883),
        ("mqtt.example.org:1", "mqtt.example.org", 1),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("[2001:db8::1]", "2001:db8::1", 8883),
        ("[::1]:8884", "::1", 8884),
    ],
)
def test_addresses_are_read_and_written_back(text: str, host: str, port: int) -> None:
    one = Address.parse(text)
    assert (one.host, one.port) == (host, port)
    assert Address.parse(str(one)) == one


@pytest.mark.parametrize(
    "text",
    ["", ":1", "a:", "a:0", "a:65536", "a:01", "a b", "a\n", "[::1", "[::1]x", "::1", "-a", "a:٣"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Address.parse(text)
