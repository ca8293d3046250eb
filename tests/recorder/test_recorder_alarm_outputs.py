"""Alarm outputs: real sockets and files; outputs that hang, fail or are slow hold nothing up."""

import hashlib
import hmac
import json
import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from greffier.clock import SystemClock
from greffier.config.records import Output
from greffier.control.messages import Alarm, Notice
from greffier.durable import Disk
from greffier.recorder import outputs
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.outputs.led import Led
from greffier.recorder.outputs.mail import Mail
from greffier.recorder.outputs.outbox import MOST_QUEUED, Outbox, OutputFailed, Sender
from greffier.recorder.outputs.syslog import Syslog
from greffier.recorder.outputs.webhook import Webhook

WAIT_S = 120.0
BLANK = Output("out", "led", "info", "en", "", "", 0, "none", "", "", (), None, "1", "0")
ALARM = Alarm(1, "tap.blind", "trunk", "critical", False, 1, 10**18, 10**18)
NOTICE = Notice(1, "raised", 10**18, ALARM)


def notice(serial: int, severity: str = "critical") -> Notice:
    return Notice(serial, "raised", 10**18, replace(ALARM, severity=severity))


class Told:
    """A sender that remembers, and does what it is told at each call."""

    def __init__(self, *acts: Callable[[], None]) -> None:
        self.acts = list(acts)
        self.batches: list[tuple[list[int], int]] = []
        self.change = threading.Condition()

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        if self.acts:
            self.acts.pop(0)()
        with self.change:
            self.batches.append(([one.serial for one in notices], len(standing)))
            self.change.notify()

    def wait_for(self, serial: int) -> None:
        with self.change:
            assert self.change.wait_for(
                lambda: any(serial in batch for batch, _ in self.batches), WAIT_S
            )

    @property
    def serials(self) -> list[int]:
        return [serial for batch, _ in self.batches for serial in batch]


def fail() -> None:
    raise OutputFailed("no")


def crash() -> None:
    raise RuntimeError("a fault of ours")


@contextmanager
def outbox(
    sender: Sender, output: Output = BLANK, **options: object
) -> Iterator[tuple[Outbox, list[tuple[str, bool]]]]:
    troubles: list[tuple[str, bool]] = []
    settings = {"back_off_s": (0.0,), **options}
    box = Outbox(output, sender, lambda name, bad: troubles.append((name, bad)), **settings)  # type: ignore[arg-type]
    box.start()
    try:
        yield box, troubles
    finally:
        box.stop(WAIT_S)


def test_every_notice_is_told_once_and_in_order() -> None:
    sender = Told()
    with outbox(sender) as (box, troubles):
        for serial in range(1, 11):
            box.offer(notice(serial), [ALARM])
        sender.wait_for(10)
    assert sender.serials == list(range(1, 11))
    assert sender.batches[0] == ([], 0) or sender.batches[0][0][0] == 1
    assert troubles == []


def test_an_output_that_fails_is_tried_again_with_the_same_notices() -> None:
    sender = Told(fail, fail, crash, fail)
    with outbox(sender) as (box, troubles):
        box.offer(notice(1), [ALARM])
        box.offer(notice(2), [ALARM])
        sender.wait_for(2)
    assert sender.serials == [1, 2]
    assert troubles == [("out", True), ("out", False)]


def test_an_output_that_hangs_holds_nobody_up_and_keeps_the_newest() -> None:
    gate, reached = threading.Event(), threading.Event()

    def hang() -> None:
        reached.set()
        assert gate.wait(WAIT_S)

    sender = Told(hang)
    with outbox(sender) as (box, _):
        assert reached.wait(WAIT_S)
        for serial in range(1, 3 * MOST_QUEUED + 1):
            box.offer(notice(serial), [ALARM])  # returns although nothing is ever sent
        assert box.dropped == 2 * MOST_QUEUED
        assert not box.stop(0.0)
        gate.set()
    assert sender.serials == list(range(2 * MOST_QUEUED + 1, 3 * MOST_QUEUED + 1))


def test_what_comes_while_an_output_is_slow_goes_in_one_message() -> None:
    gate, reached = threading.Event(), threading.Event()

    def slow() -> None:
        reached.set()
        assert gate.wait(WAIT_S)

    sender = Told(slow)
    with outbox(sender) as (box, _):
        box.offer(notice(1), [ALARM])
        assert reached.wait(WAIT_S)
        for serial in (2, 3, 4):
            box.offer(notice(serial), [ALARM])
        gate.set()
        sender.wait_for(4)
    assert next(batch for batch, _ in sender.batches if 4 in batch)[-3:] == [2, 3, 4]


def test_an_output_that_never_works_ends_when_it_must() -> None:
    sender = Told(*[fail] * 10_000)
    box = Outbox(BLANK, sender, lambda *_: None, back_off_s=(3600.0,))
    box.start()
    box.offer(notice(1), [ALARM])
    assert not box.stop(WAIT_S)  # it has ended, and says that something was left


def test_what_is_not_grave_enough_is_not_told() -> None:
    sender = Told()
    with outbox(sender, replace(BLANK, severity="critical")) as (box, _):
        box.offer(notice(1, "info"), [replace(ALARM, severity="info")])
        box.offer(notice(2, "warning"), [replace(ALARM, severity="warning")])
        box.offer(notice(3), [replace(ALARM, severity="warning"), ALARM])
        sender.wait_for(3)
    assert sender.serials == [3]
    assert sender.batches[-1][1] == 1


def test_a_room_with_outputs_that_hang_goes_on_raising(tmp_path: Path) -> None:
    gate = threading.Event()
    sender = Told(lambda: gate.wait(WAIT_S) and None)
    room = AlarmRoom(SystemClock(), "0" * 32)
    boxes = [
        Outbox(replace(BLANK, name=f"o-{n}"), sender, lambda name, bad: room.set(
            bad, "output.failed", name))
        for n in range(3)
    ]  # fmt: skip
    for box in boxes:
        room.listen(box.offer)
        box.start()
    for number in range(100):
        room.raise_alarm("line.silent", f"line-{number}")
    assert len(room.view().alarms) == 100
    gate.set()
    for box in boxes:
        box.stop(WAIT_S)


def test_a_failing_output_is_an_alarm_for_the_others(tmp_path: Path) -> None:
    lamp = tmp_path / "lamp"
    lamp.write_text("?")
    broken = replace(BLANK, name="broken", address=str(tmp_path / "no-such-file"))
    sound = replace(BLANK, name="sound", address=str(lamp))
    room = AlarmRoom(SystemClock(), "0" * 32)
    boxes = outputs.make(
        [broken, sound], "box-1", lambda name, bad: room.set(bad, "output.failed", name)
    )
    lit = threading.Event()

    def watch(told: Notice, _: Sequence[Alarm]) -> None:
        if told.alarm.name == "output.failed":
            lit.set()

    for box in boxes:
        room.listen(box.offer)
    room.listen(watch)
    for box in boxes:
        box.start()
    assert lit.wait(WAIT_S)
    boxes[1].stop(WAIT_S)
    boxes[0].stop(WAIT_S)
    assert lamp.read_text() == "1"
    assert room.view().alarms[0].subject == "broken"


def test_each_kind_has_its_sender() -> None:
    every = [
        replace(BLANK, name=kind, kind=kind)  # type: ignore[arg-type]
        for kind in ("syslog", "led", "email", "webhook")
    ]
    made = outputs.make(every, "box-1", lambda *_: None)
    assert [one.name for one in made] == ["syslog", "led", "email", "webhook"]
    assert [one.name for one in every if one.in_recorder] == ["syslog"]


# --- each kind ------------------------------------------------------------------------------


def test_a_lamp_is_lit_while_anything_stands(tmp_path: Path) -> None:
    lamp = tmp_path / "brightness"
    lamp.write_text("?")
    led = Led(replace(BLANK, address=str(lamp), on="1", off="0"), Disk())
    led.send([], [])
    assert lamp.read_text() == "0"
    led.send([NOTICE], [ALARM])
    assert lamp.read_text() == "1"
    led.send([NOTICE], [replace(ALARM, acknowledged=True)])
    assert lamp.read_text() == "1"
    led.send([NOTICE], [])
    assert lamp.read_text() == "0"


@pytest.mark.parametrize("kind", ["missing", "folder", "link"])
def test_a_lamp_that_is_none_is_not_made(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lamp"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "other").write_text("kept")
        path.symlink_to(tmp_path / "other")
    with pytest.raises(OutputFailed):
        Led(replace(BLANK, address=str(path)), Disk()).send([NOTICE], [ALARM])
    assert kind != "missing" or not path.exists()
    assert kind != "link" or path.read_text() == "kept"


def test_the_system_log_gets_a_line_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(WAIT_S)
        sender = Syslog(replace(BLANK, kind="syslog", address=str(path)))
        sender.send([NOTICE, replace(NOTICE, what="cleared")], [])
        first, second = log.recv(2048).decode(), log.recv(2048).decode()
    assert first.startswith(f"<26>greffier[{os.getpid()}]: tap.blind trunk raised: tap trunk sees")
    assert second.startswith("<30>")
    with pytest.raises(OutputFailed):
        sender.send([NOTICE], [])


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _HookServer)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, self.headers["Greffier-Signature"], body))
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _HookServer(HTTPServer):
    status = 204

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.got: list[tuple[str, str, bytes]] = []


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (204, True), (302, False), (404, False), (500, False)]
)
def test_a_webhook_is_signed_and_only_2xx_is_a_receipt(
    status: int, taken: bool, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("shared secret\n")
    server = _HookServer()
    server.status = status
    output = replace(
        BLANK,
        kind="webhook",
        address=f"http://127.0.0.1:{server.server_port}/greffier?site=7",
        secret=tmp_path / "secret",
    )
    with serving(server):
        hook = Webhook(output, "box-1")
        if taken:
            hook.send([NOTICE], [ALARM])
        else:
            with pytest.raises(OutputFailed):
                hook.send([NOTICE], [ALARM])
    ((path, signature, body),) = server.got
    assert path == "/greffier?site=7"
    expected = hmac.new(b"shared secret", body, hashlib.sha256).hexdigest()
    assert signature == f"sha256={expected}"
    value = json.loads(body)
    assert set(value) == {"v", "device", "notices", "standing"}
    assert value["notices"][0]["alarm"]["text"].startswith("tap trunk sees nothing")
    assert value["standing"][0]["name"] == "tap.blind"


@pytest.mark.parametrize("secret", [None, "missing", "empty"])
def test_a_webhook_without_a_secret_is_never_sent(secret: str | None, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    server = _HookServer()
    output = replace(
        BLANK,
        address=f"http://127.0.0.1:{server.server_port}/",
        secret=tmp_path / secret if secret else None,
    )
    with serving(server), pytest.raises(OutputFailed):
        Webhook(output, "box-1").send([NOTICE], [])
    assert server.got == []


class _Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as one message needs."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _SmtpServer)
        self.reply("220 test")
        while line := self.rfile.readline():
            word = line.decode().strip().upper()
            server.got.append(word[:8])
            if word.startswith("EHLO"):
                self.reply("250-test\r\n250 STARTTLS" if server.tls else "250 test")
            elif word == "STARTTLS":
                self.reply("220 go on")
                assert server.tls is not None
                try:
                    self.request = server.tls.wrap_socket(self.request, server_side=True)
                except OSError:  # the client did not like our certificate
                    return
                self.rfile = self.request.makefile("rb")
                self.wfile = self.request.makefile("wb", buffering=0)
            elif word == "DATA":
                self.reply("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += self.rfile.readline()
                server.mails.append(data.decode()[:-5])
                self.reply("250 taken")
            elif word == "QUIT":
                self.reply("221 bye")
                return
            else:
                self.reply("250 ok")

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _SmtpServer(socketserver.TCPServer):
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.tls = tls
        self.got: list[str] = []
        self.mails: list[str] = []

    @property
    def output(self) -> Output:
        return replace(
            BLANK,
            kind="email",
            host="127.0.0.1",
            port=self.server_address[1],
            security="starttls",
            sender="box@example.org",
            recipients=("it@example.org", "manager@example.org"),
            language="fr",
        )


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server on 127.0.0.1 and of a client that knows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


def test_a_mail_says_what_happened_and_what_stands(tmp_path: Path) -> None:
    for_server, for_client = certificate(tmp_path)
    server = _SmtpServer(for_server)
    with serving(server):
        Mail(server.output, "box-1", for_client).send(
            [NOTICE, replace(NOTICE, serial=2, what="cleared")], [ALARM]
        )
    (text,) = server.mails
    mail = message_from_string(text, policy=default)
    assert mail["To"] == "it@example.org, manager@example.org"
    assert "trunk" in mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_content()
    assert body.count("2001-09-09 01:46:40 UTC") == 2
    assert "critique" in body


def test_a_mail_is_never_sent_in_the_clear_nor_to_a_stranger(tmp_path: Path) -> None:
    plain = _SmtpServer()
    with serving(plain), pytest.raises(OutputFailed):
        Mail(plain.output, "box-1").send([NOTICE], [])
    for_server, _ = certificate(tmp_path)
    stranger = _SmtpServer(for_server)
    with serving(stranger), pytest.raises(OutputFailed):
        Mail(stranger.output, "box-1").send([NOTICE], [])
    for server in (plain, stranger):
        assert server.mails == []
        assert not {"MAIL FRO", "RCPT TO:", "DATA", "AUTH LOG"} & set(server.got)


def test_a_mail_server_that_is_not_there_is_a_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        output = replace(
            _output_at(unused.getsockname()[1]), secret=Path("/no/such/password"), user="box"
        )
        for one in (output, replace(output, secret=None, user="")):
            with pytest.raises(OutputFailed):
                Mail(one, "box-1").send([NOTICE], [])


def _output_at(port: int) -> Output:
    return replace(BLANK, kind="email", host="127.0.0.1", port=port, recipients=("a@b.c",))


@pytest.mark.parametrize("make", [Syslog, lambda o: Mail(o, "b"), lambda o: Webhook(o, "b")])
def test_the_start_is_nothing_to_tell(make: Callable[[Output], Sender]) -> None:
    sender = make(replace(BLANK, address="/no/such/thing"))
    sender.send([], [])
    with pytest.raises(OutputFailed):
        sender.send([NOTICE], [])
