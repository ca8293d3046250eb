"""What became of everything that was received of a call."""

from typing import Any

from greffier.calls.events import CallEnded
from greffier.recorder.call import Call
from greffier.recorder.line_call import LineCall
from greffier.recorder.outcome import Heard


def accounted(call: Call, event: CallEnded, heard: Heard) -> dict[str, Any]:
    """What became of all that was received: packets of a trunk, samples of an analogue line."""
    if isinstance(call, LineCall):
        return call.accounted()
    frames = call.frames
    received = sum(leg.counters.packets for leg in event.legs)
    found = {
        "received": received,
        "recorded": max(frames.recorded - sum(one.packets for one in heard.unwritten), 0),
        "not_recorded": frames.not_recorded,
        "masked": frames.masked,
        "silent": frames.silent,
        "duplicates": sum(leg.counters.duplicates for leg in event.legs),
    }
    others = sum(count for name, count in found.items() if name != "received")
    return found | {"lost": received - others}
