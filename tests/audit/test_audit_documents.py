"""The normative pages say what the program does."""

import base64
import json
from pathlib import Path

from greffier.audit.intervals import PRECEDENCE
from greffier.audit.kinds import CLASSES, KINDS, RECORDS, RESULTS, STATES, Form

ROOT = Path(__file__).parents[2]
AUDIT = (ROOT / "docs" / "audit-format.md").read_text()
COVERAGE = (ROOT / "docs" / "coverage-format.md").read_text()


def cell(forms: dict[str, Form]) -> str:
    return "; ".join(f"`{key}` {form.name}" for key, form in forms.items()) or "none"


def test_the_table_of_kinds_is_the_table_of_the_program() -> None:
    rows = [
        f"| `{name}` | {cell(kind.required)} | {cell(kind.optional)} |"
        for name, kind in KINDS.items()
    ]
    assert "\n".join(rows) in AUDIT
    assert AUDIT.count("\n| `", AUDIT.index("<!-- kinds"), AUDIT.index("<!-- end")) == len(rows)


def test_every_form_is_explained() -> None:
    forms = {form.name for kind in KINDS.values() for _, form, _ in kind.order}
    explained = AUDIT[AUDIT.index("| form |") : AUDIT.index("<!-- kinds")]
    for name in forms:
        assert name.removeprefix("list of ") in explained
    for values in (STATES, RECORDS, RESULTS, CLASSES):
        assert f"`{' '.join(values)}`" in explained


def test_the_example_is_the_vector() -> None:
    path = ROOT / "tests" / "vectors" / "audit" / "log.json"
    files = {
        name: base64.b64decode(data) for name, data in json.loads(path.read_text())["files"].items()
    }
    assert files["keys/log.pub"].decode() + "\n" + files["audit/checkpoint"].decode() in AUDIT
    first = files["audit/entries-0000000000.glog"]
    assert first[:8].hex(" ") in AUDIT
    assert first[8 : 8 + int.from_bytes(first[:4], "big")].decode() in AUDIT.replace("\n", "")
    assert files["audit/leaves"][:32].hex() in AUDIT


def test_the_states_are_ordered_as_they_win() -> None:
    places = [COVERAGE.index(f"\n| `{state}` |") for state in PRECEDENCE]
    assert places == sorted(places) and set(PRECEDENCE) == set(STATES)
