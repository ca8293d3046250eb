"""Framing over TCP: never a lost neighbour, whatever the stream holds."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greffier.sip import head, message, stream


def build(method: str, body: bytes = b"", length: str | None = None, *, mark: str = "1") -> bytes:
    size = str(len(body)) if length is None else length
    line = f"Content-Length: {size}\r\n" if size else ""
    text = (
        f"{method} sip:10@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{mark}\r\n"
        f"Call-ID: {mark}\r\nCSeq: 1 {method}\r\n{line}\r\n"
    )
    return text.encode() + body


SDP = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"
INVITE = build("INVITE", SDP, mark="first")
BYE = build("BYE", mark="second")
OK = b"SIP/2.0 200 OK\r\ni: third\r\nCSeq: 1 BYE\r\nl : 0\r\n\r\n"


def call_ids(messages: list[bytes]) -> list[str]:
    found = []
    for each in messages:
        try:
            found.append(message.parse(each).call_id)
        except message.BadMessage:
            found.append("-")
    return found


def test_messages_come_out_whole_and_in_order() -> None:
    framer = stream.Framer()
    assert framer.feed(INVITE + BYE + OK) == [INVITE, BYE, OK]
    assert (framer.pending, framer.skipped) == (0, 0)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                *(INVITE, BYE, OK, b"\r\n\r\n", b"\r\n", b"\0\xff", b"garbage\r\n", INVITE[:90]),
                *(build("INVITE", SDP, "150"), build("MESSAGE", BYE), INVITE[40:], SDP),
                *(build("INVITE", SDP, "9"), build("NOTIFY", b"SIP/2.0 200 OK\r\n", "")),
            ]
        ),
        max_size=12,
    ),
    st.lists(st.integers(1, 200), max_size=30),
)
@example(  # the line ends of what is skipped, in one piece or one by one
    [INVITE, INVITE[40:], b"\r\n\r\n"],
    [1, 1, 1, 93, 200],
)
def test_segments_do_not_matter(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)
    whole, parts = stream.Framer(), stream.Framer()
    want = whole.feed(data)
    found: list[bytes] = []
    place = 0
    for size in sizes:
        found += parts.feed(data[place : place + size])
        place += size
    found += parts.feed(data[place:])
    assert found == want
    assert parts.close() == whole.close()
    assert parts.skipped == whole.skipped


def test_keep_alives_are_no_messages_and_no_garbage() -> None:
    framer = stream.Framer()
    assert framer.feed(b"\r\n\r\n" + BYE + b"\r\n\r\n\r\n" + OK + b"\r\n") == [BYE, OK]
    assert (framer.pending, framer.skipped) == (0, 0)


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"\0" * 50 + b"\r\n", b"a=sendrecv\r\n", b"half a li", b"\x16\x03\x01\x02\0\x01\n", SDP),
        *(INVITE[30:], b"x" * 20000, b"x" * 100_000 + b"\n", b"INVITE ", b"SIP/2.0 999 x\r\n"),
    ],
)
def test_garbage_is_skipped_up_to_the_next_start_line(garbage: bytes) -> None:
    framer = stream.Framer()
    found = framer.feed(garbage + BYE + garbage + OK) + framer.close()
    assert call_ids(found)[-1] == "third"
    assert "second" in call_ids(found)


@pytest.mark.parametrize("missing", range(1, len(SDP) + 1))
def test_bytes_lost_inside_a_body_cost_no_neighbour(missing: int) -> None:
    # The lost bytes are made up from the BYE, whose rest then cannot begin a message.
    lossy = INVITE[: len(INVITE) - missing]
    framer = stream.Framer()
    found = call_ids(framer.feed(lossy + BYE + OK) + framer.close())
    assert "second" in found
    assert "third" in found


@pytest.mark.parametrize("missing", range(1, len(INVITE), 5))
def test_bytes_lost_and_announced_cost_no_neighbour(missing: int) -> None:
    framer = stream.Framer()
    found = framer.feed(INVITE[: len(INVITE) - missing])
    found += framer.close()
    found += framer.feed(BYE + OK)
    assert call_ids(found)[-2:] == ["second", "third"]


@pytest.mark.parametrize("missing", range(1, 400, 7))
def test_bytes_lost_anywhere_cost_no_later_message(missing: int) -> None:
    framer = stream.Framer()
    found = call_ids(framer.feed((INVITE + BYE)[missing:] + OK) + framer.close())
    assert "third" in found


def test_a_length_that_swallows_everything_gives_it_back_at_the_end() -> None:
    framer = stream.Framer()
    greedy = build("INVITE", SDP, "9999", mark="first")
    assert framer.feed(greedy + BYE + OK) == []
    assert framer.close() == [greedy, BYE, OK]
    assert framer.pending == 0


def test_a_length_that_swallows_one_gives_it_back_with_the_next() -> None:
    greedy = build("INVITE", SDP, str(len(SDP) + len(BYE) + 5), mark="first")
    found = stream.Framer().feed(greedy + BYE + OK + INVITE)
    assert call_ids(found) == ["first", "second", "third", "first"]


def test_a_length_that_is_too_small_leaves_only_the_rest_of_its_body() -> None:
    framer = stream.Framer()
    short = build("INVITE", SDP, "5", mark="first")
    assert framer.feed(short + BYE) == [short[: 5 - len(SDP)], BYE]
    assert framer.skipped == len(SDP[5:].replace(b"\r\n", b""))


@pytest.mark.parametrize("length", ["", "-1", "x", "999999999", "99999999999999", "5 5"])
def test_a_length_that_is_unusable_counts_as_none(length: str) -> None:
    text = b"some text\r\n"
    found = stream.Framer().feed(build("INVITE", text, length) + BYE)
    assert found == [build("INVITE", b"", length), BYE]


def test_text_inside_a_right_body_never_passes_for_a_message() -> None:
    chat = build("MESSAGE", b"\r\n" + BYE + b"\r\nx")
    framer = stream.Framer()
    assert framer.feed(chat + OK) == [chat, OK]


def test_a_start_line_among_headers_begins_the_next_message() -> None:
    cut = INVITE[: INVITE.index(b"CSeq")]
    assert stream.Framer().feed(cut + BYE) == [cut, BYE]
    subject = BYE.replace(b"Via:", b"Subject: INVITE sip:a@h SIP/2.0\r\nVia:")
    assert stream.Framer().feed(subject) == [subject]


def test_lost_bytes_can_be_announced() -> None:
    framer = stream.Framer()
    assert framer.feed(INVITE[:-10]) == []
    assert framer.close() == [INVITE[:-10]]
    assert framer.feed(b"rest\r\n" + BYE) == [BYE]


@pytest.mark.parametrize(
    "unit", [b"x", b"INVITE a SIP/2.0\n", b"X: y\r\n", b"\r\n", INVITE[:200], b"ACK x"]
)
def test_an_endless_stream_needs_bounded_memory(unit: bytes) -> None:
    framer = stream.Framer()
    start = b"INVITE sip:a@h SIP/2.0\r\n"
    for _ in range(40):
        framer.feed(start + unit * (32768 // len(unit)))
        assert framer.pending <= head.MAX_HEAD + stream.MAX_BODY
