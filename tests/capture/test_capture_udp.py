"""The short way to a UDP payload in C finds nothing that the dissector does not find too."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier._native import ffi, lib
from greffier.capture import ip
from greffier.capture.dissector import Dissector
from greffier.capture.record import Record

TAGS = st.lists(st.sampled_from([0x8100, 0x88A8, 0x9100, 0x9200, 0x8864]), max_size=5)


def ipv4(payload: bytes, options: int = 0) -> bytes:
    first = 0x45 + options
    total = 20 + 4 * options + 8 + len(payload)
    header = struct.pack(
        ">BBHHHBBH4s4s", first, 0, total, 1, 0x4000, 64, 17, 0, b"\n\1\1\1", b"\n\2"
    )
    return header + bytes(4 * options) + udp(payload)


def ipv6(payload: bytes) -> bytes:
    size = 8 + len(payload)
    return struct.pack(">IHBB16s16s", 6 << 28, size, 17, 64, b"\xfd\1", b"\xfd\2") + udp(payload)


def udp(payload: bytes) -> bytes:
    return struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload


def frame_of(tags: list[int], packet: bytes, kind: int) -> bytes:
    pieces = [bytes(12), *(struct.pack(">HH", tag, 5) for tag in tags), struct.pack(">H", kind)]
    return b"".join([*pieces, packet])


def found_in_c(frame: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes] | None:
    pair, at, size = (ffi.new(kind) for kind in ("greffier_udp_pair *", "uint32_t *", "uint32_t *"))
    if not lib.greffier_udp_find(frame, len(frame), pair, at, size):
        return None
    octets = ffi.buffer(pair)[:]
    assert ffi.sizeof("greffier_udp_pair") == len(octets) == 36
    payload = frame[at[0] : at[0] + size[0]]
    return octets[:16], octets[16:32], octets[32:34], octets[34:], payload


def host(address: bytes) -> str:
    return ip.host(address[12:] if address[:12] == bytes(10) + b"\xff\xff" else address)


def check(frame: bytes) -> bool:
    found = found_in_c(frame)
    given_out = Dissector().feed(Record(7, 1, frame, len(frame)))
    if found is None:
        return False
    (datagram,) = given_out
    source, destination, source_port, destination_port, payload = found
    assert datagram.payload == payload
    assert datagram.source == (host(source), int.from_bytes(source_port, "big"))
    assert datagram.destination == (host(destination), int.from_bytes(destination_port, "big"))
    return True


@settings(deadline=None, max_examples=300)
@given(
    TAGS,
    st.binary(min_size=1, max_size=40),
    st.integers(0, 10),
    st.sampled_from([0x0800, 0x86DD]),
    st.binary(max_size=10),
)
def test_plain_frames_are_found_as_the_dissector_finds_them(
    tags: list[int], payload: bytes, options: int, kind: int, trailer: bytes
) -> None:
    packet = ipv4(payload, options) if kind == 0x0800 else ipv6(payload)
    done = check(frame_of(tags, packet, kind) + trailer)
    assert done == (len(tags) <= 4 and 0x8864 not in tags)


@settings(deadline=None, max_examples=600)
@given(
    TAGS,
    st.sampled_from([0x0800, 0x86DD]),
    st.lists(st.tuples(st.integers(12, 90), st.integers(0, 255)), max_size=4),
    st.integers(0, 120),
)
def test_altered_and_cut_frames_are_never_understood_otherwise(
    tags: list[int], kind: int, changes: list[tuple[int, int]], size: int
) -> None:
    packet = ipv4(bytes(24), 1) if kind == 0x0800 else ipv6(bytes(24))
    frame = bytearray(frame_of(tags, packet, kind))
    for at, value in changes:
        if at < len(frame):
            frame[at] = value
    check(bytes(frame[:size]))
