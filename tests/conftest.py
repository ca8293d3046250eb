"""What holds for every test.

Property tests try the same examples at each run, so that a red run is about the change at hand;
GREFFIER_EXPLORE=1 lets them look for new ones.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from greffier_sim.head_office import HeadOffice

# No test writes into a TPM that this machine may have; those that need one start an emulated one.
os.environ["GREFFIER_TPM"] = "none"

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("GREFFIER_EXPLORE") else "repeatable")


@pytest.fixture
def head_office(tmp_path: Path) -> Iterator[HeadOffice]:
    """A head office whose broker runs on a loopback port; ``admit`` lets boxes in."""
    with HeadOffice(tmp_path / "head-office") as made:
        yield made
