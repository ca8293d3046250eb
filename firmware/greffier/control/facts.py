"""What somebody tells the recorder about a call, and what it answers (docs/control-protocol.md).

The same record comes over the socket and from inside the recorder: there is one inlet.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from greffier.control.fields import Id, NameOrNone, Ns, Uid
from greffier.control.forms import Text
from greffier.control.retention import Code

SOURCES: Final = ("api", "desk", "key", "info", "gpio", "siprec", "console")
"""By which way a fact came; ``key`` are keys of a telephone in the sound, ``info`` SIP INFO."""

Actor = Annotated[str, Text(r"[^\x00-\x1f\x7f]{0,64}")]
Source = Annotated[str, Text("|".join(SOURCES))]
FactName = Annotated[str, Text(r"[a-z][a-z0-9_]{0,31}")]
Value = Annotated[str, Text(r"[^\x00-\x1f\x7f]{0,64}")]
IdOrNone = Annotated[str, Text(r"(?:[0-9a-f]{32})?")]
WordOrNone = Annotated[str, Text(r"(?:[a-z][a-z0-9_.]{0,47})?")]
State = Annotated[str, Text("taken|known|late|refused")]


@dataclass(frozen=True, slots=True)
class Tell:
    """A fact about the call *call*, the one that runs on *line*, or the one of *recording*.

    Exactly one of them is given. *id* is the sender's own: the same id and the same content is the
    same fact. *actor* is who says so ("": a machine). *fact* and *value* are as in
    :mod:`greffier.policy.facts`. *at_ns*: when it happened (0: now).
    """

    id: Id
    fact: FactName
    value: Value
    source: Source
    call: Uid = ""
    line: NameOrNone = ""
    recording: IdOrNone = ""
    actor: Actor = ""
    at_ns: Ns = 0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if sum(map(bool, (self.call, self.line, self.recording))) != 1:
            raise ValueError("one of a call, a line and a recording")


@dataclass(frozen=True, slots=True)
class FactTaken:
    """What became of a fact.

    ``taken``: it counts from now on. ``known``: it was told before. ``late``: the call is over; it
    changes what the law lets it change. ``refused``: it counts for nothing, *code* says why. *code*
    is "" where there is nothing to say; *codes* are the verdict's.
    """

    state: State
    code: WordOrNone = ""
    codes: tuple[Code, ...] = ()
