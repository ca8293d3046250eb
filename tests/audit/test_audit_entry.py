"""An entry has one form, and nothing personal fits into it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.scene import DEVICE, HASH
from tests.reference import audit as reference

from greffier import canonical, merkle
from greffier.audit.entry import LARGEST_ENTRY, BadEntry, Entry, UnreadEntry, decode, encode
from greffier.audit.kinds import KINDS, LARGEST, LARGEST_NS, Form

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit" / "entries.json").read_text())
ID = "0123456789abcdef" * 2
TEXTS = {
    "id": st.just(ID),
    "hash": st.just(HASH),
    "key id": st.just("ab" * 8),
    "pseudonym": st.text("0123456789abcdef", min_size=16, max_size=64),
    "device": st.sampled_from(["box-12345678", DEVICE]),
    "name": st.sampled_from(["accueil", "accueil/in", "Réception (2e étage)", "l18", "窓口"]),
    "reference": st.sampled_from(["RG 24/01234", "2026-0012", "DSAR-7"]),
    "uid": st.sampled_from([f"{DEVICE}/l1/0000000004", "box-7/Réception 2/0000000001"]),
    "channel": st.sampled_from([ID, "l1", f"{DEVICE}/l1/0000000004"]),
    "epoch": st.sampled_from(["2026-03-02", f"2026-03-02.{ID}"]),
    "month": st.sampled_from(["2026-11", "2027-01"]),
    "country": st.sampled_from(["FR", "CA-QC", "US-1P"]),
    "code": st.sampled_from(["SAMPLED_IN", "MANDATORY_MIFID"]),
    "word": st.sampled_from(["ended", "opus24", "late_start"]),
    "reason": st.sampled_from(["SAMPLED_OUT", "overrun"]),
    "value": st.sampled_from(["out", "15", "CA-QC", "true"]),
    "version": st.sampled_from(["0.1.0", "2026-11"]),
    "hex": st.just("00ff"),
    "key hash": st.just("49b66042"),
    "signature": st.text("0123456789abcdef", min_size=128, max_size=128),
    "log file": st.sampled_from(["entries-0000000000.glog", "entries-0000065536.2.glog"]),
    "count": st.integers(0, LARGEST),
    "ns": st.integers(0, LARGEST_NS),
    "flag": st.booleans(),
    "state": st.sampled_from(["recorded", "off"]),
    "record": st.sampled_from(["none", "provisional_deleted"]),
    "result": st.sampled_from(["ok", "not_recordable"]),
    "class": st.sampled_from(["A", "B", "C"]),
}


def values(form: Form) -> st.SearchStrategy[Any]:
    if form.name.startswith("list of "):
        return st.lists(TEXTS[form.name.removeprefix("list of ")], max_size=4)
    return TEXTS[form.name]


def test_every_form_has_values_here() -> None:
    forms = {form.name for kind in KINDS.values() for _, form, _ in kind.order}
    assert {name.removeprefix("list of ") for name in forms} <= set(TEXTS)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(sorted(KINDS)))
    data = {key: draw(values(form)) for key, form in KINDS[kind].required.items()}
    optional = KINDS[kind].optional
    if optional:
        for key in draw(st.sets(st.sampled_from(sorted(optional)))):
            data[key] = draw(values(optional[key]))
    times = st.integers(0, LARGEST_NS)
    return Entry(
        draw(st.integers(0, LARGEST)), "b0" * 16, draw(times), draw(times), draw(times),
        draw(st.sampled_from(["build", "cosignature"])), kind, draw(st.sampled_from([None, ID])),
        "5a" * 16, data,
    )  # fmt: skip


def plain(**changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "seq": 4, "boot": "b0" * 16, "mono_ns": 17, "t_ns": 1_795_305_600_000_000_000,
        "t_lb_ns": 0, "t_src": "build", "ev": "call.ended", "rec": ID, "salt": "5a" * 16,
        "data": {"uid": "box/l1/0000000001", "result": "ok"},
    }  # fmt: skip
    return Entry(**(fields | changes))


@settings(deadline=None)
@given(entries())
def test_what_is_written_is_read_back_and_is_canonical(entry: Entry) -> None:
    data = encode(entry)
    assert decode(data) == entry
    assert canonical.dump(canonical.load(data)) == data
    fields = {name: getattr(entry, name) for name in Entry.__slots__}
    assert data == reference.entry_bytes(fields)


def test_a_none_is_left_out() -> None:
    data = {"uid": "box/l1/0000000001", "result": "ok"}
    assert encode(plain(data=data | {"lost": None})) == encode(plain(data=data))


@pytest.mark.parametrize(
    "data",
    [
        {"uid": "box/l1/0000000001"},
        {"uid": "box/l1/0000000001", "result": "ok", "caller": "x"},
        {"uid": "box/l1/0000000001", "result": "splendid"},
        {"uid": "box/l1/0000000001", "result": "ok", "lost": -1},
        {"uid": "box/l1/0000000001", "result": "ok", "lost": 1.0},
        {"uid": "box/l1/0000000001", "result": "ok", "lost": True},
        {"uid": "box/l1/0000000001", "result": "ok", "lost": 2**53},
        {"uid": "box/l1/0000000001", "result": "ok", "codes": ("A",)},
        {"uid": "box/l1/0000000001", "result": "ok", "codes": [["A"]]},
        {"uid": "box/l1/1", "result": "ok"},
        {"uid": "box/l1/0000000001\n", "result": "ok"},
        {"uid": None, "result": "ok"},
    ],
)
def test_a_value_that_is_not_in_the_tables_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadEntry):
        encode(plain(data=data))


@pytest.mark.parametrize(
    "line",
    ["0142345678", "01 42 34 56 78", "+33142345678", 'a"b', "a\\b", "a\nb", "a\x7fb", "", "x" * 65,
     "\ud800", "٠١٢٣٤٥٦٧", "alice@example.com", "sip:bob"],
)  # fmt: skip
def test_numbers_and_addresses_are_no_names(line: str) -> None:
    with pytest.raises(BadEntry):
        encode(plain(ev="line.not_recorded", data={"line": line, "reason": "NEVER_RECORD"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": -1}, {"seq": True}, {"seq": 2**53}, {"seq": "4"}, {"boot": "B0" * 16},
        {"boot": "b0" * 15}, {"boot": None}, {"salt": ""}, {"salt": "5a" * 17}, {"rec": "x"},
        {"rec": 5}, {"t_src": "guess"}, {"t_src": []}, {"mono_ns": -1}, {"t_ns": 2**63},
        {"t_lb_ns": 1.5}, {"ev": "call.listened"}, {"ev": "checkpoint"},
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadEntry):
        encode(plain(**changes))


def test_an_entry_has_an_upper_size() -> None:
    ids = [f"{number:032x}" for number in range(1024)]
    data = {"reason": "expired", "class": "C", "parts": ids}
    assert len(encode(plain(ev="key.shredded", data=data))) <= LARGEST_ENTRY
    epochs = [f"2026-11-22.{number:032d}" for number in range(1024)]
    with pytest.raises(BadEntry, match="65535"):
        encode(plain(ev="key.shredded", data=data | {"epochs": epochs}))
    with pytest.raises(BadEntry, match="65535"):
        decode(b" " * (LARGEST_ENTRY + 1))


def rewritten(change: Any) -> bytes:
    value = json.loads(encode(plain()))
    change(value)
    return canonical.dump(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("salt"), lambda v: v.update(extra=1), lambda v: v.update(v=2),
        lambda v: v.update(v=True), lambda v: v.update(t_ns=5), lambda v: v.update(t_ns="05"),
        lambda v: v.update(t_ns="-5"), lambda v: v.update(t_ns=str(2**63)),
        lambda v: v.update(t_ns="1\n"), lambda v: v.update(ev=[]), lambda v: v.update(ev={}),
        lambda v: v.update(data=[]), lambda v: v["data"].update(lost=None),
        lambda v: v.update(seq=None), lambda v: v.update(salt=[]), lambda v: v.update(boot={}),
    ],
)  # fmt: skip
def test_canonical_json_of_another_shape_is_refused(change: Any) -> None:
    with pytest.raises(BadEntry):
        decode(rewritten(change))


@settings(deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused_or_another_entry(data: st.DataObject) -> None:
    whole = bytearray(encode(plain()))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    try:
        entry = decode(bytes(whole))
    except BadEntry as error:
        assert 0 <= error.offset <= len(whole)
    else:
        assert entry != plain() and encode(entry) == whole


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_one_class_of_error(data: bytes) -> None:
    with pytest.raises(BadEntry):
        decode(data)


def test_the_valid_vectors_are_read_and_hashed_alike() -> None:
    leaves = []
    for case in VECTORS["valid"]:
        data = case["entry"].encode()
        assert encode(decode(data)) == data
        leaves.append(merkle.leaf_hash(data))
        assert leaves[-1].hex() == case["leaf"]
    assert merkle.root(leaves).hex() == VECTORS["root"]


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["name"])
def test_an_invalid_vector_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(BadEntry):
        decode(case["entry"].encode())


@given(entries(), st.sampled_from(["zeta.opened", "zeta", "z9.a_b.c"]))
def test_an_entry_of_a_kind_that_is_not_known_is_told_apart(entry: Entry, ev: str) -> None:
    value = json.loads(encode(entry)) | {"ev": ev}
    with pytest.raises(UnreadEntry) as unread:
        decode(canonical.dump(value))
    assert (unread.value.seq, unread.value.ev) == (entry.seq, ev)


@given(entries())
def test_an_entry_with_a_key_that_its_kind_does_not_have_is_told_apart(entry: Entry) -> None:
    value = json.loads(encode(entry))
    value["data"]["zeta"] = {"deep": [1, None, "x"]}
    with pytest.raises(UnreadEntry):
        decode(canonical.dump(value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seq", -1),
        ("seq", "1"),
        ("boot", "x"),
        ("t_ns", 1),
        ("t_src", "me"),
        ("rec", "x"),
        ("salt", ""),
        ("data", []),
        ("ev", "Zeta"),
        ("ev", "zeta..x"),
        ("ev", "z" * 49),
        ("ev", 7),
    ],
)
def test_what_no_program_would_write_is_not_taken_for_a_newer_one_s(key: str, value: Any) -> None:
    data = {"v": 1, "seq": 3, "boot": ID, "mono_ns": "1", "t_ns": "2", "t_lb_ns": "1"}
    data |= {"t_src": "build", "ev": "zeta.opened", "rec": None, "salt": ID, "data": {}}
    with pytest.raises(UnreadEntry):
        decode(canonical.dump(data))
    with pytest.raises(BadEntry) as refused:
        decode(canonical.dump(data | {key: value}))
    assert not isinstance(refused.value, UnreadEntry)
    with pytest.raises(BadEntry) as refused:
        decode(canonical.dump(data) + b" ")
    assert not isinstance(refused.value, UnreadEntry)
