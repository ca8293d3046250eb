"""The gate's process: one event loop that listens, polls and stops in good order."""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from greffier.clock import Clock
from greffier.config.records import Config
from greffier.config.records import Gate as GateConfig
from greffier.control.notify import Notifier
from greffier.errors import BadGate
from greffier.gate import actors, places
from greffier.gate.acting import Acting
from greffier.gate.actors import Actor
from greffier.gate.http import HttpServer
from greffier.gate.keys import Keys
from greffier.gate.link import Ask, Link, Unavailable
from greffier.gate.registry import Registry
from greffier.gate.service import Service, refusal
from greffier.language import translate as _

INSTRUCTIONS_S: Final = 0.5
CALLS_S: Final = 1.0
KEYS_S: Final = 0.05


def origin_of(gate: GateConfig) -> str:
    """How browsers name the server: as configured, or by its first address."""
    if gate.url or not gate.listen:
        return gate.url
    host, port = gate.listen[0]
    scheme = "https" if gate.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class Gate:
    """One process of the gate. *ask* asks the recorder; *device* is the box's name in webhooks."""

    def __init__(
        self,
        config: Config,
        ask: Ask,
        clock: Clock,
        device: str,
        acting: Mapping[str, Actor] | None = None,
    ) -> None:
        """*acting* replaces the outputs that act by themselves, by name."""
        self._config = config
        self._clock = clock
        outputs = [one for one in config.outputs if one.actions]
        if acting is None:
            made = {one.name: actors.actor_of(one, device) for one in outputs}
            acting = {name: one for name, one in made.items() if one is not None}
        self._link = Link(ask)
        self._registry = Registry(config.gate.folder)
        self._outputs = outputs
        self._actors = acting
        self.ports: list[int] = []
        """Where it listens, in the order of the configuration; filled before it is ready."""
        self._stop: Callable[[], object] | None = None  # replaced whole; any thread may call it

    def stop(self) -> None:
        """Ask for an end. Any thread may call this, once it is ready."""
        if self._stop is not None:
            self._stop()

    async def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serve until the task is cancelled, or SIGTERM or SIGINT comes.

        *ready* is called once it listens. Raises BadGate.
        """
        self._registry.tokens()  # a damaged file is said now, not at the first fact
        acting = Acting(self._link, self._outputs, self._actors, self._clock)
        service = Service(
            self._registry, self._link, acting, self._clock, origin_of(self._config.gate),
            self._config.gate.language,
        )  # fmt: skip
        server = HttpServer(service.answer, refusal)
        keys = Keys(self._config.gate.keys, self._link, self._clock)
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = partial(loop.call_soon_threadsafe, over.set)
        with contextlib.suppress(ValueError, RuntimeError):  # only the main thread may hear signals
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, over.set)
        notifier = Notifier()

        async def alive() -> None:
            notifier.alive()

        tasks = [
            asyncio.create_task(_again(acting.poll, INSTRUCTIONS_S)),
            asyncio.create_task(_again(lambda: self._look(service), CALLS_S)),
            asyncio.create_task(_again(keys.look, KEYS_S)),
            asyncio.create_task(_again(alive, CALLS_S)),
        ]
        try:
            await self._listen(server)
            notifier.ready("listening")
            if ready is not None:
                ready()
            await over.wait()
        finally:
            notifier.stopping()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.stop()
            await acting.stop()
            self._link.close()

    async def _listen(self, server: HttpServer) -> None:
        tls = self._tls()
        for host, port in self._config.gate.listen:
            try:
                self.ports.append(await server.start(host, port, tls))
            except OSError as error:
                place = f"{host}:{port}"
                raise BadGate(path=place, reason=error.strerror) from error

    def _tls(self) -> ssl.SSLContext | None:
        gate = self._config.gate
        if gate.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(gate.certificate, gate.key)
        except OSError as error:  # an SSLError is one
            raise BadGate(
                path=gate.certificate, reason=error.strerror or _("no certificate")
            ) from None
        return context

    async def _look(self, service: Service) -> None:
        """See which calls run at desks and with agents, so that a late fact finds its call."""
        for question in places.questions(self._registry.tokens()):
            service.places.see(await self._link.calls(question))


async def _again(work: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Do *work* again and again; a recorder that is away is waited for."""
    while True:
        with contextlib.suppress(Unavailable, BadGate):
            await work()
        await asyncio.sleep(every_s)
