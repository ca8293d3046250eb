"""Capture files: what is a record, what is refused, what is said about damage."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture import pcap
from greffier.capture.record import Record
from greffier.errors import BadCapture
from greffier_sim import packets

VECTORS = Path(__file__).parents[1] / "vectors" / "capture" / "files.txt"
START_NS = 1_700_000_000_123_456_000


def vectors() -> list[tuple[str, str, bytes]]:
    """Name, expectation and bytes of each vector."""
    out = []
    for text in VECTORS.read_text(encoding="ascii").split("\n\n"):
        name, expect, data = text.rstrip("\n").split("\n")
        out.append((name[6:], expect[8:], bytes.fromhex(data[7:])))
    return out


def read(data: bytes) -> tuple[list[Record], str]:
    """The records, and the damage as "offset reason" ("" for none)."""
    reader = pcap.Reader(io.BytesIO(data), "vector")
    records = list(reader)
    assert reader.records == len(records)
    return records, f"{reader.damage.offset} {reader.damage.reason}" if reader.damage else ""


@pytest.mark.parametrize(
    ("name", "expect", "data"), vectors(), ids=lambda v: v if isinstance(v, str) else "-"
)
def test_a_vector_reads_as_it_says(name: str, expect: str, data: bytes) -> None:
    if expect.startswith("refused: "):
        with pytest.raises(BadCapture) as refusal:
            read(data)
        assert refusal.value.fields["reason"] == expect.removeprefix("refused: ")
        return
    counted, _, damage = expect.removeprefix("records: ").partition(" damage: ")
    records, found = read(data)
    assert (len(records), found) == (int(counted), damage)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_times_come_back_in_nanoseconds(order: str, nanoseconds: bool) -> None:
    frames = [(START_NS + 789 * nanoseconds, b"a"), (START_NS + 1_000, b"b" * 70_000)]
    records, _ = read(packets.pcap(frames, order=order, nanoseconds=nanoseconds))
    assert [(r.time_ns, r.data) for r in records] == frames


@pytest.mark.parametrize(
    ("resolution", "ticks", "time_ns"),
    [
        (None, 1_700_000_000_000_001, 1_700_000_000_000_001_000),
        (9, START_NS, START_NS),
        (0, 1_700_000_000, 1_700_000_000_000_000_000),
        (12, 1_700_000_000_000_000_001_999, 1_700_000_000_000_000_001),
        (0x80 | 10, 1_700_000_000 * 1024 + 1, 1_700_000_000_000_976_562),
    ],
)
def test_the_clock_of_an_interface_is_believed(
    resolution: int | None, ticks: int, time_ns: int
) -> None:
    if ticks >= 1 << 64:
        ticks, time_ns = ticks // 1_000_000_000, time_ns // 1_000_000_000
    data = packets.section() + packets.interface(resolution=resolution)
    records, _ = read(data + packets.enhanced(ticks, b"x"))
    assert records[0].time_ns == time_ns


def test_a_clock_offset_moves_every_time() -> None:
    data = packets.section() + packets.interface(offset_s=-3600, resolution=6)
    records, _ = read(data + packets.enhanced(3_601_000_001, b"x"))
    assert records[0].time_ns == 1_000_001_000


def test_each_interface_has_its_own_link_and_clock() -> None:
    data = packets.section() + packets.interface(1) + packets.interface(113, resolution=9)
    data += packets.enhanced(5, b"x") + packets.enhanced(5, b"y", number=1)
    records, _ = read(data)
    assert [(r.link_type, r.time_ns) for r in records] == [(1, 5_000), (113, 5)]


def test_a_cut_frame_says_how_long_it_was() -> None:
    records, _ = read(packets.pcap([(0, bytes(100))], snaplen=60))
    assert (len(records[0].data), records[0].length) == (60, 100)


@pytest.mark.parametrize("make", [packets.pcap, packets.pcapng])
def test_a_file_cut_anywhere_keeps_the_records_before_the_cut(make) -> None:  # type: ignore[no-untyped-def]
    frames = [(n * 1_000, bytes([n]) * 9) for n in range(4)]
    whole = make(frames)
    ends = {len(make(frames[:count])): count for count in range(5)}
    spare = 4 if make is packets.pcapng else 0  # the second length of a block
    for cut in range(min(ends), len(whole)):
        records, damage = read(whole[:cut])
        kept = {end - (spare if count else 0): count for end, count in ends.items()}
        assert len(records) == max(count for end, count in kept.items() if end <= cut)
        assert bool(damage) == (cut not in ends)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_flipped_bytes_never_raise_behind_the_header(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([packets.pcap, packets.pcapng]))
    body = bytearray(make([(n, bytes(20)) for n in range(5)]))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        reader = pcap.Reader(io.BytesIO(bytes(body)), "flipped")
    except BadCapture:
        return
    assert sum(len(record.data) for record in reader) <= len(body)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadCapture, match=r"none\.pcap"):
        pcap.open_capture(tmp_path / "none.pcap")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCapture):
        pcap.open_capture(tmp_path)


def test_read_gives_the_records_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(packets.pcap([(1_000, b"x")], 101))
    assert list(pcap.read(path)) == [Record(1_000, 101, b"x", 1)]


class BadSector(io.BytesIO):
    """A medium that fails behind its first hundred bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 100:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_bad_sector_ends_the_capture_like_a_cut() -> None:
    frames = [(n, bytes(30)) for n in range(9)]
    reader = pcap.Reader(BadSector(packets.pcap(frames)), "failing")
    assert len(list(reader)) == 2
    assert reader.damage is not None
    assert reader.damage.reason == "Input/output error"
