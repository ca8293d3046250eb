"""Instant replay: the last seconds of emergency lines, in memory that is locked and wiped.

Law: what is replayed is logged before it is heard, here in memory. The entry is durable with the
next commit; a disk that stalls delays the entry, not the dispatcher. So an answer needs neither the
recorder's loop nor its disk: :meth:`Recall.play` is for the control server's thread, and meets the
loop under a lock that is held while octets are copied, not while they become sound.

Nothing of any other line is ever kept here.
"""

import fcntl
import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from greffier.audit.entry import BadEntry
from greffier.audit.log import Log
from greffier.clock import SECOND, Clock
from greffier.control.board import Handed
from greffier.control.messages import MOST_REPLAY_S, Done, Failure, Replay
from greffier.encode.delay import Dated, DelayLine
from greffier.encode.replay import Replayed, Strip, TooLarge, replayed
from greffier.encode.timeline import Placed
from greffier.errors import NotDecodable
from greffier.policy.site import Policy

MOST_HELD: Final = 256 << 20
"""Octets of all lines together; beyond it, what is oldest goes before its time."""
MOST_OWED: Final = 1024
"""Entries that may wait for a disk; then nothing more is replayed."""
_MARGIN_NS: Final = SECOND  # what is kept longer, so that the last second asked for is whole
_OCTETS_OF_SAMPLE: Final = 16  # as much as the widest codec makes, with a head for each packet
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_WHOLE: Final = 8  # of the time that sound is kept, where memory is short by eighths
_HALVINGS: Final = 12
_MOST_CALLS: Final = 1024  # that an entry names


class _Leg:
    """Sound of one leg whose sample 0 was at *base_ns*, monotonic. Guarded by the recall's lock."""

    def __init__(self, side: str, base_ns: int, rate: int, most: int) -> None:
        self.side = side
        self.base_ns = base_ns
        self.rate = rate
        self.line = DelayLine(most)
        self.last_ns = 0  # stamps never fall, so that nothing old hides behind something young

    def fits(self, first: Placed, at_ns: int) -> bool:
        """Whether *first*, which came at *at_ns*, lies where it should on this leg's clock."""
        start = self.base_ns + first.position * SECOND // self.rate
        end = start + first.samples * SECOND // self.rate
        return start - _MARGIN_NS <= at_ns <= end + _MARGIN_NS

    def keep(self, at_ns: int, item: Placed, reach_ns: int) -> bool:
        """Keep *item*; False: there was no room, and what is oldest went for it."""
        self.last_ns = max(self.last_ns, at_ns)
        if self.line.append(self.last_ns, item):
            return True
        for halved in range(1, _HALVINGS):
            self.line.drop(self.last_ns - (reach_ns >> halved))
            if self.line.append(self.last_ns, item):
                break
        return False


class CallRecall:
    """What a call is kept by, leg by leg. The recorder's thread owns it."""

    def __init__(self, recall: "Recall", line: str, uid: str, reach_ns: int) -> None:
        self._recall = recall
        self._name = (line, uid)
        self._reach_ns = reach_ns

    def keep(self, leg: int, side: str, origin_ns: int, rate: int, dated: Sequence[Dated]) -> None:
        """Keep *dated*, with their arrival; sample 0 was at *origin_ns*, wall clock."""
        self._recall.keep((*self._name, leg), side, origin_ns, rate, dated, self._reach_ns)


@dataclass(slots=True)
class _Owed:
    """An entry that is not durable yet; *seq* is its number in the log that has accepted it."""

    data: dict[str, Any]
    seq: int | None = None


class Recall:
    """What can be replayed, of the lines that *policy* keeps for it among *lines*.

    It outlives an archive that is closed and opened again: *attach* and *detach* tell which log
    there is.
    """

    def __init__(self, policy: Policy, lines: Collection[str], clock: Clock) -> None:
        self._policy = policy
        self._lines = frozenset(lines)
        self._clock = clock
        # Guards all below.
        self._door = threading.Lock()
        self._legs: dict[tuple[str, str, int], list[_Leg]] = {}
        self._log: Log | None = None
        self._owed: list[_Owed] = []
        self._closed = False
        self.shortened = 0
        """How often sound went before its time, for want of memory; counted under the lock."""

    def adopt(self, policy: Policy) -> None:
        """Calls that begin from now on are kept as *policy* says. The recorder's thread."""
        self._policy = policy

    def reach_ns(self, line: str) -> int:
        """How long sound of *line* is kept: no longer than can be asked for; 0: not at all."""
        return min(self._policy.replay_s(line), MOST_REPLAY_S) * SECOND

    # --- the recorder's thread ---

    def of(self, line: str, uid: str) -> CallRecall | None:
        """What keeps the call *uid*; None where *line* keeps nothing."""
        reach_ns = self.reach_ns(line)
        return CallRecall(self, line, uid, reach_ns) if reach_ns else None

    def keep(
        self,
        name: tuple[str, str, int],
        side: str,
        origin_ns: int,
        rate: int,
        dated: Sequence[Dated],
        reach_ns: int,
    ) -> None:
        """Keep the sound among *dated* of the leg *name* (line, call, leg)."""
        with self._door:
            if self._closed:
                return
            now = self._clock.monotonic_ns()
            shift = now - self._clock.wall_ns()
            for at, item in dated:
                if isinstance(item, Placed):
                    stamp = min(now, at + shift)
                    leg = self._leg(name, side, origin_ns + shift, rate, item, stamp)
                    self.shortened += not leg.keep(stamp, item, reach_ns)

    def _leg(
        self,
        name: tuple[str, str, int],
        side: str,
        base_ns: int,
        rate: int,
        item: Placed,
        stamp: int,
    ) -> _Leg:
        """Where *item* goes; a new place where it does not lie on the last one's clock."""
        legs = self._legs.setdefault(name, [])
        if not legs or not legs[-1].fits(item, stamp):
            most = (self.reach_ns(name[0]) + _MARGIN_NS) * rate * _OCTETS_OF_SAMPLE // SECOND
            leg = _Leg(side, base_ns, rate, most)
            if not leg.fits(item, stamp):
                leg.base_ns = stamp - item.position * SECOND // rate
            legs.append(leg)
        return legs[-1]

    def age(self) -> None:
        """Wipe what is too old, and what is too much; forget which entries are durable."""
        with self._door:
            self.shortened += self._age()
            if self._log is not None:
                durable = self._log.checkpoint.size
                self._owed = [one for one in self._owed if one.seq is None or one.seq >= durable]

    def _age(self) -> bool:
        """Whether anything went before its time."""
        now = self._clock.monotonic_ns()
        part = _WHOLE
        while True:
            held = 0
            for name, legs in list(self._legs.items()):
                until_ns = now - (self.reach_ns(name[0]) + _MARGIN_NS) * part // _WHOLE
                for leg in legs:
                    leg.line.drop(until_ns)
                    held += leg.line.counts().held
                legs[:] = [leg for leg in legs if leg.line.counts().items]
                if not legs:
                    del self._legs[name]
            if held <= MOST_HELD or not part:
                return part < _WHOLE
            part -= 1

    def attach(self, log: Log) -> None:
        """From now on entries go to *log*, also those that no log made durable yet."""
        with self._door:
            self._log = log
            for one in self._owed:
                one.seq = log.append("replay", None, one.data).seq

    def detach(self) -> None:
        """The log is given up: what it did not make durable is owed to the next."""
        with self._door:
            if self._log is not None:
                durable = self._log.checkpoint.size
                self._owed = [one for one in self._owed if one.seq is None or one.seq >= durable]
            for one in self._owed:
                one.seq = None
            self._log = None

    def close(self) -> None:
        """Wipe everything; nothing is kept or replayed any more. Safe to repeat."""
        with self._door:
            self._closed = True
            self._legs.clear()

    def held(self) -> tuple[int, int]:
        """How many items are kept, and in how many octets of memory."""
        with self._door:
            counts = [leg.line.counts() for legs in self._legs.values() for leg in legs]
        return sum(one.items for one in counts), sum(one.held for one in counts)

    # --- any thread ---

    def play(self, request: Replay, user: int) -> Handed:
        """The last seconds of a line as a sealed memfd, for the Unix user *user*.

        Whoever gets the descriptor closes it.
        """
        refusal = self._refusal(request.line)
        if refusal is not None:
            return Handed(Failure("refused", refusal))
        try:
            return self._played(request, user)
        except TooLarge:
            return Handed(Failure("refused", "replay_too_large"))
        except (BadEntry, NotDecodable):
            return Handed(Failure("refused", "not_expressible"))
        except (MemoryError, OSError):
            return Handed(Failure("busy", "no_memory"))

    def _refusal(self, line: str) -> str | None:
        if line not in self._lines:
            return "no_such_line"
        if not self._policy.emergency(line):
            return "no_emergency_line"
        return None if self.reach_ns(line) else "replay_not_available"

    def _played(self, request: Replay, user: int) -> Handed:
        span_ns = min(request.seconds * SECOND, self.reach_ns(request.line))
        with self._door:
            if self._closed:
                return Handed(Failure("busy", "stopping"))
            if len(self._owed) >= MOST_OWED:
                return Handed(Failure("busy", "too_many_orders"))
            self.shortened += self._age()
            legs = [
                (name, leg)
                for name, several in self._legs.items()
                if name[0] == request.line
                for leg in several
            ]
            now, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        strips: list[Strip] = []
        try:
            to_ns = now
            for name, leg in legs:
                strips.append(self._copied(name, leg, now - span_ns - _MARGIN_NS))
                # The sound of a packet that has just come lasts a moment longer.
                _, end = strips[-1].extent() or (0, 0)
                to_ns = max(to_ns, end if end <= now + _MARGIN_NS else 0)
            sound = replayed(strips, to_ns - span_ns, to_ns)
        finally:
            for one in strips:
                one.copied.wipe()
        if sound is None:
            return Handed(Failure("refused", "nothing_kept"))
        fd = _sealed(sound)
        try:
            self._tell(request.line, user, sound, wall - now)
        except BaseException:
            os.close(fd)
            raise
        return Handed(Done(), fd)

    def _copied(self, name: tuple[str, str, int], leg: _Leg, from_ns: int) -> Strip:
        """One leg at a time: the loop waits no longer than that takes."""
        with self._door:
            copied = leg.line.copied(from_ns)
        return Strip(name[1], name[2], leg.side, leg.base_ns, leg.rate, copied)

    def _tell(self, line: str, user: int, sound: Replayed, to_wall_ns: int) -> None:
        """Accept the entry: it is in memory before anybody hears the sound."""
        data: dict[str, Any] = {
            "line": line,
            "user": user,
            "at_ns": self._clock.wall_ns(),
            "from_ns": max(sound.from_ns + to_wall_ns, 0),
            "to_ns": max(sound.to_ns + to_wall_ns, 0),
            "calls": list(sound.calls[:_MOST_CALLS]),
        }
        with self._door:
            seq = None if self._log is None else self._log.append("replay", None, data).seq
            self._owed.append(_Owed(data, seq))


def _sealed(sound: Replayed) -> int:
    """A descriptor of memory that holds the file, and that nobody can change. Raises OSError."""
    fd = os.memfd_create("greffier-replay", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for piece in (sound.header, sound.samples.data.cast("B")):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    finally:
        sound.samples.fill(0)
    return fd
