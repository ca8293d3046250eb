"""Console keys of the months: which is in force, when a new one is due, which nobody needs.

docs/operator-keys.md section 5. The log says which one counts; its file holds the public half, and
the private half for operators alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier.errors import IntegrityError
from greffier.recorder.operators import ConsoleKey, Roll
from greffier.seal import envelope, month
from greffier.seal.keys import PrivateKey, Role
from greffier.seal.month import BadMonth, Month
from greffier.store.layout import DataDirectory
from greffier.trust.operators import Operator, Unlocked

FIRST, MONTHLY, REMOVED, ASKED = "first", "month", "removed", "asked"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A console key that was made a moment ago: its file, and what the log says of it.

    The file must be durable before the entry is, and the entry before anything is sealed to it.
    """

    month: Month
    path: Path
    content: bytes
    entry: Mapping[str, Any]


class OperatorKeys:
    """All that an unlocked operator opens: the console keys of the months sealed to them.

    One thread owns an instance.
    """

    def __init__(self, unlocked: Unlocked, months: Iterable[Month]) -> None:
        self._pair = month.operator_pair(unlocked.seed)
        self._months = {one.public.key_id: one for one in months}
        self._opened: dict[bytes, PrivateKey | None] = {}

    @property
    def key_id(self) -> bytes:
        """The operator's, by which the log names who opens."""
        return self._pair.public.key_id

    def find(self, role: Role, key_id: bytes) -> PrivateKey | None:
        """The console key with *key_id*, where its month is sealed to this operator.

        Raises IntegrityError: it says so, and does not open.
        """
        if role is not Role.CONSOLE or key_id not in self._months:
            return None
        if key_id not in self._opened:
            found = self._months[key_id]
            try:
                self._opened[key_id] = found.opened(self._pair)
            except BadMonth as error:
                raise IntegrityError(what=found.file_name, reason=error) from error
        return self._opened[key_id]


def months(data: DataDirectory) -> list[Month]:
    """Every month that lies in ``keys/months`` and can be read, by month and number."""
    found = []
    for path in data.months.glob("*.json") if data.months.is_dir() else []:
        try:
            found.append(month.parse_month(path.read_bytes(), path.name))
        except (OSError, BadMonth):
            continue
    return sorted(found, key=lambda one: (one.month, one.number))


def path_of(data: DataDirectory, one: Month) -> Path:
    """Where the file of a month lies."""
    return data.months / one.file_name


def in_force(data: DataDirectory, roll: Roll) -> Month | None:
    """The month whose key the log names last; None where there is none, or its file is gone."""
    if roll.console is None:
        return None
    path = data.months / f"{roll.console.month}.{roll.console.number}.json"
    try:
        found = month.parse_month(path.read_bytes(), path.name)
    except (OSError, BadMonth):
        return None
    return found if found.key_id == roll.console.key_id else None


def reason_for_new(
    found: Month | None, roll: Roll, operators: Collection[Operator], day: str
) -> str:
    """Why a new key is due on *day* (``YYYY-MM-DD``); empty: none is. *found* is in force."""
    if not operators:
        return ""
    if found is None:
        return FIRST if roll.console is None else ASKED
    if found.month != day[:7]:
        return MONTHLY
    # Whom the log does not list any more may still be in a file that somebody put back.
    return "" if set(found.sealed) <= roll.listed.keys() else REMOVED


def fresh(
    data: DataDirectory, roll: Roll, operators: Iterable[Operator], day: str, now_ns: int, why: str
) -> tuple[Fresh, PrivateKey]:
    """A new console key for *operators* (at least one), for the month of *day*.

    Nothing is written yet. The private half is for who adds an operator; others forget it.
    """
    name = day[:7]
    keys = [month.operator_key(one.public) for one in operators]
    made, private = month.new_month(name, roll.numbers.get(name, 0) + 1, now_ns, keys)
    entry = {
        "key": made.key_id,
        "month": made.month,
        "number": made.number,
        "operators": sorted(made.sealed),
        "reason": why,
    }
    return Fresh(made, path_of(data, made), made.to_bytes(), entry), private


def unneeded(data: DataDirectory, force: ConsoleKey | None, blocks: Iterable[bytes]) -> list[Month]:
    """The months of which no envelope block of the shred store tells, and that are not in force."""
    needed = {force.key_id} if force else set()
    for block in blocks:
        needed |= {
            one.key_id.hex() for one in envelope.parse_block(block) if one.role is Role.CONSOLE
        }
    return [one for one in months(data) if one.key_id not in needed]
