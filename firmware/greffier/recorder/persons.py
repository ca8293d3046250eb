"""Who orders what needs two persons: different ones, under pseudonyms, proved or declared.

On a box that has operators both sign; on one that has none their names are what somebody typed, and
the log says *declared*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from greffier.recorder.archive import Archive
from greffier.trust import load_log_key

ONE_PERSON: Final = "TWO_PERSONS_NEEDED"
DECLARED: Final = "declared"


class NotVouched(ValueError):
    """Two different persons did not order it; ``code`` says what is missing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Persons:
    """Who says that they order it. *names* are those of operators, where there are operators."""

    names: Sequence[str]


def vouched(archive: Archive, persons: Persons) -> dict[str, Any]:
    """What the log says of *persons*. Raises NotVouched."""
    names = [" ".join(name.split()).casefold() for name in persons.names]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise NotVouched(ONE_PERSON)
    key = load_log_key(archive.data.log_key)
    return {"by": [key.person(name) for name in names], "proof": DECLARED}
