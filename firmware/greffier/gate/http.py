"""HTTP/1.1 over asyncio, by h11: every wait and every length has an end (docs/facts-api.md).

h11 turns octets into events and back and refuses what RFC 9112 refuses; what is here is deadlines,
limits and connections. Nothing of a request is ever logged.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import h11

MOST_HEAD: Final = 16_384
MOST_BODY: Final = 4_096
HEAD_S: Final = 10.0
BODY_S: Final = 10.0
IDLE_S: Final = 60.0
ANSWER_S: Final = 10.0
MOST_CONNECTIONS: Final = 128
MOST_OF_ONE: Final = 16
_CHUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. Header names are in lower case; *peer* is the address it came from."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    peer: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """A request that is none, or too large."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds: for a head, a body, the next request, an answer's going."""

    head_s: float = HEAD_S
    body_s: float = BODY_S
    idle_s: float = IDLE_S
    answer_s: float = ANSWER_S


class HttpServer:
    """Listens from :meth:`start` to :meth:`stop`. Owned by the loop's thread."""

    def __init__(
        self,
        handler: Handler,
        refuse: Callable[[int, str], Response],
        patience: Patience | None = None,
    ) -> None:
        """*handler* answers requests, *refuse* makes the answer to what is none."""
        self._handler = handler
        self._refuse = refuse
        self._patience = patience or Patience()
        self._servers: list[asyncio.Server] = []
        self._peers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen at one more address; the port, which the kernel chose where *port* is 0.

        Raises OSError.
        """
        server = await asyncio.start_server(
            self._connected, host, port, ssl=tls, limit=_CHUNK, backlog=64,
            ssl_handshake_timeout=self._patience.head_s if tls else None,
        )  # fmt: skip
        self._servers.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Listen no more, and end every connection."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls us in a task
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        if self._peers.total() >= MOST_CONNECTIONS or self._peers[peer] >= MOST_OF_ONE:
            writer.transport.abort()
            return
        self._peers[peer] += 1
        self._tasks.add(task)
        try:
            await self._converse(reader, writer, peer)
        except (OSError, TimeoutError, ssl.SSLError):
            pass  # it has gone, or took too long
        except asyncio.CancelledError:
            pass  # we stop: asyncio would complain of a task that says so
        finally:
            self._tasks.discard(task)
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        waits = self._patience.head_s
        while True:
            bare = False
            try:
                request = await self._read(connection, reader, peer, waits)
                if request is None:
                    return
                bare = request.method == "HEAD"
                response = await self._handler(request)
            except Refusal as refusal:
                response = self._refuse(refusal.status, refusal.error)
            except h11.RemoteProtocolError:
                response = self._refuse(400, "bad_request")
            await self._write(connection, writer, response, bare=bare)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
            waits = self._patience.idle_s

    async def _read(
        self,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        peer: str,
        waits_s: float,
    ) -> Request | None:
        """The next request; None at the client's end. Raises Refusal, RemoteProtocolError."""
        async with asyncio.timeout(waits_s):
            event = await self._event(connection, reader)
        if not isinstance(event, h11.Request):
            return None
        headers: dict[str, str] = {}
        for name, value in event.headers:
            key = name.decode("ascii")
            if key in headers:
                raise Refusal(400, "bad_request")  # two of a kind: whose word would count?
            headers[key] = value.decode("latin-1")
        if "host" not in headers:
            raise Refusal(400, "bad_request")
        async with asyncio.timeout(self._patience.body_s):
            body = await self._body(connection, reader)
        method, target = event.method.decode("ascii"), event.target.decode("ascii")
        return Request(method, target, headers, body, peer)

    async def _body(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        body = bytearray()
        while True:
            event = await self._event(connection, reader)
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY:
                    raise Refusal(413, "too_large")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                raise Refusal(400, "bad_request")

    async def _event(self, connection: h11.Connection, reader: asyncio.StreamReader) -> object:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            connection.receive_data(await reader.read(_CHUNK))

    async def _write(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        response: Response,
        *,
        bare: bool,
    ) -> None:
        """*bare*: the head alone was asked for."""
        headers = {
            "Content-Type": response.kind,
            "Content-Length": str(len(response.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # without any, a form would send no origin either
            **response.headers,
        }
        if connection.their_state is not h11.DONE:
            headers["Connection"] = "close"
        head = h11.Response(status_code=response.status, headers=list(headers.items()))
        octets = connection.send(head) or b""
        if response.body and not bare:
            octets += connection.send(h11.Data(data=response.body)) or b""
        octets += connection.send(h11.EndOfMessage()) or b""
        async with asyncio.timeout(self._patience.answer_s):
            writer.write(octets)
            await writer.drain()
