"""Each vector is read, or refused, as its RFC says; the list is beside the files."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from greffier.sip import message, multipart, sdp

FOLDER = Path(__file__).parents[1] / "vectors" / "sip"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("maker", FOLDER / "make_sip_vectors.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def facts(parsed: message.Request | message.Response) -> dict[str, Any]:
    """Everything that an expectation may name."""
    return {
        "anomalies": list(parsed.anomalies),
        "method": getattr(parsed, "method", None),
        "status": getattr(parsed, "status", None),
        "call_id": parsed.call_id,
        "from_display": parsed.from_ and parsed.from_.display,
        "from_number": parsed.from_ and parsed.from_.uri.number,
        "from_tag": parsed.from_ and parsed.from_.tag,
        "to_number": parsed.to and parsed.to.uri.number,
        "to_tag": parsed.to and parsed.to.tag,
        "branch": parsed.branch,
        "body": len(parsed.body),
        "sdp": len(multipart.sdp_parts(parsed)),
        "parts": len(multipart.parts_of(parsed)),
    }


def rows(session: sdp.Session) -> list[list[Any]]:
    return [
        [
            media.kind,
            media.port,
            media.connection and media.connection.host,
            media.direction,
            [codec.name for codec in media.codecs],
            media.encrypted,
        ]
        for media in session.media
    ]


def test_the_files_are_what_the_script_writes() -> None:
    made = maker().files()
    assert {path.name for path in FOLDER.glob("*.s?p")} == {n for n in made if n[-4] == "."}
    for name, data in made.items():
        assert (FOLDER / name).read_bytes() == data, name


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".sip")])
def test_a_message_is_read_as_expected(name: str) -> None:
    data, want = (FOLDER / name).read_bytes(), dict(EXPECTED[name])
    if "refused" in want:
        with pytest.raises(message.BadMessage) as caught:
            message.parse(data)
        assert caught.value.reason == want["refused"]
        assert 0 <= caught.value.offset <= len(data)
        return
    parsed = message.parse(data)
    assert parsed.raw is data
    found = facts(parsed)
    assert {key: found[key] for key in want} == want


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".sdp")])
def test_a_session_is_read_as_expected(name: str) -> None:
    data, want = (FOLDER / name).read_bytes(), EXPECTED[name]
    if "refused" in want:
        with pytest.raises(sdp.BadSession) as caught:
            sdp.parse(data)
        assert caught.value.reason == want["refused"]
        return
    session = sdp.parse(data)
    assert session.raw is data
    assert list(session.anomalies) == want["anomalies"]
    assert len(session.media) == want.get("sections", len(session.media))
    if "media" in want:
        assert rows(session) == want["media"]


def test_the_quick_test_knows_what_begins_as_it_should() -> None:
    for name, want in EXPECTED.items():
        strange = {"version", "start-line"} & set(want.get("anomalies", ()))
        if name.endswith(".sip") and "refused" not in want and not strange:
            assert message.is_sip((FOLDER / name).read_bytes()), name
    for name in ("empty", "keep-alive-only", "rtp", "http", "start-line-without-version"):
        assert not message.is_sip((FOLDER / f"{name}.sip").read_bytes()), name
