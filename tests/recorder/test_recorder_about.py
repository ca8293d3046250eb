"""What of a call may be said without a key, and what may not."""

import pytest
from tests.stories.box import Box, command

from greffier.capture.datagram import Address
from greffier.recorder.about import clear_call_id, clear_leg, hidden_leg
from greffier_sim import captures
from greffier_sim.captures import Plan

ABOUT = {"from": "+33140506070", "to": "2001", "names": {"from": "Zoé Dupont", "to": ""}}


@pytest.mark.parametrize(
    "call_id",
    [
        "+33140506070-77@sim",
        "33-14-05-06-070@10.0.0.1",
        "x%2b33%31%34050607@host",
        "140506.7@10.0.0.1",
        "1-2001@10.0.0.1",
        "DUPONT-1@10.0.0.1",
        "zo%C3%A9@10.0.0.1",
        "3f9d@82.64.12.9",
        "3f9d@[2a01:cb00:12::7]",
        "82.64.12.9-77",
        "a@82.64.12.9:5060",
    ],
)
def test_a_call_id_that_tells_who_called_is_hidden(call_id: str) -> None:
    assert clear_call_id({**ABOUT, "call_id": call_id}) is None


@pytest.mark.parametrize(
    "call_id",
    ["1-1966@10.0.2.20", "b0c3f1a2-7d55-4b5e-9c1e-aa55", "x@[fd17:625c:f037:2::1]", "1RLuVzz", ""],
)
def test_a_call_id_that_tells_nobody_is_shown(call_id: str) -> None:
    assert clear_call_id({**ABOUT, "call_id": call_id}) == call_id


def test_no_call_id_and_no_names() -> None:
    assert clear_call_id({}) is None
    assert clear_call_id({"call_id": "a", "from": None, "to": None}) == "a"


def test_only_addresses_of_the_site_and_names_of_codecs_are_clear() -> None:
    leg = {"source": "10.0.0.1:4000", "destination": "[2a01:cb00:12::7]:9", "codec": "PCMA"}
    assert hidden_leg(leg) == {"destination": "[2a01:cb00:12::7]:9"}
    assert clear_leg(leg) == {**leg, "destination": None}
    assert hidden_leg({**leg, "codec": "alice-0612345678"})["codec"] == "alice-0612345678"
    assert hidden_leg({"source": "127.0.0.1:1", "destination": "[::1]:2", "codec": None}) == {}


def test_a_worker_at_home_is_in_no_file(box: Box) -> None:
    home = Address("82.64.12.9", 4444)
    plan = Plan(
        talk_ms=60, caller_media=home, call_id="77@82.64.12.9", codings=((97, "Zoe-Home", 8000),)
    )
    call = box.call(captures.call(plan))
    assert call["legs"][0]["source"] == "82.64.12.9:4444"
    assert call["legs"][0]["codec"] == "Zoe-Home"
    for path, content in box.contents().items():
        for secret in (b"82.64.12.9", b"Zoe-Home"):
            assert secret not in content, path
    (hidden,) = box.listed()
    assert hidden["call_id"] is None and hidden["legs"][0]["source"] is None
    assert hidden["legs"][0]["destination"] == "10.0.0.2:5000"
    (shown,) = box.listed("--key", box.key)
    assert {key: shown[key] for key in call} == call
    assert command("index", "rebuild", "--data", box.data).code == 0
    assert box.listed("--key", box.key) == [shown]


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return Box(tmp_path_factory.mktemp("box"))
