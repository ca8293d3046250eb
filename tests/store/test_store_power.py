"""Power cuts that lose what was not synced: nothing acknowledged is ever among it.

The mutants, which leave a sync out, must be caught: else these tests would prove nothing.
"""

import hashlib
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.seal.frames import Meta
from greffier.seal.part import PartWriter
from greffier.seal.reader import Reader
from greffier.store import journal, journal_recovery
from greffier.store.journal import Journal
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Entry, Name
from greffier.store.vault import Vault
from greffier.trust import FileRoot
from greffier_sim.faults import Fault, FaultySystem, PowerCut
from greffier_sim.power import VolatileSystem

DAY = "2026-03-01"
KEY = bytes(range(32))
SEEDS = 2


class Lost(Exception):
    """Something that was acknowledged is not there, or something half done is."""


def identifier(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]


# --- three things that a recorder does; each returns what it believes to be durable ---


def entry(number: int) -> Entry:
    return Entry(Name(PART, identifier(number)), "C", b"envelope" * 4)


def shred(folder: Path, disk: Disk) -> ShredStore:
    keys = FileRoot(disk, folder / "a" / "effaceable.key", folder / "b" / "effaceable.key")
    if not folder.exists() or not list(folder.iterdir()):
        return ShredStore.create(folder, disk, keys)
    return ShredStore.open(folder, disk, keys)


def prepare_shred(folder: Path, disk: Disk) -> None:
    store = shred(folder, disk)
    store.put(DAY, [entry(1), entry(2), entry(3)])
    store.close()


def use_shred(folder: Path, disk: Disk, told: list[object]) -> None:
    store = shred(folder, disk)
    try:
        store.put(DAY, [entry(4)])
        told.append({1, 2, 3, 4})
        store.put("2026-03-02", [entry(5), entry(6)])
        told.append({1, 2, 3, 4, 5, 6})
        store.destroy([entry(1).name, entry(5).name])
        told.append({2, 3, 4, 6})
        store.put(DAY, [entry(7)])
        told.append({2, 3, 4, 6, 7})
    finally:
        store.close()


def check_shred(folder: Path, told: list[object]) -> None:
    states: list[object] = [
        {1, 2, 3},
        {1, 2, 3, 4},
        {1, 2, 3, 4, 5, 6},
        {2, 3, 4, 6},
        {2, 3, 4, 6, 7},
    ]
    try:
        store = shred(folder, Disk(FaultySystem()))
    except IntegrityError as error:
        raise Lost("the store does not open") from error
    here = {n for n in range(9) if store.day_of(entry(n).name)}
    for number in here:
        if store.get(entry(number).name) != entry(number):
            raise Lost("an entry changed")
    if here not in states[len(told) : len(told) + 2]:
        raise Lost(f"{here} after {told}")


def seal(number: int) -> PartWriter:
    return PartWriter(
        part_id=identifier(number), recording_id=bytes(16), number=0, meta={}, content_key=KEY
    )


def prepare_vault(folder: Path, disk: Disk) -> None:
    disk.make_dirs(folder)


def use_vault(folder: Path, disk: Disk, told: list[object], number: int = 2) -> None:
    vault = Vault(folder, disk)
    try:
        open_parts = []
        for one in range(number):
            writer = seal(one)
            part = vault.create(identifier(one).hex(), DAY, writer.header)
            open_parts.append((writer, part))
        for tick in range(3):
            for writer, part in open_parts:
                part.append(writer.seal(Meta({"tick": tick})))
            vault.commit()
            told.append(tick)
        for _, part in open_parts:
            vault.close(part)
    finally:
        for part in vault.open_parts:
            vault.abandon(part)


def check_vault(folder: Path, told: list[object], number: int = 2) -> None:
    vault = Vault(folder, Disk(FaultySystem()))
    if any(one.state == "damaged" for one in vault.recover()) and told:
        raise Lost("a part is damaged")
    found = {one.part_id: one.path for one in vault.parts()}
    for one in range(number) if told else ():
        path = found.get(identifier(one).hex())
        if path is None:
            raise Lost("a part is gone")
        opened = Reader(path.read_bytes()).open(KEY)
        ticks = [frame.content for frame in opened.frames(allow_unfinished=True)]
        if [Meta({"tick": tick}) for tick in told] != ticks[: len(told)]:
            raise Lost("committed frames are gone")


def use_many(folder: Path, disk: Disk, told: list[object]) -> None:
    use_vault(folder, disk, told, 4)


def check_many(folder: Path, told: list[object]) -> None:
    check_vault(folder, told, 4)


def prepare_journal(folder: Path, disk: Disk) -> None:
    disk.make_dirs(folder)


def use_journal(folder: Path, disk: Disk, told: list[object]) -> None:
    one = Journal.create(folder, disk, "e1", 1, KEY)
    try:
        for number in range(3):
            clear = {"uid": identifier(number).hex(), "line": "l", "start_ns": "1", "end_ns": None}
            one.append(clear | {"recording": None}, {"from": str(number)})
            one.commit()
            told.append(number)
    finally:
        one.let_go()


def check_journal(folder: Path, told: list[object]) -> None:
    journal_recovery.recover(folder, Disk(FaultySystem()))
    found = list(journal.everything(folder))
    if len(found) < len(told):
        raise Lost("a synced call is gone")
    for number, record in enumerate(found):
        if journal.open_sealed(record, KEY) != {"from": str(number)}:
            raise Lost("a call changed")


Prepare = Callable[[Path, Disk], None]
Use = Callable[[Path, Disk, list[object]], None]
Check = Callable[[Path, list[object]], None]
DEEDS: dict[str, tuple[Prepare, Use, Check]] = {
    "shred": (prepare_shred, use_shred, check_shred),
    "vault": (prepare_vault, use_vault, check_vault),
    "vault of many": (prepare_vault, use_many, check_many),
    "journal": (prepare_journal, use_journal, check_journal),
}


def cuts(tmp_path: Path, deed: str, forgets: frozenset[str] = frozenset()) -> tuple[int, int]:
    """Cut the power before each call and after the last, *SEEDS* times; (cuts, losses).

    With a mutant the first loss is enough.
    """
    prepare, use, check = DEEDS[deed]
    start = tmp_path / "data"
    prepare(start, Disk(FaultySystem()))
    count = lost = at = 0
    finished = False
    while not finished and not (lost and forgets):
        at += 1
        for number in range(SEEDS):
            folder = tmp_path / f"{at}-{number}" / "data"
            shutil.copytree(start, folder)
            system = VolatileSystem(at=at, fault=Fault.CUT, folder=folder, forgets=forgets)
            told: list[object] = []
            with suppress(PowerCut):
                use(folder, Disk(system), told)
                finished = True
            system.lose(random.Random(f"{at}/{number}"))
            count += 1
            try:
                check(folder, told)
            except (Lost, AssertionError):
                lost += 1
            shutil.rmtree(folder.parent)
    return count, lost


@pytest.mark.parametrize("deed", DEEDS)
def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path, deed: str) -> None:
    count, lost = cuts(tmp_path, deed)
    assert count > 20
    assert lost == 0


# With many parts one syncfs commits, and that takes the names along: no folder needs its own sync.
MUTANTS = [(deed, what) for deed in DEEDS for what in ("file", "dir")]
MUTANTS.remove(("vault of many", "dir"))


@pytest.mark.parametrize(("deed", "forgotten"), MUTANTS)
def test_a_forgotten_sync_is_noticed(tmp_path: Path, deed: str, forgotten: str) -> None:
    _, lost = cuts(tmp_path, deed, frozenset({forgotten}))
    assert lost > 0
