"""Messages of the gate: which calls run at a desk, what outputs are to do, what became of that.

No caller is named: a call is its number of ours, a desk its extension, an agent a pseudonym.
"""

from dataclasses import dataclass
from typing import Annotated

from greffier.control.fields import Id, Name, NameOrNone, Ns, Uid
from greffier.control.forms import Text

ActionName = Annotated[str, Text("play_notice|end_call|block_call|offer_alternative")]
Outcome = Annotated[str, Text("done|failed|no_output")]


@dataclass(frozen=True, slots=True)
class AskCalls:
    """The calls that run at these *extensions*, or with these *agents*."""

    extensions: tuple[Name, ...] = ()
    agents: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class AskInstructions:
    """What outputs are to do now."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of the *instruction*, by the *output* of that name ("": none could)."""

    instruction: Id
    outcome: Outcome
    output: NameOrNone = ""


@dataclass(frozen=True, slots=True)
class DeskCall:
    """A call that runs, whatever of it is kept."""

    call: Uid
    line: Name
    extension: NameOrNone
    agent: NameOrNone
    since_ns: Ns
    paused: bool


@dataclass(frozen=True, slots=True)
class LineRule:
    """Whether anything of the calls of a line may be recorded; no draw is in that."""

    line: Name
    may: bool


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that were asked for, and the rule of every line that is configured."""

    calls: tuple[DeskCall, ...]
    lines: tuple[LineRule, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """The line's *outputs*, in this order, are to do *action* on the *call* by *deadline_ns*."""

    id: Id
    action: ActionName
    line: Name
    call: Uid
    extension: NameOrNone
    outputs: tuple[Name, ...]
    ordered_ns: Ns
    deadline_ns: Ns


@dataclass(frozen=True, slots=True)
class Instructions:
    """Those that wait for their outcome. *run* tells one start of the recorder from the next."""

    run: Id
    instructions: tuple[Instruction, ...]
