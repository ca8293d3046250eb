"""What the recorder is asked, and what is made of its answers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sync.recorder_double import RecorderDouble

from greffier.control.board import Handed
from greffier.control.messages import Failure
from greffier.control.transfer import AskPart, AskWork
from greffier.sync.chunk import BLOCK
from greffier.sync.recorder_link import Altered, Away, Gone, NotBelieved, RecorderLink
from greffier.trust import LogKey

DEVICE = "box-00000001"


@pytest.fixture(name="recorder")
def _recorder(tmp_path: Path) -> Iterator[RecorderDouble]:
    key = LogKey.new(f"greffier/{DEVICE}")
    with RecorderDouble(tmp_path / "rec", key, DEVICE) as recorder:
        yield recorder


@pytest.fixture(name="link")
def _link(recorder: RecorderDouble) -> RecorderLink:
    return RecorderLink(recorder.socket)


def test_a_part_is_offered_as_it_is(recorder: RecorderDouble, link: RecorderLink) -> None:
    data = os.urandom(2 * BLOCK + 5)
    part = recorder.add(data)
    ready = link.part(recorder.parts[part])
    assert os.pread(ready.fd, 10, BLOCK) == data[BLOCK : BLOCK + 10]
    os.close(ready.fd)
    offered = ready.offered
    assert (offered.part, offered.size, len(offered.blocks)) == (part, len(data), 3)
    assert offered.envelope_block == (recorder.folder / f"{part}.envelope").read_bytes()


def test_a_part_is_read_once_however_often_it_is_offered(
    recorder: RecorderDouble, link: RecorderLink
) -> None:
    part = recorder.add(os.urandom(5000))
    os.close(link.part(recorder.parts[part]).fd)
    (recorder.folder / part).write_bytes(bytes(5000))  # head office will find that
    os.close(link.part(recorder.parts[part]).fd)
    with pytest.raises(Altered):
        RecorderLink(recorder.socket).part(recorder.parts[part])


def test_another_length_is_altered(recorder: RecorderDouble, link: RecorderLink) -> None:
    part = recorder.add(os.urandom(5000))
    os.truncate(recorder.folder / part, 4999)
    with pytest.raises(Altered):
        link.part(recorder.parts[part])


def test_a_part_that_is_not_there_is_gone(recorder: RecorderDouble, link: RecorderLink) -> None:
    sealed = recorder.parts.pop(recorder.add(b"x"))
    with pytest.raises(Gone):
        link.part(sealed)


def test_a_recorder_that_is_away_is_away_for_everything(
    recorder: RecorderDouble, link: RecorderLink
) -> None:
    sealed = recorder.parts[recorder.add(b"x")]
    recorder.stop()
    for ask in (
        link.work,
        lambda: link.part(sealed),
        lambda: link.receipts(("x",)),
        lambda: link.cosigned("x"),
    ):
        with pytest.raises(Away):
            ask()


@pytest.mark.parametrize("word", ["destroyed", "altered", "no_disk"])
def test_refusals_have_their_meaning(
    recorder: RecorderDouble, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    def refuse(request: AskPart, uid: int) -> Failure:
        return Failure("busy" if word == "no_disk" else "refused", word)

    recorder.stop()
    monkeypatch.setattr(recorder, "_part", refuse)
    recorder.start()
    sealed = recorder.parts[recorder.add(b"x")]
    kinds = {"destroyed": Gone, "altered": Altered, "no_disk": Away}
    with pytest.raises(kinds[word]):
        RecorderLink(recorder.socket).part(sealed)


def test_no_descriptor_is_left_open(recorder: RecorderDouble, link: RecorderLink) -> None:
    part = recorder.add(os.urandom(100))
    before = len(list(Path("/proc/self/fd").iterdir()))
    os.truncate(recorder.folder / part, 99)
    for _ in range(20):
        with pytest.raises(Altered):
            link.part(recorder.parts[part])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4, "the server's own may linger"


def test_what_was_not_believed_is_no_absence(
    recorder: RecorderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.stop()
    monkeypatch.setattr(recorder, "_cosigned", lambda request, uid: Failure("refused", "forged"))
    recorder.start()
    with pytest.raises(NotBelieved):
        RecorderLink(recorder.socket).cosigned("x")


def test_an_answer_of_another_kind_is_no_answer(
    recorder: RecorderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = recorder.parts[recorder.add(b"x")]
    work = recorder._work(AskWork(), 0)

    def other(request: AskPart, uid: int) -> Handed:
        assert not isinstance(work, Handed)
        return Handed(work, os.open(recorder.folder / sealed.part, os.O_RDONLY))

    recorder.stop()
    monkeypatch.setattr(recorder, "_part", other)
    recorder.start()
    with pytest.raises(Away):
        RecorderLink(recorder.socket).part(sealed)
