"""Multipart bodies: the session descriptions are found, and nothing is unbounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.sip import message, multipart

SDP = b"v=0\r\nm=audio 1 RTP/AVP 0\r\n"


def invite(content_type: str, body: bytes) -> message.Request | message.Response:
    lines = f"INVITE sip:a@h SIP/2.0\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{content_type}\r\n"
    return message.parse(lines.encode() + body)


def test_a_plain_body_is_one_part() -> None:
    assert multipart.sdp_parts(invite("c: Application/SDP ;x=y\r\n", SDP)) == (SDP,)
    assert multipart.sdp_parts(invite("", SDP)) == (SDP,)
    assert multipart.sdp_parts(invite("", b"hello")) == ()
    assert multipart.sdp_parts(invite("c: text/plain\r\n", SDP)) == ()
    assert multipart.parts_of(invite("c: application/sdp\r\n", b"")) == ()


def test_parts_keep_their_headers_and_bytes() -> None:
    body = (
        b"ignored\r\n--b \r\ncontent-type: application/sdp\r\nContent-Disposition:\r\n session\r\n"
        b"\r\n" + SDP + b"\r\n--b\r\n\r\n\x00--b\xff\r\n--b\r\nno header\r\n--b--\r\nepilogue --b"
    )
    first, second, third = multipart.parse('multipart/mixed; boundary="b"', body)
    assert first.content_type == "application/sdp"
    assert first.get("CONTENT-disposition") == "session"
    assert first.body == SDP
    assert (second.content_type, second.body) == ("", b"\x00--b\xff")
    assert (third.headers, third.body) == ((), b"")


def test_the_tag_of_another_boundary_is_not_a_delimiter() -> None:
    body = b"--b\n\nx\n--bb\n\ny\n --b\n--b--"
    (part,) = multipart.parse("multipart/mixed;boundary=b", body)
    assert part.body == b"x\n--bb\n\ny\n --b"


@pytest.mark.parametrize("body", [b"", b"--", b"text", b"--b", b"x--b\r\n\r\n", b"--other\r\n\r\n"])
def test_a_body_without_parts_is_refused_or_empty(body: bytes) -> None:
    try:
        assert multipart.parse("multipart/mixed;boundary=b", body) == ()
    except multipart.BadMultipart as error:
        assert error.reason == "no delimiter line"
    with pytest.raises(multipart.BadMultipart):
        multipart.parse("multipart/mixed", b"text\r\n" + body)


def test_parts_and_depth_are_bounded() -> None:
    many = b"--b\r\n\r\nx\r\n" * 5000
    parts = multipart.parse("multipart/mixed;boundary=b", many)
    assert len(parts) == multipart.MAX_PARTS
    deep = SDP
    for level in range(100):
        boundary = b"b%d" % level
        deep = b"--%s\r\nContent-Type: multipart/mixed;boundary=b%d\r\n\r\n%s\r\n--%s--" % (
            *(boundary, level - 1, deep, boundary),
        )
    parts = multipart.parts_of(invite("c: multipart/mixed;boundary=b99\r\n", deep))
    assert [part.content_type for part in parts] == ["multipart/mixed"]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.binary(max_size=60).filter(lambda data: b"--mark" not in data), max_size=8))
def test_any_bytes_come_back_as_they_were_put_in(bodies: list[bytes]) -> None:
    body = b"".join(b"--mark\r\nContent-Type: x/y\r\n\r\n" + each + b"\r\n" for each in bodies)
    parts = multipart.parse("multipart/mixed;boundary=mark", body + b"--mark--\r\n")
    assert [part.body for part in parts] == bodies
