"""What must be durable before a receipt leaves is: the system calls of a real collector, in order.

A process that is killed leaves what it wrote in the kernel's cache, so no kill shows a forgotten
fsync; the order of system calls does.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from greffier.sync import messages, topics
from greffier.sync.messages import Need
from greffier_sim import hand_box
from greffier_sim.hand_box import HandBox, Held
from greffier_sim.head_office import Box, HeadOffice
from greffier_sim.mqtt_party import Credentials, Heard, Party
from greffier_sim.service import Service

TRACED = "fsync,fdatasync,write,sendto,sendmsg"
_CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\((\d+)<([^>]*)>(.*)| resumed>(.*))$")
TLS_OCTETS = 22
"""Of a record around its content: header, type, tag (RFC 8446 section 5.2)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that went well: its name, the file or socket, what it gave back."""

    name: str
    file: str
    result: int


def calls_of(trace: Path) -> Iterator[Call]:
    """The calls on files and sockets, in the order in which they ended."""
    begun: dict[str, tuple[str, str]] = {}
    for line in trace.read_text("ascii", "replace").splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        thread, name, _, file, rest, resumed = found.groups()
        text = rest if resumed is None else resumed
        if resumed is not None:
            name, file = begun.pop(thread, ("", ""))
        elif text.endswith("<unfinished ...>"):
            begun[thread] = (name, file)
            continue
        result = text.rpartition("= ")[2].split(" ")[0]
        if name and result.isdigit():
            yield Call(name, file, int(result))


def octets_of(heard: Heard) -> int:
    """Octets of the TLS record with the PUBLISH that bore *heard* (MQTT 5 section 3.3)."""
    rest = 2 + len(heard.topic) + 2 + 1 + len(heard.payload)
    assert 128 <= rest < 16_384  # the length itself takes two octets
    return TLS_OCTETS + 1 + 2 + rest


class Parties:
    """A box's two connections."""

    def __init__(self, head: HeadOffice, box: Box, stack: ExitStack) -> None:
        self.device = box.device
        port, folder = head.broker.port, box.folder
        down = topics.down(box.device, "+")
        both = [
            Party(
                port, Credentials(folder.authority, folder.certificate(bulk), folder.key(bulk)), at
            )
            for bulk, at in ((False, [down]), (True, []))
        ]
        self.control, self.bulk = (stack.enter_context(one) for one in both)

    def hear(self, what: str, text: bytes) -> Heard:
        """The first message on the topic *what* with *text* in it."""
        topic = topics.down(self.device, what)
        return self.control.wait_for(lambda one: one.topic == topic and text in one.payload)

    def carry(self, held: Held) -> Heard:
        """Offer a part, send what is asked for; its receipt."""
        self.control.say(topics.up(self.device, "offer"), hand_box.offer(held.offered()))
        need = messages.read(self.hear("need", held.part.encode()).payload)
        assert isinstance(need, Need)
        for payload in held.chunks():
            self.bulk.say(topics.chunks(self.device, need.lane), payload)
        return self.hear("receipt", held.part.encode())


def synced_before(calls: list[Call], sent: int) -> list[str]:
    """The files whose fsync ended before the call number *sent*, in order, by their paths."""
    return [one.file for one in calls[:sent] if one.name in ("fsync", "fdatasync")]


def sent_at(calls: list[Call], heard: Heard) -> int:
    """Which call sent *heard*."""
    size = octets_of(heard)
    (at,) = [
        number
        for number, one in enumerate(calls)
        if one.file.startswith("socket:") and one.result == size
    ]
    return at


def assert_in_order(wanted: list[str], synced: list[str]) -> None:
    """Each path of *wanted* was synced, after the one before it in the list."""
    rest = iter(synced)
    for path in wanted:
        assert path in rest, (path, synced)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_what_a_word_of_head_office_promises_is_synced_before_it_leaves(
    head_office: HeadOffice, tmp_path: Path
) -> None:
    trace, office = tmp_path / "trace", head_office.office
    box = head_office.admit()
    hand = HandBox(box.log_key)
    tracer = ["strace", "-f", "-y", "-qq", "-s", "0", "-e", f"trace={TRACED}", "-o", str(trace)]
    words = ["greffier-office", "serve", "--office", str(office.path), "--json"]
    serve = Service(words, tmp_path / "serve.log", enter=tracer)
    with ExitStack() as stack:
        stack.callback(serve.kill)
        serve.start()
        serve.wait_until(lambda: '"ready": true' in serve.said(), "it is connected")
        parties = Parties(head_office, box, stack)
        held = hand.hold(200_000)
        parties.control.say(topics.up(box.device, "audit"), hand.batch())
        have = parties.hear("audit", b'"cosigned":"greffier')
        receipt = parties.carry(held)
    calls = list(calls_of(trace))
    objects = office.objects.absolute()
    (entries,) = (objects / "audit" / box.device).iterdir()
    catalogue = f"{office.catalogue.absolute()}-wal"
    have_at, receipt_at = sent_at(calls, have), sent_at(calls, receipt)
    assert_in_order([str(entries), str(entries.parent), catalogue], synced_before(calls, have_at))
    block = objects / "blocks" / held.sha256[:2] / held.sha256
    order = [str(block), str(block.parent), f"{office.envelopes.absolute()}-wal", catalogue]
    synced = synced_before(calls, receipt_at)
    assert_in_order(order, synced)
    assert str(block.parent.parent) in synced  # which holds the name of a new folder
