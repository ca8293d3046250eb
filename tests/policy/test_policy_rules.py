"""Reading a policy: what is in it, and every way in which it can be wrong."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.errors import BadPacks, BadPolicy
from greffier.policy import packs, rules
from greffier.policy.cases import set_keys
from greffier.policy.windows import BadWindow, parse

VECTORS = Path(__file__).parents[1] / "vectors" / "policy"
INVALID = json.loads((VECTORS / "invalid.json").read_text())
TABLES, _ = rules.read_tables(rules.builtin("fr-retail.toml"))
EXAMPLES = ("fr-retail.toml", "paris-desk.toml", "sdis18.toml", "casa-desk.toml")


def nanoseconds(*when: int, zone: str = "Europe/Paris") -> int:
    moment = datetime(*when, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]
    return int(moment.timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "{b = " * 20_000, "a = " + "9" * 5_000, "a = \0", "="]
)
def test_a_file_made_to_break_its_reader_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    for load, kind in ((rules.load, BadPolicy), (packs.load, BadPacks)):
        with pytest.raises(kind) as refused:
            load(path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", INVALID, ids=lambda case: json.dumps(case["set"])[:60])
def test_every_wrong_key_is_named_in_one_line(case: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy) as refused:
        rules.parse(set_keys(TABLES, case["set"]), path="p.toml")
    line = str(refused.value)
    assert refused.value.exit_code == 2
    assert "\n" not in line
    assert all(name in line for name in case["names"]), line


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"schema = ", b"a" * 10, b"[lines]\n[lines]\n", b"a=" + b"[" * 5000],
)
def test_a_file_that_is_no_policy_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(BadPolicy) as refused:
        rules.load(path)
    assert "policy.toml" in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path, Path("a\0b")):
        with pytest.raises(BadPolicy):
            rules.load(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def paths(tables: dict[str, Any], before: str = "") -> list[str]:
    found = []
    for name, value in tables.items():
        found.append(before + name)
        if isinstance(value, dict):
            found += paths(value, f"{before}{name}.")
    return found


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(paths(TABLES)), json_values)
def test_any_value_anywhere_is_taken_or_refused_never_more(path: str, value: Any) -> None:
    try:
        rules.parse(set_keys(TABLES, {path: value}))
    except BadPolicy as refused:
        assert str(refused)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_load_and_keep_the_digest_of_their_bytes(name: str) -> None:
    policy = rules.load(rules.builtin(name))
    assert len(policy.sha256) == 64
    assert policy.lines


def test_the_order_of_lines_is_that_of_the_file() -> None:
    assert list(rules.load(rules.builtin("sdis18.toml")).lines) == ["l18", "l15", "admin"]


@pytest.mark.parametrize(
    ("policy", "line", "codec"),
    [
        ("fr-retail.toml", "accueil", "opus"),
        ("fr-retail.toml", "absent", "original"),
        ("paris-desk.toml", "desk", "original"),
        ("sdis18.toml", "l18", "original"),
        ("casa-desk.toml", "cd", "opus"),
        ("casa-desk.toml", "assur", "original"),
    ],
)
def test_the_codec_of_a_line(policy: str, line: str, codec: str) -> None:
    assert rules.load(rules.builtin(policy)).codec(line) == codec


def test_a_site_may_choose_the_codec_and_the_back_date() -> None:
    changes = {"lines.vente.codec": "flac", "pause.backdate_s": 9, "lines.cse.backdate_s": 30}
    policy = rules.parse(set_keys(TABLES, changes))
    assert policy.codec("vente") == "flac"
    assert [line.backdate_s for line in policy.lines.values()] == [9, 9, 30]


def test_never_record_lines() -> None:
    policy = rules.load(rules.builtin("fr-retail.toml"))
    assert policy.never_records("cse")
    assert not policy.never_records("accueil")
    assert not policy.never_records("absent")
    private = set_keys(TABLES, {"lines.accueil.sector": "private"})
    assert rules.parse(private).never_records("accueil")


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ((2026, 3, 2, 9, 0), True),
        ((2026, 3, 2, 8, 59), False),
        ((2026, 3, 2, 17, 59), True),
        ((2026, 3, 2, 18, 0), False),
        ((2026, 3, 1, 12, 0), False),
        ((2026, 7, 3, 9, 0), True),
    ],
)
def test_windows_are_local_time(when: tuple[int, ...], inside: bool) -> None:
    policy = rules.parse(TABLES)
    assert policy.in_window(nanoseconds(*when)) is inside
    assert rules.in_window(policy, nanoseconds(*when)) is inside


def test_a_policy_without_windows_has_no_limit_of_time() -> None:
    policy = rules.parse(set_keys(TABLES, {"windows": None}))
    assert all(policy.in_window(time_ns) for time_ns in (0, -1, 2**80, nanoseconds(2026, 3, 1)))


def test_a_window_may_run_past_midnight_and_over_the_weekend() -> None:
    window = parse("Fri,Sun-Mon 22:00-06:00")
    assert window.days == {4, 6, 0}
    assert window.holds(datetime(2026, 3, 7, 5, 59, tzinfo=UTC))
    assert not window.holds(datetime(2026, 3, 7, 22, 0, tzinfo=UTC))
    assert window.holds(datetime(2026, 3, 3, 0, 0, tzinfo=UTC))
    assert parse("Mon-Sun 00:00-24:00").holds(datetime(2026, 3, 3, 23, 59, tzinfo=UTC))
    assert parse("Sat-Tue 08:00-09:00").days == {5, 6, 0, 1}
    with pytest.raises(BadWindow):
        parse("Mon-Fri 18-19")


PACK_TABLES = tomllib.loads(rules.builtin("packs.toml").read_text())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"XX": None}, "XX"),
        ({"FR.floor": 4}, "FR.floor"),
        ({"FR.floor": "2"}, "FR.floor"),
        ({"FR.default": 1}, "FR.default"),
        ({"FR.rate_soft": 0.6}, "FR.rate_soft"),
        ({"FR.rate_hard": 50}, "FR.rate_hard"),
        ({"FR.quality": -1}, "FR.quality"),
        ({"FR.quality": 1.5}, "FR.quality"),
        ({"FR.employee": "nobody"}, "FR.employee"),
        ({"FR.employee": None}, "FR.employee"),
        ({"FR.regulatory": 5}, "FR.regulatory"),
        ({"FR.emergency": [0, 59]}, "FR.emergency"),
        ({"FR.emergency.fire": [60, 59]}, "FR.emergency.fire"),
        ({"FR.emergency.fire": [True, 59]}, "FR.emergency.fire"),
        ({"FR.emergency.sea": [0, 59]}, "FR.emergency.sea"),
        ({"FR": 1}, "FR"),
    ],
)
def test_wrong_packs_are_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(BadPacks) as refused:
        packs.parse(set_keys(PACK_TABLES, changes), "packs.toml")
    assert named in str(refused.value)


def test_packs_come_from_a_file_or_are_built_in(tmp_path: Path) -> None:
    copy = tmp_path / "packs.toml"
    copy.write_bytes(rules.builtin("packs.toml").read_bytes())
    assert packs.load(copy) == packs.load()
    copy.write_bytes(b"\xff")
    for path in (copy, tmp_path / "absent", tmp_path):
        with pytest.raises(BadPacks):
            packs.load(path)
