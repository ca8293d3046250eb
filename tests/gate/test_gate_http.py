"""The server alone: deadlines, limits, TLS, and that it ends."""

import asyncio
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.gate.gate_scene import a_config, gate

from greffier.clock import SystemClock
from greffier.control import messages as m
from greffier.errors import BadGate, NotRunning
from greffier.gate.http import HttpServer, Patience, Request, Response
from greffier.gate.running import Gate
from greffier.gate.service import refusal

WAIT_S = 60
LOCAL = IPv4Address("127.0.0.1")


@contextmanager
def server(patience: Patience) -> Iterator[int]:
    """A server that says "yes" to everything; its port."""
    ready, over = threading.Event(), threading.Event()
    ports: list[int] = []

    async def answer(request: Request) -> Response:
        return Response(200, b'{"said":"yes"}')

    async def run() -> None:
        made = HttpServer(answer, refusal, patience)
        ports.append(await made.start("127.0.0.1", 0))
        ready.set()
        await asyncio.to_thread(over.wait)
        await made.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(WAIT_S)
    try:
        yield ports[0]
    finally:
        over.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


SLOW = {
    "nothing at all": b"",
    "half a head": b"POST / HTTP/1.1\r\nHost:",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
    "a chunk that never ends": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_who_never_goes_on_is_let_go(name: str) -> None:
    with (
        server(Patience(0.1, 0.1, 0.1, 5)) as port,
        socket.create_connection(("127.0.0.1", port), WAIT_S) as one,
    ):
        one.sendall(SLOW[name])
        assert one.recv(4096) == b""


def test_a_connection_serves_one_request_after_the_other_and_then_rests() -> None:
    with server(Patience(WAIT_S, WAIT_S, 0.2, WAIT_S)) as port:
        one = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        one.connect()
        same = one.sock
        for _ in range(3):
            one.request("POST", "/", b"x")
            assert one.getresponse().read() == b'{"said":"yes"}'
            if one.sock is not same:  # it rested too long: slow is no fault
                break
        assert same.recv(1) == b""
        one.close()


def test_a_body_in_chunks_is_counted(tmp_path: Path) -> None:
    with server(Patience()) as port:
        one = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        one.request("POST", "/", iter([b"x" * 1000] * 4), encode_chunked=True,
                    headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        assert one.getresponse().status == 200
        one.close()
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as raw:
            raw.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            raw.sendall((b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 5)
            assert raw.recv(4096).startswith(b"HTTP/1.1 413")


def certificate(folder: Path) -> None:
    """A certificate of our own making, and its key."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOCAL)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "gate.crt").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "gate.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


TLS = 'certificate = "gate.crt"\nkey = "gate.key"\n'


def test_over_tls_the_cookie_is_secure_and_plain_words_are_not_heard(tmp_path: Path) -> None:
    certificate(tmp_path)
    with gate(tmp_path, gate_more=TLS, port_in_url=True) as scene:
        context = ssl.create_default_context(cafile=tmp_path / "gate.crt")
        one = http.client.HTTPSConnection("127.0.0.1", scene.port, timeout=WAIT_S, context=context)
        code = scene.token("code", "101")
        origin = {"Origin": f"https://127.0.0.1:{scene.port}"}
        one.request("POST", "/enrol", f"code={code}", origin)
        answer = one.getresponse()
        assert answer.status == 303
        assert "; Secure" in answer.headers["Set-Cookie"]
        one.close()
        with socket.create_connection(("127.0.0.1", scene.port), WAIT_S) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"HTTP" not in raw.recv(4096)


def nobody(request: m.Request) -> m.Answer:
    """A recorder that is away."""
    raise NotRunning(path="socket")


def test_a_gate_that_cannot_listen_says_so_in_one_line(tmp_path: Path) -> None:
    with gate(tmp_path) as scene:
        taken = f'listen = ["127.0.0.1:{scene.port}"]'
        for more, word in ((taken, f"127.0.0.1:{scene.port}"), (TLS, "gate.crt")):
            other = tmp_path / word.replace(":", "-")
            other.mkdir()
            made = Gate(a_config(other, gate_more=more), nobody, SystemClock(), "box")
            with pytest.raises(BadGate) as caught:
                asyncio.run(made.run())
            assert word in str(caught.value)
            assert "\n" not in str(caught.value)
