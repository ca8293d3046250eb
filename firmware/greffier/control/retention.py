"""What may be asked of the recorder's retention engine, and what it tells.

Where the box has operators, *signatures* are theirs, one for each in *by*.

It may take longer than a client waits, so an order is answered with a number at once, and what
became of it is asked for by that number. No name of a person is answered; those of who orders go
in, and reach the log as pseudonyms.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from greffier.control.fields import Count, Id, Ns, Word
from greffier.control.forms import Text, Whole

MOST_TOLD: Final = 1000
"""Parts in one answer."""

Person = Annotated[str, Text(r"[^\x00-\x1f\x7f]{1,64}")]
Reference = Annotated[str, Text(r"[^\x00-\x1f\x7f]{1,64}")]
Signature = Annotated[str, Text(r"[0-9a-f]{128}")]
Mode = Annotated[str, Text("floor|suspend")]
Target = Annotated[str, Text(r"(?:[0-9a-f]{32})?")]
Code = Annotated[str, Text(r"[A-Z][A-Z0-9_]{0,47}")]
Purpose = Annotated[str, Text(r"[a-z_]{0,48}")]


# --- requests --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Purge:
    """Destroy what is due, and for lack of space until *space* octets are free (0: only the due).

    *dry*: only say what would be. *confirmed_by*: two persons who say that an aborted deletion is
    right, or none.
    """

    space: Count = 0
    dry: bool = False
    confirmed_by: tuple[Person, ...] = ()
    signatures: tuple[Signature, ...] = ()
    confirmed_ns: Ns = 0


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Hold a recording, or a part. *review_ns* 0: 180 days from now."""

    target: Id
    reference: Reference
    mode: Mode
    by: tuple[Person, ...]
    review_ns: Ns = 0
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """A hold ends."""

    hold: Id
    by: tuple[Person, ...]
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class AskHolds:
    """The holds that stand."""


@dataclass(frozen=True, slots=True)
class Erase:
    """A person asks for *recordings* to be erased; see greffier.recorder.erasure.Request."""

    recordings: tuple[Id, ...]
    request: Reference
    contestable: bool = True
    asked_ns: Ns = 0
    dpo_agreed: bool = False


@dataclass(frozen=True, slots=True)
class Enter:
    """Write an entry of the *kind* into the log: see greffier.recorder.registering.

    *data*: JSON of what it says, without its persons; *recording* the one it concerns, or "".
    *person*: whom a role or an agreement is for.
    """

    kind: Word
    data: Annotated[str, Text(r"\{[\x20-\x7e]{0,12000}\}")]
    recording: Target = ""
    by: tuple[Person, ...] = ()
    person: Annotated[str, Text(r"[^\x00-\x1f\x7f]{0,64}")] = ""
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class AskTold:
    """What became of the order *ticket*: of its parts those behind the first *after*."""

    ticket: Annotated[int, Whole(1)]
    after: Count = 0


# --- answers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ticket:
    """The order will be carried out; ask with this number what became of it."""

    ticket: Annotated[int, Whole(1)]


@dataclass(frozen=True, slots=True)
class Said:
    """One part, recording or hold: by which rule, for which purpose ("": all), at which time
    (0: none).
    """

    what: Annotated[str, Text("done|refused|kept")]
    id: Id
    code: Code
    purpose: Purpose = ""
    at_ns: Ns = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an order; *over*: nothing more will come. *trouble*: why it failed, or "".

    *items* are in all; *said* are those from the first asked for on. *octets* went or would go.
    """

    over: bool
    items: Count
    said: tuple[Said, ...]
    octets: Count
    lower_bound_ns: Ns
    source: Annotated[str, Text(r"[a-z]{0,16}")]
    trouble: Annotated[str, Text(r"[a-z_]{0,32}")] = ""


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold that stands; *part* is "" where it is on the whole recording, and the other way."""

    hold: Id
    recording: Target
    parts: tuple[Id, ...]
    reference: Reference
    mode: Mode
    since_ns: Ns
    review_ns: Ns
    declared: bool


@dataclass(frozen=True, slots=True)
class HoldStates:
    """The holds that stand."""

    holds: tuple[HoldState, ...]
