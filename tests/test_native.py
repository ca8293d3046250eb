"""The typed stub of the C core lists exactly what the C core offers."""

import ast
from pathlib import Path

import pytest

from greffier._native import ffi, lib
from greffier.capture import rtp

STUB = Path(__file__).parents[1] / "firmware" / "greffier" / "_native.pyi"
NATIVE = Path(__file__).parents[1] / "native"


def stubbed_names() -> set[str]:
    """Functions and constants that the stub gives to lib."""
    classes = {
        node.name: node
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    names = set()
    for node in classes["_Lib"].body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_the_stub_lists_what_the_core_offers() -> None:
    assert stubbed_names() == set(dir(lib))


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("greffier_rtp_header", rtp._HEADER),
        ("greffier_rtp_header", rtp._FAULT_OFFSET),
        ("greffier_stream_packet", rtp._PACKET),
        ("greffier_stream_counters", rtp._COUNTERS),
    ],
)
def test_structures_are_read_with_their_true_size(kind: str, layout: rtp.struct.Struct) -> None:
    assert ffi.sizeof(kind) == layout.size


def test_sources_stay_short() -> None:
    long = {
        path.name: lines
        for path in sorted(NATIVE.glob("*.[ch]"))
        if (lines := len(path.read_text().splitlines())) > 250
    }
    assert long == {}
