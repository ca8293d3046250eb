"""The page of demands names every demand, and what it names exists."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"\| (?P<id>[NR]\d+|[28]\.[\w.-]+|four-eyes|fail-mode) \| (?P<rest>.*) \|")
_CODE = re.compile(r"`([^`]+)`")
_CASE = re.compile(r"case ([A-Z]\d\d)")
OPEN = ("**not built**", "context")
COUNTRIES = "FR BE DE ES IT CH UK MA TN CA-QC US-1P US-AP XX transfers"
WANTED = {
    *(f"N{number}" for number in range(1, 18)),
    *(f"R{number}" for number in range(1, 29)),
    *(f"2.1.{number}" for number in range(1, 14)),
    *(f"2.2.{number}" for number in range(1, 10)),
    *(f"2.3.{number}" for number in range(1, 4)),
    *(f"2.4.{number}" for number in range(1, 11)),
    *(f"2.5.{name}" for name in COUNTRIES.split()),
    *(f"8.{number}" for number in range(1, 16)),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One demand, with the modules that meet it and what would fail."""

    id: str
    modules: str
    tests: str


def rows() -> Iterator[Row]:
    for line in (ROOT / "docs/law.md").read_text("utf-8").splitlines():
        found = _ROW.fullmatch(line)
        if found:
            cells = [cell.strip() for cell in found["rest"].split(" | ")]
            yield Row(found["id"], cells[1], cells[2] if len(cells) > 2 else "")


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@cache
def cases() -> frozenset[str]:
    text = (ROOT / "tests/vectors/policy/cases.json").read_text("utf-8")
    return frozenset(case["id"] for case in json.loads(text))


def missing_module(name: str) -> bool:
    return not any((ROOT / top / name).is_file() for top in ("firmware/greffier", "tools"))


def missing_test(name: str) -> bool:
    path, _, function = name.partition("::")
    return not (ROOT / path).is_file() or function not in functions(ROOT / path)


def test_every_demand_has_its_row_and_no_row_is_there_twice() -> None:
    names = [row.id for row in rows()]
    assert len(names) == len(set(names))
    assert set(names) >= WANTED


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row.id)
def test_what_a_row_names_exists(row: Row) -> None:
    modules = [name for name in _CODE.findall(row.modules) if "/" in name]
    tests = [name for name in _CODE.findall(row.tests) if "::" in name]
    named = _CASE.findall(row.tests)
    assert [name for name in modules if missing_module(name)] == []
    assert [name for name in tests if missing_test(name)] == []
    assert set(named) <= cases()
    assert (modules and (tests or named)) or row.modules.startswith(OPEN)
