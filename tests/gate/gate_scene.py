"""A gate that runs, before a control server whose recorder is ours to write."""

import asyncio
import http.client
import json
import os
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from greffier.clock import SystemClock
from greffier.config.recorder import parse
from greffier.config.records import Config
from greffier.control.access import Access
from greffier.control.board import Desk
from greffier.control.client import ask
from greffier.control.desks import (
    Acted,
    AskCalls,
    AskInstructions,
    Calls,
    DeskCall,
    Instruction,
    Instructions,
    LineRule,
)
from greffier.control.facts import FactTaken, Tell
from greffier.control.messages import Answer, Done, Failure
from greffier.control.server import Server
from greffier.gate.actors import Actor
from greffier.gate.registry import Registry
from greffier.gate.running import Gate
from greffier_sim.broker import free_port

RUN = "00112233445566778899aabbccddeeff"
NOW = 1_772_438_400_000_000_000
CONFIG = """
schema = "recorder/1"
data = "d"
policy = "p"
[taps.trunk]
interface = "eth1"
[gate]
listen = ["127.0.0.1:0"]
url = "http://desk.example"
folder = "gate"
[outputs.page]
kind = "page"
actions = ["end_call", "offer_alternative"]
"""


def a_call(number: int = 1, extension: str = "101", agent: str = "agent-12") -> DeskCall:
    """A call that runs."""
    uid = f"box-1a2b3c4d/accueil/{number:010d}"
    return DeskCall(uid, "accueil", extension, agent, NOW, False)


@dataclass
class Recorder:
    """Answers as it is told; ``told`` are the facts that came, ``acted`` the outcomes.

    Read and written by the control server's thread and the test's; each field is replaced whole.
    """

    calls: tuple[DeskCall, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict)
    told: list[Tell] = field(default_factory=list)
    acted: list[Acted] = field(default_factory=list)
    known: dict[str, Tell] = field(default_factory=dict)

    def tell(self, request: Tell, user: int) -> Answer:
        self.told.append(request)
        if request.fact in self.answers:
            return self.answers[request.fact]
        before = self.known.setdefault(request.id, request)
        if before != request:
            return FactTaken("refused", "other_content")
        first = sum(one == request for one in self.told) == 1
        return FactTaken("taken" if first else "known", "", ("SAMPLED_OUT",))

    def ask(self, request: AskCalls, user: int) -> Answer:
        found = tuple(
            one
            for one in self.calls
            if one.extension in request.extensions or one.agent in request.agents
        )
        return Calls(found, (LineRule("accueil", True), LineRule("cse", False)))

    def show(self, request: AskInstructions, user: int) -> Answer:
        return Instructions(RUN, self.instructions)

    def act(self, request: Acted, user: int) -> Answer:
        if request.instruction not in [one.id for one in self.instructions]:
            return Failure("refused", "no_such_instruction")
        self.instructions = tuple(one for one in self.instructions if one.id != request.instruction)
        self.acted.append(request)
        return Done()


@dataclass
class Scene:
    """What a test has: the recorder behind, the registry, the port before."""

    recorder: Recorder
    registry: Registry
    port: int
    config: Config

    def token(self, kind: str = "agent", name: str = "agent-12", *allow: str) -> str:
        """A new token."""
        return self.registry.add(kind, name, SystemClock().wall_ns(), allow)

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """One request on a connection of its own: status, body (JSON where it is), headers."""
        sent = {"Host": "desk.example", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if isinstance(body, dict):
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, content, sent)
            answer = connection.getresponse()
            data = answer.read()
            if answer.headers.get_content_type() == "application/json" and data:
                return answer.status, json.loads(data), answer.headers
            return answer.status, data.decode(), answer.headers
        finally:
            connection.close()

    def enrolled(self, extension: str = "101") -> str:
        """The cookie of a desk."""
        code = self.registry.add("code", extension, SystemClock().wall_ns())
        status, _, headers = self.ask(
            "POST",
            "/enrol",
            f"code={code}".encode(),
            headers={"Origin": "http://desk.example"},
        )
        assert status == 303
        return headers["Set-Cookie"].partition(";")[0]


def a_config(tmp_path: Path, more: str = "", gate_more: str = "") -> Config:
    """The configuration of a gate below *tmp_path*; *gate_more* replaces where it listens."""
    text = CONFIG
    if "listen" in gate_more:
        text = text.replace('listen = ["127.0.0.1:0"]\n', "")
    text = text.replace('folder = "gate"\n', f'folder = "gate"\n{gate_more}\n')
    return parse(tomllib.loads(text + more), tmp_path / "recorder.toml")


@contextmanager
def gate(
    tmp_path: Path,
    more: str = "",
    actors: Mapping[str, Actor] | None = None,
    *,
    gate_more: str = "",
    port_in_url: bool = False,
) -> Iterator[Scene]:
    """A gate that listens, over a control server of its own.

    With *port_in_url* browsers reach it by its address, at a port that was free before.
    """
    config = a_config(tmp_path, more, gate_more)
    if port_in_url:
        listen = (("127.0.0.1", free_port()),)
        config = replace(config, gate=replace(config.gate, listen=listen, url=""))
    recorder, socket = Recorder(), tmp_path / "control.sock"
    desk = Desk(
        {
            Tell: recorder.tell,
            AskCalls: recorder.ask,
            AskInstructions: recorder.show,
            Acted: recorder.act,
        }
    )
    one = Gate(config, lambda request: ask(socket, request, 10), SystemClock(), "box", actors)
    ready = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(one.run(ready.set))
        except BaseException as error:  # noqa: BLE001 - the test hears of it
            failed.append(error)
            ready.set()

    access = Access(frozenset(), tell=frozenset({os.geteuid()}))
    with Server(socket, desk, access, SystemClock()):
        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(60)
            assert not failed, failed
            yield Scene(recorder, Registry(config.gate.folder), one.ports[0], config)
        finally:
            one.stop()
            thread.join(60)
            assert not thread.is_alive(), "it does not end"
    assert not failed, failed


def other(call: DeskCall, **changed: Any) -> DeskCall:
    """*call* with something changed."""
    return replace(call, **changed)
