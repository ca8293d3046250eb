"""Session descriptions: every default of the RFCs is filled in."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.sip import sdp

HEAD = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def media_of(*lines: str, head: str = HEAD) -> sdp.Media:
    return sdp.parse((head + "\r\n".join(lines)).encode()).media[0]


def test_a_session_is_frozen_and_its_keys_stay_out_of_repr() -> None:
    text = HEAD + "m=audio 1 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0"
    session = sdp.parse(text.encode())
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.origin = ""  # type: ignore[misc]
    assert session.media[0].crypto[0].parameters == "inline:c2VjcmV0"
    assert "c2VjcmV0" not in repr(session)
    assert session.origin == "- 1 2 IN IP4 192.0.2.1"
    assert hash(session) == hash(sdp.parse(text.encode()))


@pytest.mark.parametrize("payload_type", sorted(sdp.STATIC))
def test_a_static_type_needs_no_rtpmap(payload_type: int) -> None:
    media = media_of(f"m=audio 4000 RTP/AVP {payload_type}")
    assert media.codecs == (sdp.STATIC[payload_type],)


def test_an_rtpmap_overrules_the_static_table_and_keeps_its_fmtp() -> None:
    media = media_of(
        *("m=audio 4000 RTP/AVP 96 0 101", "a=fmtp:96 maxplaybackrate=8000; stereo=0"),
        *(
            "a=rtpmap:0 pcmu/8000/1",
            "a=rtpmap:96 OPUS/48000/2",
            "a=rtpmap:101 Telephone-Event/8000",
        ),
        *("a=fmtp:101 0-16", "a=rtpmap:13 CN/8000"),
    )
    assert [codec.payload_type for codec in media.codecs] == [96, 0, 101, 13]
    assert media.codecs[0] == sdp.Codec(96, "OPUS", 48000, 2, "maxplaybackrate=8000; stereo=0")
    assert media.codecs[1] == sdp.Codec(0, "pcmu", 8000)
    assert media.payload_types("telephone-event") == (101,)
    assert media.codec(8) == sdp.STATIC[8]
    assert media.codec(97) is None


def test_a_dynamic_type_without_rtpmap_has_no_codec() -> None:
    media = media_of("m=audio 4000 RTP/AVP 96 x 9999 128")
    assert media.formats == ("96", "x", "9999", "128")
    assert media.codecs == ()


@pytest.mark.parametrize(
    ("lines", "port"),
    [
        (("m=audio 4000 RTP/AVP 0",), 4001),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"), 4000),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 192.0.2.9"), 53020),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:0"), 4001),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:70000"), None),
        (("m=audio 65535 RTP/AVP 0",), None),
        (("m=audio 0 RTP/AVP 0", "a=rtcp:53020"), None),
    ],
)
def test_rtcp_goes_where_it_is_said_or_to_the_next_port(
    lines: tuple[str, ...], port: int | None
) -> None:
    assert media_of(*lines).rtcp_port == port


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("c=IN IP4 192.0.2.7", sdp.Connection("IP4", "192.0.2.7")),
        ("c=IN IP4 233.252.0.1/127", sdp.Connection("IP4", "233.252.0.1", 127)),
        ("c=IN IP4 233.252.0.1/127/3", sdp.Connection("IP4", "233.252.0.1", 127, 3)),
        ("c=IN IP6 ff15::101/3", sdp.Connection("IP6", "ff15::101", None, 3)),
        ("c=in ip6 2001:db8::1", sdp.Connection("IP6", "2001:db8::1")),
        ("c=IN IP4 media.example.net", sdp.Connection("IP4", "media.example.net")),
        ("c=", sdp.Connection("IP4", "192.0.2.1")),
        ("c=IN IP9 x", sdp.Connection("IP4", "192.0.2.1")),
        ("b=AS:64", sdp.Connection("IP4", "192.0.2.1")),
    ],
)
def test_a_section_has_its_own_connection_or_that_of_the_session(
    line: str, want: sdp.Connection
) -> None:
    assert media_of("m=audio 4000 RTP/AVP 0", line).connection == want


@pytest.mark.parametrize(
    ("profile", "line", "encrypted"),
    [
        ("RTP/AVP", "", False),
        ("RTP/AVPF", "", False),
        ("RTP/SAVP", "", True),
        ("UDP/TLS/RTP/SAVPF", "", True),
        ("rtp/savp", "", True),
        ("RTP/AVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:x", True),
        ("RTP/AVP", "a=fingerprint:sha-256 00:11", True),
        ("RTP/AVP", "a=crypto:broken", False),
    ],
)
def test_encryption_is_seen(profile: str, line: str, encrypted: bool) -> None:
    assert media_of(f"m=audio 4000 {profile} 0", line).encrypted is encrypted


def test_direction_and_fingerprint_come_down_from_the_session() -> None:
    session = sdp.parse(
        (HEAD + "a=recvonly\r\na=fingerprint:sha-1 00\r\nm=audio 1 RTP/AVP 0\r\n").encode()
        + b"m=audio 2/2 RTP/AVP 0\r\na=inactive\r\na=label: 7 \r\na=ptime:20.0\r\n"
    )
    assert session.direction == "recvonly"
    assert [media.direction for media in session.media] == ["recvonly", "inactive"]
    assert [media.encrypted for media in session.media] == [True, True]
    assert (session.media[1].label, session.media[1].ptime, session.media[1].count) == ("7", 20, 2)
    assert session.audio == session.media


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*HEAD.split("\r\n"), "m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 x/1"]),
            st.from_regex(r"[vocma]=[\x20-\x7e]{0,30}", fullmatch=True),
            st.text(max_size=10),
        ),
        max_size=20,
    ),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_any_lines_are_read_or_refused(lines: list[str], eol: str) -> None:
    data = eol.join(lines).encode("utf-8", "replace")
    try:
        session = sdp.parse(data)
    except sdp.BadSession:
        return
    assert session.raw is data
    for media in session.media:
        assert 0 <= media.port < 65536


@pytest.mark.parametrize("unit", [b"a=x\n", b"0 ", b" ", b"m=", b"a=rtpmap:1 x/1\n", b"\r"])
def test_megabytes_are_read_up_to_the_limit(unit: bytes) -> None:
    session = sdp.parse(b"v=0\nm=audio 1 RTP/AVP 0 " + unit * (1_000_000 // len(unit)))
    assert "oversize" in session.anomalies
