"""Two other parsers read the same valid messages and find the same.

Known defects of theirs, kept out of the comparison and locked by the last tests: sipmessage 0.7.1
refuses folded lines and bytes that are not UTF-8; aiosipua 0.7.1 loses a display name that holds
an angle bracket, and takes half of it for the user.
"""

import aiosipua
import pytest
import sipmessage
from aiosipua.sdp import parse_sdp
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.sip import message, sdp

TOKEN = st.sampled_from(["a", "Z-9._", "1928301774", "x" * 40])
HOST = st.sampled_from(["a.example.net", "pbx", "192.0.2.7", "h-1.example."])
NUMBER = st.sampled_from(["10", "+33478000010", "anne.morel", "0"])
SIMPLE_NAMES = ["", "Anne Morel", "é, è", "a;b:c'd"]
METHOD = st.sampled_from(["INVITE", "BYE", "ACK", "UPDATE", "INFO"])
NAMES = st.sampled_from(
    [("From", "To", "Call-ID", "Via", "Content-Length"), ("f", "t", "i", "v", "l")]
)


@st.composite
def parties(draw: st.DrawFn, names: list[str]) -> str:
    display = draw(st.sampled_from(names))
    port = draw(st.sampled_from(["", ":5060"]))
    address = f"<sip:{draw(NUMBER)}@{draw(HOST)}{port}>"
    quoted = f'"{display}" ' if display.strip() else ""
    return f"{quoted}{address};tag={draw(TOKEN)}"


@st.composite
def messages(draw: st.DrawFn, names: list[str]) -> bytes:
    method = draw(METHOD)
    start = draw(
        st.sampled_from([f"{method} sip:10@192.0.2.1 SIP/2.0", "SIP/2.0 180 Ringing there"])
    )
    from_, to, call_id, via, length = draw(NAMES)
    body = draw(st.binary(max_size=50))
    lines = [
        start,
        f"{via}: SIP/2.0/UDP {draw(HOST)}:5060;branch=z9hG4bK{draw(TOKEN)};rport",
        f"{from_}: {draw(parties(names))}",
        f"{to}: {draw(parties(names))}",
        f"{call_id}: {draw(TOKEN)}@{draw(HOST)}",
        f"CSeq: {draw(st.integers(1, 2**31 - 1))} {method}",
        f"Contact: <sip:10@{draw(HOST)}>",
        f"{length}: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@settings(deadline=None, max_examples=150)
@given(messages([*SIMPLE_NAMES, "a <b> c"]))
def test_sipmessage_reads_the_same(data: bytes) -> None:
    ours, theirs = message.parse(data), sipmessage.Message.parse(data)
    assert ours.anomalies == ()
    assert ours.call_id == theirs.call_id
    assert ours.cseq == message.CSeq(theirs.cseq.sequence, theirs.cseq.method)
    assert ours.body == theirs.body
    assert ours.branch == theirs.via[0].parameters.get("branch")
    for mine, other in ((ours.from_, theirs.from_address), (ours.to, theirs.to_address)):
        assert mine
        assert mine.display == other.name
        assert mine.tag == other.parameters.get("tag")
        assert (mine.uri.user, mine.uri.host) == (other.uri.user, other.uri.host)
        assert mine.uri.port == other.uri.port
    assert ours.contact
    assert ours.contact.uri.host == theirs.contact[0].uri.host
    if isinstance(ours, message.Request):
        assert isinstance(theirs, sipmessage.Request)
        assert (ours.method, ours.uri) == (theirs.method, str(theirs.uri))
    else:
        assert isinstance(theirs, sipmessage.Response)
        assert (ours.status, ours.reason) == (theirs.code, theirs.phrase)


@settings(deadline=None, max_examples=150)
@given(messages(SIMPLE_NAMES))
def test_aiosipua_reads_the_same(data: bytes) -> None:
    ours, theirs = message.parse(data), aiosipua.SipMessage.parse(data)
    assert ours.call_id == theirs.call_id
    assert theirs.cseq
    assert ours.cseq == message.CSeq(theirs.cseq.seq, theirs.cseq.method)
    assert ours.body == theirs.body
    assert ours.branch == theirs.via[0].branch
    for mine, other in ((ours.from_, theirs.from_addr), (ours.to, theirs.to_addr)):
        assert mine
        assert other
        assert (mine.display, mine.tag) == (other.display_name or "", other.tag)
        assert (mine.uri.user, mine.uri.host) == (other.uri.user, other.uri.host)


@st.composite
def sessions(draw: st.DrawFn) -> str:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", f"c=IN IP4 {draw(HOST)}", "t=0 0"]
    for _ in range(draw(st.integers(1, 3))):
        types = draw(st.lists(st.sampled_from([0, 8, 18, 96, 101]), min_size=1, unique=True))
        port = draw(st.integers(1, 65534))
        lines.append(f"m=audio {port} RTP/AVP {' '.join(map(str, types))}")
        names = {0: "PCMU/8000", 8: "PCMA/8000", 18: "G729/8000", 96: "opus/48000/2"}
        names[101] = "telephone-event/8000"
        lines += [f"a=rtpmap:{each} {names[each]}" for each in types]
        lines += [f"a=fmtp:{each} x={each}" for each in types if draw(st.booleans())]
        lines += draw(st.sampled_from([[], ["a=sendonly"], ["a=inactive"]]))
    return "\r\n".join(lines) + "\r\n"


@settings(deadline=None, max_examples=100)
@given(sessions())
def test_aiosipua_reads_the_same_sessions(text: str) -> None:
    ours, theirs = sdp.parse(text.encode()), parse_sdp(text)
    assert ours.anomalies == ()
    assert theirs.connection
    assert ours.connection
    assert ours.connection.host == theirs.connection.address
    assert len(ours.media) == len(theirs.media)
    for mine, other in zip(ours.media, theirs.media, strict=True):
        assert (mine.kind, mine.port, mine.profile) == (other.media, other.port, other.proto)
        assert list(mine.formats) == other.formats
        assert mine.direction == other.direction
        assert [(c.payload_type, c.name, c.clock, c.fmtp) for c in mine.codecs] == [
            (c.payload_type, c.encoding_name, c.clock_rate, c.fmtp or "") for c in other.codecs
        ]


BYE = (
    b'BYE sip:10@h SIP/2.0\r\nFrom: "a <b> c" <sip:10@h>;tag=1\r\nTo: <sip:20@h>;tag=2\r\n'
    b"Call-ID: a\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize("line", [b"Subject: one\r\n two\r\n", b"Subject: \xe9t\xe9\r\n"])
def test_sipmessage_still_refuses_what_telephones_send(line: bytes) -> None:
    """When this fails, the oracle got better: widen the comparison above."""
    data = BYE.replace(b"Call-ID", line + b"Call-ID")
    assert message.parse(data).get("subject")
    with pytest.raises(ValueError):  # the oracle has no class of its own
        sipmessage.Message.parse(data)


def test_aiosipua_still_loses_a_name_with_brackets() -> None:
    """When this fails, the oracle got better: widen the comparison above."""
    ours, theirs = message.parse(BYE), aiosipua.SipMessage.parse(BYE)
    assert ours.from_
    assert theirs.from_addr
    assert (ours.from_.display, ours.from_.uri.user) == ("a <b> c", "10")
    assert theirs.from_addr.uri.user != "10"
