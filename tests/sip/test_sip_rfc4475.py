"""The torture messages of RFC 4475, read from a folder outside the repository."""

import os
from pathlib import Path
from typing import Any

import pytest

from greffier.sip import message, multipart, sdp

SAMPLES = os.environ.get("GREFFIER_SAMPLES")
FOLDER = Path(SAMPLES or "") / "rfc4475"
REASON = "the RFC 4475 messages are not here: set GREFFIER_SAMPLES to the folder of rfc4475/"
pytestmark = pytest.mark.skipif(not SAMPLES or not FOLDER.is_dir(), reason=REASON)

# name: (anomalies or the reason of the refusal, From number, media sections of the SDP).
# A recorder listens where the RFC tells a server to answer 400: what it can attribute to a call,
# it accepts.
EXPECTED: dict[str, tuple[tuple[str, ...] | str, str | None, int]] = {
    "badbranch": ((), "caller", 0),
    "baddn": (("no-blank-line",), "a.g.bell", 0),
    "badvers": (("version",), "a.g.bell", 0),
    "bext01": ((), "caller", 0),
    "clerr": (("truncated",), "caller", 2),
    "cparam02": ((), "watson", 0),
    "esc01": ((), "I have spaces", 2),
    "escnull": ((), "null-\0-null", 0),
    "insuf": ("no Call-ID", None, 0),
    "inv2543": ((), "+13035551111", 1),
    "longreq": ((), "amazinglylongcallername" * 5, 2),
    "lwsdisp": ((), "caller", 0),
    "lwsstart": (("start-line",), "caller", 2),
    "mismatch01": (("cseq-method",), "caller", 0),
    "mpart01": ((), "fluffy", 0),
    "ncl": (("content-length",), "caller", 2),
    "novelsc": ((), "caller", 0),
    "regaut01": ((), "j.user", 0),
    "regescrt": ((), "user", 0),
    "scalarlg": (("cseq-range",), "other", 0),
    "semiuri": ((), "caller", 0),
    "trws": (("start-line",), "local-resource", 0),
    "unksm2": ((), "", 0),
    "wsinv": ((), "jdrosen", 2),
}


def load(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def read(name: str) -> Any:
    return message.parse(load(name))


def test_the_table_names_every_message_there_is() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in FOLDER.glob("*.dat"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_torture_message_is_read_or_refused_as_the_table_says(name: str) -> None:
    data = load(name)
    want, number, sections = EXPECTED[name]
    if isinstance(want, str):
        with pytest.raises(message.BadMessage, match=want):
            message.parse(data)
        return
    parsed = message.parse(data)
    assert (parsed.raw, parsed.anomalies) == (data, want)
    assert parsed.from_
    assert parsed.from_.uri.number == number
    media = [each for body in multipart.sdp_parts(parsed) for each in sdp.parse(body).media]
    assert len(media) == sections


def test_white_space_anywhere_is_survived() -> None:
    parsed = read("wsinv")
    assert parsed.from_.display == 'J Rosenberg \\"'
    assert (parsed.from_.tag, parsed.to.tag) == ("98asjd8", "1918181833n")
    assert parsed.branch == "390skdjuw"
    assert parsed.cseq == message.CSeq(9, "INVITE")
    assert parsed.get("newfangledheader") == "newfangled value continued newfangled value"
    assert parsed.get("subject") == ""
    assert parsed.contact.display == 'Quoted string ""'
    assert parsed.contact.parameter("q") == "0.33"
    assert len(parsed.all("via")) == 2
    assert len(parsed.elements("via")) == 3


def test_many_spellings_of_via_are_one_header() -> None:
    parsed = read("longreq")
    assert len(parsed.all("Via")) == 34
    assert parsed.all("Via")[-1].startswith("SIP/2.0/TCP host.example.com;received=192.0.2.5;")


def test_parameters_inside_a_user_part_are_no_part_of_the_number() -> None:
    target = read("semiuri").target
    assert (target.user, target.number, target.host) == (
        *("user;par=u@example.net", "user", "example.com"),
    )


def test_an_escaped_target_is_one_user() -> None:
    target = read("esc01").target
    assert (target.user, target.host) == ("sips:user@example.com", "example.net")


def test_a_multipart_body_with_binary_content_is_split() -> None:
    first, second = multipart.parts_of(read("mpart01"))
    assert (first.content_type, first.body) == ("text/plain", b"Hello")
    assert (second.content_type, len(second.body)) == ("application/octet-stream", 342)


def test_a_display_name_with_a_comma_is_kept_although_it_is_not_quoted() -> None:
    assert read("baddn").from_.display == "Bell, Alexander"
