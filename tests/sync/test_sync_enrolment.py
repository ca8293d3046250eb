"""The files of an enrolment: every vector, every changed octet, ten thousand mutations."""

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from tests.sync import enrolment_scene as scene
from tests.sync.enrolment_scene import NOW_NS, REQUESTS, RESPONSES

from greffier.durable import Disk
from greffier.sync import enrolment, installation
from greffier.sync.claim import Claim
from greffier.sync.enrolment import Refused
from greffier.trust import LogKey
from greffier_office import admission, place
from greffier_office.place import Office
from greffier_sim.faults import FaultySystem

CLAIM = Claim.of(REQUESTS["code"])
MUTATIONS = 10_000


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return place.create(tmp_path_factory.mktemp("office") / "office", Disk(), NOW_NS)


def reason_of_request(office: Office, text: str) -> int | None:
    """What head office says to a request; None where it lets the box in."""
    try:
        admission.admit(office, text.encode("utf-8", "surrogatepass"), Disk(FaultySystem()), NOW_NS)
    except Refused as error:
        return error.number
    return None


@pytest.mark.parametrize("vector", REQUESTS["vectors"], ids=lambda one: one["name"])
def test_a_request_is_taken_or_refused_as_the_vectors_say(
    office: Office, vector: dict[str, Any]
) -> None:
    scene.put_claim(office, vector["state"])
    before = scene.rows(office)
    assert reason_of_request(office, vector["text"]) == vector["reason"]
    if vector["reason"] is None:
        assert f"greffier/1/{REQUESTS['device']}/up/c/+\n" in (office.broker / "acl").read_text()
    elif vector["reason"] != 5:  # the key of an expired claim is erased, and nothing else
        assert scene.rows(office) == before


@pytest.mark.parametrize("vector", RESPONSES["vectors"], ids=lambda one: one["name"])
def test_a_response_is_installed_or_refused_as_the_vectors_say(
    tmp_path: Path, vector: dict[str, Any]
) -> None:
    state = vector["state"]
    box = scene.waiting(tmp_path, state)
    before = box.files()
    data = vector["text"].encode("utf-8", "surrogatepass")
    try:
        installation.install(
            data,
            box.directory,
            box.folder,
            Disk(FaultySystem()),
            NOW_NS,
            state.get("replace", False),
        )
        reason = None
    except Refused as error:
        reason = error.number
    assert reason == vector["reason"]
    if reason is None:
        assert box.folder.open(NOW_NS).enrolment.response == enrolment.digest(data)
        assert not box.folder.pending.exists()
    else:
        assert box.files() == before


def test_the_numbers_are_those_of_the_page() -> None:
    """Every number that a file may be refused for stands in the page, and has a vector."""
    page = (Path(__file__).parents[2] / "docs" / "enrolment-format.md").read_text()
    section = page.split("## 5.")[1].split("## 6.")[0]
    numbers = [int(one) for one in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]
    assert numbers == list(range(1, 18))
    vectors = REQUESTS["vectors"] + RESPONSES["vectors"]
    assert {one["reason"] for one in vectors} == {None, *numbers}


def test_what_is_written_is_what_the_vectors_hold() -> None:
    for text in (one["text"] for one in REQUESTS["vectors"] if one["reason"] is None):
        read = enrolment.read_request(text.encode())
        enrolment.check_request(read, CLAIM)
        vector = json.loads(text)
        assert (read.mac, read.signature) == (vector["mac"], vector["signature"])
    for text in (one["text"] for one in RESPONSES["vectors"] if one["reason"] is None):
        response = enrolment.read_response(text.encode())
        assert enrolment.write_response(response.body, CLAIM) == text.encode()


def test_a_request_written_here_holds_and_only_under_its_code() -> None:
    key = LogKey.new("greffier/box-1a2b3c4d")
    body = enrolment.read_request(REQUESTS["vectors"][0]["text"].encode()).body
    made = enrolment.write_request(
        enrolment.RequestBody(
            body.claim, body.device, key.public_line(), body.control, body.bulk, NOW_NS
        ),
        CLAIM,
        key,
    )
    assert enrolment.check_request(enrolment.read_request(made), CLAIM).public == key.public
    with pytest.raises(Refused) as refused:
        enrolment.check_request(enrolment.read_request(made), Claim(CLAIM.claim, bytes(32)))
    assert refused.value.number == 6


def mutations(text: str, seed: int) -> list[bytes]:
    """*text* with octets changed, removed, doubled, exchanged, or pieces of it moved."""
    chance = random.Random(seed)
    found = []
    whole = text.encode()
    while len(found) < MUTATIONS:
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            at, other = chance.randrange(len(data)), chance.randrange(len(data))
            match chance.randrange(5):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at] = chance.choice(b'0123456789abcdefABCDEF+/="{}[],:. \n')
                case 2:
                    del data[at : at + chance.choice((1, 2, 40))]
                case 3:
                    data[at:at] = data[other : other + chance.choice((1, 4, 100))]
                case _:
                    data[at], data[other] = data[other], data[at]
        if data != whole:
            found.append(bytes(data))
    return found


def test_of_ten_thousand_mutations_of_a_request_none_is_accepted() -> None:
    accepted = []
    for data in mutations(REQUESTS["vectors"][0]["text"], 1):
        try:
            enrolment.check_request(enrolment.read_request(data), CLAIM)
            accepted.append(data)
        except Refused as error:
            assert error.number in (1, 2, 6)
    assert accepted == []


def test_of_ten_thousand_mutations_of_a_response_none_is_accepted() -> None:
    accepted = []
    for data in mutations(RESPONSES["vectors"][0]["text"], 2):
        try:
            enrolment.check_response_mac(enrolment.read_response(data), CLAIM)
            accepted.append(data)
        except Refused as error:
            assert error.number in (1, 2, 14)
    assert accepted == []


def remade(text: str, key: str, seed: int) -> bytes:
    """A request whose maker has the code and the log key, with a mutated PKCS#10 request."""
    chance = random.Random(seed)
    log_key = LogKey.new("greffier/box-1a2b3c4d")
    body = enrolment.read_request(text.encode()).body
    raw = bytearray(base64.b64decode(getattr(body, key)))
    for _ in range(chance.choice((1, 1, 2))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    parts = {"control": body.control, "bulk": body.bulk, key: base64.b64encode(raw).decode()}
    return enrolment.write_request(
        enrolment.RequestBody(
            body.claim, body.device, log_key.public_line(), parts["control"], parts["bulk"], NOW_NS
        ),
        CLAIM,
        log_key,
    )


@pytest.mark.parametrize("key", ["control", "bulk"])
def test_whoever_has_the_code_gets_no_altered_key_request_through(key: str) -> None:
    good = REQUESTS["vectors"][0]["text"]
    for seed in range(500):
        with pytest.raises(Refused) as refused:
            enrolment.check_request(enrolment.read_request(remade(good, key, seed)), CLAIM)
        assert refused.value.number == 9
