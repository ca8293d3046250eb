"""Batches from the recorder's own files: whole, proven, over several files, and never a guess."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sync.recorder_double import RecorderDouble

from greffier import merkle
from greffier.audit import batch, note, segments
from greffier.control.transfer import Work
from greffier.sync.log_reader import MOST_FRAMES, LogReader
from greffier.sync.recorder_link import Away, RecorderLink
from greffier.trust import LogKey

DEVICE = "box-00000001"


@pytest.fixture(name="recorder")
def _recorder(tmp_path: Path) -> Iterator[RecorderDouble]:
    key = LogKey.new(f"greffier/{DEVICE}")
    with RecorderDouble(tmp_path / "rec", key, DEVICE) as recorder:
        yield recorder


@pytest.fixture(name="reader")
def _reader(recorder: RecorderDouble) -> Iterator[LogReader]:
    reader = LogReader(recorder.socket)
    yield reader
    reader.forget()


def work(recorder: RecorderDouble) -> Work:
    return RecorderLink(recorder.socket).work()


def replicate(recorder: RecorderDouble, reader: LogReader, first: int = 0) -> list[bytes]:
    """What head office has after all batches, each of them verified."""
    now = work(recorder)
    leaves: list[bytes] = [merkle.leaf_hash(one) for one in every_entry(recorder)[:first]]
    entries: list[bytes] = []
    while first < now.log_size:
        payload = reader.batch(now, first)
        assert len(payload) <= batch.LARGEST_BATCH
        found = batch.decode(payload)
        assert found.first == first
        entries += found.entries
        leaves += map(merkle.leaf_hash, found.entries)
        first = found.end
        checkpoint = note.open_checkpoint(found.checkpoint, recorder.signer.log_key, ()).checkpoint
        assert checkpoint.size == now.log_size
        assert merkle.verify_consistency(
            first, checkpoint.size, found.proof, merkle.root(leaves), checkpoint.root
        )
    return entries


def every_entry(recorder: RecorderDouble) -> list[bytes]:
    folder = recorder.folder / "audit"
    found = []
    for one in segments.listed(folder):
        found += [entry for _, entry in segments.frames((folder / one.name).read_bytes())]
    return found


def grow(recorder: RecorderDouble, count: int) -> None:
    for _ in range(count):
        recorder.log.append(
            "part.opened", "0" * 32, {"part": "1" * 32, "recording": "0" * 32, "number": 1}
        )
    recorder.log.commit()


def test_batches_carry_the_whole_log_bit_for_bit(
    recorder: RecorderDouble, reader: LogReader
) -> None:
    grow(recorder, 700)
    entries = replicate(recorder, reader)
    assert entries == every_entry(recorder)
    assert sum(map(len, entries)) > 2 * MOST_FRAMES, "it takes several batches"
    grow(recorder, 1)
    assert replicate(recorder, reader, 701) == every_entry(recorder)[701:]
    assert replicate(recorder, reader, 3) == every_entry(recorder)[3:], "and again from before"


def test_a_log_of_several_files_is_one_log(
    recorder: RecorderDouble, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greffier.audit.segments.SEGMENT", 50)
    monkeypatch.setattr("greffier.sync.log_reader._MARK_EVERY", 16)
    for _ in range(5):
        grow(recorder, 40)
    assert len(segments.listed(recorder.folder / "audit")) > 2
    assert replicate(recorder, reader) == every_entry(recorder)
    assert replicate(recorder, reader, 120) == every_entry(recorder)[120:]


def test_a_question_names_the_end_and_proves_nothing(
    recorder: RecorderDouble, reader: LogReader
) -> None:
    found = batch.decode(reader.question(work(recorder)))
    assert (found.first, found.end, found.proof) == (1, 1, ())


def test_growth_is_seen_by_the_length_of_the_leaves(
    recorder: RecorderDouble, reader: LogReader
) -> None:
    assert reader.grown() is None
    reader.open_leaves()
    assert reader.grown() == 1
    recorder.say()
    assert reader.grown() == 2
    (recorder.folder / "audit" / "leaves").unlink()
    assert reader.grown() is None, "the file was made anew"


def test_files_that_do_not_fit_are_told_and_asked_for_again(
    recorder: RecorderDouble, reader: LogReader
) -> None:
    grow(recorder, 20)
    now = work(recorder)
    (name,) = (one.name for one in segments.listed(recorder.folder / "audit"))
    path = recorder.folder / "audit" / name
    good = path.read_bytes()
    path.write_bytes(good[:100])
    with pytest.raises(Away):
        reader.batch(now, 0)
    path.write_bytes(good)
    assert batch.decode(reader.batch(now, 0)).end == 21


def test_no_recorder_is_away(recorder: RecorderDouble, reader: LogReader) -> None:
    now = work(recorder)
    recorder.stop()
    with pytest.raises(Away):
        reader.batch(now, 0)
    recorder.start()
    assert batch.decode(reader.batch(now, 0)).end == 1
