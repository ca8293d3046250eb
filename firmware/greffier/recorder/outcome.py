"""What became of a call: its result, its reason in one word, and the coverage of its time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval
from greffier.policy.verdict import Verdict

NOT_RECORDABLE = "NOT_RECORDABLE"
OVER_CAPACITY = "OVER_CAPACITY"
"""The call should be recorded, and more calls than ``limits.calls`` ran already."""
STORAGE_LOW = "STORAGE_LOW"
"""It would be recorded for a voluntary purpose, and the disk has room for duties alone."""
STORAGE = "STORAGE"
"""The cause of what is lost because no disk took it."""
# Causes of gaps that mean: sound was there and is lost. Others mean that there was none.
LOSSES = frozenset({"lost", "late", "damaged", "restart", "jump", "oversize", "overrun", "card"})

# The order of precedence of the rules: bans, health, duties, lines and private calls, notice,
# consent, draw. A code that is not listed stands last.
_RANKS: tuple[frozenset[str], ...] = (
    frozenset(
        {"RECORDER_DOWN", OVER_CAPACITY, STORAGE_LOW, "LINE_UNCONFIGURED", "POLICY_INACTIVE"}
    ),
    frozenset(
        {
            "MANDATORY_MIFID",
            "MANDATORY_INSURANCE",
            "MIXED_RECLASSIFIED_DELETE",
            "EMERGENCY_CONTINUOUS",
            "FAIL_OPEN_EMERGENCY",
            "REFUSED_END_CALL",
            "PROSPECT_NOT_INTERESTED",
        }
    ),
    frozenset({"NEVER_RECORD", "PRIVATE_MODE", "PRIVATE_EXCLUDED", "INTERNAL_OFF", "NO_PURPOSE"}),
    frozenset({"NOTICE_IMPOSSIBLE", "ANNOUNCE_FAILED", "NOTICE_PENDING"}),
    frozenset({"OBJECTED", "CONSENT_MISSING", "CONSENT_PENDING"}),
    frozenset({"SAMPLED_OUT", "QUOTA_REACHED", "OUTSIDE_WINDOW", "AGENT_PENDING"}),
)


def leading_code(codes: Sequence[str]) -> str:
    """The code of *codes* that the precedence of the rules puts first ("" of none)."""

    def rank(code: str) -> int:
        return next((place for place, group in enumerate(_RANKS) if code in group), len(_RANKS))

    return min(codes, key=rank, default="")


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant to another, nanoseconds since the epoch; *packets* that it stands for."""

    from_ns: int
    to_ns: int
    packets: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recorder noted of one call's time.

    *media*: first to last sound that the tap saw, or None. *recorded*: first to last sample that
    was kept, or None. *lost* and *masked*: spans inside; *unwritten*: what no disk took.
    *unusable*: sound was there that nobody can decode.
    """

    start_ns: int
    end_ns: int
    media: Span | None
    recorded: Span | None
    lost: tuple[Span, ...]
    masked: tuple[Span, ...]
    unusable: bool
    answered: bool
    unwritten: tuple[Span, ...] = ()


def result_of(verdict: Verdict, heard: Heard) -> str:
    """ok, degraded, failed, blocked or not_recordable."""
    if verdict.action == "block_call":
        return "blocked"
    kept = verdict.record not in ("none", "provisional_deleted")
    if OVER_CAPACITY in verdict.codes or (STORAGE_LOW in verdict.codes and not kept):
        return "failed"
    if not kept:
        return "ok"
    if heard.recorded is None:
        if heard.unusable:
            return "not_recordable"
        return "failed" if heard.answered and heard.media is None else "ok"
    return "degraded" if heard.lost or heard.unwritten or heard.unusable else "ok"


def coverage(
    line: str, channel: str, verdict: Verdict, heard: Heard, packets: int
) -> Iterable[Interval]:
    """The intervals of one call of a trunk: its channel lasts as long as the call.

    *packets* were received in all; the interval that holds most of the sound carries them.
    """
    start, end = heard.start_ns, _end(heard)
    if end <= start:
        return ()
    account = Account(line, channel, start)
    wanted = verdict.record not in ("none", "provisional_deleted")
    if not wanted:
        reason = leading_code(verdict.codes) or "NO_PURPOSE"
        account.mark("not_recorded", start, end, reason, packets=packets)
        return account.close(end)
    if heard.media is not None:
        reason = NOT_RECORDABLE if heard.unusable and heard.recorded is None else "NOTICE_PENDING"
        _mark(account, "not_recorded", heard.media, end, reason)
    elif heard.answered:
        account.mark("blind", start, end)
    if heard.recorded is not None:
        _mark(account, "recorded", heard.recorded, end)
    for span in heard.lost:
        _mark(account, "lost", span, end, "RTP_LOSS")
    for span in heard.unwritten:
        _mark(account, "lost", span, end, STORAGE)
    for span in heard.masked:
        _mark(account, "paused", span, end, "PAUSE_SAD")
    return account.close(end)


def _end(heard: Heard) -> int:
    spans = [span for span in (heard.media, heard.recorded) if span is not None]
    return max([heard.end_ns, *(span.to_ns for span in spans)])


def _mark(account: Account, state: str, span: Span, end: int, reason: str | None = None) -> None:
    low, high = max(span.from_ns, account.settled_ns), min(span.to_ns, end)
    if low < high:
        account.mark(state, low, high, reason, packets=span.packets)
