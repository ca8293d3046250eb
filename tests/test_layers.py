"""Imports go one way: a room may import only rooms that stand before it, and no sibling."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "firmware" / "greffier"
# The order of ARCHITECTURE.md; a tuple holds siblings, none of which imports another.
ORDER: tuple[tuple[str, ...], ...] = (
    ("_native", "language", "canonical", "merkle"),
    ("errors",),
    ("clock",),
    ("durable",),
    ("config",),
    ("trust",),
    ("sip",),
    ("capture",),
    ("calls",),
    ("encode",),
    ("seal",),
    ("store",),
    ("policy",),
    ("audit",),
    ("control",),
    ("recorder", "gate", "sync", "update", "console"),
    ("cli",),
)
PLACE = {name: place for place, names in enumerate(ORDER) for name in names}


def room_of(module: str) -> str:
    """The room that a dotted name below ``greffier`` belongs to ("" for the package itself)."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_rooms(source: str) -> set[str]:
    """Every room of ours that a source text imports, at any depth of nesting."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {room_of(name) for name in names if name.split(".")[0] == "greffier"}
    return rooms - {"", "__version__"}


def wrong_imports(room: str, source: str) -> set[str]:
    """The rooms that *source*, a file of *room*, must not import."""
    return {
        other
        for other in imported_rooms(source)
        if other != room and PLACE.get(other, len(ORDER)) >= PLACE[room]
    }


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_before_it(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        assert imported_rooms(path.read_text()) == set()
        return
    assert room in PLACE, f"{room} has no place in the order"
    assert wrong_imports(room, path.read_text()) == set()


def test_no_module_uses_relative_imports() -> None:
    relative = [
        str(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_the_check_sees_a_wrong_import_and_a_sibling() -> None:
    assert wrong_imports("seal", "from greffier.policy import rules") == {"policy"}
    assert wrong_imports("sync", "import greffier.recorder.intake") == {"recorder"}
    assert wrong_imports("audit", "def f():\n    from greffier import cli") == {"cli"}
    assert wrong_imports("audit", "from greffier.durable import append") == set()


def test_modules_stay_short() -> None:
    root = PACKAGE.parents[1]
    long = {
        str(path.relative_to(root)): lines
        for folder in ("firmware", "tools")
        for path in sorted((root / folder).rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
