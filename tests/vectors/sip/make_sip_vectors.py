"""Write the SIP and SDP vectors beside this file, and what is expected of each.

`python tests/vectors/sip/make_sip_vectors.py` rewrites them; a test compares. The expectations are
written by hand here, from the RFC that the comment names, never taken from the parser.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

SDP = (
    "v=0\r\no=- 20518 0 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
)
HEADERS = {
    "Via": "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds;rport",
    "From": '"Etude Morel" <sip:+33478000010@pbx.example.net>;tag=a1',
    "To": "<sip:+33478000020@pbx.example.net>",
    "Call-ID": "vector-1@192.0.2.10",
    "CSeq": "7 INVITE",
    "Contact": "<sip:10@192.0.2.10:5060>",
    "Content-Type": "application/sdp",
}
RFC3261_INVITE = "INVITE sip:+33478000020@pbx.example.net SIP/2.0"


def message(
    start: str = RFC3261_INVITE,
    *,
    body: str = SDP,
    length: str | None = "right",
    extra: str = "",
    eol: str = "\r\n",
    **changes: str | None,
) -> bytes:
    """One message; a change is named after its header (``call_id``), None leaves it out."""
    headers: dict[str, str | None] = dict(HEADERS)
    for name, value in changes.items():
        headers[{"call_id": "Call-ID", "cseq": "CSeq"}.get(name, name.replace("_", "-"))] = value
    if length is not None:
        headers["Content-Length"] = str(len(body.encode())) if length == "right" else length
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return (eol.join(lines) + eol + extra + eol + body).encode("utf-8", "surrogateescape")


def accepted(*anomalies: str, **facts: Any) -> dict[str, Any]:
    return {"anomalies": list(anomalies), **facts}


def refused(reason: str) -> dict[str, Any]:
    return {"refused": reason}


NESTED = (
    "preamble\r\n--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n"
    "--inner\r\nContent-Type: text/plain\r\n\r\nhello\r\n--inner\r\n"
    f"Content-Type: application/sdp\r\n\r\n{SDP}\r\n--inner--\r\n"
    "\r\n--outer\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: "
    "recording-session\r\n\r\n<recording xmlns='urn:ietf:params:xml:ns:recording:1'/>\r\n--outer--"
)
UNCLOSED = f"--OSS-mark-42\r\nContent-Type: application/sdp\r\n\r\n{SDP}"
LONG_TOKEN = "x" * 300

MESSAGES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain-invite": (
        message(),
        accepted(
            method="INVITE",
            call_id="vector-1@192.0.2.10",
            from_number="+33478000010",
            from_display="Etude Morel",
            from_tag="a1",
            to_number="+33478000020",
            branch="z9hG4bK776asdhds",
            body=len(SDP),
            sdp=1,
        ),
    ),
    "compact-and-folded": (
        b"BYE sip:10@192.0.2.10 SIP/2.0\r\nv:SIP/2.0/TCP\r\n 192.0.2.20\r\n\t;branch=z9hG4bKa ,"
        b"SIP/2.0/UDP 192.0.2.30;branch=z9hG4bKb\r\nf :<tel:+33-478-00-00-20>;tag=b2\r\n"
        b"T:<sip:10@192.0.2.10>;tag=a1\r\ni: c\r\nCSEQ:8\r\n BYE\r\nl:0\r\n\r\n",
        accepted(
            method="BYE",
            branch="z9hG4bKa",
            from_number="+33478000020",
            to_tag="a1",
            call_id="c",
            body=0,
        ),
    ),
    "response-without-phrase": (
        message("SIP/2.0 183", To="<sip:+33478000020@pbx.example.net>;tag=z"),
        accepted(status=183, to_tag="z", body=len(SDP)),
    ),
    "keep-alive-before": (b"\r\n\r\n" + message(), accepted(method="INVITE", body=len(SDP))),
    "no-content-length": (message(length=None), accepted(body=len(SDP), sdp=1)),
    "content-length-too-large": (message(length="9000"), accepted("truncated", body=len(SDP))),
    "content-length-too-small": (message(length="20"), accepted("trailing", body=20)),
    "content-length-negative": (message(length="-1"), accepted("content-length", body=len(SDP))),
    "content-length-huge": (message(length="9" * 40), accepted("content-length", body=len(SDP))),
    "content-length-twice": (
        message(extra="Content-Length: 12\r\n"),
        accepted("content-length", body=len(SDP)),
    ),
    "line-feeds-only": (message(eol="\n"), accepted("line-ends", body=len(SDP))),
    "no-blank-line": (
        message(body="", length=None)[:-2],
        accepted("no-blank-line", body=0, method="INVITE"),
    ),
    "cut-in-a-header": (
        message(length=None)[:300],
        accepted("no-blank-line", "header", body=0, method="INVITE"),
    ),
    "latin-1-display": (
        message(From='"Andr\udce9" <sip:+33478000010@pbx.example.net>;tag=a1'),
        accepted("encoding", from_number="+33478000010", from_display="Andr\ufffd"),
    ),
    "lone-surrogate": (
        message(Subject="\udced\udca0\udc80"),
        accepted("encoding", method="INVITE"),
    ),
    "nul-in-header": (message(Subject="a\0b"), accepted(method="INVITE")),
    "bare-carriage-return": (
        message(Subject="a\rBYE sip:x SIP/2.0"),
        accepted("bare-cr", method="INVITE"),
    ),
    "header-without-colon": (message(extra="nonsense\r\n"), accepted("header", body=len(SDP))),
    "header-name-with-space": (message(extra="X Y: 1\r\n"), accepted("header", body=len(SDP))),
    "thousand-headers": (
        message(extra="X-Pad: 1\r\n" * 1000),
        accepted("too-many-headers", body=len(SDP)),
    ),
    "quote-never-closed": (
        message(From='"Morel <sip:+33478000010@pbx.example.net>;tag=a1'),
        accepted(from_number="+33478000010", from_tag="a1"),
    ),
    "bracket-never-closed": (
        message(From="<sip:+33478000010@pbx.example.net;tag=a1"),
        accepted(from_number="+33478000010", from_tag="a1"),
    ),
    "display-with-bracket-and-comma": (
        message(From='"Morel, \\"A\\" <x>" <sip:+33478000010@pbx.example.net>;tag=a1'),
        accepted(from_display='Morel, "A" <x>', from_number="+33478000010", from_tag="a1"),
    ),
    "from-is-no-address": (message(From="unknown"), accepted("from", method="INVITE")),
    "from-missing": (message(From=None), accepted("from", method="INVITE")),
    "to-with-empty-host": (message(To="<sip:10@>"), accepted("to", method="INVITE")),
    "call-id-twice": (message(extra="Call-ID: other\r\n"), accepted("repeated", body=len(SDP))),
    "cseq-of-another-method": (message(cseq="7 BYE"), accepted("cseq-method", method="INVITE")),
    "cseq-beyond-31-bits": (
        message(cseq="9292394834772304023312 INVITE"),
        accepted("cseq-range", method="INVITE"),
    ),
    "version-seven": (
        message("INVITE sip:10@192.0.2.1 SIP/7.0"),
        accepted("version", method="INVITE"),
    ),
    "tabs-in-start-line": (
        message("INVITE\tsip:10@192.0.2.1\tSIP/2.0"),
        accepted("start-line", method="INVITE"),
    ),
    "request-uri-in-brackets": (
        message("INVITE <sip:10@192.0.2.1> SIP/2.0"),
        accepted("start-line", method="INVITE"),
    ),
    "multipart-nested-siprec": (
        message(Content_Type='multipart/mixed;boundary="outer"', body=NESTED),
        accepted(method="INVITE", sdp=1, parts=3),
    ),
    "multipart-never-closed": (
        message(Content_Type="multipart/mixed;boundary=OSS-mark-42", body=UNCLOSED),
        accepted(sdp=1, parts=1),
    ),
    "multipart-without-boundary": (
        message(Content_Type="multipart/mixed", body=UNCLOSED),
        accepted(sdp=1, parts=1),
    ),
    "multipart-of-another-boundary": (
        message(Content_Type="multipart/mixed;boundary=wrong", body=UNCLOSED),
        accepted(sdp=0, parts=1),
    ),
    "empty": (b"", refused("no start line")),
    "keep-alive-only": (b"\r\n\r\n", refused("no start line")),
    "rtp": (bytes.fromhex("80080001000000a0deadbeef") + b"\xd5" * 160, refused("no start line")),
    "http": (
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        refused("no SIP version in the start line"),
    ),
    "start-line-without-uri": (message("INVITE SIP/2.0"), refused("no start line")),
    "start-line-without-version": (
        message("INVITE sip:10@192.0.2.1"),
        refused("no start line"),
    ),
    "method-too-long": (message(f"{LONG_TOKEN} sip:a SIP/2.0"), refused("no start line")),
    "status-of-ten-digits": (
        message("SIP/2.0 4294967301 better not"),
        refused("no status between 100 and 699"),
    ),
    "status-zero": (message("SIP/2.0 000 x"), refused("no status between 100 and 699")),
    "status-in-other-digits": (
        message("SIP/2.0 \u0662\u0660\u0660 OK"),
        refused("no status between 100 and 699"),
    ),
    "no-call-id": (message(call_id=None), refused("no Call-ID")),
    "empty-call-id": (message(call_id=" "), refused("no Call-ID")),
    "no-cseq": (message(cseq=None), refused("no CSeq")),
    "cseq-without-number": (message(cseq="INVITE"), refused("no CSeq")),
    "cseq-of-5000-digits": (message(cseq=f"{'9' * 5000} INVITE"), refused("no CSeq")),
    "cseq-in-other-digits": (message(cseq="\u0667 INVITE"), refused("no CSeq")),
}

# Each: the bytes, and {"refused": ...} or the anomalies with one row for each media section:
# [kind, port, host, direction, codec names, encrypted].
SESSIONS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "offer": (
        SDP.encode(),
        accepted(
            media=[["audio", 49170, "192.0.2.10", "sendrecv", ["PCMA", "telephone-event"], False]]
        ),
    ),
    "static-types-and-no-newline-at-the-end": (
        b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
        b"m=audio 4000 RTP/AVP 0 9 18",
        accepted(media=[["audio", 4000, "192.0.2.1", "sendrecv", ["PCMU", "G722", "G729"], False]]),
    ),
    "carriage-returns-only": (
        b"v=0\rc=IN IP4 192.0.2.1\ra=sendonly\rm=audio 4000 RTP/AVP 8\r",
        accepted(media=[["audio", 4000, "192.0.2.1", "sendonly", ["PCMA"], False]]),
    ),
    "two-legs-of-siprec": (  # RFC 7866 section 7.1.1: sendonly, labels, one address each
        b"v=0\r\no=SRC 1 1 IN IP6 2001:db8::1\r\ns=-\r\nt=0 0\r\n"
        b"m=audio 30000 RTP/SAVP 8\r\nc=IN IP6 2001:db8::1\r\na=sendonly\r\na=label:1\r\n"
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:bm90LWEta2V5\r\n"
        b"m=audio 30002 RTP/AVP 96 97\r\nc=IN IP4 233.252.0.1/127/3\r\na=inactive\r\na=label:2\r\n"
        b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n",
        accepted(
            media=[
                ["audio", 30000, "2001:db8::1", "sendonly", ["PCMA"], True],
                ["audio", 30002, "233.252.0.1", "inactive", ["opus"], False],
            ]
        ),
    ),
    "rejected-video-and-session-fingerprint": (
        b"v=0\r\nc=IN IP4 192.0.2.1\r\na=fingerprint:sha-256 00:11\r\n"
        b"m=video 0 UDP/TLS/RTP/SAVPF 96\r\nm=audio 5000 RTP/AVP 8\r\n",
        accepted(
            media=[
                ["video", 0, "192.0.2.1", "sendrecv", [], True],
                ["audio", 5000, "192.0.2.1", "sendrecv", ["PCMA"], True],
            ]
        ),
    ),
    "port-is-a-word": (  # a bad section keeps its place: answers pair by position
        b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio x RTP/AVP 0\r\nm=audio 5000 RTP/AVP 8\r\n",
        accepted(
            "media",
            media=[
                ["audio", 0, "192.0.2.1", "sendrecv", [], False],
                ["audio", 5000, "192.0.2.1", "sendrecv", ["PCMA"], False],
            ],
        ),
    ),
    "port-beyond-16-bits": (
        b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 65536 RTP/AVP 0\r\n",
        accepted("media", media=[["audio", 0, "192.0.2.1", "sendrecv", [], False]]),
    ),
    "no-connection": (
        b"v=0\r\nm=audio 5000 RTP/AVP 8\r\nc=IN IP4\r\n",
        accepted("connection", media=[["audio", 5000, None, "sendrecv", ["PCMA"], False]]),
    ),
    "rtpmap-of-nonsense": (
        b"m=audio 5000 RTP/AVP 8 96 97 98\r\na=rtpmap:96\r\na=rtpmap:97 x/0\r\n"
        b"a=rtpmap:999 y/8000\r\na=rtpmap:98 speex/16000\r\na=ptime:soon\r\na=crypto:1\r\n",
        accepted(
            "attribute",
            media=[["audio", 5000, None, "sendrecv", ["PCMA", "speex"], False]],
        ),
    ),
    "undecodable-and-unknown-lines": (
        b"v=0\r\ns=\xe9t\xe9\r\nhello\r\nm=audio 5000 RTP/AVP 8\r\nz=0\r\n",
        accepted("encoding", "line", media=[["audio", 5000, None, "sendrecv", ["PCMA"], False]]),
    ),
    "hundred-sections": (
        b"v=0\r\n" + b"m=audio 0 RTP/AVP 0\r\n" * 100,
        accepted("oversize", sections=64),
    ),
    "no-media": (b"v=0\r\n", accepted(media=[])),
    "sdp-empty": (b"", refused("no session description")),
    "sdp-of-letters-only": (b"a=sendrecv\r\nb=AS:64\r\n", refused("no session description")),
    "sdp-binary": (bytes(range(256)), refused("no session description")),
}


def files() -> dict[str, bytes]:
    """Every file beside this one, by name."""
    made = {f"{name}.sip": data for name, (data, _) in MESSAGES.items()}
    made |= {f"{name}.sdp": data for name, (data, _) in SESSIONS.items()}
    expected = {f"{name}.sip": want for name, (_, want) in MESSAGES.items()}
    expected |= {f"{name}.sdp": want for name, (_, want) in SESSIONS.items()}
    text = json.dumps(expected, indent=1, ensure_ascii=True)
    made["expected.json"] = text.encode() + b"\n"
    made[".gitattributes"] = b"*.sip -text\n*.sdp -text\n"
    return made


if __name__ == "__main__":
    for old in (*HERE.glob("*.sip"), *HERE.glob("*.sdp")):
        old.unlink()
    for name, data in files().items():
        (HERE / name).write_bytes(data)
