"""The lines that a TPM's troubles make are looked at as they are written."""

from collections.abc import Iterator

import pytest

from greffier import language


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    language.choose("en")
    yield
    language.choose(language.DEFAULT)
