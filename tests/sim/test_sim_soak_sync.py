"""The checker of `./build.sh soak sync` sees every fault that it is for, in stores made by hand."""

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import audit
from tests.sim.hand_made_stores import DEVICE, Made, Stores, a_part, kept_of, strange_receipt

from greffier_sim import soak_sync_reader
from greffier_sim.soak_sync_checker import Checker
from greffier_sim.strikes import Strike, plan


def checker(stores: Stores) -> Checker:
    return Checker(stores.data, stores.office, stores.key)


def test_stores_without_a_fault_have_none(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "good").write()
    judge = checker(stores)
    assert judge.backlog() == [] and judge.figures["waiting"] == 0
    assert judge.figures["not_cosigned"] == 0
    assert judge.killed() == []
    assert judge.dead() == []
    assert judge.figures == {"received": 3, "rows": 3}
    assert judge.end() == []
    assert judge.figures["parts"] == judge.figures["receipts_verified"] == 3
    assert judge.figures["recovered"] == 1 and judge.figures["objects_of_no_part"] == 0


def test_a_part_may_have_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_sync_reader, "BLOCK", 100)
    stores = Stores(tmp_path / "good", block=100).write()
    assert checker(stores).end() == []
    stores.change("DELETE FROM part_blocks WHERE number = 1")
    assert "blocks" in checker(stores).end()[0]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


LATER_S = 10**9 * 10  # after the entries of a store made by hand


AT_HEAD_OFFICE: dict[str, tuple[Callable[[Stores], object], str]] = {
    "a block is missing": (lambda s: s.block_files()[0].unlink(), "missing"),
    "a block is altered": (lambda s: flip(s.block_files()[0]), "missing or not"),
    "a block is cut": (lambda s: s.block_files()[0].write_bytes(b"x"), "missing or not"),
    "a block came after the receipt": (
        lambda s: os.utime(s.block_files()[0], (LATER_S, LATER_S)),
        "before its last block",
    ),
    "two rows of a part": (
        lambda s: s.change("INSERT INTO parts SELECT * FROM parts LIMIT 1"),
        "2 catalogue rows",
    ),
    "no row of a part": (
        lambda s: s.change("UPDATE parts SET stored_ns = NULL WHERE part = ?", s.parts[0].name),
        "0 catalogue rows",
    ),
    "a row of an unknown part": (
        lambda s: s.change("INSERT INTO parts VALUES (?, 'x', 1, '', 1, '')", DEVICE),
        "which the log does not know",
    ),
    "a row of another length": (lambda s: s.change("UPDATE parts SET bytes = 7"), "length"),
    "another part's envelope": (
        lambda s: s.change(
            "UPDATE envelopes SET block = ? WHERE part = ?",
            s.parts[1].envelope,
            s.parts[0].name,
            base="envelopes",
        ),
        "another than the log says",
    ),
    "no envelope": (lambda s: s.change("DELETE FROM envelopes", base="envelopes"), "0 envelopes"),
    "a receipt that another signed": (
        lambda s: s.change("UPDATE parts SET receipt = ?", strange_receipt(s.parts[0])),
        "does not hold",
    ),
    "a receipt of another part": (
        lambda s: s.change(
            "UPDATE parts SET receipt = ? WHERE part = ?", s.parts[1].receipt(), s.parts[0].name
        ),
        "another part and sha256",
    ),
    "no receipt": (lambda s: s.change("UPDATE parts SET receipt = NULL"), "no receipt"),
    "a batch is gone": (lambda s: s.change("DELETE FROM batches WHERE first = 0"), "follow 0"),
    "a batch is there twice": (
        lambda s: s.change("INSERT INTO batches SELECT * FROM batches"),
        "follow",
    ),
    "a size that the entries do not have": (lambda s: s.change("UPDATE logs SET size = 8"), "of 8"),
    "an honest log that is called forked": (
        lambda s: s.change("INSERT INTO forks VALUES (?, 'rewound')", DEVICE),
        "rewound",
    ),
    "an honest part that was refused": (
        lambda s: s.change("INSERT INTO refusals VALUES (?, 'hash')", DEVICE),
        "honest part: hash",
    ),
    "a cosignature that was forgotten": (
        lambda s: s.change("UPDATE logs SET cosigned_size = 1"),
        "does not remember",
    ),
}


@pytest.mark.parametrize("name", AT_HEAD_OFFICE)
def test_a_fault_at_head_office_is_seen_while_it_is_down_and_at_the_end(
    tmp_path: Path, name: str
) -> None:
    fault, word = AT_HEAD_OFFICE[name]
    stores = Stores(tmp_path / "bad").write()
    fault(stores)
    for found in (checker(stores).dead(), checker(stores).end()):
        assert any(word in one for one in found), found


def received(stores: Stores, receipt: str) -> Stores:
    """The store whose device took *receipt* for its first part."""
    stores.receipts[stores.parts[0].name] = receipt
    return stores.write()


def test_a_receipt_in_the_log_is_made_again_and_verified(tmp_path: Path) -> None:
    first = a_part(1)
    for number, (receipt, word) in enumerate(
        [
            (strange_receipt(first), "does not hold"),
            (first.receipt(sha256="0" * 64), "another sha256"),
            (first.receipt(envelope="0" * 64), "another envelope"),
            (first.receipt(bytes="17"), "another bytes"),
        ]
    ):
        found = checker(received(Stores(tmp_path / str(number)), receipt)).dead()
        assert any("the log's receipt" in one and word in one for one in found), found


def test_a_part_is_received_once(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "twice")
    stores.write()
    stores.say("part.received", kept_of(stores.parts[0].receipt()))
    stores.write_log()
    assert any("received 2 times" in one for one in checker(stores).dead())


def test_a_part_that_was_not_received_is_a_backlog_and_then_a_fault(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "waiting").write()
    late = a_part(4)
    stores.say("part.opened", {"part": late.name, "envelope": "0" * 64})
    ended = {"part": late.name, "bytes": len(late.content), "sha256": late.sha256}
    stores.say("part.sealed", ended)
    cosigned = stores.data / "audit" / "cosigned"
    before = cosigned.read_text()
    stores.write_log()
    cosigned.write_text(before)
    judge = checker(stores)
    assert judge.backlog() == []
    assert judge.figures["waiting"] == 1 and judge.figures["not_cosigned"] == 2
    assert judge.dead() == []  # what was not received need not be there yet
    found = checker(stores).end()
    assert any("no receipt in the device's log" in one for one in found)
    assert any("head office has" in one for one in found)
    assert any("head office cosigned" in one for one in found)


def test_another_history_at_head_office_is_seen(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "twin").write()
    copy = stores.entries[:4] + [stores.entries[3]] * 5
    other = Stores(tmp_path / "forked", parts=stores.parts, copy=copy).write()
    assert any("entry 4 of head office's copy" in one for one in checker(other).dead())


def test_a_tail_that_was_cut_off_the_device_s_log_is_seen(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "cut").write()
    judge, after_a_cut = checker(stores), checker(stores)
    assert judge.killed() == after_a_cut.killed() == []
    del stores.entries[-1]
    stores.write_log()
    assert judge.killed() == ["the device's log lost or changed entries"]
    assert after_a_cut.cut() == []  # if nobody was told of the entry
    stores.entries[-1] = stores.entries[-1].replace(b'"salt":"5a', b'"salt":"5b')
    stores.write_log()
    assert after_a_cut.cut() == ["the device's log has other entries after a power cut"]
    assert any("copy of the log is another" in one for one in checker(stores).dead())


def test_heads_that_nobody_signed_are_seen(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "heads").write()
    for name in ("checkpoint", "cosigned"):
        path = stores.data / "audit" / name
        good = path.read_text()
        root = audit.checkpoint_text(f"greffier/{DEVICE}", len(stores.entries), bytes(32))
        path.write_text(root + "\n" + audit.log_line(f"greffier/{DEVICE}", bytes(32), root))
        assert any("is not of this log" in one for one in checker(stores).end())
        path.write_text(good.replace("=\n", "A\n", 1))
        assert checker(stores).end()
        path.write_text(good)
    assert checker(stores).end() == []


def test_what_head_office_cannot_open_is_seen(tmp_path: Path) -> None:
    parts = [a_part(1), a_part(2, seed=b"another office's key, 32 bytes!!")]
    found = checker(Stores(tmp_path / "closed", parts=parts).write()).end()
    assert found == [one for one in found if "does not open" in one] and len(found) == 1


def test_a_part_that_was_sealed_must_have_its_end(tmp_path: Path) -> None:
    cut = a_part(1, cut=True)
    sealed = Made(cut.name, cut.content, cut.envelope)
    found = checker(Stores(tmp_path / "endless", parts=[sealed]).write()).end()
    assert len(found) == 1 and "does not open" in found[0]


def test_a_part_that_differs_on_the_device_is_seen(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "differs").write()
    flip(next((stores.data / "vault").rglob("*.gpart")))
    assert any("is not at head office what it is" in one for one in checker(stores).end())


# --- when strikes come --------------------------------------------------------------------------


@given(st.integers(0, 120), st.integers(0, 1000), st.floats(1, 2000), st.booleans())
def test_strikes_are_shared_out_and_those_of_a_target_do_not_overlap(
    count: int, seed: int, seconds: float, power: bool
) -> None:
    found = plan(random.Random(seed), count, seconds, power=power)
    assert len(found) == count
    assert found == sorted(found, key=lambda one: one.at_s)
    machines = {"sync": "box", "recorder": "box", "office": "site", "broker": "site"}
    by_target: dict[str, list[Strike]] = {}
    for one in found:
        assert 0 <= one.at_s <= seconds and one.down_s >= 0
        name = machines.get(one.target, one.target) if power else one.target
        by_target.setdefault(name, []).append(one)
    counts = [len(some) for some in by_target.values()]
    assert not counts or max(counts) - min(counts) <= 1
    for some in by_target.values():
        assert all(one.back_s <= after.at_s for one, after in itertools.pairwise(some))
    assert found == plan(random.Random(seed), count, seconds, power=power)


@pytest.mark.parametrize(("power", "expected"), [(False, 7), (True, 9)])
def test_every_kind_of_strike_is_in_a_schedule(power: bool, expected: int) -> None:
    strikes = plan(random.Random(1), 50, 600, power=power)
    kinds = Counter((one.target, one.how) for one in strikes)
    assert len(kinds) == expected and min(kinds.values()) >= 3
