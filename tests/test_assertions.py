"""Every test has something that it would fail by: a test that only runs code proves too little."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# What is an assertion by itself: pytest's, and a state machine of hypothesis with its invariants.
ASSERTING = {"raises", "warns", "fail", "run_state_machine_as_test"}


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the tests."""

    name: str
    calls: frozenset[str]
    """The last names of everything that it calls."""
    asserts: bool
    """Whether there is an assertion in itself."""


@dataclass(frozen=True, slots=True)
class Module:
    """What one file of tests defines and imports."""

    functions: tuple[Function, ...]
    imported: frozenset[str]
    asserting: set[str] = field(default_factory=set)
    """Names of the functions that can fail a test by an assertion, directly or by others."""


def function(node: ast.FunctionDef) -> Function:
    """Read one function, with what is defined in it."""
    below = list(ast.walk(node))
    called = [one.func for one in below if isinstance(one, ast.Call)]
    names = frozenset(str(getattr(one, "attr", getattr(one, "id", ""))) for one in called)
    asserts = bool(names & ASSERTING) or any(isinstance(one, ast.Assert) for one in below)
    return Function(node.name, names, asserts)


def module(source: str) -> Module:
    """Read one file."""
    below = list(ast.walk(ast.parse(source)))
    imported = set()
    for node in below:
        if isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            imported |= {one.name for one in node.names}
    functions = tuple(function(one) for one in below if isinstance(one, ast.FunctionDef))
    return Module(functions, frozenset(imported))


def visible(of: Module, modules: Mapping[str, Module]) -> set[str]:
    """Asserting functions that *of* defines, or that a file has which it imports."""
    return of.asserting.union(*(modules[one].asserting for one in of.imported if one in modules))


def without_assertion(modules: Mapping[str, Module]) -> Iterator[tuple[str, str]]:
    """Each test that nothing in it, and no function of the tests that it calls, asserts."""
    grows = True
    while grows:
        grows = False
        for one in modules.values():
            known = visible(one, modules)
            found = {f.name for f in one.functions if f.asserts or f.calls & known}
            found = {name for name in found if not name.startswith("test_")}
            grows |= not found <= one.asserting
            one.asserting.update(found)
    for name, one in modules.items():
        known = visible(one, modules)
        for each in one.functions:
            if each.name.startswith("test_") and not (each.asserts or each.calls & known):
                yield name, each.name


def test_every_test_asserts_something() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): module(path.read_text("utf-8"))
        for path in TESTS.rglob("*.py")
    }
    assert list(without_assertion(modules)) == []


def test_the_check_sees_a_test_that_only_runs_code() -> None:
    modules = {
        "tests.party": module("def has(x):\n    assert x\ndef runs(x):\n    print(x)\n"),
        "tests.test_a": module(
            "from tests.party import has, runs\n"
            "def test_one():\n    runs(1)\n"
            "def test_two():\n    has(1)\n"
            "def through(x):\n    has(x)\n"
            "def test_three():\n    through(2)\n"
            "def test_four():\n    with pytest.raises(OSError):\n        runs(3)\n"
        ),
        "tests.test_b": module("def test_five():\n    has(1)\n"),
    }
    assert set(without_assertion(modules)) == {
        ("tests.test_a", "test_one"),
        ("tests.test_b", "test_five"),
    }
