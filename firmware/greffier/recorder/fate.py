"""What the ledger of an analogue line says of the sound of its call. Pure."""

from collections.abc import Callable, Iterator
from typing import Final

from greffier.clock import SECOND
from greffier.recorder.call import Call
from greffier.recorder.ledger import Told
from greffier.recorder.line_call import LineCall
from greffier.recorder.outcome import leading_code

NOT_KEPT: Final = ("none", "provisional_deleted")
NEVER: Final = ("not_recorded", "NEVER_RECORD")
PENDING: Final = ("not_recorded", "NOTICE_PENDING")


def state_of(call: Call | None) -> tuple[str, str | None]:
    """What the ledger says of a line on which *call* runs."""
    if call is None:
        return NEVER
    if call.recording is not None:
        return "recorded", None
    if call.verdict.record in NOT_KEPT:
        return "not_recorded", leading_code(call.verdict.codes) or "NO_PURPOSE"
    return PENDING


def fate_of(
    call: LineCall, time_of: Callable[[int], int], rate: int
) -> Callable[[int, int], Iterator[Told]]:
    """What became of any span of *call* that is decided: *time_of* tells when its samples were."""
    hidden = [tuple(map(time_of, span)) for span in call.hidden]
    missing = [(time_of(start), time_of(end), reason) for start, end, reason in call.missing]
    first = call.kept_from
    kept_ns = None if first is None else time_of(first)
    before = state_of(call) if kept_ns is None else PENDING

    def fate(since_ns: int, end_ns: int) -> Iterator[Told]:
        edges = {edge for span in hidden for edge in span} | {end_ns, kept_ns or end_ns}
        edges |= {edge for low, high, _ in missing for edge in (low, high)}
        at = since_ns
        for edge in sorted(edge for edge in edges if since_ns < edge <= end_ns):
            samples = round((edge - at) * rate / SECOND)
            lost = next((why for low, high, why in missing if low <= at < high), None)
            if lost is not None:
                yield Told(edge, "lost", lost, samples)
            elif any(low <= at < high for low, high in hidden):
                yield Told(edge, "paused", "PAUSE_SAD")
            elif kept_ns is not None and at >= kept_ns:
                yield Told(edge, "recorded", None, samples)
            else:
                yield Told(edge, *before)
            at = edge

    return fate
