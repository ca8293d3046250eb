"""To whom everything is sealed: head office, and the console of the month where there is one.

The log decides whose key that is, never a file alone: whoever can write here must not become a
reader of what is recorded. docs/operator-keys.md section 5.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greffier.audit import verify
from greffier.clock import Clock
from greffier.errors import IntegrityError
from greffier.recorder import console_keys
from greffier.recorder.operators import Roll, cards, guards, roll_of
from greffier.seal import keys
from greffier.seal.keys import PublicKey, Role
from greffier.seal.month import Month
from greffier.store.layout import DataDirectory
from greffier.trust.operators import Operator

_OTHER = "this device was made for another key"
Files = tuple[tuple[Path, bytes], ...]


def given(data: DataDirectory) -> list[PublicKey]:
    """The keys that lie in *data*: head office's, and the console's that it was made with."""
    found = [keys.read_public(data.office_public, Role.OFFICE)]
    if data.console_public.exists():
        found.append(keys.read_public(data.console_public, Role.CONSOLE))
    return found


def key_ids(recipients: Sequence[PublicKey]) -> dict[str, str]:
    """Their names in the log."""
    return {f"{one.role.name.lower()}_key": one.key_id.hex() for one in recipients}


def replacement(data: DataDirectory, key_id: str) -> Path:
    """Where head office's new key lies from before the log names it on."""
    return data.office_public.with_name(f"office-{key_id}.pub")


def _replaced(data: DataDirectory, key_id: str) -> PublicKey:
    """Head office's key that the log names, where a replacement was cut short after its entry."""
    path = replacement(data, key_id)
    if path.exists():
        found = keys.read_public(path, Role.OFFICE)
        if found.key_id.hex() == key_id:
            return found
    raise IntegrityError(what=data.office_public, reason=_OTHER)


class Recipients:
    """Whom an archive seals to. The thread that owns the archive owns it."""

    def __init__(self, data: DataDirectory, clock: Clock) -> None:
        """Raises BadKeyFile."""
        self._data = data
        self._clock = clock
        self.now: list[PublicKey] = given(data)
        """Head office first. Checked against the log by :meth:`check` alone."""
        self._roll: Roll | None = None
        self._operators: list[Operator] = []
        self._month: Month | None = None
        self.guards: list[str] = []
        """On what operators' keys hang, as :func:`greffier.recorder.operators.guards` says it."""

    @property
    def roll(self) -> Roll:
        """What the log says of operators and keys. Reads the whole log if nobody has before."""
        if self._roll is None:
            self._roll = roll_of(verify.entries(self._data.path))
        return self._roll

    @property
    def orphaned(self) -> bool:
        """Whether there were operators, and the last one is gone."""
        return self.roll.ever and not self.roll.listed

    def take_roll(self, roll: Roll) -> None:
        """Take what somebody found who read the whole log anyway."""
        self._roll = roll

    def check(self) -> None:
        """Read everything anew, before an epoch is opened.

        Raises BadKeyFile, IntegrityError (a key is there that this device was not made for).
        """
        roll = self.roll
        office, *console = given(self._data)
        if roll.office is not None and office.key_id.hex() != roll.office:
            office = _replaced(self._data, roll.office)
        if roll.ever:
            console = []  # the key that the device was made with counts no more
        elif roll.office and key_ids(console).get("console_key") != roll.created_console:
            raise IntegrityError(what=self._data.console_public, reason=_OTHER)
        # Once: while this process has the lock, nobody else changes them.
        found = cards(self._data, roll).values()
        self._operators = [card.operator for card in found]
        self.guards = guards(found)
        self._month = console_keys.in_force(self._data, roll)
        if self._month is not None and not self._operators:
            # A removal was cut short: nothing more is sealed to somebody who is gone.
            self._month = self._month if set(self._month.sealed) <= roll.listed.keys() else None
        self.now = [office, *console]

    def renew(self, day: str, say: Callable[[str, Mapping[str, Any]], None]) -> Files:
        """Be those of *day* (``YYYY-MM-DD``); *say* is told what the log is to say.

        Returns the files that must be durable before anything is sealed. Touches no disk.
        """
        files: Files = ()
        why = console_keys.reason_for_new(self._month, self.roll, self._operators, day)
        if why:
            made, _forgotten = console_keys.fresh(
                self._data, self.roll, self._operators, day, self._clock.wall_ns(), why
            )
            say("console.key", made.entry)
            self._month = made.month
            files = ((made.path, made.content),)
        elif self._month is None and self.roll.console is not None:
            # No card can be read, nor the month's file; or a removal was cut short.
            say("console.closed", {"reason": "lost" if self.roll.listed else "no_operator"})
        if self._month is not None:
            self.now = [self.now[0], self._month.public]
        return files
