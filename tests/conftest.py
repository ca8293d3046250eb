"""What holds for every test.

Property tests try the same examples at each run, so that a red run is about the change at hand;
GREFFIER_EXPLORE=1 lets them look for new ones. No test hangs on how fast the machine is.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from greffier_sim.head_office import HeadOffice

# No test writes into a TPM that this machine may have; those that need one start an emulated one.
os.environ["GREFFIER_TPM"] = "none"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold stories or slow tests come first: several workers then end together."""
    long = {item.path for item in items for one in item.iter_markers() if one.name in _LONG}
    items.sort(key=lambda item: item.path not in long)


_FAST = [HealthCheck.too_slow]
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=_FAST
)
settings.register_profile("explore", deadline=None, suppress_health_check=_FAST)
if os.environ.get("GREFFIER_EXPLORE"):
    settings.load_profile("explore")
else:
    settings.load_profile("repeatable")
    # Hypothesis also tries constants out of our modules that are loaded. Which are, hangs on what
    # a worker ran before: with them the examples were others from run to run.
    vars(providers)["is_local_module_file"] = lambda _path: False


@pytest.fixture
def head_office(tmp_path: Path) -> Iterator[HeadOffice]:
    """A head office whose broker runs on a loopback port; ``admit`` lets boxes in."""
    with HeadOffice(tmp_path / "head-office") as made:
        yield made


_LONG = ("slow", "story")
_OURS = re.compile(
    r"(\.tmp|\.gpart|\.glog|\.gcalls|/leaves|/lock|/journal|/root\.[01]|/[0-9-]{10}\.[0-9]+)"
    r"( \(deleted\))?$"
)
_OPEN = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def what_was_killed_is_closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close the files that a power cut, acted in this process, left open.

    A process that dies has no descriptors; ours would have some thousand at the end, and select(2)
    of the MQTT library takes no descriptor above 1023.
    """
    yield
    folder = "/" + re.sub(r"\W", "_", request.node.name)[:30]
    for one in list(_OPEN.iterdir()) if _OPEN.is_dir() else []:
        with contextlib.suppress(OSError):
            target = str(one.readlink())
            if folder in target and (_OURS.search(target) or Path(target).is_dir()):
                os.close(int(one.name))
