"""Messages: what is kept, what is looked up, and what never happens."""

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greffier.sip import head, identity, message

PLAIN = (
    b"INVITE sip:20@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n"
    b"f: <sip:10@192.0.2.2>;tag=1\r\nt: <sip:20@192.0.2.1>\r\ni: c1\r\nCSeq: 1 INVITE\r\n"
    b"Supported: timer\r\nK: 100rel\r\nX-Own: 1\r\nl: 4\r\n\r\nbody"
)


def with_headers(*lines: str) -> message.Request | message.Response:
    start, rest = PLAIN.split(b"\r\n", 1)
    return message.parse(b"\r\n".join((start, *(line.encode() for line in lines), rest)))


def test_a_message_is_frozen_and_equal_to_itself_read_again() -> None:
    parsed = message.parse(PLAIN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed.body = b""  # type: ignore[misc]
    assert parsed == message.parse(PLAIN)
    assert hash(parsed) == hash(message.parse(PLAIN))


def test_names_are_expanded_in_order_and_found_in_any_case() -> None:
    parsed = message.parse(PLAIN)
    assert [name for name, _ in parsed.headers] == [
        *("Via", "From", "To", "Call-ID", "CSeq"),
        *("Supported", "Supported", "X-Own", "Content-Length"),
    ]
    assert parsed.all("sUPPORTED") == ("timer", "100rel")
    assert parsed.get("x-own") == "1"
    assert parsed.get("k") is None
    assert parsed.get("Subject") is None
    assert parsed.body == b"body"
    assert parsed.cseq == message.CSeq(1, "INVITE")


@pytest.mark.parametrize(("short", "name"), head.COMPACT.items())
def test_each_compact_form_stands_for_its_header(short: str, name: str) -> None:
    parsed = with_headers(f"{short.upper()} : here")
    assert parsed.headers[0] == (name, "here")
    assert parsed.all(name)[0] == "here"


def test_personal_data_stays_out_of_repr() -> None:
    text = repr(with_headers("P-Asserted-Identity: <tel:+33478000010>"))
    assert "sip:" not in text
    assert "+33" not in text
    assert "body" not in text.replace("body=", "")


def test_a_refusal_never_quotes_the_message() -> None:
    with pytest.raises(message.BadMessage) as caught:
        message.parse(b"INVITE sip:+33478000010@x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n")
    assert str(caught.value) == "no Call-ID (at 0)"


def test_the_topmost_branch_is_found_among_several_in_one_line() -> None:
    parsed = with_headers('Via: SIP / 2.0 / TCP h;x="a,;b" ; Branch = top , SIP/2.0/UDP g;branch=b')
    assert parsed.branch == "top"
    assert message.parse(PLAIN.replace(b";branch=z9hG4bKa", b"")).branch is None
    assert message.parse(PLAIN.replace(b"Via", b"X-Via")).branch is None


def test_the_target_is_the_request_uri_taken_apart() -> None:
    parsed = message.parse(PLAIN)
    assert isinstance(parsed, message.Request)
    assert parsed.target
    assert (parsed.target.user, parsed.target.host) == ("20", "192.0.2.1")
    strange = message.parse(PLAIN.replace(b"sip:20@192.0.2.1 ", b"nonsense "))
    assert isinstance(strange, message.Request)
    assert strange.target is None


def test_the_first_usable_contact_counts() -> None:
    assert message.parse(PLAIN).contact is None
    parsed = with_headers("Contact: *", 'm: "A, B" <sip:a@h>;expires=5, <sip:b@h>')
    assert parsed.contact
    assert parsed.contact.display == "A, B"
    assert parsed.contact.parameter("Expires") == "5"
    assert [each.uri.user for each in parsed.addresses("Contact")] == ["a", "b"]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (("P-Asserted-Identity: <sip:reception@h>, <tel:+33-478-00-00-10>",), "+33478000010"),
        (("P-Asserted-Identity: <sip:reception@h>",), "reception"),
        (("Remote-Party-ID: <sip:11@h>;party=called", "Remote-Party-ID: <sip:12@h>"), "12"),
        (("Remote-Party-ID: <sip:12@h>", "P-Asserted-Identity: <sip:13@h>"), "13"),
        (("P-Asserted-Identity: nonsense", "Remote-Party-ID: <sip:12@h>"), "12"),
        (("Remote-Party-ID: <sip:11@h>;party=called",), None),
        ((), None),
    ],
)
def test_the_asserted_identity_prefers_the_network_and_a_number(
    lines: tuple[str, ...], number: str | None
) -> None:
    found = identity.asserted(with_headers(*lines))
    assert (found and found.uri.number) == number


def test_oversize_bytes_are_kept_but_not_read() -> None:
    data = PLAIN.replace(b"l: 4\r\n", b"") + bytes(message.MAX_MESSAGE)
    parsed = message.parse(data)
    assert parsed.anomalies == ("oversize",)
    assert parsed.raw is data
    assert len(parsed.body) < message.MAX_MESSAGE
    endless = PLAIN[:-8] + b"X: " + b"y" * head.MAX_HEAD
    assert "no-blank-line" in message.parse(endless).anomalies


@pytest.mark.parametrize("unit", [" ", "\t", '"', "\\", '"\\', "<", ",", ";", "<,", 'a=";', "\r"])
def test_sixty_thousand_repeats_in_a_header_are_read(unit: str) -> None:
    parsed = with_headers(f"Contact: {unit * (60000 // len(unit))}\\", "Subject: after")
    assert parsed.contact is None
    assert parsed.branch == "z9hG4bKa"


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400))
@example(b"SIP/2.0 200\r\ni:\xff\r\nCSeq:1 \x80\r\n\r\n")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    message.is_sip(data)
    try:
        assert message.parse(data).raw is data
    except message.BadMessage as error:
        assert 0 <= error.offset <= len(data)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.from_regex(r"X-[A-Za-z0-9]{1,12}", fullmatch=True),
            st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"])),
        ),
        max_size=20,
    ),
    st.binary(max_size=200),
)
def test_headers_and_body_come_back_as_they_were_written(
    own: list[tuple[str, str]], body: bytes
) -> None:
    lines = [f"{name}: {value}" for name, value in own]
    data = "\r\n".join(["SIP/2.0 200 OK", "Call-ID: a", "CSeq: 1 BYE", *lines]).encode()
    parsed = message.parse(data + b"\r\nl: %d\r\n\r\n" % len(body) + body)
    assert [(name, value.strip(" ")) for name, value in own] == list(parsed.headers[2:-1])
    assert parsed.body == body
    assert parsed.anomalies == ("from", "to")
