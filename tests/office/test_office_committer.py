"""The committer's thread: what one box says often is one note; the log does not grow for ever."""

import time
from pathlib import Path

import pytest
from tests.office.in_process import Voice, enrol

from greffier.durable import Disk
from greffier.sync.messages import Presence
from greffier.trust import LogKey
from greffier_office import committer as committers
from greffier_office import place
from greffier_office.catalogue import Catalogue
from greffier_office.committer import BlockStored, Committer, Heard, OfferRefused
from greffier_office.envelopes import Envelopes
from greffier_office.place import Office
from greffier_sim.service import wait_until

DEVICE = "box-1a2b3c4d"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = place.create(tmp_path / "office", Disk(), time.time_ns())
    enrol(made, LogKey.new(f"greffier/{DEVICE}"))
    return made


def committer(office: Office) -> Committer:
    def opened() -> tuple[Catalogue, Envelopes]:
        return Catalogue.open(office.catalogue, Disk()), office.open_envelopes(Disk())

    return Committer(opened, office.receipt_signer(), Voice(), lambda _part, _outcome: None)


def test_what_a_box_says_often_is_written_once(office: Office) -> None:
    one = committer(office)
    for number in range(5000):
        said = Presence(True, "a" * 32, "0.1.0", number, 0, 0, 0, number)
        one.put(Heard(DEVICE, said))
        one.put(OfferRefused(DEVICE, f"{number:032x}", "hash"))
    one.stop()
    one.run()  # in this thread: all of it before it ends
    db = office.open_catalogue(Disk())
    (seen,) = db.execute("SELECT log_size FROM presence").fetchall()
    (refused,) = db.execute("SELECT times, part FROM refusals").fetchall()
    db.close()
    assert seen[0] == 4999
    assert tuple(refused) == (5000, f"{4999:032x}")


def test_the_write_ahead_log_is_moved_into_the_file(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committers, "CHECKPOINT_S", 0.0)
    one = committer(office)
    one.start()
    before = office.catalogue.stat().st_size
    for number in range(3000):
        one.put(BlockStored(f"{number:064x}", 1))

    def grown() -> bool:
        return office.catalogue.stat().st_size > before + 300_000

    wait_until(grown, "rows are in the file itself")
    one.stop()
    one.join(120)
    assert not one.is_alive()
