"""Addresses and URIs: numbers come out right, whatever surrounds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.sip import address, uri
from greffier.sip.refusal import Refused


@pytest.mark.parametrize(
    ("text", "display", "number", "tag"),
    [
        ("<sip:10@h>;tag=1", "", "10", "1"),
        ("sip:10@h;tag=1", "", "10", "1"),  # RFC 3261 section 20: the tag is the header's
        ('"A \\"B\\" \\\\" <sip:10@h>;TAG = 1', 'A "B" \\', "10", "1"),
        ('"a > b, <c>"<sip:10@h>', "a > b, <c>", "10", None),
        ("Anne Morel <sip:10@h>;x;tag=1;y=2", "Anne Morel", "10", "1"),
        ("Anne Morel sip:10@h;tag=1", "Anne Morel", "10", "1"),
        ("<sip:10@h;tag=inner>;tag=outer", "", "10", "outer"),
        ("<sip:10@h>;tag=", "", "10", None),
        ('<sip:10@h>;tag="quoted;1"', "", "10", "quoted;1"),
        ("<tel:+33(0)478-00.00.10;phone-context=x>", "", "+330478000010", None),
        ("<sip:+33478000010;phone-context=+33:secret@h;user=phone>", "", "+33478000010", None),
        ("<sip:+33-478-000-010@h;user=phone>", "", "+33478000010", None),
        ("<sip:first-last@h>", "", "first-last", None),
        ("<sip:%2B33478000010@[2001:db8::1]:5061>", "", "+33478000010", None),
        ("<sips:caf%C3%A9@h>", "", "café", None),
        ("<sip:%FF%zz@h>", "", "\ufffd%zz", None),
        ("<sip:h:5060;transport=tcp>", "", "", None),
        ("<sip:anne@corp.example@sbc.example>", "", "anne@corp.example", None),
        ("<sip:10@h;received=a@b>", "", "10", None),
        ("<sip:10@h?Subject=x@y>", "", "10", None),
        ("<urn:service:sos>", "", "", None),
        (" \t<SIP:10@h> ; tag = 1 ", "", "10", "1"),
    ],
)
def test_an_address_is_taken_apart(text: str, display: str, number: str, tag: str | None) -> None:
    found = address.parse(text)
    assert (found.display, found.uri.number, found.tag) == (display, number, tag)


@pytest.mark.parametrize(
    "text", ["", "*", "unknown", "<>", "<sip:>", "<sip:10@>", "<tel:>", "10@h", '"only" ', "<:x>"]
)
def test_what_holds_no_address_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(address.BadAddress) as caught:
        address.parse(text)
    assert caught.value.reason in ("no scheme", "no host", "no number")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:10@[2001:db8::1]:5061;x", "2001:db8::1", 5061),
        ("sip:10@2001:db8::1", "2001:db8::1", None),
        ("sip:10@h:99999", "h", None),
        ("sip:10@h:", "h", None),
        ("sip:10@h:0", "h", None),
        ("sip:h", "h", None),
        ("sips:a:b@h.example.:5060?x=y", "h.example.", 5060),
    ],
)
def test_host_and_port_are_found(text: str, host: str, port: int | None) -> None:
    found = uri.parse(text)
    assert (found.host, found.port, found.text) == (host, port, text)


def test_uri_parameters_are_decoded_and_found_in_any_case() -> None:
    found = uri.parse("sip:10@h;Transport=TCP;%6C%72;n=%41?h=1")
    assert found.parameters == (("transport", "TCP"), ("lr", ""), ("n", "A"))
    assert found.parameter("LR") == ""
    assert found.parameter("maddr") is None


def test_a_password_is_in_no_field_but_the_text() -> None:
    found = uri.parse("sip:10:secret@h")
    assert (found.user, found.number) == ("10", "10")


def test_a_list_is_split_outside_quotes_and_brackets() -> None:
    assert address.split('"a,b" <sip:x,y@h>, <sip:2@h>;z="1,2" ,, 3') == [
        '"a,b" <sip:x,y@h>',
        '<sip:2@h>;z="1,2"',
        "3",
    ]
    assert len(address.split("a," * 1000)) <= address.MAX_ELEMENTS


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('sip:tel<>"\\;,=@%[]:? \tA1é\0'), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    address.split(text)
    address.parameters(text)
    for parse in (address.parse, uri.parse):
        try:
            parse(text)
        except Refused as error:
            assert 0 <= error.offset <= len(text)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_display_name_survives_quoting(display: str) -> None:
    quoted = display.replace("\\", "\\\\").replace('"', '\\"')
    found = address.parse(f'"{quoted}" <sip:10@h>;tag=1')
    assert (found.display, found.uri.number, found.tag) == (display, "10", "1")
