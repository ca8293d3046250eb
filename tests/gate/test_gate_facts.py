"""Bodies of the facts API, tokens, and who may tell what: the vectors, and anything."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.clock import SECOND
from greffier.gate import telling, tokens
from greffier.gate.limits import MOST_KEPT, Bucket
from greffier.gate.rights import FACTS, allowances, may_tell
from greffier.gate.telling import BadBody
from greffier.gate.tokens import Token
from greffier.policy.facts import Facts

HERE = Path(__file__).parents[1] / "vectors" / "gate"
VECTORS: dict[str, Any] = json.loads((HERE / "facts.json").read_text("ascii"))
NOW = 1_772_438_400 * SECOND


def test_the_vectors_are_what_their_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "generate_facts.py"
    script.write_text((HERE / "generate_facts.py").read_text())
    subprocess.run([sys.executable, script], check=True)
    assert (tmp_path / "facts.json").read_text() == (HERE / "facts.json").read_text()


@pytest.mark.parametrize("name", VECTORS["good"])
def test_a_good_body_is_its_fact(name: str) -> None:
    body, meant = VECTORS["good"][name]
    told = telling.read(body.encode())
    found = [told.fact, told.text, told.call, told.line, told.recording, str(told.at_ns)]
    assert found == meant


@pytest.mark.parametrize("name", VECTORS["bad"])
def test_a_bad_body_is_refused(name: str) -> None:
    with pytest.raises(BadBody):
        telling.read(VECTORS["bad"][name].encode())


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_octets_are_a_fact_or_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        telling.read(body)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_body_with_one_octet_changed_is_refused_or_another_fact(data: st.DataObject) -> None:
    body = bytearray(
        VECTORS["good"][data.draw(st.sampled_from(sorted(VECTORS["good"])))][0].encode()
    )
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        told = telling.read(bytes(body))
    except BadBody:
        return
    assert FACTS[told.fact].has(told.value)


def test_every_value_that_may_be_told_is_one_that_the_rules_know() -> None:
    for name, fact in FACTS.items():
        for value in fact.plain | fact.named | fact.desk:
            assert fact.has(value)
            Facts.parse({name: str(value).lower() if isinstance(value, bool) else value})


@pytest.mark.parametrize(("kind", "allow", "fact", "value", "may"), VECTORS["rights"])
def test_who_may_tell_what(kind: str, allow: list[str], fact: str, value: Any, may: bool) -> None:
    token = Token("0" * 16, kind, "crm", "0" * 64, tuple(allow), NOW)
    assert may_tell(token, fact, value) is may


def test_no_desk_may_ever_allow_a_recording() -> None:
    for kind in ("agent", "desk", "code"):
        token = Token("0" * 16, kind, "crm", "0" * 64, allowances(), NOW)
        assert not may_tell(token, "consent", "in")
        told = {name for name in FACTS for value in (True, False, "out", "in", "yes", "no", "FR")
                if FACTS[name].has(value) and may_tell(token, name, value)}  # fmt: skip
        assert told <= {"private", "proof", "threat", "card", "consent"}


# --- tokens ---


def test_a_token_is_known_by_its_text_alone() -> None:
    one, text = tokens.make("agent", "agent-12", NOW)
    other, _ = tokens.make("system", "crm", NOW, ("contract",))
    assert tokens.find((other, one), text, NOW) == one
    assert tokens.find((other,), text, NOW) is None
    assert text[21:] not in tokens.dump((one, other)).decode()
    assert tokens.load(tokens.dump((one, other))) == (one, other)


@pytest.mark.parametrize("name", VECTORS["tokens"])
def test_what_has_not_the_form_of_a_token_is_none(name: str) -> None:
    assert tokens.parse(VECTORS["tokens"][name]) is None


def test_a_token_with_another_secret_is_nobodys() -> None:
    one, text = tokens.make("agent", "agent-12", NOW)
    _, other = tokens.make("agent", "agent-12", NOW)
    mixed = f"gft-{one.id}-{other[21:]}"
    assert tokens.parse(mixed) is not None
    assert tokens.find((one,), mixed, NOW) is None
    assert tokens.find((one,), text, NOW) == one


def test_a_revoked_token_and_an_old_code_count_no_more() -> None:
    one, text = tokens.make("agent", "agent-12", NOW)
    code, link = tokens.make("code", "101", NOW)
    assert tokens.find(tokens.revoke((one,), one.id, NOW), text, NOW) is None
    assert tokens.find((code,), link, NOW + tokens.CODE_LASTS_NS - 1) == code
    assert tokens.find((code,), link, NOW + tokens.CODE_LASTS_NS) is None
    with pytest.raises(KeyError):
        tokens.revoke((one,), code.id, NOW)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"tokens":[],"v":2}', b'{"tokens":{},"v":1}', b'{"tokens":[{}],"v":1}',
     b'{"v":1,"tokens":[]}', b'{"tokens":[],"v":1}\n'],
)  # fmt: skip
def test_a_file_that_is_no_list_of_tokens_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        tokens.load(content)


def test_an_id_twice_is_refused() -> None:
    one, _ = tokens.make("agent", "agent-12", NOW)
    with pytest.raises(ValueError, match="twice"):
        tokens.load(tokens.dump((one, one)))


# --- how often ---


def test_a_bucket_gives_so_many_at_once_and_then_its_rate() -> None:
    bucket = Bucket(10.0, 20)
    assert [bucket.spend("a", NOW) for _ in range(21)] == [True] * 20 + [False]
    assert bucket.spend("b", NOW)
    assert bucket.wait_s("a", NOW) == 1
    assert bucket.spend("a", NOW + SECOND // 10)
    assert not bucket.spend("a", NOW + SECOND // 10)
    assert [bucket.spend("a", NOW + 60 * SECOND) for _ in range(21)] == [True] * 20 + [False]


def test_a_bucket_remembers_a_bounded_number_of_names() -> None:
    bucket = Bucket(1.0, 1)
    for number in range(2 * MOST_KEPT):
        bucket.spend(str(number), NOW)
    assert len(bucket._left) == MOST_KEPT
