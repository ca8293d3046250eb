"""Property tests try the same examples, in whatever order and company they run."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("GREFFIER_EXPLORE")), reason="looks for new examples"
)


def examples() -> list[tuple[int, str]]:
    """What one property is tried with."""
    tried = []

    @settings(max_examples=200)
    @given(st.integers(), st.text())
    def look(number: int, text: str) -> None:
        tried.append((number, text))

    look()
    return tried


def test_the_examples_hang_on_no_module_that_was_loaded_before(tmp_path: Path) -> None:
    before = examples()
    path = tmp_path / "greffier_constants.py"
    path.write_text("".join(f"A{n} = {10**9 + n * n}; B{n} = 'constant {n}'\n" for n in range(500)))
    spec = importlib.util.spec_from_file_location("greffier_constants", path)
    assert spec is not None
    sys.modules["greffier_constants"] = importlib.util.module_from_spec(spec)
    try:
        assert examples() == before
    finally:
        del sys.modules["greffier_constants"]
