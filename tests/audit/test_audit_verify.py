"""Whatever is changed in the log after it was signed, verification says so."""

import base64
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.audit.scene import (
    DEVICE,
    HASH,
    SIGNER,
    WITNESS,
    log_of,
    new_log,
    open_log,
    part_id,
    signer,
    story,
)  # fmt: skip
from tests.reference import audit as reference

from greffier.audit import note, segments
from greffier.audit.entry import decode
from greffier.audit.narrative import cross_check
from greffier.audit.verify import Report, entries, verify
from greffier.errors import IntegrityError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit" / "log.json").read_text())
ENTRIES, LEAVES, CHECKPOINT = "entries-0000000000.glog", "leaves", "checkpoint"
TRUST = [SIGNER.log_key]


def codes(report: Report) -> set[str]:
    return {problem.code for problem in report.problems}


class Copy:
    """A log in memory that can be altered and verified again and again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / "audit"
        self.files = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.entries = [raw for _, raw in segments.frames(self.files[ENTRIES])]

    def with_files(self, **changed: bytes | None) -> Report:
        """The report with some files altered (or gone); they are put back."""
        names = {"entries": ENTRIES, "leaves": LEAVES, "checkpoint": CHECKPOINT}
        try:
            for key, data in changed.items():
                path = self.folder / names[key]
                if data is None:
                    path.unlink()
                else:
                    path.write_bytes(data)
            return verify(self.data_dir)
        finally:
            for key in changed:
                (self.folder / names[key]).write_bytes(self.files[names[key]])

    def with_entries(self, changed: list[bytes], leaves: bool = False) -> Report:
        """The report with other entries, every checksum (and leaf, if asked) made right again."""
        data = b"".join(map(reference.frame, changed))
        if leaves:
            return self.with_files(entries=data, leaves=b"".join(map(reference.leaf, changed)))
        return self.with_files(entries=data)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    data_dir = tmp_path_factory.mktemp("long")
    log_of(data_dir, 200)
    return Copy(data_dir)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    data_dir = tmp_path_factory.mktemp("short")
    log_of(data_dir, 12)
    return Copy(data_dir)


def test_the_untouched_logs_verify(long: Copy, short: Copy) -> None:
    report = verify(long.data_dir, TRUST)
    assert (report.ok, report.entries, report.size, report.cosigned_size) == (True, 200, 200, 0)
    root = base64.b64encode(reference.tree([reference.leaf(raw) for raw in long.entries]))
    assert report.root == root.decode()
    assert report.as_json() == {
        "ok": True, "entries": 200, "size": 200, "root": root.decode(), "cosigned_size": 0,
        "problems": [],
    }  # fmt: skip
    assert verify(short.data_dir).ok


def edited(raw: bytes) -> bytes:
    return raw.replace(b'"t_src":"build"', b'"t_src":"statement"')


@pytest.mark.parametrize("leaves", [False, True], ids=["leaves kept", "leaves made right"])
def test_an_edit_at_every_index_is_found(long: Copy, leaves: bool) -> None:
    for at, raw in enumerate(long.entries):
        changed = [*long.entries[:at], edited(raw), *long.entries[at + 1 :]]
        report = long.with_entries(changed, leaves)
        assert "root" in codes(report)
        if not leaves:
            where = {one.seq for one in report.problems if one.code == "entry.altered"}
            assert where == {at}


@pytest.mark.parametrize("leaves", [False, True], ids=["leaves kept", "leaves made right"])
def test_deletion_duplication_and_exchange_are_found_along_the_log(
    long: Copy, leaves: bool
) -> None:
    all_of = long.entries
    for at in range(0, 200, 3 if leaves else 9):
        deleted = all_of[:at] + all_of[at + 1 :]
        doubled = all_of[: at + 1] + all_of[at:]
        assert not long.with_entries(deleted, leaves).ok
        assert not long.with_entries(doubled, leaves).ok
        if at:
            exchanged = [*all_of[: at - 1], all_of[at], all_of[at - 1], *all_of[at + 1 :]]
            assert "entry.order" in codes(long.with_entries(exchanged, leaves))


def test_an_insertion_with_numbers_made_right_is_found(short: Copy) -> None:
    for at in range(len(short.entries) + 1):
        fresh = json.loads(short.entries[1])
        rows = [*short.entries[:at], reference.canonical(fresh), *short.entries[at:]]
        renumbered = [
            reference.canonical(json.loads(raw) | {"seq": seq}) for seq, raw in enumerate(rows)
        ]
        assert not short.with_entries(renumbered, leaves=True).ok


def test_every_byte_of_an_entry_counts(short: Copy) -> None:
    raw = short.entries[2]
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ (0x20 if at % 2 else 0x01)]) + raw[at + 1 :]
        rows = [*short.entries[:2], changed, *short.entries[3:]]
        assert "root" in codes(short.with_entries(rows, leaves=True))


def test_a_cut_at_every_entry_and_inside_the_last_is_found(long: Copy) -> None:
    data = long.files[ENTRIES]
    offsets = [at for at, _ in segments.frames(data)]
    for size in [*offsets, *range(offsets[-1], len(data), 2)]:
        found = codes(long.with_files(entries=data[:size]))
        assert "root" in found and found & {"entries.missing", "entries.damaged"}
    for seq, at in list(enumerate(offsets))[::7]:
        report = long.with_files(entries=data[:at], leaves=long.files[LEAVES][: 32 * seq])
        assert {"root", "entries.missing", "leaves.short"} <= codes(report)


def test_every_missing_file_is_found(short: Copy) -> None:
    assert "entries.missing" in codes(short.with_files(entries=None))
    assert "leaves.short" in codes(short.with_files(leaves=None))
    assert "checkpoint.missing" in codes(short.with_files(checkpoint=None))


@pytest.mark.slow
def test_ten_thousand_random_changes_are_all_found(tmp_path: Path) -> None:
    log_of(tmp_path, 7)
    small = Copy(tmp_path)
    draw = random.Random(20_261_122)
    kinds = ("entries", "leaves", "checkpoint")
    names = {"entries": ENTRIES, "leaves": LEAVES, "checkpoint": CHECKPOINT}
    for _ in range(10_000):
        key = draw.choice(kinds)
        data = bytearray(small.files[names[key]])
        at, size = draw.randrange(len(data)), draw.randint(1, 40)
        change = draw.randrange(6)
        if change == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif change == 1:
            del data[at : at + size]
        elif change == 2:
            data[at:at] = draw.randbytes(size)
        elif change == 3:
            del data[at:]
        elif change == 4:
            data[at:at] = data[draw.randrange(len(data)) :][:size]
        else:
            other = draw.randrange(len(data))
            data[at : at + 8], data[other : other + 8] = (
                data[other : other + 8], data[at : at + 8],
            )  # fmt: skip
        if bytes(data) == small.files[names[key]]:
            continue
        assert not small.with_files(**{key: bytes(data)}).ok, (key, change, at)


def signed(by: note.Signer, origin: str, raws: list[bytes]) -> bytes:
    root = reference.tree([reference.leaf(raw) for raw in raws])
    return by.sign(reference.checkpoint_text(origin, len(raws), root))


def test_a_checkpoint_of_another_key_or_log_is_found(short: Copy) -> None:
    impostor = signer(SIGNER.name, bytes(32))
    rows = [edited(raw) for raw in short.entries]
    whole = {
        "entries": b"".join(map(reference.frame, rows)),
        "leaves": b"".join(map(reference.leaf, rows)),
    }
    forged = signed(impostor, SIGNER.name, rows)
    assert codes(short.with_files(**whole, checkpoint=forged)) == {
        "checkpoint.unsigned", "leaves.long", "entries.extra",
    } - {"entries.extra"}  # fmt: skip
    foreign = signed(SIGNER, "greffier/other", short.entries)
    assert "checkpoint.origin" in codes(short.with_files(checkpoint=foreign))
    assert "checkpoint.garbled" in codes(short.with_files(checkpoint=b"nonsense\n"))
    wrong = short.files[CHECKPOINT].replace(b"\n12\n", b"\n11\n")
    assert "checkpoint.forged" in codes(short.with_files(checkpoint=wrong))


def test_an_older_checkpoint_of_the_same_key_is_found(short: Copy) -> None:
    older = signed(SIGNER, SIGNER.name, short.entries[:9])
    assert {"entries.extra", "leaves.long"} == codes(short.with_files(checkpoint=older))


def test_a_swapped_key_is_found_by_whoever_brings_the_key(tmp_path: Path) -> None:
    log_of(tmp_path, 12)
    copy = Copy(tmp_path)
    impostor = signer(SIGNER.name, bytes(32))
    (tmp_path / "audit" / CHECKPOINT).write_bytes(signed(impostor, SIGNER.name, copy.entries))
    (tmp_path / "keys" / "log.pub").write_text(impostor.log_key.text)
    assert verify(tmp_path).ok
    assert "checkpoint.unsigned" in codes(verify(tmp_path, TRUST))


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "key.missing"), (b"\xff", "key.garbled"), (b"nonsense", "key.garbled")],
)
def test_without_a_key_nothing_is_believed(
    tmp_path: Path, content: bytes | None, code: str
) -> None:
    log_of(tmp_path, 12)
    path = tmp_path / "keys" / "log.pub"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert {code, "checkpoint.unsigned"} <= codes(verify(tmp_path))
    assert verify(tmp_path, TRUST).ok


def test_a_folder_without_a_log_is_a_report_and_no_crash(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert (report.entries, report.size, report.root) == (0, 0, "")
    assert {"key.missing", "checkpoint.missing"} == codes(report)
    with pytest.raises(IntegrityError):
        list(entries(tmp_path))


def test_a_foreign_file_is_found(tmp_path: Path) -> None:
    log_of(tmp_path, 12)
    folder = tmp_path / "audit"
    (folder / "notes.txt").write_text("hello")
    assert codes(verify(tmp_path)) == {"file.unknown"}
    (folder / "notes.txt").unlink()
    shutil.copy(folder / ENTRIES, folder / "entries-0000000000.1.glog")
    assert codes(verify(tmp_path)) == {"entries.extra"}
    (folder / "entries-0000000000.1.glog").unlink()
    (folder / "entries-0000000099.glog").write_bytes((folder / ENTRIES).read_bytes())
    assert codes(verify(tmp_path)) == {"entries.extra"}


def test_a_running_recorder_is_no_problem(tmp_path: Path) -> None:
    log_of(tmp_path, 12)
    path = tmp_path / "audit" / ENTRIES
    path.write_bytes(path.read_bytes() + b"half of a fra")
    assert codes(verify(tmp_path)) == {"entries.extra"}
    assert verify(tmp_path, live=True).ok


def test_a_cosigned_fork_is_found(tmp_path: Path) -> None:
    log_of(tmp_path, 12)
    fork = note.Checkpoint(SIGNER.name, 9, bytes(32))
    data = SIGNER.sign(fork.text) + WITNESS.cosign(fork, 5)
    (tmp_path / "audit" / "cosigned").write_bytes(data)
    report = verify(tmp_path, [*TRUST, WITNESS.witness_key])
    assert codes(report) == {"forked"} and report.cosigned_size == 0


def test_the_vector_of_the_second_implementation_verifies(tmp_path: Path) -> None:
    for name, data in VECTORS["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
    report = verify(tmp_path)
    assert report.ok, report.problems
    assert (report.size, report.root) == (VECTORS["size"], VECTORS["root"])
    assert open_log(tmp_path).checkpoint.size == VECTORS["size"]


# --- what the entries say ---


def told(tmp_path: Path, tell: Callable[[Any], None]) -> Report:
    log = new_log(tmp_path)
    tell(log.append)
    log.commit()
    log.close()
    return verify(tmp_path)


def decided(line: str, number: int) -> dict[str, Any]:
    uid = f"{DEVICE}/{line}/{number:010d}"
    return {"uid": uid, "line": line, "record": "none", "codes": ["SAMPLED_OUT"], "call": HASH}


def opened(number: int) -> dict[str, Any]:
    return {"part": part_id(number), "recording": part_id(number), "number": 0}


def sealed(number: int) -> dict[str, Any]:
    return opened(number) | {
        "bytes": 5, "sha256": HASH, "root": HASH, "commitment": HASH, "frames": 1, "end": "ended",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "good"),
    [([1, 2, 3], True), ([1, 3], False), ([2], False), ([0, 1], False), ([1, 1], False),
     ([1, 2, 1], False), ([2, 1], False)],
)  # fmt: skip
def test_call_numbers_of_a_line_have_no_gap(tmp_path: Path, numbers: list[int], good: bool) -> None:
    def tell(append: Any) -> None:
        for number in numbers:
            append("call.decided", None, decided("l1", number))
        append("call.decided", None, decided("l2", 1))

    assert codes(told(tmp_path, tell)) == (set() if good else {"call.number"})


def test_a_part_must_be_sealed_before_its_run_ends(tmp_path: Path) -> None:
    def tell(append: Any) -> None:
        append("part.opened", None, opened(1))
        append("epoch.closed", None, {"epoch": "2026-11-22"})
        append("part.opened", None, opened(2))

    report = told(tmp_path, tell)
    assert [(one.code, one.seq) for one in report.problems] == [("part.not_sealed", 0)]


def test_a_recovered_part_counts_as_closed(tmp_path: Path) -> None:
    def tell(append: Any) -> None:
        append("part.opened", None, opened(1))
        append("epoch.opened", None, {"epoch": "2026-11-23", "commit": HASH})
        append(
            "part.recovered", None, {"part": part_id(1), "bytes": 4, "sha256": HASH, "frames": 1}
        )

    assert told(tmp_path, tell).ok


def test_a_part_that_held_nothing_need_not_be_in_the_vault(tmp_path: Path) -> None:
    def tell(append: Any) -> None:
        append("part.opened", None, opened(1))
        append(
            "part.recovered", None, {"part": part_id(1), "bytes": 0, "sha256": HASH, "frames": 0}
        )

    assert told(tmp_path, tell).ok
    assert verify(tmp_path, parts={}).ok
    assert codes(verify(tmp_path, parts={part_id(1): (5, HASH)})) == {"part.altered"}


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([("part.sealed", sealed(1))], "part.not_opened"),
        ([("part.opened", opened(1)), ("part.opened", opened(1))], "part.opened_twice"),
        (
            [("part.opened", opened(1)), ("part.sealed", sealed(1)), ("part.sealed", sealed(1))],
            "part.sealed_twice",
        ),
    ],
)
def test_a_part_has_one_beginning_and_one_end(
    tmp_path: Path, rows: list[tuple[str, dict[str, Any]]], code: str
) -> None:
    def tell(append: Any) -> None:
        for kind, data in rows:
            append(kind, None, data)

    assert code in codes(told(tmp_path, tell))


def test_log_and_vault_are_compared(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    vault = story(log, 4)
    log.append("part.opened", None, opened(9))
    log.append(
        "key.shredded", None, {"reason": "EXPIRED", "class": "C", "parts": [part_id(1), part_id(2)]}
    )
    log.commit()
    log.close()
    assert verify(tmp_path, parts=vault | {part_id(9): (17, "00" * 32)}).ok
    del vault[part_id(1)], vault[part_id(3)]
    vault[part_id(4)] = (vault[part_id(4)][0] + 1, HASH)
    vault[part_id(77)] = (1, HASH)
    problems = cross_check(entries(tmp_path), vault)
    assert [(one.code, one.detail[5:37]) for one in problems] == [
        ("part.missing", part_id(3)), ("part.altered", part_id(4)), ("part.unknown", part_id(77)),
    ]  # fmt: skip
    assert codes(verify(tmp_path, parts=vault)) == {one.code for one in problems}


def test_reading_the_entries_refuses_damage(short: Copy) -> None:
    assert len(list(entries(short.data_dir))) == 12
    path = short.folder / ENTRIES
    for data in (b"", short.files[ENTRIES][:-1], b"\1" + short.files[ENTRIES][1:]):
        path.write_bytes(data)
        with pytest.raises(IntegrityError):
            list(entries(short.data_dir))
    swapped = [short.entries[1], short.entries[0], *short.entries[2:]]
    path.write_bytes(b"".join(map(reference.frame, swapped)))
    assert decode(short.entries[0]).seq == 0
    with pytest.raises(IntegrityError):
        list(entries(short.data_dir))
    path.write_bytes(short.files[ENTRIES])
