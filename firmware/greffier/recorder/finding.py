"""What a check of the doctor found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and the command that mends it ("" where nothing has to be)."""

    check: str
    state: State
    cause: str
    mend: str = ""
