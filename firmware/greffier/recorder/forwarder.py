"""Alarms from the recorder's control socket to the outputs that do not run in the recorder.

Polls: a recorder that is gone is found as surely as one that has news, and a forwarder that comes
late or dies costs the recorder nothing.
"""

from collections.abc import Callable, Sequence

from greffier.clock import SECOND, Clock
from greffier.control.messages import Alarm, Alarms, Answer, AskAlarms, Notice, Request
from greffier.errors import GreffierError
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.outputs.outbox import Outbox

# A restart of the recorder is shorter than this and is no alarm.
SILENCE_NS = 10 * SECOND
SILENT = "recorder.silent"


class Forwarder:
    """*ask* asks the recorder. *carried* tell its alarms; *own* only ours (it logs its own itself).

    One thread calls :meth:`poll`; :meth:`trouble` may be called by any.
    """

    def __init__(
        self,
        ask: Callable[[Request], Answer],
        clock: Clock,
        run: str,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._carried: tuple[Outbox, ...] = ()
        self._own: tuple[Outbox, ...] = ()
        self._room = AlarmRoom(clock, run, [self._tell])
        self._seen: Alarms | None = None
        self._after = 0
        self._heard_ns = clock.monotonic_ns()

    def serve(self, carried: Sequence[Outbox], own: Sequence[Outbox]) -> None:
        """Tell these outputs from now on."""
        self._carried, self._own = tuple(carried), tuple(own)

    def trouble(self, name: str, bad: bool) -> None:
        """The output *name* fails now, or works again."""
        self._room.set(bad, "output.failed", name)

    def poll(self) -> None:
        """Ask once, and hand on what is new."""
        try:
            answer = self._ask(AskAlarms(self._after))
            if isinstance(answer, Alarms) and self._seen and answer.run != self._seen.run:
                answer = self._ask(AskAlarms(0))
        except GreffierError:
            if self._clock.monotonic_ns() - self._heard_ns >= SILENCE_NS:
                self._room.raise_alarm(SILENT)
            return
        if not isinstance(answer, Alarms):
            return
        self._heard_ns = self._clock.monotonic_ns()
        self._room.clear(SILENT)
        notices = answer.notices if self._seen else _still_new(answer)
        self._seen, self._after = answer, answer.serial
        standing = self._standing()
        for notice in notices:
            for box in self._carried:
                box.offer(notice, standing)
        for box in self._carried:
            box.stand(standing)

    def _standing(self) -> tuple[Alarm, ...]:
        theirs = self._seen.alarms if self._seen else ()
        return (*self._room.view().alarms, *theirs)

    def _tell(self, notice: Notice, standing: Sequence[Alarm]) -> None:
        """Our own notices. Called under the lock of our room, so the room is not asked again."""
        theirs = self._seen.alarms if self._seen else ()
        for box in (*self._carried, *self._own):
            box.offer(notice, (*standing, *theirs))


def _still_new(first: Alarms) -> tuple[Notice, ...]:
    """Of what happened before we came, only what still stands and nobody has seen."""
    waiting = {one.id for one in first.alarms if not one.acknowledged}
    return tuple(one for one in first.notices if one.what == "raised" and one.alarm.id in waiting)
