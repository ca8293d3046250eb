"""The one room of alarms: raised, acknowledged, cleared; each told once, often as it may happen.

:class:`AlarmList` is pure: what happened and when goes in, notices come out. An :class:`AlarmRoom`
puts a lock around it, so that any thread may raise an alarm, and hands the notices to the outputs,
which only queue them. Nothing is kept over a restart: what is still wrong is raised again.
"""

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from greffier.clock import Clock
from greffier.control.fields import NAME_PATTERN
from greffier.control.messages import Alarm, Alarms, Notice
from greffier.language import translate, translate_into

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
# Kinds times configured names stay far below this; whatever goes beyond is one alarm of its own.
MOST_STANDING = 256
MOST_NOTICES = 256
OVERFLOW = "alarms.overflow"

_SUBJECT = re.compile(NAME_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """What an alarm of this name means: its severity unless told otherwise, text, next step.

    Both texts are message identifiers; ``{subject}`` is the name of a line, tap, card or output.
    """

    severity: Severity
    text: str
    step: str


_DISK = "check the disk of the data directory"
_ROOM = "free space or sync to head office"
_PORT = "check the cable and the mirror port of the switch"
_UPLINK = "check the network; see `greffier sync status`"
_ENROL = "see `greffier sync status`; enrol this box again"
_CARD = "check the sound card and its cable"
_CLASSIFY = "tell what they were with `greffier fact`"
_UNPICKS = "see the entries call.fact of the log"

KINDS: Final[Mapping[str, Kind]] = {
    "storage.failed": Kind("critical", "recordings cannot be written", _DISK),
    "storage.stalled": Kind("critical", "the disk does not answer; audio waits in memory", _DISK),
    "storage.readonly": Kind("critical", "the disk has become read-only", _DISK),
    "storage.filling": Kind("warning", "the disk is filling up", "see `greffier status`"),
    "storage.refusing": Kind(
        "critical", "the disk has room for duties alone: other calls are not recorded", _ROOM
    ),
    "storage.duties": Kind(
        "critical", "the disk is nearly full: whatever is no duty is not recorded", _ROOM
    ),
    "storage.loss_near": Kind(
        "warning", "in less than a day something is lost that head office has not", _ROOM
    ),
    "storage.full": Kind("critical", "the disk is full", _ROOM),
    "mirror.failed": Kind(
        "warning", "the second medium takes no copies of recordings", "see `greffier doctor`"
    ),
    "storage.rotten": Kind(
        "critical",
        "what was written to the disk has changed: {subject}",
        "run `greffier audit verify`, and check the disk",
    ),
    "audio.dropped": Kind("critical", "audio was dropped because memory was full", _DISK),
    "shred.damaged": Kind("critical", "the shred store has lost entries, in both copies", _DISK),
    "tap.blind": Kind("critical", "tap {subject} sees nothing", _PORT),
    "tap.gone": Kind("critical", "the interface of tap {subject} is gone", _PORT),
    "tap.lost": Kind(
        "warning", "tap {subject} loses packets", "see `greffier doctor` for what this box carries"
    ),
    "card.gone": Kind("critical", "the sound card of {subject} is gone", _CARD),
    "card.overrun": Kind(
        "warning", "the sound card of {subject} loses samples", "see `greffier doctor`"
    ),
    "card.gain": Kind("warning", "the gain of line {subject} cannot be set", "see `amixer`"),
    "line.contact": Kind(
        "warning",
        "the off-hook input of line {subject} cannot be read; its level decides",
        "check the driver and the configuration",
    ),
    "line.silent": Kind("warning", "one side of the calls on {subject} is silent", _PORT),
    "notice.unknown": Kind("critical", "line {subject}: no usable prompt", "see `greffier doctor`"),
    "line.unknown": Kind(
        "warning", "calls come that no rule gives a line", "add a rule to the configuration"
    ),
    "calls.limit": Kind(
        "critical",
        "more calls at once than may be recorded",
        "raise limits.calls, or split the tap",
    ),
    "recorder.late": Kind(
        "warning",
        "the recorder cannot keep up: sound becomes durable later than promised",
        "run `greffier doctor --load`; use the codec original, or fewer lines",
    ),
    "agent.unpicks": Kind("warning", "an agent takes calls away far too often", _UNPICKS),
    "mifid.unclassified": Kind("warning", "mixed calls are not classified after a day", _CLASSIFY),
    "pause.overrun": Kind(
        "warning", "a pause on {subject} lasts too long", "resume it: `greffier status`"
    ),
    "action.unconfirmed": Kind(
        "critical",
        "nobody confirmed what was to be done to a call on {subject}; it is recorded on",
        "end the call by hand; see `greffier doctor` for the outputs of the line",
    ),
    "replay.short": Kind(
        "warning",
        "less of the emergency lines can be heard again than the policy says: memory is short",
        "lower instant_replay_s, or split the lines among recorders",
    ),
    "retention.mass": Kind(
        "critical",
        "far more recordings than usual would be deleted at once, and nothing explains it",
        "check clock and policy; then two persons confirm with `greffier purge --confirm`",
    ),
    "retention.failed": Kind("critical", "recordings that are due cannot be deleted", _DISK),
    "hold.review": Kind(
        "warning",
        "a hold is to be reviewed",
        "see `greffier hold list`; release it or place another",
    ),
    "request.due": Kind(
        "warning",
        "a request of a data subject is to be answered within a week",
        "see `greffier request list`",
    ),
    "request.late": Kind(
        "critical",
        "the deadline of a request of a data subject has passed",
        "see `greffier request list`; answer it, and tell the DPO",
    ),
    "access.broken_glass": Kind(
        "warning",
        "somebody heard an emergency call again beyond the instant replay",
        "ask who and why: the log has the reason",
    ),
    "clock.wrong": Kind("warning", "the clock is wrong", "run `greffier doctor`"),
    "clock.differs": Kind(
        "warning", "head office's clock is ahead of this one", "check the time on both sides"
    ),
    "memory.unlocked": Kind(
        "warning", "memory could be swapped to disk", "give the service LimitMEMLOCK"
    ),
    "operator.none": Kind(
        "warning",
        "the last operator is gone: nobody can replay here, head office can",
        "make a new one with `greffier operator add`; months before stay closed here",
    ),
    "policy.refused": Kind(
        "warning",
        "the policy of the configuration may not be adopted; the one before goes on",
        "see `greffier doctor`; two people sign it with `greffier-office policy sign`",
    ),
    "policy.unreadable": Kind(
        "critical",
        "the policy that was adopted cannot be read: its fail mode decides of every call",
        "put a policy that two people signed where the configuration names it, and restart",
    ),
    "priority.missing": Kind(
        "warning", "capture runs without real-time priority", "give the service LimitRTPRIO"
    ),
    "output.failed": Kind(
        "warning", "the alarm output {subject} fails", "check its address and its password"
    ),
    "recorder.restarted": Kind(
        "info", "the recorder was restarted after it was cut off", "see `greffier coverage`"
    ),
    "recorder.silent": Kind(
        "critical", "the recorder does not answer", "see `systemctl status greffier-recorder`"
    ),
    "sync.forged": Kind(
        "critical",
        "receipts or cosignatures come that head office did not give",
        "tell head office; nothing was deleted for them",
    ),
    "sync.forked": Kind(
        "critical",
        "head office has seen another history of this log",
        "run `greffier audit verify`, and tell head office; this box may be a copy",
    ),
    "sync.keys": Kind(
        "critical",
        "keys/head-office.pub cannot be used, so no receipt counts",
        "run `greffier enrol install` again with head office's response",
    ),
    "sync.silent": Kind(
        "critical",
        "the transfer to head office does not report",
        "see `systemctl status greffier-sync`",
    ),
    "sync.offline": Kind("warning", "head office cannot be reached", _UPLINK),
    "sync.no_collector": Kind(
        "warning", "nobody at head office takes recordings", "start `greffier-office serve` there"
    ),
    "sync.refused": Kind(
        "critical",
        "head office refuses recordings of this box",
        "see `greffier sync status`, and the journal of head office",
    ),
    "sync.broker_denied": Kind(
        "critical", "the broker of head office forbids what this box sends", _ENROL
    ),
    "sync.certificate": Kind(
        "critical", "the certificate for head office is missing, expired or refused", _ENROL
    ),
    "sync.too_large": Kind(
        "critical",
        "the broker of head office takes no message as large as is needed",
        "set max_packet_size of the broker to 262144",
    ),
    "sync.backlog": Kind(
        "warning",
        "recordings wait too long for head office",
        "see `greffier sync status`; check the limit of bandwidth",
    ),
    "sync.storage": Kind(
        "warning", "the transfer to head office cannot write its folder", "check its disk"
    ),
    "sync.paused": Kind(
        "info", "the transfer to head office is paused", "`greffier sync now` ends the pause"
    ),
    "sync.other": Kind(
        "warning", "the transfer to head office has a trouble", "see `greffier sync status`"
    ),
    OVERFLOW: Kind("critical", "there are more alarms than can be shown", "see `greffier doctor`"),
}


def sentence(alarm: Alarm, language: str | None = None) -> str:
    """What *alarm* says, and the next step, in *language* (None: the one this process speaks)."""

    def say(text: str) -> str:
        return translate_into(language, text) if language else translate(text)

    kind = KINDS.get(alarm.name)
    if kind is None:  # of a newer recorder
        return f"{alarm.name} {alarm.subject}".strip()
    return f"{say(kind.text).format(subject=alarm.subject or '-')} — {say(kind.step)}"


class AlarmList:
    """Which alarms stand, and what happened to them lately. Pure; one owner."""

    def __init__(self) -> None:
        self._standing: OrderedDict[tuple[str, str], Alarm] = OrderedDict()
        self._notices: deque[Notice] = deque(maxlen=MOST_NOTICES)
        self._serial = 0
        self._ids = 0

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """Every alarm that is not cleared, oldest first."""
        return tuple(self._standing.values())

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The latest notices, oldest first."""
        return tuple(self._notices)

    @property
    def serial(self) -> int:
        """The serial of the latest notice, 0 before the first."""
        return self._serial

    def raise_alarm(
        self, name: str, now_ns: int, subject: str = "", severity: Severity | None = None
    ) -> list[Notice]:
        """*name* happens on *subject*; a notice where that is new, or graver than before.

        Raises ValueError for a name that is not in :data:`KINDS`, and for a subject that is not the
        name of something configured: nothing else may ever get into an alarm.
        """
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError("an alarm without a kind")
        if subject and not _SUBJECT.fullmatch(subject):
            raise ValueError("an alarm about what has no name")
        grade = severity or kind.severity
        old = self._standing.get((name, subject))
        if old is None and len(self._standing) >= MOST_STANDING - 1 and name != OVERFLOW:
            return self.raise_alarm(OVERFLOW, now_ns)
        if old is None:
            self._ids += 1
            alarm = Alarm(self._ids, name, subject, grade, False, 1, now_ns, now_ns)
        else:
            graver = SEVERITIES.index(grade) > SEVERITIES.index(old.severity)
            alarm = replace(
                old,
                count=old.count + 1,
                last_ns=now_ns,
                severity=grade if graver else old.severity,
                acknowledged=old.acknowledged and not graver,
            )
        self._standing[name, subject] = alarm
        if old is not None and alarm.severity == old.severity:
            return []
        return [self._notice("raised", alarm, now_ns)]

    def acknowledge(self, number: int, now_ns: int) -> list[Notice]:
        """Somebody has seen the alarm *number*; nothing where he had already. Raises KeyError."""
        for key, alarm in self._standing.items():
            if alarm.id == number:
                if alarm.acknowledged:
                    return []
                seen = replace(alarm, acknowledged=True)
                self._standing[key] = seen
                return [self._notice("acknowledged", seen, now_ns)]
        raise KeyError(number)

    def clear(self, name: str, now_ns: int, subject: str = "") -> list[Notice]:
        """What was wrong is right again; nothing where nothing stood."""
        cleared = [self._standing.pop((name, subject), None)]
        if len(self._standing) < MOST_STANDING:
            # There is room again, so what cannot be shown will be raised by its own name.
            cleared.append(self._standing.pop((OVERFLOW, ""), None))
        return [self._notice("cleared", alarm, now_ns) for alarm in cleared if alarm]

    def _notice(self, what: str, alarm: Alarm, now_ns: int) -> Notice:
        self._serial += 1
        made = Notice(self._serial, what, now_ns, alarm)
        self._notices.append(made)
        return made


# What an output is told: a notice, and all that stands after it. It must return at once.
Listener = Callable[[Notice, Sequence[Alarm]], None]


class AlarmRoom:
    """An :class:`AlarmList` for several threads. No call waits for anything but another such call.

    *run* is 32 hex digits of this start of the process. Listeners are told in the order of serials
    and must not call the room.
    """

    def __init__(self, clock: Clock, run: str, listeners: Sequence[Listener] = ()) -> None:
        self._clock = clock
        self._run = run
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._list = AlarmList()
        self._view: Alarms | None = None

    def listen(self, listener: Listener) -> None:
        """Tell *listener* too from now on."""
        with self._lock:
            self._listeners += (listener,)

    def raise_alarm(self, name: str, subject: str = "", severity: Severity | None = None) -> None:
        """As :meth:`AlarmList.raise_alarm`, now. Raises ValueError."""
        with self._lock:
            now = self._clock.wall_ns()
            self._view = None  # even a repetition counts
            self._tell(self._list.raise_alarm(name, now, subject, severity))

    def clear(self, name: str, subject: str = "") -> None:
        """As :meth:`AlarmList.clear`, now."""
        with self._lock:
            self._tell(self._list.clear(name, self._clock.wall_ns(), subject))

    def set(self, wrong: bool, name: str, subject: str = "") -> None:
        """Raise it while something is *wrong*, else clear it. Raises ValueError."""
        if wrong:
            self.raise_alarm(name, subject)
        else:
            self.clear(name, subject)

    def acknowledge(self, number: int) -> bool:
        """As :meth:`AlarmList.acknowledge`, now; whether that changed anything. Raises KeyError."""
        with self._lock:
            notices = self._list.acknowledge(number, self._clock.wall_ns())
            self._tell(notices)
            return bool(notices)

    def view(self) -> Alarms:
        """What the control socket shows; the same object until something changes."""
        with self._lock:
            if self._view is None:
                now = self._list
                self._view = Alarms(self._run, now.serial, now.standing, now.notices)
            return self._view

    def _tell(self, notices: Sequence[Notice]) -> None:
        if not notices:
            return
        self._view = None
        standing = self._list.standing
        for notice in notices:
            for listener in self._listeners:
                listener(notice, standing)
