"""A box with a valid certificate, against head office: it gets nothing that is not its own.

Every story ends with an honest box that still gets its receipt from the same collector.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from tests.stories.hand import Hand, collector, hand, objects

from greffier import merkle
from greffier.audit.note import Checkpoint, Signer
from greffier.audit.receipt import Signed
from greffier.sync import chunk, topics
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Fork, Have, Later, Need, Refused
from greffier.trust import LogKey
from greffier_sim.hand_box import HandBox, Held, offer
from greffier_sim.head_office import HeadOffice
from greffier_sim.mqtt_party import DENIED

pytestmark = pytest.mark.story
NUMBERS = count(1)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadOffice]:
    """A head office whose collector serves all stories of this page."""
    with HeadOffice(tmp_path_factory.mktemp("head")) as made, collector(made):
        yield made


@pytest.fixture
def honest(head: HeadOffice) -> Iterator[Hand]:
    """A box that is honest; at the end it still gets a receipt."""
    with hand(head, next(NUMBERS)) as made:
        yield made
        assert isinstance(made.deliver(made.box.hold(5000)), Signed)


@pytest.fixture
def rogue(head: HeadOffice) -> Iterator[Hand]:
    """A box that is not."""
    with hand(head, next(NUMBERS)) as made:
        yield made


def rows(head: HeadOffice, part: str) -> int:
    """How many receipts the catalogue has for *part*, of whatever box."""
    with sqlite3.connect(head.office.catalogue) as db:
        (found,) = db.execute("SELECT count(receipt) FROM parts WHERE part = ?", (part,)).fetchone()
    return int(found)


def altered(octets: bytes, at: int) -> bytes:
    """*octets* with one bit changed."""
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


def test_an_honest_part_of_several_blocks_gets_one_receipt_and_one_row(honest: Hand) -> None:
    held = honest.box.hold(BLOCK + 70_000)
    signed = honest.deliver(held)
    assert signed.receipt.device == honest.device
    assert (signed.receipt.size, signed.receipt.sha256) == (len(held.octets), held.sha256)
    assert signed.receipt.envelope == hashlib.sha256(held.envelope).hexdigest()
    again = honest.offer(held)
    assert isinstance(again, Signed)
    assert rows(honest.head, held.part) == 1


def test_nobody_speaks_on_the_topics_of_another_box(honest: Hand, rogue: Hand) -> None:
    held = honest.box.hold(3000)
    honest.replicate()
    for what in ("offer", "audit", "p"):
        assert rogue.say(what, offer(held.offered()), honest.device) == DENIED
    answer = honest.offer(held)
    assert isinstance(answer, Need)
    for payload in held.chunks():
        topic = topics.chunks(honest.device, answer.lane)
        assert rogue.bulk.say(topic, payload) == DENIED
        assert rogue.control.say(topic, payload) == DENIED
        # Under its own name the right octets of another's part are nobody's.
        rogue.bulk.say(topics.chunks(rogue.device, answer.lane), payload)
    assert rows(honest.head, held.part) == 0
    assert isinstance(honest.send(held, answer), Signed)


def test_a_part_that_its_own_log_does_not_know_is_not_wanted(honest: Hand, rogue: Hand) -> None:
    held = honest.box.hold(3000)
    honest.replicate()
    for _ in range(2):  # before its log has come, and when all of it is there
        answer = rogue.offer(held)
        assert isinstance(answer, Later)
        assert answer.reason == "log"
        rogue.replicate()
    assert rows(rogue.head, held.part) == 0


def test_who_logs_the_part_of_another_box_as_its_own_takes_nothing_from_it(
    honest: Hand, rogue: Hand
) -> None:
    held = honest.box.hold(3000)
    first = honest.deliver(held)
    common = {"part": held.part, "recording": "1" * 32, "number": 0}
    sealed = {"bytes": 3000, "sha256": held.sha256, "root": "0" * 64, "commitment": "0" * 64}
    hashed = hashlib.sha256(held.envelope).hexdigest()
    rogue.box.say("part.opened", "1" * 32, **common, envelope=hashed)
    rogue.box.say("part.sealed", "1" * 32, **common, **sealed, frames=1, end="finished")
    rogue.replicate()
    answer = rogue.offer(held)
    if isinstance(answer, Signed):
        assert answer.receipt.device == rogue.device
    again = honest.offer(held)
    assert isinstance(again, Signed)
    assert again.receipt.device == honest.device
    assert again.receipt.time_s >= first.receipt.time_s
    for one in rogue.told():
        assert honest.device not in one.topic


@pytest.mark.parametrize("at", [0, 4, 20, 27, 28, 1500])
def test_chunks_that_were_altered_never_become_a_part(honest: Hand, rogue: Hand, at: int) -> None:
    held = rogue.box.hold(3000)
    rogue.replicate()
    before = objects(rogue.head)
    answer = rogue.offer(held)
    assert isinstance(answer, Need)
    for _ in range(4):
        if not isinstance(answer, Need):
            break
        for payload in held.chunks():
            rogue.bulk.say(topics.chunks(rogue.device, answer.lane), altered(payload, at))
        answer = rogue.offer(held)
    assert isinstance(answer, Need | Refused | Later)
    assert objects(rogue.head) == before
    assert rows(rogue.head, held.part) == 0


def test_octets_that_are_wrong_three_times_are_refused(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(3000)
    rogue.replicate()
    answer = rogue.offer(held)
    assert isinstance(answer, Need)
    liar = Held(held.part, altered(held.octets, 77), held.envelope)
    assert rogue.send(liar, answer) == Refused(held.part, "hash")
    assert rows(rogue.head, held.part) == 0


def test_an_envelope_that_is_not_the_log_s_is_refused(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(3000)
    rogue.replicate()
    other = Held(held.part, held.octets, altered(held.envelope, len(held.envelope) - 1))
    assert rogue.offer(other) == Refused(held.part, "envelope")
    assert isinstance(rogue.deliver(held), Signed)


def test_hashes_and_lengths_that_are_not_the_log_s_are_refused(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(3000)
    rogue.replicate()
    true = held.offered()
    longer = Held(held.part, held.octets + b"x", held.envelope).offered()
    for lie in (replace(true, sha256="0" * 64, blocks=("0" * 64,)), longer):
        assert rogue.offer(held, offer(lie)) == Refused(held.part, "hash")
    other_block = rogue.offer(held, offer(replace(true, blocks=("0" * 64,))))
    if isinstance(other_block, Need):
        other_block = rogue.send(held, other_block)
    assert isinstance(other_block, Refused)
    assert rows(rogue.head, held.part) == 0


def test_blocks_that_hold_but_are_not_the_part_are_refused(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(BLOCK + 10)
    rogue.replicate()
    other = Held(held.part, altered(held.octets, 5), held.envelope)
    lie = replace(other.offered(), sha256=held.sha256)
    answer = rogue.offer(held, offer(lie))
    assert isinstance(answer, Need)
    assert rogue.send(other, answer) == Refused(held.part, "hash")
    assert rows(rogue.head, held.part) == 0


def test_a_log_that_was_taken_back_is_a_fork(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(100)
    old = list(rogue.box.log)
    rogue.box.hold(100)
    rogue.replicate()
    have = rogue.log(rogue.box.batch(0, 0, old))  # a replay looks just like it
    assert isinstance(have, Have) and have.size == len(rogue.box.log)
    back = HandBox(rogue.box.key, old)
    back.say("recorder.stopped", reason="after")
    assert rogue.log(back.batch(0, 0)) == Fork(len(rogue.box.log), "rewound")
    assert isinstance(rogue.deliver(held), Signed)  # the true log goes on


def test_a_log_with_another_past_is_a_fork(honest: Hand, rogue: Hand) -> None:
    rogue.box.hold(100)
    rogue.replicate()
    size = len(rogue.box.log)
    other = HandBox(rogue.box.key, rogue.box.log[:1])
    stolen = other.hold(100)
    other.hold(100)
    forked = rogue.log(rogue.box.batch(size, len(other.log), other.log))
    assert isinstance(forked, Fork)
    same_size = rogue.log(rogue.box.batch(0, 0, other.log[:size]))
    assert isinstance(same_size, Fork)
    altered_past = rogue.log(rogue.box.batch(0, size, [*other.log[:size], *rogue.box.log[size:]]))
    assert isinstance(altered_past, Fork)
    answer = rogue.offer(stolen)
    assert isinstance(answer, Refused | Later)
    assert rows(rogue.head, stolen.part) == 0


def test_a_log_under_another_key_is_a_fork(honest: Hand, rogue: Hand) -> None:
    rogue.replicate()
    other = HandBox(LogKey.new(rogue.box.key.name), list(rogue.box.log))
    other.hold(100)
    assert rogue.log(other.batch(1)) == Fork(1, "key")


def test_a_checkpoint_over_entries_that_do_not_prove_it_is_a_fork(
    honest: Hand, rogue: Hand
) -> None:
    rogue.box.hold(100)
    leaves = [merkle.leaf_hash(one) for one in rogue.box.log]
    head = Checkpoint(rogue.box.key.name, len(leaves), merkle.root(leaves[::-1]))
    lie = Signer(rogue.box.key.name, rogue.box.key.private).sign(head.text)
    assert isinstance(rogue.log(rogue.box.batch(checkpoint=lie)), Fork)
    assert rogue.replicate().size == len(rogue.box.log)


def test_what_is_malformed_oversize_or_unasked_is_dropped(honest: Hand, rogue: Hand) -> None:
    held = rogue.box.hold(3000)
    rogue.replicate()
    answer = rogue.offer(held)
    assert isinstance(answer, Need)
    lane = topics.chunks(rogue.device, answer.lane)
    part = bytes.fromhex(held.part)
    for payload in (b"", b"x", b"\0" * 70_000, b"\xff" * 114_689, b"{}", b'{"v":1}'):
        for what in ("offer", "audit", "p"):
            rogue.say(what, payload)
        rogue.bulk.say(lane, payload)
    for payload in (
        chunk.encode(part, 3000, b"beyond the end"),
        chunk.MAGIC + part + b"\xff" * 8 + b"far beyond",
        chunk.encode(bytes(16), 0, b"a part that nobody offered"),
    ):
        rogue.bulk.say(lane, payload)
        rogue.bulk.say(topics.chunks(rogue.device, "another-lane"), payload)
    assert isinstance(rogue.send(held, answer), Signed)


def test_a_flood_delays_but_takes_nothing_from_others(honest: Hand, rogue: Hand) -> None:
    rogue.control.flood(topics.up(rogue.device, "offer"), [b"x" * 1000] * 2000)
    rogue.bulk.flood(topics.chunks(rogue.device, "x"), [bytes(100_000)] * 200)
    held = honest.box.hold(200_000)
    assert isinstance(honest.deliver(held), Signed)
