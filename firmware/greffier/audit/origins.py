"""When parts were begun, where the wall clock was wrong then.

A part says when it was created by the wall clock, which a lost battery sets back by years, and
which anybody may set. Deletion counts from it, so it is put right as far as the log can tell:

* the boot clock cannot be set, so a step of the wall clock shows in the log, and how far it went;
* where a witness (or two persons) and the wall clock agree, the wall clock is right; what was said
  in the same boot before a step, or after another, is off by that step;
* what was created before the lower bound of trusted time of the same instant was not: it counts
  from that bound;
* a part under a duty is no older than the boot clock says, as long as its boot lasts;
* a part under a duty whose boot ends before trusted time is back counts from when it is back.

Calls of a capture file keep the time that the capture gives. Any thread may call anything here; a
lock is held for moments.
"""

import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from greffier.audit.entry import Entry
from greffier.clock import SECOND, Clock
from greffier.policy.purposes import MANDATORY

TOLERANCE_NS: Final = 300 * SECOND
"""By how much a clock may be off without anybody caring."""
_VOUCHING: Final = frozenset({"cosignature", "statement"})
_PACKED = struct.Struct(">16sq?")  # part, created, duty


class Origins:
    """Give it every entry that opens or ends a part, and as many others as there are, in order.

    Parts whose time is right take no room, but 25 octets each while nobody can know.
    """

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._boot = ""
        self._offset_ns = 0  # wall less boot clock, when it was looked at last
        self._steps_ns = 0  # by how much the wall clock was set in this boot, all in all
        self._right_ns: int | None = None  # the same when it was known to be right
        self._importing = False
        # Parts of this boot while it is not known whether its clock is right, by the steps so far.
        self._pending: dict[int, bytearray] = {}
        # Those under a duty among them, by name, with the steps up to then.
        self._unsure: dict[str, int] = {}
        self._behind_ns = 0  # by how much the wall clock was behind the bound, when last looked at
        self._moved: dict[str, int] = {}
        self._waiting: set[str] = set()  # under a duty, created nobody knows when

    def read(self, entry: Entry) -> None:
        """Take in an entry of the log."""
        with self._door:
            self._look(entry.boot, entry.mono_ns, entry.t_ns, entry.t_lb_ns, entry.t_src)
            if entry.ev == "part.opened":
                self._begin(entry)
            elif entry.ev == "key.shredded":
                for part in entry.data.get("parts", ()):
                    self._moved.pop(part, None)
                    self._unsure.pop(part, None)
                    self._waiting.discard(part)
            elif entry.ev == "import.started":
                self._importing = True
            elif entry.ev in ("import.ended", "epoch.opened"):
                self._importing = False

    # --- from a summary of the log, and for one ---

    def dump(self) -> dict[str, Any]:
        """All of it as JSON values, for :meth:`load`."""
        with self._door:
            return {
                "boot": self._boot,
                "offset_ns": self._offset_ns,
                "steps_ns": self._steps_ns,
                "right_ns": self._right_ns,
                "importing": self._importing,
                "pending": [[steps, packed.hex()] for steps, packed in self._pending.items()],
                "moved": self._moved,
                "waiting": sorted(self._waiting),
            }

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        made = cls()
        made._boot, made._importing = str(told["boot"]), bool(told["importing"])
        made._offset_ns, made._steps_ns = int(told["offset_ns"]), int(told["steps_ns"])
        made._right_ns = None if told["right_ns"] is None else int(told["right_ns"])
        made._pending = {int(steps): bytearray.fromhex(packed) for steps, packed in told["pending"]}
        made._moved = {str(part): int(created) for part, created in told["moved"].items()}
        made._waiting = set(told["waiting"])
        for steps, packed in made._pending.items():
            made._unsure |= dict.fromkeys(_duties(packed), steps)
        return made

    def become(self, other: "Origins") -> None:
        """Hold what *other* holds, which nobody changes meanwhile."""
        copied = Origins.load(other.dump())
        with self._door:
            self._boot, self._importing = copied._boot, copied._importing
            self._offset_ns, self._steps_ns = copied._offset_ns, copied._steps_ns
            self._right_ns, self._pending = copied._right_ns, copied._pending
            self._moved, self._waiting = copied._moved, copied._waiting
            self._unsure = copied._unsure

    def look(self, clock: Clock) -> None:
        """See what the clocks say now."""
        bound = clock.lower_bound()
        with self._door:
            wall_ns, mono_ns = clock.wall_ns(), clock.monotonic_ns()
            self._look(clock.boot_id, mono_ns, wall_ns, bound.t_ns, bound.source)

    def created_ns(self, part: str, said_ns: int) -> int | None:
        """When *part*, which says *said_ns*, was created; None: that is not known yet, and it is
        under a duty."""
        with self._door:
            if part in self._waiting:
                return None
            created_ns = self._moved.get(part, said_ns)
            if part in self._unsure:
                # By the wall clock of now, or the bound if that is ahead: what has gone by since
                # is then at most what has gone by on the boot clock.
                steps_ns = self._steps_ns - self._unsure[part]
                created_ns = max(created_ns, said_ns + steps_ns + self._behind_ns)
            return created_ns

    def moved(self) -> Iterator[str]:
        """The parts that were created at another time than they say."""
        with self._door:
            return iter(tuple(self._moved))

    def _look(self, boot: str, mono_ns: int, wall_ns: int, bound_ns: int, source: str) -> None:
        """Notice boots and steps, and when the wall clock is right."""
        offset_ns = wall_ns - mono_ns
        if boot != self._boot:
            self._boot, self._steps_ns, self._right_ns = boot, 0, None
            self._waiting.update(self._unsure)  # now nobody will know
            self._pending, self._unsure = {}, {}
        elif abs(offset_ns - self._offset_ns) > TOLERANCE_NS:
            self._steps_ns += offset_ns - self._offset_ns
        self._offset_ns, self._behind_ns = offset_ns, max(0, bound_ns - wall_ns)
        if source in _VOUCHING and abs(wall_ns - bound_ns) <= TOLERANCE_NS:
            self._agree(bound_ns)

    def _agree(self, bound_ns: int) -> None:
        self._right_ns = self._steps_ns
        for steps_ns, packed in self._pending.items():
            for name, created_ns, _duty in _PACKED.iter_unpack(packed):
                if steps_ns != self._right_ns:
                    self._moved[name.hex()] = created_ns + self._right_ns - steps_ns
        self._pending, self._unsure = {}, {}
        for part in self._waiting:  # of boots that are over: not later than now
            self._moved[part] = bound_ns
        self._waiting.clear()

    def _begin(self, entry: Entry) -> None:
        if self._importing:
            return
        part, created_ns = entry.data["part"], entry.data.get("created_ns", entry.t_ns)
        if self._right_ns is not None:
            right_ns = created_ns + self._right_ns - self._steps_ns
            if right_ns < entry.t_lb_ns - TOLERANCE_NS:
                right_ns = entry.t_lb_ns
            if right_ns != created_ns:
                self._moved[part] = right_ns
            return
        packed = self._pending.setdefault(self._steps_ns, bytearray())
        duty = any(purpose in MANDATORY for purpose in entry.data.get("purposes", ()))
        packed += _PACKED.pack(bytes.fromhex(part), created_ns, duty)
        if duty:
            self._unsure[part] = self._steps_ns
        if created_ns < entry.t_lb_ns - TOLERANCE_NS:
            self._moved[part] = entry.t_lb_ns


def _duties(packed: bytes | bytearray) -> Iterator[str]:
    return (name.hex() for name, _said, duty in _PACKED.iter_unpack(packed) if duty)
