"""Orders to pause and to resume: who may, what is logged, what happens, and when it is answered.

The entry is accepted by the log first, then the sound is wiped; no frame that a pause or its end
changes reaches a file before the entry is durable, since every tick writes the log first. The
answer waits until the entry is durable: what was answered holds after a power cut.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from greffier.audit.entry import Entry
from greffier.clock import SECOND
from greffier.config.records import Config
from greffier.control.board import Order
from greffier.control.messages import Done, Failure, Pause, Resume
from greffier.policy.site import Policy
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.promises import Promises
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source

SOURCE = "api"
"""What an order over the socket counts as, of the policy's sources of pauses."""


class Pausing:
    """Owned by the recorder's thread; *sources* is the loop's own list."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        archive: Archive,
        troubles: Troubles,
        sources: Sequence[Source],
    ) -> None:
        self._config = config
        self._policy = policy
        self._archive = archive
        self._troubles = troubles
        self._sources = sources
        self._promises = Promises(archive.log)
        self._overrun: set[str] = set()

    def adopt(self, policy: Policy) -> None:
        """Orders are judged by *policy* from now on; what a call's sound waits for stays."""
        self._policy = policy

    def obey(self, request: Pause | Resume, order: Order) -> None:
        """Carry out *request*; a refusal is answered at once, the rest by :meth:`answer`."""
        calls, refusal = self._meant(request)
        if refusal is not None:
            order.done(Failure("refused", refusal))
            return
        begins = isinstance(request, Pause)
        entries = [
            self.change(call, begins=begins, source=SOURCE, user=order.uid) for call in calls
        ]
        changed = [entry.seq for entry in entries if entry is not None]
        if changed:
            self._promises.make(changed[-1], order, Done())
        else:
            order.done(Done(changed=False))

    def answer(self) -> None:
        """Answer the orders whose entries are durable by now."""
        self._promises.keep()

    def watch(self, now_ns: int) -> None:
        """Raise the alarm of each line on which a pause lasts too long, and clear it."""
        longest = self._policy.pause.alarm_after_s * SECOND
        overrun = {
            call.rules.line
            for call in self._running()
            if call.pauses.windows
            and call.pauses.paused
            and now_ns - call.pauses.windows[-1].from_ns > longest
        }
        for line in overrun - self._overrun:
            self._troubles.set(True, "pause.overrun", line)
        for line in self._overrun - overrun:
            self._troubles.set(False, "pause.overrun", line)
        self._overrun = overrun

    def _running(self) -> Iterator[Call]:
        for source in self._sources:
            yield from source.running

    def _meant(self, request: Pause | Resume) -> tuple[Collection[Call], str | None]:
        """The calls that *request* means, or why it is refused."""
        if request.line and request.line not in self._config.lines:
            return (), "no_such_line"
        calls = [
            call
            for call in self._running()
            if call.rules.line == request.line or call.uid == request.call
        ]
        if request.call and not calls:
            return (), "no_such_call"
        line = request.line or calls[0].rules.line
        if self._policy.emergency(line):
            return (), "pause_disabled_emergency"
        able = [call for call in calls if call.waits_ns]
        if not self._policy.backdate_s(line) or (calls and not able):
            return (), "not_pausable"
        return able, None if able else "nothing_running"

    def refusal(self, call: Call) -> str | None:
        """Why *call* cannot be paused, in a word; None where it can."""
        if self._policy.emergency(call.rules.line):
            return "pause_disabled_emergency"
        return None if call.waits_ns else "not_pausable"

    def change(
        self, call: Call, *, begins: bool, source: str, user: int | None = None
    ) -> Entry | None:
        """Pause *call*, or go on with it: log and do it; None where it was so already."""
        if call.pauses.paused == begins:
            return None
        now = self._archive.clock.wall_ns()
        recording = call.recording.hex() if call.recording else None
        data: dict[str, Any] = {
            "uid": call.uid,
            "line": call.rules.line,
            "at_ns": now,
            "source": source,
            "recording": recording,
            "user": user,
        }
        if not begins:
            entry = self._archive.log.append("call.unpaused", recording, data)
            call.unpause(now)
            return entry
        data["from_ns"] = now - call.waits_ns
        data["legs"] = "card" if call.verdict.mandatory else "all"
        entry = self._archive.log.append("call.paused", recording, data)
        call.pause(now, source=source)
        return entry
