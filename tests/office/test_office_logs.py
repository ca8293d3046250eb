"""Replicated logs: what is verified is kept and cosigned; what contradicts is kept as evidence."""

import secrets
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.office.in_process import Inside, enrol

from greffier.audit import batch as batches
from greffier.audit import entry as entries
from greffier.audit import note
from greffier.audit.kinds import KINDS, Kind
from greffier.audit.note import Checkpoint, Signer
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.merkle import Frontier, leaf_hash
from greffier.sync.messages import Fork, Have
from greffier.trust import LogKey
from greffier_office import catching_up, place
from greffier_office.catching_up import read_again
from greffier_office.place import Office
from greffier_sim.hand_box import HandBox, Held

DEVICE = "box-1a2b3c4d"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return place.create(tmp_path / "office", Disk(), time.time_ns())


@pytest.fixture
def inside(office: Office) -> Iterator[Inside]:
    one = Inside(office)
    yield one
    one.close()


@pytest.fixture
def box(inside: Inside) -> HandBox:
    made = HandBox(LogKey.new(f"greffier/{DEVICE}"))
    enrol(inside.office, made.key)
    made.say("device.created", device=DEVICE, version="0.1.0")
    for number in range(9):
        made.say("recorder.stopped", reason=f"r{number}")
    return made


def forked(answer: Have | Fork | None) -> str:
    assert isinstance(answer, Fork)
    return answer.reason


def test_a_question_is_answered_and_the_log_grows_by_batches(inside: Inside, box: HandBox) -> None:
    assert inside.audit(DEVICE, box.batch(0, 0)) == Have(0, "")
    assert inside.audit(DEVICE, box.batch(0, 4)) == Have(4, "")
    assert inside.audit(DEVICE, box.batch(6, 8)) == Have(4, "")  # a hole: nothing of it is used
    have = inside.audit(DEVICE, box.batch(4, 10))
    assert isinstance(have, Have) and have.size == 10
    keys = inside.office.public_keys()
    opened = note.open_checkpoint(
        have.cosigned.encode(), note.read_key(box.key.public_line()), keys
    )
    assert [one.time_s for one in opened.cosignatures] == [1_800_000_000]
    inside.now_s = 60.0
    again = inside.audit(DEVICE, box.batch(10, 10))
    assert isinstance(again, Have) and again.cosigned != have.cosigned


def test_entries_that_are_there_are_passed_over(inside: Inside, box: HandBox) -> None:
    inside.audit(DEVICE, box.batch(0, 3))
    inside.audit(DEVICE, box.batch(3, 6))
    for first in (0, 2, 4, 6):
        have = inside.audit(DEVICE, box.batch(first, 8))
        assert isinstance(have, Have) and have.size == 8
    have = inside.audit(DEVICE, box.batch(0, 10))
    assert isinstance(have, Have) and have.size == 10 and have.cosigned
    assert len(inside.rows.batches(DEVICE, 0, 10)) == 4


def test_another_history_of_the_same_entries_is_a_fork(inside: Inside, box: HandBox) -> None:
    other = HandBox(box.key, box.log[:5])
    for _ in range(5):
        other.say("recorder.stopped", reason="other")
    inside.audit(DEVICE, box.batch())
    assert forked(inside.audit(DEVICE, other.batch())) == "forked"
    other.say("recorder.stopped", reason="other")
    assert forked(inside.audit(DEVICE, other.batch(10, 11))) == "forked"
    assert forked(inside.audit(DEVICE, other.batch(5, 11))) == "altered"
    assert forked(inside.audit(DEVICE, other.batch(5, 11))) == "altered"
    rows = inside.rows.db.execute("SELECT * FROM forks ORDER BY reason, times").fetchall()
    assert [(one["reason"], one["times"]) for one in rows] == [
        ("altered", 2), ("forked", 1), ("forked", 1),
    ]  # fmt: skip
    key = note.read_key(box.key.public_line())
    for row in rows:  # both sides of the contradiction are signed by the box
        for text in (row["ours"], row["theirs"]):
            assert note.open_checkpoint(text.encode(), key).checkpoint.size in (10, 11)
    have = inside.audit(DEVICE, box.batch(10, 10))
    assert isinstance(have, Have) and have.size == 10  # the log that was there goes on


def test_a_log_that_was_taken_back_is_noticed_by_its_first_entry(
    inside: Inside, box: HandBox
) -> None:
    whole = inside.audit(DEVICE, box.batch())
    assert isinstance(whole, Have) and whole.cosigned
    old = HandBox(box.key, box.log[:7])
    # As long as it writes nothing nobody can tell it from a replay; it is told what it once signed.
    assert inside.audit(DEVICE, old.batch(7, 7)) == whole
    old.say("recorder.stopped", reason="after")
    assert forked(inside.audit(DEVICE, old.batch(7, 8))) == "rewound"
    assert forked(inside.audit(DEVICE, old.batch(8, 8))) == "rewound"
    for _ in range(3):
        old.say("recorder.stopped", reason="after")
    assert forked(inside.audit(DEVICE, old.batch(10, 11))) == "forked"  # longer than it ever was


@pytest.mark.parametrize("with_peaks", [True, False])
def test_every_old_batch_sent_again_is_no_fork_whatever_its_size(
    inside: Inside, box: HandBox, with_peaks: bool
) -> None:
    sent = []
    for first, end in ((0, 4), (4, 5), (5, 8), (8, 10)):
        sent += [box.batch(first, end, box.log[:end]), box.batch(end, end, box.log[:end])]
        inside.audit(DEVICE, sent[-2])
        inside.audit(DEVICE, sent[-1])
    have = inside.audit(DEVICE, box.batch(10, 10))
    assert isinstance(have, Have) and have.size == 10
    if not with_peaks:  # rows of an older version
        inside.rows.db.execute("UPDATE batches SET peaks = NULL")
    for size in range(11):
        assert inside.audit(DEVICE, box.batch(size, size, box.log[:size])) == have
    before = inside.rows.log(DEVICE)
    for payload in (*sent[::-1], *sent):
        again = inside.audit(DEVICE, payload)
        assert isinstance(again, Have) and again.size == 10
    assert inside.rows.log(DEVICE).size == before.size
    assert not inside.rows.db.execute("SELECT 1 FROM forks").fetchall()


def test_an_old_checkpoint_does_not_take_the_place_of_the_newest(
    inside: Inside, box: HandBox
) -> None:
    inside.audit(DEVICE, box.batch(0, 4, box.log[:4]))
    old = box.batch(4, 5, box.log[:7])
    inside.audit(DEVICE, box.batch(4, 5))
    assert inside.rows.log(DEVICE).head_size == 10
    assert inside.audit(DEVICE, old) == Have(5, "")
    assert inside.rows.log(DEVICE).head_size == 10
    seven = inside.audit(DEVICE, box.batch(5, 7, box.log[:7]))  # it may still be cosigned
    assert isinstance(seven, Have) and seven.size == 7
    assert note.parse_checkpoint(note.parse(seven.cosigned.encode()).text).size == 7
    assert inside.rows.log(DEVICE).head_size == 10


def test_another_key_is_a_fork_and_a_stranger_is_nobody(inside: Inside, box: HandBox) -> None:
    stranger = HandBox(LogKey.new(f"greffier/{DEVICE}"), box.log)
    assert forked(inside.audit(DEVICE, stranger.batch())) == "key"
    assert inside.audit("box-ffffffff", box.batch()) is None
    assert inside.audit(DEVICE, b"nothing") is None
    garbled = box.batch(checkpoint=b"no note")
    assert inside.audit(DEVICE, garbled) is None


def test_a_wrong_proof_a_wrong_root_and_no_entry_are_forks(inside: Inside, box: HandBox) -> None:
    good = batches.decode(box.batch(0, 5))
    bad = batches.Batch(0, good.entries, good.checkpoint, (*good.proof[:-1], bytes(32)))
    assert forked(inside.audit(DEVICE, batches.encode(bad))) == "forked"
    signer = Signer(box.key.name, box.key.private)
    wrong = signer.sign(Checkpoint(box.key.name, 10, bytes(32)).text)
    assert forked(inside.audit(DEVICE, box.batch(checkpoint=wrong))) == "forked"
    moved = [box.log[0], box.log[2], box.log[1]]
    assert forked(inside.audit(DEVICE, box.batch(log=moved))) == "altered"
    assert forked(inside.audit(DEVICE, box.batch(log=[box.log[0], b"{}"]))) == "altered"
    assert inside.audit(DEVICE, box.batch(0, 0)) == Have(0, "")


def test_an_object_that_was_changed_stops_the_comparison(inside: Inside, box: HandBox) -> None:
    inside.audit(DEVICE, box.batch(0, 5))
    (row,) = inside.rows.batches(DEVICE, 0, 5)
    (inside.office.objects / row.object).write_bytes(b"x")
    with pytest.raises(IntegrityError):
        inside.audit(DEVICE, box.batch(3, 8))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    )
)
def test_the_copy_is_always_a_beginning_of_one_history(
    office: Office, said: list[tuple[bool, int, int, int]]
) -> None:
    """A box with two histories says anything of either, in any order."""
    inside = Inside(office)
    name = f"box-{secrets.token_hex(4)}"
    true = HandBox(LogKey.new(f"greffier/{name}"))
    enrol(office, true.key)
    for number in range(9):
        true.say("recorder.stopped", reason=f"r{number}")
    false = HandBox(true.key, true.log[:4])
    for number in range(5):
        false.say("recorder.stopped", reason=f"f{number}")
    cosigned = 0
    for which, *numbers in said:
        first, end, size = sorted(numbers)
        log = (true if which else false).log[:size]
        inside.audit(name, true.batch(first, end, log))
        held = inside.rows.log(name)
        entries = [
            one for row in inside.rows.batches(name, 0, 99) for one in inside.keeper.entries(row)
        ]
        assert len(entries) == held.size >= held.cosigned_size >= cosigned
        assert entries in (true.log[: held.size], false.log[: held.size])
        cosigned = held.cosigned_size
        frontier = Frontier()
        for one in entries:
            frontier.append(leaf_hash(one))
        assert frontier.peaks == held.peaks
    inside.close()


def test_two_collectors_take_the_same_batch(inside: Inside, box: HandBox) -> None:
    """The second finds the log grown between its look and its write, and looks again."""
    other = Inside(inside.office)
    look = other.rows.log

    def look_and_be_late(device: str) -> object:
        found = look(device)
        if found.size == 0:
            inside.audit(DEVICE, box.batch())
        return found

    other.rows.log = look_and_be_late  # type: ignore[method-assign, assignment]
    have = other.audit(DEVICE, box.batch())
    assert isinstance(have, Have) and have.size == 10
    assert len(inside.rows.batches(DEVICE, 0, 10)) == 1
    other.close()


def forget(kind: str, key: str | None, forgetful: pytest.MonkeyPatch) -> None:
    """This program becomes one that does not know *kind*, or not its *key*."""
    older = dict(KINDS)
    known = older.pop(kind)
    if key is not None:
        optional = {name: form for name, form in known.optional.items() if name != key}
        order = tuple(one for one in known.order if one[0] != key)
        older[kind] = Kind(known.required, optional, known.times, order)
    for room in (entries, catching_up):
        forgetful.setattr(room, "KINDS", older)


@pytest.mark.parametrize("key", [None, "envelope"])
def test_entries_of_a_newer_program_are_kept_and_read_once_head_office_is_updated(
    inside: Inside, box: HandBox, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = box.hold(100), box.hold(200)

    def envelope(held: Held) -> str | None:
        part = inside.rows.part(DEVICE, held.part)
        assert part is not None
        return part.envelope

    with monkeypatch.context() as older:
        forget("part.opened", key, older)
        answer = inside.keeper.take(DEVICE, box.batch(0, 12))
        assert answer is not None
        assert answer.message == Have(12, "")
        assert "part.opened" in answer.alarm and "update head office" in answer.alarm
        again = inside.keeper.take(DEVICE, box.batch(12, 14))
        assert again is not None and isinstance(again.message, Have)
        assert again.message.cosigned and again.alarm == "", "it is told once"
        assert [one.seq for one in inside.rows.unread()[DEVICE]] == [10, 12]
        assert read_again(inside.rows, inside.keeper.entries, lambda: None) == {}
        assert [envelope(one) for one in (first, second)] == [None, None]
    assert read_again(inside.rows, inside.keeper.entries, lambda: None) == {DEVICE: 2}
    for held in (first, second):
        assert envelope(held) == sha256(held.envelope).hexdigest()
    assert inside.rows.unread() == {}
    assert read_again(inside.rows, inside.keeper.entries, lambda: None) == {}
    assert inside.rows.db.execute("SELECT * FROM forks").fetchall() == []


def test_what_came_later_has_the_last_word_when_an_older_entry_is_read(
    inside: Inside, box: HandBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = f"{DEVICE}/desk/0000000001"
    box.say("call.decided", uid=uid, line="desk", record="seg", codes=["A"], call="0" * 64)
    box.say("call.ended", uid=uid, result="ok", record="full", codes=["B"])
    with monkeypatch.context() as older:
        forget("call.decided", None, older)
        inside.audit(DEVICE, box.batch())

    def told() -> tuple[str, str, int]:
        row = inside.rows.db.execute("SELECT * FROM calls").fetchone()
        return row["record"], row["codes"], row["decided_seq"]

    assert told() == ("full", '["B"]', None)
    read_again(inside.rows, inside.keeper.entries, lambda: None)
    assert told() == ("full", '["B"]', 10)


def test_an_entry_that_no_program_wrote_is_still_a_fork(inside: Inside, box: HandBox) -> None:
    entry = box.log[9].replace(b'"ev":"recorder.stopped"', b'"ev":"recorder.slept"')
    for wrong in (
        entry.replace(b'"seq":9', b'"seq":8'),
        entry.replace(b'"v":1', b'"v":2'),
        entry.replace(b'"ev":"', b'"ev":"R'),
        entry.replace(b'"data":{', b'"data":{ '),
        entry.replace(b'"salt":"', b'"salt":"x'),
    ):
        assert wrong != entry
        assert forked(inside.audit(DEVICE, box.batch(log=[*box.log[:9], wrong]))) == "altered"
    assert inside.audit(DEVICE, box.batch(0, 10, [*box.log[:9], entry])) != Have(0, "")
    assert inside.rows.log(DEVICE).size == 10
