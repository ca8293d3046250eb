"""Orders that every state of the recorder obeys: its end, and what is said of an alarm."""

from collections.abc import Callable

from greffier.control.messages import Acknowledge, Answer, Done, Failure, Request, Stop
from greffier.recorder.alarm import AlarmRoom


def obey(
    request: Request, stop: Callable[[], None], alarms: AlarmRoom, otherwise: Failure
) -> Answer:
    """Carry out *request*, and its answer; *otherwise* is that to any other order."""
    if isinstance(request, Stop):
        stop()
        return Done()
    if isinstance(request, Acknowledge):
        try:
            return Done(alarms.acknowledge(request.alarm))
        except KeyError:
            return Failure("refused", "no_such_alarm")
    return otherwise
