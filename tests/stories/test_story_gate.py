"""Agents press keys over HTTP while they talk: what the law takes goes, what it keeps stays."""

import http.client
import json
import re
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.stories.live import Box, wire
from tests.stories.test_story_live import check_whole, listed

from greffier.audit import verify
from greffier.capture.datagram import Address
from greffier.cli.main import COMMANDS, run
from greffier_sim import captures
from greffier_sim.broker import free_port
from greffier_sim.packets import frames_of, pcap
from greffier_sim.service import Service

SITE = """
[direction]
inside_numbers = ["4?"]
[[agents.entry]]
extension = "41"
agent = "a-lea"
[[agents.entry]]
extension = "42"
agent = "a-max"
[gate]
folder = "gate"
listen = ["127.0.0.1:{port}"]
"""


class Gate(Service):
    """``greffier gate run``, and one request to it at a time."""

    def __init__(self, box: Box, port: int) -> None:
        words = ("greffier", "gate", "run", "--config", str(box.config))
        super().__init__(words, box.folder / "gate.log")
        self.port = port

    def ready(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, token: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and object."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def pieces(folder: Path) -> list[Path]:
    """Two calls from outside, to the extensions 41 and 42, in three captures of equal length.

    Between them the calls stand, and time is ours.
    """
    datagrams = []
    for number in range(2):
        plan = captures.Plan(
            call_id=f"gate-{number}@sim",
            start_ns=1_700_000_000_000_000_000 + number * 100_000_000,
            from_number="+33140506070",
            to_number=f"4{number + 1}",
            talk_ms=7_500,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        )
        datagrams += captures.call(plan)
    frames = frames_of(captures.in_order(datagrams))
    first, last = frames[0][0], frames[-1][0] + 1
    ends = [first + (last - first) * third // 3 for third in range(4)]
    paths = []
    for number, (begin, end) in enumerate(pairwise(ends)):
        paths.append(folder / f"wire-{number}.pcap")
        paths[-1].write_bytes(pcap([one for one in frames if begin <= one[0] < end]))
    return paths


def token_of(box: Box, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    words = ["gate", "token", "add", name, "--agent", "--config", str(box.config), "--json"]
    assert run("greffier", COMMANDS, words, "test") == 0
    return str(json.loads(capsys.readouterr().out.splitlines()[-1])["token"])


@pytest.mark.story
def test_a_private_key_takes_away_what_a_threat_had_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with wire() as namespace, Box(tmp_path, namespace, "fr-retail.toml", "vente") as box:
        box.config.write_text(box.config.read_text() + SITE.format(port=port))
        tokens = {name: token_of(box, name, capsys) for name in ("a-lea", "a-max")}
        box.start()
        gate = Gate(box, port)
        gate.start()
        try:
            opening, middle, closing = pieces(tmp_path)
            assert box.replay(opening).wait(timeout=300) == 0
            for name, token in tokens.items():
                gate.wait_until(
                    lambda token=token: gate.ask(token, "GET", "/v1/desk")[1]["calls"] or None,
                    f"a call of {name}",
                )
            fact = {"id": "a" * 32, "fact": "threat", "value": True}
            for number, token in enumerate(tokens.values()):
                told = {**fact, "id": f"{number:032x}"}
                assert gate.ask(token, "POST", "/v1/facts", told)[0] == 201
                assert gate.ask(token, "POST", "/v1/facts", told)[0] == 200
            assert box.replay(middle).wait(timeout=300) == 0
            box.wait_for(lambda status: len(status.committed) == 2)
            (mine,) = gate.ask(tokens["a-lea"], "GET", "/v1/desk")[1]["calls"]
            private = {"id": "f" * 32, "fact": "private", "value": True, "call": mine["call"]}
            assert gate.ask(tokens["a-max"], "POST", "/v1/facts", private)[0] == 403
            assert gate.ask(tokens["a-lea"], "POST", "/v1/facts", private)[0] == 201
            box.wait_for(lambda status: len(status.committed) == 1)
            assert box.replay(closing).wait(timeout=300) == 0
            box.wait_idle()
            late = {"id": "e" * 32, "fact": "proof", "value": True, "call": mine["call"]}
            assert gate.ask(tokens["a-lea"], "POST", "/v1/facts", late)[0] in (202, 409)
        finally:
            gate.kill()
        box.stop()
    check_whole(box)
    one, other = listed(box, capsys)
    assert {"PRIVATE_MODE", "DISCARD_NOW"} <= {*one["codes"]}  # type: ignore[misc]
    assert (one["record"], one["parts"]) == ("none", [])
    assert "INCIDENT_MANUAL" in other["codes"]  # type: ignore[operator]
    assert len(other["parts"]) == 1  # type: ignore[arg-type]
    entries = list(verify.entries(box.data))
    facts = [(e.data["fact"], e.data["source"]) for e in entries if e.ev == "call.fact"]
    assert facts[:3] == [("threat", "desk")] * 2 + [("private", "desk")]
    assert [e.data["reason"] for e in entries if e.ev == "key.shredded"][:1] == ["private"]
    log = b"".join(path.read_bytes() for path in (box.data / "audit").iterdir() if path.is_file())
    assert not re.search(rb"a-lea|a-max|gft-", log)
