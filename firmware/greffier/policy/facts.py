"""What someone tells the recorder about one call.

A fact that nobody gave has the value that keeps the rules as they are: an inbound call, notice
heard, no objection, drawn, inside the window, recorder healthy. ``pending`` says that a fact is not
known *yet* (only while a call runs).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from greffier.config.fields import COUNTRY
from greffier.errors import UsageError
from greffier.language import translate

PENDING = "pending"
# A plain number of a time below this is seconds, above it nanoseconds (since the Unix epoch, or
# since the call began where a fact only has to be ordered against another).
_SECONDS_BELOW = 10**12
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one call.

    ``u`` is the draw (0 <= u < 1) and ``slot`` the outcome of the method "slots". ``after_start``:
    the refusal or the private key came after capture had begun. Times (``t_*``) are ns, or None.
    ``pause_s``: how long a card pause has lasted. ``action_confirmed``: the output that was told to
    end the call said that it did. ``agent``: "" where unknown and irrelevant.
    """

    dir: str = "in"
    consumer: str | None = None
    consent: str = "none"
    announce: str = "ok"
    u: float = 0.0
    slot: bool = False
    window: bool = True
    quota_used: int = 0
    healthy: bool = True
    proof: bool = False
    contract: str = ""
    cold: bool = False
    consent_ref: str = ""
    private: bool = False
    call_kind: str = "business"
    card: bool = False
    pause_s: float = 0.0
    threat: bool = False
    after_start: bool = False
    contract_notice: bool = False
    mifid: str = ""
    authority_order: bool = False
    transfer: str = ""
    prospect: str = ""
    agent: str = ""
    action_confirmed: bool = True
    missing: tuple[str, ...] = ()
    t_start: int | None = None
    t_notice_end: int | None = None
    t_consent: int | None = None
    t_agent: int | None = None
    t_refusal: int | None = None
    t_proof: int | None = None

    @classmethod
    def parse(cls, items: Mapping[str, object], zone: ZoneInfo | None = None) -> "Facts":
        """The facts of *items*: typed values as in JSON, or texts as in ``k=v`` words.

        A time without an offset is in *zone* (UTC if None). Raises UsageError, naming the known
        facts where a name is wrong.
        """
        values: dict[str, object] = {}
        for name, value in items.items():
            read = _READERS.get(name)
            if read is None:
                phrase = translate("unknown fact {name}; known facts: {known}")
                known = ", ".join(_READERS)
                raise UsageError(reason=phrase.format(name=repr(name), known=known))
            try:
                values[name] = read(value, zone)
            except (ValueError, OverflowError) as error:
                phrase = translate("fact {name}: {reason}")
                raise UsageError(reason=phrase.format(name=name, reason=error)) from error
        return cls(**values)  # type: ignore[arg-type]

    @classmethod
    def from_words(cls, words: Iterable[str], zone: ZoneInfo | None = None) -> "Facts":
        """The facts of ``k=v`` *words*; one word may hold several, separated by spaces."""
        items: dict[str, object] = {}
        for pair in (pair for word in words for pair in word.split()):
            name, equals, value = pair.partition("=")
            if not equals:
                phrase = translate("a fact is written name=value, not {word}")
                raise UsageError(reason=phrase.format(word=repr(pair)))
            items[name] = value
        return cls.parse(items, zone)

    @property
    def is_private(self) -> bool:
        """Whether the agent's key or a listed number says that the call is private."""
        return self.private or self.call_kind == "private"


_Reader = Callable[[object, ZoneInfo | None], object]


def _flag(value: object, _: ZoneInfo | None) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(translate("must be true or false"))


def _choice(*choices: str) -> _Reader:
    def read(value: object, _: ZoneInfo | None) -> str:
        if isinstance(value, bool):
            value = "yes" if value else "no"
        text = "" if value is None else str(value).strip().lower()
        if text not in choices:
            shown = ", ".join(choice or '""' for choice in choices)
            raise ValueError(translate("must be one of {values}").format(values=shown))
        return text

    return read


def _number(low: float, high: float) -> Callable[[object, ZoneInfo | None], float]:
    def read(value: object, _: ZoneInfo | None) -> float:
        phrase = translate("must be a number from {low} to {high}").format(low=low, high=high)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(phrase)
        try:
            number = float(value)
        except ValueError:
            raise ValueError(phrase) from None
        if math.isnan(number) or not low <= number <= high:
            raise ValueError(phrase)
        return number

    return read


def _count(value: object, zone: ZoneInfo | None) -> int:
    number = _number(0, 10**9)(value, zone)
    if not number.is_integer():
        raise ValueError(translate("must be a whole number"))
    return int(number)


def _text(value: object, _: ZoneInfo | None) -> str:
    return "" if value is None else str(value)


def _names(value: object, _: ZoneInfo | None) -> tuple[str, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(str(item).strip() for item in items if str(item).strip())


def _country(value: object, _: ZoneInfo | None) -> str | None:
    if value is None or value == "":
        return None
    text = str(value).upper()
    if not COUNTRY.fullmatch(text):
        raise ValueError(translate("must be a country code such as FR or CA-QC"))
    return text


def _time(value: object, zone: ZoneInfo | None) -> int | None:
    """A time: number of seconds or nanoseconds, RFC 3339 text, or a date (its midnight)."""
    if value is None or value == "":
        return None
    text = str(value)
    try:
        number: int | float = int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return _clock_time(text, zone)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(translate("must be a time such as 2026-08-11T09:00:00+02:00"))
    return int(number * 1_000_000_000) if abs(number) < _SECONDS_BELOW else int(number)


def _clock_time(text: str, zone: ZoneInfo | None) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        phrase = translate("must be a time such as 2026-08-11T09:00:00+02:00")
        raise ValueError(phrase) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def midnight_ns(day: date, zone: ZoneInfo) -> int:
    """The first instant of *day* in *zone*, ns since the Unix epoch."""
    return int(datetime.combine(day, time(), zone).timestamp()) * 1_000_000_000


_READERS: dict[str, _Reader] = {
    "dir": _choice("in", "out", "int"),
    "consumer": _country,
    "consent": _choice("none", "in", "out", PENDING),
    "announce": _choice("ok", "fail", "assumed_ok", PENDING),
    "u": _number(0, 1),
    "slot": _flag,
    "window": _flag,
    "quota_used": _count,
    "healthy": _flag,
    "proof": _flag,
    "contract": _choice("", "none", "oral", "written", "signed"),
    "cold": _flag,
    "consent_ref": _text,
    "private": _flag,
    "call_kind": _choice("business", "private"),
    "card": _flag,
    "pause_s": _number(0, 10**9),
    "threat": _flag,
    "after_start": _flag,
    "contract_notice": _flag,
    "mifid": _choice("", "yes", "no", "unknown"),
    "authority_order": _flag,
    "transfer": _choice("", "none", "15", "17", "18", "112"),
    "prospect": _choice("", "none", "interested", "refused"),
    "agent": _text,
    "action_confirmed": _flag,
    "missing": _names,
    **dict.fromkeys(
        ("t_start", "t_notice_end", "t_consent", "t_agent", "t_refusal", "t_proof"), _time
    ),
}
if set(_READERS) != {field.name for field in fields(Facts)}:
    raise TypeError("a fact lacks its reader")
DEFAULTS = {item.name: item.default for item in fields(Facts) if item.default is not MISSING}
